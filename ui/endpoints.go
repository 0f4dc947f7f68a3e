package ui

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

const endpointsPath = "/settings/endpoints"

// EndpointDesk is where endpoints are added and changed. *endpoint.Desk is one.
type EndpointDesk interface {
	Create(ctx context.Context, by access.Principal, in endpoint.New) (row store.Endpoint, secret string, err error)
	Change(ctx context.Context, by access.Principal, id uuid.UUID, in endpoint.Change) (store.Endpoint, error)
}

// Endpoints is the list of the URLs that are told of what happens.
type Endpoints struct {
	Base
	Tabs []Tab
	Rows []store.Endpoint
	Form EndpointForm
}

// EndpointPage is one endpoint with what it was sent.
type EndpointPage struct {
	Base
	Tabs     []Tab
	Endpoint store.Endpoint
	Repos    []string
	Form     EndpointForm
	// Secret is the one that was made just now.
	Secret string
	// States are the lists of messages, Rows the one that is chosen.
	States []Tab
	Rows   []MessageRow
	Pager  Pager
}

// EndpointForm is the fields of an endpoint.
type EndpointForm struct {
	Fields []Input
	Types  []TypeBox
	Repos  []string
}

// TypeBox is a type of messages that can be chosen.
type TypeBox struct {
	Type, Says string
	Ticked     bool
}

// MessageRow is a message with where that is which it tells of.
type MessageRow struct {
	store.Message
	About, Path string
	Tries       []store.Attempt
}

// typeWords says what messages tell of.
var typeWords = map[store.MessageType]string{
	store.ToldRefused: "a push is refused", store.ToldWarned: "a push passes with warnings", store.ToldHeld: "a late verdict holds a branch",
	store.ToldReleased: "a decision is released", store.ToldPending: "receipts are awaited again", store.ToldWithdrawn: "a push did not arrive",
	store.ToldReviewWanted: "a review is wanted", store.ToldApproved: "a change is approved", store.ToldRejected: "a change is rejected",
	store.ToldWaived: "a policy is waived", store.ToldTampered: "a receipt was tampered with", store.ToldRewritten: "notes were forced",
	store.ToldDeleted: "notes were deleted",
}

func (p *pages) endpoints(w http.ResponseWriter, r *http.Request) error {
	return p.showEndpoints(w, r, url.Values{}, nil)
}

// showEndpoints shows the list, with the form as it was filled in.
func (p *pages) showEndpoints(w http.ResponseWriter, r *http.Request, given url.Values, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Webhooks out")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Endpoints{Base: base, Tabs: settingsTabs(endpointsPath)}
	if page.Rows, err = p.cfg.DB.Endpoints(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	choices, err := p.choices(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	page.Form = endpointForm(given, choices.Repos, refused)
	page.Form.Fields[1].Required, page.Form.Fields[1].Hint = true, "It is sealed and not shown again."
	return p.show(w, r, statusFor(refused), "endpoints", page)
}

// endpointForm is the form, filled in with what was given.
func endpointForm(given url.Values, repos []string, refused []Fault) EndpointForm {
	form := EndpointForm{Repos: repos, Fields: []Input{
		{ID: "name", Name: "name", Label: "Name", Type: "text", Required: true, Example: "security chat"},
		{ID: "url", Name: "url", Label: "URL", Type: "url", Example: "https://hooks.example.com/blameprompt"},
		{ID: "repos", Name: "repos", Label: "Repositories", Type: "text", List: "repos-known", Hint: "With commas between them; empty means all."},
	}}
	for i := range form.Fields {
		f := &form.Fields[i]
		f.Problem = problemOf(refused, f.Name)
		// A URL may be a secret: it is not written into pages, not even back.
		if f.Name != "url" {
			f.Value = given.Get(f.Name)
		}
	}
	for _, t := range store.MessageTypes {
		form.Types = append(form.Types, TypeBox{string(t), typeWords[t], slices.Contains(given["types"], string(t))})
	}
	return form
}

// endpointOf reads the form of an endpoint.
func (p *pages) endpointOf(r *http.Request, f *form) (in endpoint.New, err error) {
	in = endpoint.New{Name: f.wanted("name", 200), URL: f.text("url", 2000), Types: []store.MessageType{}, Repos: []uuid.UUID{}}
	for _, t := range f.values["types"] {
		in.Types = append(in.Types, store.MessageType(t))
	}
	var names []string
	for _, name := range strings.Split(f.text("repos", 20000), ",") {
		if name = strings.TrimSpace(name); name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return in, nil
	}
	repos, err := p.cfg.DB.Repos(r.Context(), whoOf(r).Org)
	if err != nil {
		return in, err
	}
	for _, name := range names {
		at := slices.IndexFunc(repos, func(repo store.Repo) bool { return repo.Name == name })
		if at < 0 {
			f.refuse("repos", "must be names of repositories of your organisation")
			break
		}
		in.Repos = append(in.Repos, repos[at].ID)
	}
	return in, nil
}

// makeEndpoint adds an endpoint and shows its secret once, on its page.
func (p *pages) makeEndpoint(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	in, err := p.endpointOf(r, f)
	if err == nil {
		err = f.err()
	}
	var row store.Endpoint
	var secret string
	if err == nil {
		row, secret, err = p.cfg.Endpoints.Create(r.Context(), whoOf(r), in)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showEndpoints(w, r, r.PostForm, faults)
	}
	if err != nil {
		return err
	}
	return p.showEndpoint(w, r, row.ID, secret, nil, nil)
}

func (p *pages) endpoint(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	return p.showEndpoint(w, r, id, "", nil, nil)
}

// showEndpoint shows an endpoint, with the form as it is or as it was filled in.
func (p *pages) showEndpoint(w http.ResponseWriter, r *http.Request, id uuid.UUID, secret string, given url.Values, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Endpoint")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &EndpointPage{Base: base, Tabs: settingsTabs(endpointsPath), Secret: secret}
	if page.Endpoint, err = p.cfg.DB.Endpoint(r.Context(), base.Viewer.Org, id); err != nil {
		return err
	}
	repos, err := p.cfg.DB.Repos(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	var known []string
	for _, repo := range repos {
		if known = append(known, repo.Name); slices.Contains(page.Endpoint.Repos, repo.ID) {
			page.Repos = append(page.Repos, repo.Name)
		}
	}
	if given == nil {
		given = url.Values{"name": {page.Endpoint.Name}, "repos": {strings.Join(page.Repos, ", ")}}
		for _, t := range page.Endpoint.Types {
			given.Add("types", string(t))
		}
	}
	page.Form = endpointForm(given, known[:min(len(known), maxChoices)], refused)
	page.Form.Fields[1].Hint = "Empty keeps the one that it has."
	if err := p.listMessages(r, page); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "endpoint", page)
}

const (
	// messagesShown and triesShown keep the page small: messages, and attempts of
	// each, of which the newest has the beginning of its answer.
	messagesShown = 15
	triesShown    = 3
)

// listMessages lists what the endpoint was sent, as the query asks.
func (p *pages) listMessages(r *http.Request, page *EndpointPage) error {
	path := endpointsPath + "/" + page.Endpoint.ID.String()
	query := form{values: r.URL.Query()}
	state := query.choice("state", string(store.MessageWaiting), string(store.MessageSent), string(store.MessageFailed))
	if err := query.err(); err != nil {
		return err
	}
	for _, s := range []struct {
		state, name string
		count       int
	}{{"", "All", 0}, {"waiting", "Waiting", page.Endpoint.Waiting}, {"failed", "Failed", page.Endpoint.Failed}, {"sent", "Sent", 0}} {
		page.States = append(page.States, Tab{Path: address(path, url.Values{"state": {s.state}}), Name: s.name, Count: s.count, Current: state == s.state})
	}
	org := page.Viewer.Org
	seal := cursor.Seal(org, "messages page", path+state)
	after, err := cursor.After(r.URL.Query().Get("cursor"), seal)
	if err != nil {
		return err
	}
	rows, err := p.cfg.DB.Messages(r.Context(), org, store.MessageFilter{Endpoint: page.Endpoint.ID, State: store.MessageState(state)}, after, messagesShown+1)
	if err != nil {
		return err
	}
	if len(rows) > messagesShown {
		rows = rows[:messagesShown]
		page.Pager.Next = address(path, url.Values{"state": {state}, "cursor": {cursor.Make(seal, rows[messagesShown-1].ID)}})
	}
	if after != uuid.Nil {
		page.Pager.First = address(path, url.Values{"state": {state}})
	}
	page.Pager.Shown = count(len(rows)) + " shown"
	page.Rows = each(rows, newMessageRow)
	return nil
}

// newMessageRow finds the page of what a message tells of.
func newMessageRow(m store.Message) MessageRow {
	row := MessageRow{Message: m, Tries: m.Attempts[:min(len(m.Attempts), triesShown)]}
	var data struct {
		Decision, Waiver uuid.UUID
		Repo             string
	}
	if err := json.Unmarshal(m.Data, &data); err != nil {
		return row
	}
	row.About = data.Repo
	switch {
	case data.Decision != uuid.Nil:
		row.Path = "/decisions/" + data.Decision.String()
	case data.Waiver != uuid.Nil:
		row.About, row.Path = "the waiver", waiversPath
	case m.RepoID != nil:
		row.Path = "/repositories/" + m.RepoID.String()
	}
	return row
}

// Last is the newest attempt of a message; nil if there is none.
func (m MessageRow) Last() *store.Attempt {
	if len(m.Tries) == 0 {
		return nil
	}
	return &m.Tries[0]
}

// Begin is the beginning of a text.
func (m MessageRow) Begin(text string, limit int) string {
	if utf8.RuneCountInString(text) <= limit {
		return text
	}
	return string([]rune(text)[:limit]) + "…"
}

// endpointMark says in a word how an endpoint stands.
func endpointMark(e store.Endpoint) Mark {
	switch {
	case e.Disabled == store.DisabledGone, e.Disabled == store.DisabledFailing:
		return Mark{"bad", "switched off"}
	case e.DisabledAt != nil:
		return Mark{"quiet", "switched off"}
	case e.FailingSince != nil:
		return Mark{"warn", "failing"}
	case e.SucceededAt != nil:
		return Mark{"good", "works"}
	}
	return Mark{"wait", "not tried yet"}
}

// messageMark says in a word where a message stands.
func messageMark(s store.MessageState) Mark {
	switch s {
	case store.MessageSent:
		return Mark{"good", "sent"}
	case store.MessageFailed:
		return Mark{"bad", "failed"}
	}
	return Mark{"wait", "waiting"}
}

// changeEndpoint does with an endpoint what the button says.
func (p *pages) changeEndpoint(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	f, by, path := postOf(r), whoOf(r), endpointsPath+"/"+id.String()
	notice, secret := "", ""
	switch f.choice("do", "change", "on", "off", "ping", "rotate", "remove") {
	case "on", "off":
		on := f.text("do", 10) == "on"
		notice = map[bool]string{true: "endpoint-on", false: "endpoint-off"}[on]
		_, err = p.cfg.Endpoints.Change(r.Context(), by, id, endpoint.Change{Enabled: &on})
	case "ping":
		notice = "pinged"
		_, err = p.cfg.DB.PingEndpoint(r.Context(), by, id)
	case "rotate":
		_, secret, err = p.cfg.DB.RotateEndpoint(r.Context(), by, id)
	case "remove":
		path, notice = endpointsPath, "endpoint-removed"
		err = p.cfg.DB.RemoveEndpoint(r.Context(), by, id)
	default:
		notice = "endpoint-changed"
		err = p.setEndpoint(r, f, id)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showEndpoint(w, r, id, "", r.PostForm, faults)
	}
	switch {
	case err != nil:
		return err
	case secret != "":
		return p.showEndpoint(w, r, id, secret, nil, nil)
	}
	return done(w, r, path, notice)
}

func (p *pages) setEndpoint(r *http.Request, f *form, id uuid.UUID) error {
	in, err := p.endpointOf(r, f)
	if err == nil {
		err = f.err()
	}
	if err != nil {
		return err
	}
	change := endpoint.Change{Name: &in.Name, Types: &in.Types, Repos: &in.Repos}
	if in.URL != "" {
		change.URL = &in.URL
	}
	_, err = p.cfg.Endpoints.Change(r.Context(), whoOf(r), id, change)
	return err
}

// resend has a message of an endpoint sent once more.
func (p *pages) resend(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	f := postOf(r)
	message := f.id("message")
	if err = f.err(); err == nil {
		_, err = p.cfg.DB.ResendMessage(r.Context(), whoOf(r), message)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showEndpoint(w, r, id, "", nil, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, endpointsPath+"/"+id.String(), "resent")
}
