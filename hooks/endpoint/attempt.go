package endpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Pauses are those between the attempts to send a message: ten attempts within
// three days, as the specification proposes. Each is up to a tenth longer or
// shorter.
var Pauses = []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour,
	20 * time.Hour, 24 * time.Hour}

const (
	// maxAnswer is how much of an answer is read, and maxHeader of its header.
	maxAnswer = 4 << 10
	maxHeader = 64 << 10
	maxError  = 300
	// maxRest is how long an endpoint is left alone that fails again and again, and
	// maxWait how long one may ask to be left alone.
	maxRest = 5 * time.Minute
	maxWait = 24 * time.Hour
)

// attempt is one try, and what the answer asks for.
type attempt struct {
	store.Attempt
	// wait is how long the receiver wants to be left alone.
	wait time.Duration
}

func (a *attempt) taken() bool { return a.Status >= 200 && a.Status <= 299 }

// attempt makes the request. Its error is that the message cannot be made.
func (s *Sender) attempt(ctx context.Context, j job, m *store.DueMessage) (*attempt, error) {
	body, err := m.Body()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	signature, err := sign(j.Secrets, m.ID.String(), began, body)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.Timeout)
	defer cancel()
	a := &attempt{Attempt: store.Attempt{At: began}}
	defer func() { a.TookMS = int(time.Since(began).Milliseconds()) }()
	// It was checked when it was entered; the rules may have changed since.
	if _, err := s.cfg.Rules.Parse(j.URL); err != nil {
		a.Error = clean(err.Error(), maxError)
		return a, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, j.URL, bytes.NewReader(body))
	if err != nil {
		a.Error = "the URL cannot be sent to"
		return a, nil
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", s.cfg.UserAgent)
	request.Header.Set("Webhook-Id", m.ID.String())
	request.Header.Set("Webhook-Timestamp", strconv.FormatInt(began.Unix(), 10))
	request.Header.Set("Webhook-Signature", signature)
	answer, err := s.http.Do(request)
	if err != nil {
		a.Error = reason(ctx, err, s.cfg.Timeout)
		return a, nil
	}
	defer answer.Body.Close()
	a.read(answer)
	return a, nil
}

// read takes from an answer what is kept of it. That the rest does not come
// changes nothing: the status was there.
func (a *attempt) read(answer *http.Response) {
	a.Status = answer.StatusCode
	text, _ := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	a.Answer = clean(string(text), maxAnswer)
	switch {
	case a.taken():
		return
	case a.Status >= 300 && a.Status <= 399:
		a.Error = "redirects are not followed: give the endpoint the URL that it leads to"
	case a.Status == http.StatusGone:
		a.Error = "the receiver wants no more messages"
	default:
		a.Error = "the receiver refused it"
	}
	a.wait = retryAfter(answer.Header.Get("Retry-After"), a.At)
}

// retryAfter reads the header of that name: seconds or a date.
func retryAfter(value string, now time.Time) time.Duration {
	var wait time.Duration
	if seconds, err := strconv.Atoi(value); err == nil {
		wait = time.Duration(min(max(seconds, 0), int(maxWait/time.Second))) * time.Second
	} else if at, err := http.ParseTime(value); err == nil {
		wait = at.Sub(now)
	}
	return min(max(wait, 0), maxWait)
}

// reason says why there is no answer, without the URL.
func reason(ctx context.Context, err error, timeout time.Duration) string {
	var located *url.Error
	if errors.As(err, &located) {
		err = located.Err
	}
	var refused *forge.AddressError
	switch {
	case errors.As(err, &refused):
		return clean(refusal(refused), maxError)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Sprintf("no answer within %s", timeout)
	}
	return clean(err.Error(), maxError)
}

// refusal is why an address may not be connected to.
func refusal(err error) string {
	return strings.TrimPrefix(err.Error(), mirror.ErrRefused.Error()+": ")
}

// clean makes text of strangers fit to be kept: a bounded number of bytes, without
// what cannot be seen but for line breaks.
func clean(text string, limit int) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r == unicode.ReplacementChar, unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "")
	}
	return strings.TrimSpace(text)
}

// outcome is what an attempt means for a message that was tried before, to an
// endpoint that failed some times in a row.
func (a *attempt) outcome(tries, failures int, pauses []time.Duration) store.AttemptOutcome {
	o := store.AttemptOutcome{Attempt: a.Attempt, Sent: a.taken(), Gone: a.Status == http.StatusGone}
	if o.Sent {
		return o
	}
	o.GiveUp = tries >= len(pauses)
	if !o.GiveUp {
		o.Pause = max(jitter(pauses[tries]), a.wait)
	}
	if len(pauses) > 0 {
		o.Rest = max(min(pauses[0]<<min(failures, 10), maxRest), a.wait)
	}
	return o
}

// jitter keeps what failed together from being tried together.
func jitter(pause time.Duration) time.Duration {
	return time.Duration(float64(pause) * (0.9 + 0.2*rand.Float64()))
}
