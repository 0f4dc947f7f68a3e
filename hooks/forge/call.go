package forge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	// maxAnswer is the largest body of an answer that is read: a page of a hundred
	// repositories takes about one MiB. maxRefusal is for the words of a refusal.
	maxAnswer  = 16 << 20
	maxRefusal = 64 << 10
	// maxRedirects is more than the one that forges answer with for what moved.
	maxRedirects = 3
	// maxPages bounds a list, whatever a server says about further pages.
	maxPages = 2000
)

// session is a client that speaks for an account.
type session struct {
	client  *Client
	account Account
	base    *url.URL
}

// call is one request to the API.
type call struct {
	method string
	url    *url.URL
	// body is sent as JSON unless it is nil; the answer is read into answer unless
	// that is nil.
	body   any
	answer any
	// accept looks at a refusal; true takes it for a success. Nil accepts none.
	accept func(*CallError) bool
}

// at makes the URL of a resource from the segments of its path.
func (s session) at(query url.Values, segments ...string) *url.URL {
	u := *s.base
	escaped := make([]string, len(segments))
	for i, segment := range segments {
		escaped[i] = url.PathEscape(segment)
	}
	u.Path = s.base.Path + "/" + strings.Join(segments, "/")
	u.RawPath = s.base.EscapedPath() + "/" + strings.Join(escaped, "/")
	u.RawQuery = query.Encode()
	return &u
}

func (s session) get(ctx context.Context, u *url.URL, answer any) (http.Header, error) {
	return s.do(ctx, call{method: http.MethodGet, url: u, answer: answer})
}

// do makes a call unless limits or failures of its host forbid it. Its errors
// are *CallErrors, and context.Canceled if the caller ended it.
func (s session) do(ctx context.Context, c call) (http.Header, error) {
	who := limited{s.base.Host, s.account.Token}
	if until := s.client.limits.wait(who); !until.IsZero() {
		return nil, &CallError{Err: ErrLimited, Detail: s.base.Host, RetryAt: until}
	}
	done, err := s.client.rests.allow(s.base.Host)
	if err != nil {
		return nil, err
	}
	header, until, err := s.exchange(ctx, c)
	if !until.IsZero() {
		s.client.limits.set(who, until)
	}
	done(err)
	var refused *CallError
	if errors.As(err, &refused) && c.accept != nil && c.accept(refused) {
		return header, nil
	}
	return header, err
}

// exchange sends a request and reads its answer. until is set when the forge
// takes no further calls for now.
func (s session) exchange(ctx context.Context, c call) (header http.Header, until time.Time, err error) {
	ctx, cancel := context.WithTimeout(ctx, s.client.timeout)
	defer cancel()
	resp, err := s.send(ctx, c)
	if err != nil {
		return nil, time.Time{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 200 && resp.StatusCode < 300 {
		until = limitedUntil(resp.StatusCode, resp.Header, "", time.Now())
		return resp.Header, until, readAnswer(resp, c.answer)
	}
	refusal, err := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	if err != nil {
		return nil, time.Time{}, unreachable(ctx, err)
	}
	detail := detailOf(refusal, s.account.Token)
	failed := &CallError{Err: kindOf(resp.StatusCode, detail), Status: resp.StatusCode, Detail: detail}
	if until = limitedUntil(resp.StatusCode, resp.Header, detail, time.Now()); !until.IsZero() {
		failed.Err, failed.RetryAt = ErrLimited, until
	}
	return resp.Header, until, failed
}

// send makes the request, again at another path of the same server if the
// forge says that the thing moved.
func (s session) send(ctx context.Context, c call) (*http.Response, error) {
	var body []byte
	if c.body != nil {
		var err error
		if body, err = json.Marshal(c.body); err != nil {
			return nil, fmt.Errorf("encoding a request to the forge: %w", err)
		}
	}
	at := c.url
	for range maxRedirects + 1 {
		req, err := s.request(ctx, c.method, at, body)
		if err != nil {
			return nil, err
		}
		resp, err := s.client.http.Do(req)
		if err != nil {
			return nil, unreachable(ctx, err)
		}
		next, err := redirect(resp)
		if next == nil || err != nil {
			return resp, err
		}
		at = next
	}
	return nil, &CallError{Err: ErrAnswer, Detail: "too many redirects"}
}

func (s session) request(ctx context.Context, method string, at *url.URL, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, at.String(), bytes.NewReader(body))
	if err != nil {
		return nil, &CallError{Err: ErrAddress, Detail: "the address of the API is malformed"}
	}
	if body == nil {
		req.Body, req.GetBody = nil, nil
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", s.client.userAgent)
	s.authenticate(req.Header)
	return req, nil
}

func (s session) authenticate(h http.Header) {
	token := string(s.account.Token)
	switch {
	case s.account.Forge == GitHub:
		h.Set("Accept", "application/vnd.github+json")
		h.Set("X-GitHub-Api-Version", "2022-11-28")
		h.Set("Authorization", "Bearer "+token)
	case s.account.Forge == Gitea:
		h.Set("Authorization", "token "+token)
	case strings.Contains(token, ":") && s.account.Forge == Bitbucket:
		basic := http.Request{Header: h}
		user, password, _ := s.account.basic()
		basic.SetBasicAuth(user, string(password))
	default:
		h.Set("Authorization", "Bearer "+token)
	}
}

// redirect returns where an answer sends the request, nil if it stands. What
// changes something is only sent again where the forge asks for the same
// method: 307 and 308 (RFC 9110, 15.4).
func redirect(resp *http.Response) (*url.URL, error) {
	reading := resp.Request.Method == http.MethodGet
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
	case http.StatusMovedPermanently, http.StatusFound, http.StatusSeeOther:
		if !reading {
			return nil, closing(resp, "redirects a request that changes something")
		}
	default:
		return nil, nil
	}
	next, err := resp.Location()
	if err != nil {
		return nil, closing(resp, "redirects to nowhere")
	}
	if from := resp.Request.URL; next.Scheme != from.Scheme || next.Host != from.Host {
		return nil, closing(resp, "redirects to another server: give the address at which its API really is")
	}
	return next, resp.Body.Close()
}

func closing(resp *http.Response, problem string) error {
	// The answer is not used; what goes wrong in dropping it changes nothing.
	_ = resp.Body.Close()
	return &CallError{Err: ErrAnswer, Status: resp.StatusCode, Detail: problem}
}

// unreachable sorts the errors of a request without an answer. The words of
// net/http hold the address, and never a header.
func unreachable(ctx context.Context, err error) error {
	var refused *AddressError
	var withURL *url.Error
	switch {
	case errors.As(err, &refused):
		return &CallError{Err: ErrAddress, Detail: cleanText(refused.Error(), maxDetail)}
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("asking the forge: %w", context.Canceled)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return &CallError{Err: ErrUnreachable, Detail: "no answer in time"}
	case errors.As(err, &withURL):
		err = withURL.Err
	}
	return &CallError{Err: ErrUnreachable, Detail: cleanText(err.Error(), maxDetail)}
}

func readAnswer(resp *http.Response, answer any) error {
	if answer == nil || resp.StatusCode == http.StatusNoContent {
		return nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return unreachable(resp.Request.Context(), err)
	case len(body) > maxAnswer:
		return &CallError{Err: ErrAnswer, Status: resp.StatusCode, Detail: fmt.Sprintf("longer than %d MiB", maxAnswer>>20)}
	}
	if err := decode(body, answer); err != nil {
		return &CallError{Err: ErrAnswer, Status: resp.StatusCode, Detail: strings.TrimPrefix(err.Error(), ErrBody.Error()+": ")}
	}
	return nil
}

// numbered reads a list whose pages have numbers, for as long as the forge
// says that another follows. Its own link to that page is not followed: behind a
// proxy it may name a host that is not the one that was asked.
func numbered[T any](ctx context.Context, s session, query url.Values, path []string, add func(T) error) error {
	for page := 1; page <= maxPages; page++ {
		query.Set("page", fmt.Sprint(page))
		var items []T
		header, err := s.get(ctx, s.at(query, path...), &items)
		if err != nil {
			return err
		}
		for _, item := range items {
			if err := add(item); err != nil {
				return err
			}
		}
		if len(items) == 0 || !hasNext(header) {
			return nil
		}
	}
	return &CallError{Err: ErrAnswer, Detail: fmt.Sprintf("more than %d pages", maxPages)}
}

// hasNext looks for the next page in the Link header (RFC 8288), and where
// GitLab tells it too.
func hasNext(h http.Header) bool {
	if h.Get("X-Next-Page") != "" {
		return true
	}
	for _, value := range h.Values("Link") {
		for link := range strings.SplitSeq(value, ",") {
			_, params, _ := strings.Cut(link, ">")
			for param := range strings.SplitSeq(params, ";") {
				name, rel, _ := strings.Cut(strings.TrimSpace(param), "=")
				if strings.EqualFold(name, "rel") && strings.Trim(rel, `"`) == "next" {
					return true
				}
			}
		}
	}
	return false
}
