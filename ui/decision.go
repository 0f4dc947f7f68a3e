package ui

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// DecisionLink is what the link of a decision shows to those who are not logged
// in. Whether there is such a decision is not told.
type DecisionLink struct {
	Base
	ID    string
	Login string
}

// Decision is one decision with all that hangs on it.
type Decision struct {
	Base
	store.DecisionDetail
	Tabs []Tab
	// Text is what the pusher saw.
	Text string
	// Judged is the newest verdict.
	Judged push.Verdict
	// Refusing says that a finding still refuses, so that a waiver would help.
	Refusing bool
	Expiries []Option
	// Reason is what a refused form said.
	Reason string
}

// expiries are the lengths of waivers that a form proposes, in days.
var expiries = []Option{{"1", "1 day"}, {"7", "7 days"}, {"30", "30 days"}, {"90", "90 days"}}

// decision shows a decision; to those who are not known, what to do next.
func (p *pages) decision(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return &respond.Problem{Status: http.StatusNotFound, Code: "no_such_path", Detail: "Links to decisions end in an id of 36 characters."}
	}
	if !access.Allow(whoOf(r), access.ToRead, access.Resource{}) {
		base := p.bareBase(r, "Decision on a push")
		return p.show(w, r, http.StatusOK, "decision_link", &DecisionLink{Base: base, ID: id.String(), Login: loginPath("/decisions/" + id.String())})
	}
	return p.showDecision(w, r, id, nil)
}

// showDecision shows a decision, with what a form of its page was refused for.
func (p *pages) showDecision(w http.ResponseWriter, r *http.Request, id uuid.UUID, refused []Fault) error {
	base, err := p.newBase(r, "/enforcement", "Decision on a push")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Decision{Base: base, Tabs: enforcementTabs(""), Expiries: expiries, Reason: r.PostForm.Get("reason")}
	if page.DecisionDetail, err = p.cfg.DB.Decision(r.Context(), base.Viewer.Org, id); err != nil {
		return err
	}
	page.Judged = page.Verdict
	if page.LateVerdict != nil {
		page.Judged = *page.LateVerdict
	}
	for _, f := range page.Judged.Findings {
		page.Refusing = page.Refusing || f.Outcome == push.Refuse && f.Waiver == ""
	}
	page.Text = p.pusherText(&page.DecisionDetail)
	page.Title = "Push to " + page.Repo
	return p.show(w, r, statusFor(refused), "decision", page)
}

// pusherText is what the pusher saw.
func (p *pages) pusherText(d *store.DecisionDetail) string {
	answer := hooks.Answer{Version: hooks.AnswerVersion, Verdict: d.Verdict, Decision: d.ID.String()}
	if p.cfg.PublicURL != "" {
		answer.Link = p.cfg.PublicURL + "/decisions/" + answer.Decision
	}
	return answer.Text(hooks.Forge(d.Forge))
}

// maxFindings bounds the findings that a page shows.
const maxFindings = 60

// Shown are the gravest findings.
func (p *Decision) Shown() []push.Finding {
	return p.Judged.Findings[:min(len(p.Judged.Findings), maxFindings)]
}

// Stopped reports whether something is to be done before the push, or the next one
// of its branch, goes through.
func (p *Decision) Stopped() bool {
	return p.State == store.StateHeld || p.State == store.StateFinal && p.Outcome == push.Refuse && p.Refusing
}

// Standing says where the push stands, to whoever was sent here by git; empty
// where nothing is left to do.
func (p *Decision) Standing() string {
	switch {
	case p.State == store.StateHeld:
		return "The push came through, and its branch takes no more pushes of this pusher until one of these is done:"
	case p.Stopped():
		return "The push was refused, so nothing of it arrived. One of these lets it pass:"
	case p.State == store.StateFinal && p.Outcome == push.Refuse:
		return "The push was refused, and what refused it is waived now: push again."
	case p.State == store.StatePending:
		return "The push came through, and its receipts are awaited. If the tool does not push them by itself: git push origin refs/notes/blameprompt"
	}
	return ""
}

// Steps are what the findings that stop the push ask for, each once.
func (p *Decision) Steps() []string {
	var out []string
	for _, f := range p.Judged.Findings {
		if p.Stopped() && f.Outcome == push.Refuse && f.Waiver == "" && f.Next != "" && !slices.Contains(out, f.Next) && len(out) < maxSteps {
			out = append(out, f.Next)
		}
	}
	return out
}

// maxSteps bounds what a page proposes at once.
const maxSteps = 5

// ReviewHelps reports whether a review would let the push pass.
func (p *Decision) ReviewHelps() bool {
	return slices.ContainsFunc(p.Judged.Findings, policy.AwaitsReview)
}

// happened says what an event of a decision was.
func happened(event string) string {
	if text, ok := eventTexts[event]; ok {
		return text
	}
	return words(event)
}

var eventTexts = map[string]string{
	store.EventNotes: "notes of its commits arrived", store.EventDue: "the time for receipts was over", store.EventWaiver: "a waiver was made or ended",
	store.EventReview: "a review was made", store.EventPolicy: "a policy was changed", store.EventGone: "its commits or its branch are gone",
	store.EventWithdrawn: "the repository did not take the push",
}

// ActiveHolds are those that still hold.
func (p *Decision) ActiveHolds() []store.Hold {
	var out []store.Hold
	for _, hold := range p.Holds {
		if hold.ReleasedAt == nil {
			out = append(out, hold)
		}
	}
	return out
}

// maxWaiverDays bounds what a form may ask for; the store knows its own limit.
const maxWaiverDays = 366

// waiveDecision makes the waivers that let the push of a decision pass.
func (p *pages) waiveDecision(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return store.ErrNotFound
	}
	form := postOf(r)
	reason := form.wanted("reason", 1000)
	days, err := strconv.Atoi(form.text("days", 10))
	if err != nil || days < 1 || days > maxWaiverDays {
		form.refuse("days", "must be a number of days")
	}
	if len(form.faults) > 0 {
		return p.showDecision(w, r, id, form.faults)
	}
	waivers, err := p.cfg.DB.WaiveDecision(r.Context(), whoOf(r), id, reason, p.cfg.Now().AddDate(0, 0, days))
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showDecision(w, r, id, faults)
	}
	if err != nil {
		return err
	}
	repo := uuid.Nil
	if waivers[0].RepoID != nil {
		repo = *waivers[0].RepoID
	}
	p.reconsider(r, repo, store.EventWaiver)
	return done(w, r, "/decisions/"+id.String(), "waived")
}

// releaseHold ends a hold by hand and leads back to its decision.
func (p *pages) releaseHold(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return store.ErrNotFound
	}
	form := postOf(r)
	reason, decision := form.wanted("reason", 1000), form.id("decision")
	if len(form.faults) > 0 {
		return p.showDecision(w, r, decision, form.faults)
	}
	hold, err := p.cfg.DB.ReleaseHold(r.Context(), whoOf(r), id, reason)
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showDecision(w, r, decision, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/decisions/"+hold.DecisionID.String(), "released")
}

// patience bounds how long a form waits until what it may have changed was
// judged again; what is left then, the regular look at decisions does.
const patience = 10 * time.Second

// reconsider has what waits in a repository, or for the nil UUID anywhere,
// judged again. The act is done whether or not that works.
func (p *pages) reconsider(r *http.Request, repo uuid.UUID, event string) {
	if p.cfg.Enforcer == nil {
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	err := p.cfg.Enforcer.Reconsider(ctx, whoOf(r).Org, repo, event)
	if err != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.cfg.Log.Warn().Err(err).Str("event", event).Msg("waiting decisions were not judged again; the regular look does it")
	}
}
