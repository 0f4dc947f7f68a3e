package enforce

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Decide judges one push before it is accepted, and has recorded the decision
// when it returns. repo is the name that the hook was installed with; empty
// means p.Repo. An unknown repository is registered as API-only. Two answers
// are not recorded: that the hook shall wait for notes (Answer.WaitMS), and that
// to a dry run.
//
// Every call makes a decision of its own: a client that lost the answer and
// pushes again is judged again. The error wraps store.ErrUnavailable when the
// database is away. When an error is returned the push was not judged; only if
// the connection broke while the database was committing may the decision be
// there all the same.
func (e *Enforcer) Decide(ctx context.Context, by access.Principal, repo string, p hooks.Push) (hooks.Answer, error) {
	started := time.Now()
	name, err := repoName(repo, &p)
	if err != nil {
		return hooks.Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, decideTimeout)
	defer cancel()
	var c *decision
	err = e.cfg.DB.Judge(ctx, func(tx *store.Tx) error {
		c = &decision{e: e, by: by, push: &p, started: started}
		if p.Forge == hooks.Gateway {
			c.verified = by.User
		}
		return c.decide(ctx, tx, name)
	})
	if err != nil {
		return hooks.Answer{}, fmt.Errorf("deciding on a push to %s: %w", name, err)
	}
	e.settleLeft(by, c.left)
	return c.answer(), nil
}

// decision is the making of one decision.
type decision struct {
	e       *Enforcer
	by      access.Principal
	push    *hooks.Push
	started time.Time
	// verified is the address of the user whose key was verified here.
	verified string
	// rules, unless nil, judge instead of those in force.
	rules  *rulebook
	to     store.PushTarget
	pusher store.Pusher
	j      *judgement
	ruling *ruling
	// id is the recorded decision; the nil UUID when none was.
	id       uuid.UUID
	wait     bool
	override string
	// problem is why an override does not count.
	problem string
	// left are pushes of which it shows now that they took held commits away.
	left []leaving
	// kept waits for the push as it is recorded.
	kept func() ([]byte, error)
}

func (c *decision) decide(ctx context.Context, tx *store.Tx, name string) error {
	if err := c.prepare(ctx, tx, name); err != nil {
		return err
	}
	if !c.push.DryRun {
		if err := tx.Register(ctx, c.by, &c.to); err != nil {
			return err
		}
	}
	c.keep()
	c.j = c.newJudgement(tx)
	c.j.repo, c.j.locked = c.to.RepoID, !c.push.DryRun
	if err := c.judge(ctx, tx); err != nil || c.push.DryRun {
		return err
	}
	if c.to.ReceiptMode == store.ReceiptsWait && !c.push.Waited && c.ruling.Outcome == push.Pending {
		c.wait = true
		return nil
	}
	return c.record(ctx, tx)
}

// prepare finds out about the repository, the pusher and the policies.
func (c *decision) prepare(ctx context.Context, tx *store.Tx, name string) (err error) {
	if c.to, err = tx.PushTarget(ctx, c.by.Org, name); err != nil {
		return err
	}
	c.pusher, err = tx.Pusher(ctx, c.by.Org, c.to.RepoID,
		store.PusherClaim{Verified: c.verified, Email: c.push.Email, Login: c.push.User, Name: c.push.User})
	if err != nil || c.rules != nil {
		return err
	}
	c.rules, err = c.e.rules.of(ctx, tx, c.by.Org, c.to.PolicyRevision, c.e.cfg.Log)
	return err
}

func (c *decision) newJudgement(tx *store.Tx) *judgement {
	j := &judgement{tx: tx, push: c.push, org: c.by.Org, repo: c.to.RepoID, mode: hooks.Mode(c.to.Mode),
		at: c.e.now(c.to.Now), rules: c.rules, in: c.push.Input()}
	j.in.Pusher = push.Person{User: c.pusher.Key, Name: c.pusher.Name, Email: c.pusher.Email}
	j.in.Repo = push.Repo{Name: c.to.Repo, DefaultBranch: strings.TrimPrefix(c.to.DefaultBranch, "refs/heads/")}
	return j
}

// judge comes to the ruling.
func (c *decision) judge(ctx context.Context, tx *store.Tx) (err error) {
	if c.j.zone, err = zone(c.to.TimeZone); err != nil {
		return err
	}
	if err := c.j.fill(ctx, c.awaits()); err != nil {
		return err
	}
	if c.ruling, err = c.j.evaluate(ctx); err != nil {
		return err
	}
	c.ruling.add(guardNotes(c.push, &c.to))
	if err := c.applyHolds(ctx, tx); err != nil {
		return err
	}
	if err := c.j.waive(ctx, c.ruling); err != nil {
		return err
	}
	c.applyOverride()
	return nil
}

// awaits reports whether receipts of the push may still come: in receipt mode
// deferred, before the hook has waited in mode wait, and wherever notes were
// there that the hook could not read in its time.
func (c *decision) awaits() bool {
	switch c.to.ReceiptMode {
	case store.ReceiptsSamePush:
		return c.push.UnreadNotes
	case store.ReceiptsWait:
		return c.push.UnreadNotes || !c.push.Waited
	}
	return true
}

// applyHolds refuses what is held for the pusher, unless the push takes the held
// commits or the ref away.
func (c *decision) applyHolds(ctx context.Context, tx *store.Tx) error {
	if c.to.RepoID == uuid.Nil {
		return nil
	}
	var refs []string
	for _, ref := range c.push.Refs {
		if ref.Kind != push.Notes {
			refs = append(refs, ref.Name)
		}
	}
	holds, err := tx.ActiveHolds(ctx, c.by.Org, c.to.RepoID, refs)
	if err != nil {
		return err
	}
	holds = slices.DeleteFunc(holds, func(h store.ActiveHold) bool {
		return h.Pusher != c.pusher.Key || c.leaves(h.Hold)
	})
	if len(holds) == 0 {
		return nil
	}
	if c.left, err = leftBefore(ctx, tx, c.by.Org, c.to.RepoID, holds, c.push.Refs); err != nil {
		return err
	}
	for _, h := range holds {
		if !slices.ContainsFunc(c.left, func(l leaving) bool { return l.takes(h.Hold) }) {
			c.ruling.hold(h, c.rules.names)
		}
	}
	return nil
}

// leaves reports whether the push deletes the held ref, or all held commits are
// in no ref any more behind it.
func (c *decision) leaves(h store.Hold) bool {
	for _, ref := range c.push.Refs {
		if ref.Name == h.Ref {
			return ref.New.IsZero() || contains(ref.Abandoned, h.Commits)
		}
	}
	return false
}

func contains(all []gitcmd.OID, commits []string) bool {
	return len(commits) > 0 && !slices.ContainsFunc(commits, func(c string) bool { return !slices.Contains(all, gitcmd.OID(c)) })
}

// maxOverride bounds the reason of an override in bytes.
const maxOverride = 1000

// applyOverride lets a refused push pass for a reason, if the pusher may.
func (c *decision) applyOverride() {
	reason, asked := overrideOf(c.push.PushOptions)
	if !asked || c.ruling.Outcome != push.Refuse {
		return
	}
	switch {
	case !c.pusher.MayOverride:
		c.problem = "you have no right to override refusals in this repository"
	case reason == "":
		c.problem = "it gives no reason"
	default:
		c.override = reason
		c.ruling.override()
	}
}

// overrideOf finds the reason among the push options; the last one counts. What
// cannot be seen is no part of it.
func overrideOf(options []string) (reason string, asked bool) {
	for _, option := range options {
		name, value, _ := strings.Cut(option, "=")
		if strings.TrimSpace(name) == hooks.OverrideOption {
			reason, asked = value, true
		}
	}
	visible := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(reason, " "))
	reason = strings.Join(strings.Fields(visible), " ")
	if len(reason) > maxOverride {
		reason = strings.ToValidUTF8(reason[:maxOverride], "")
	}
	return reason, asked
}

// record writes the decision.
func (c *decision) record(ctx context.Context, tx *store.Tx) error {
	d := &store.NewDecision{Org: c.by.Org, Day: c.j.today(), Verdict: c.ruling.Verdict}
	var err error
	if d.Push, err = c.kept(); err != nil {
		return err
	}
	if d.Input, err = json.Marshal(c.j.in); err != nil {
		return fmt.Errorf("encoding the input of a judgement: %w", err)
	}
	d.Decision = c.row()
	if d.Outcome != push.Refuse {
		d.Place, d.Brought, d.Prompts = c.push.Place, c.j.brought(), c.j.spent()
	}
	d.TookUS = int(time.Since(c.started).Microseconds())
	if err := tx.RecordDecision(ctx, c.by, d); err != nil {
		return err
	}
	c.id = d.ID
	if d.Outcome == push.Refuse || !c.to.Connected {
		return nil
	}
	told := verdict{decision: d.ID, state: d.State, ruling: c.ruling}
	return c.e.want(ctx, tx, c.by.Org, c.to.RepoID, told.statuses(c.push, c.j.in.Commits))
}

// keep encodes the push, which is large when it has many commits, beside the
// judging, most of whose time is the database's.
func (c *decision) keep() {
	c.kept = sync.OnceValues(func() ([]byte, error) { return recorded(c.push) })
	if !c.push.DryRun {
		go func() { _, _ = c.kept() }()
	}
}

// recorded is the push as it is kept: without push options of others, which may
// hold secrets.
func recorded(p *hooks.Push) ([]byte, error) {
	kept := *p
	kept.PushOptions = slices.DeleteFunc(slices.Clone(p.PushOptions), func(option string) bool {
		return !strings.HasPrefix(option, hooks.OverrideOption)
	})
	var text bytes.Buffer
	err := kept.Encode(&text)
	return text.Bytes(), err
}

func (c *decision) row() store.Decision {
	d := store.Decision{
		At: c.j.at, RepoID: c.to.RepoID, Repo: c.to.Repo, Pusher: c.pusher.Key, PusherName: c.pusher.Name,
		Forge: string(c.push.Forge), Via: string(c.push.Via), Refs: c.j.in.Refs, Outcome: c.ruling.Outcome, State: store.StateFinal,
		ReceiptMode: c.to.ReceiptMode, Override: c.override, Commits: len(c.j.in.Commits), RequestID: c.by.RequestID,
	}
	if d.Outcome == push.Pending {
		due := c.j.at.Add(time.Duration(c.to.GraceSeconds) * time.Second)
		d.State, d.DueAt = store.StatePending, &due
	}
	for i := range c.j.in.Commits {
		lines := c.j.in.Commits[i].Lines()
		d.Added, d.AI, d.Human = d.Added+lines.Added, d.AI+lines.AI, d.Human+lines.Human
	}
	return d
}

// answer is what the hook is told.
func (c *decision) answer() hooks.Answer {
	a := hooks.Answer{Version: hooks.AnswerVersion, Verdict: c.ruling.Verdict, OverrideProblem: c.problem}
	if c.wait {
		a.WaitMS = waitMS
		return a
	}
	if c.id != uuid.Nil {
		a.Decision = c.id.String()
		if c.e.cfg.PublicURL != "" {
			a.Link = c.e.cfg.PublicURL + "/decisions/" + a.Decision
		}
	}
	a.Override = c.pusher.MayOverride && a.Refused()
	a.Quiet = c.quiet()
	if c.to.ReceiptMode == store.ReceiptsSamePush && a.Refused() {
		a.Retry = retry(c.push, c.ruling.Findings)
	}
	return a
}

// quiet reports whether all that there is to say is that receipts are awaited
// of commits that show no agent's hand: most developers have none to send.
func (c *decision) quiet() bool {
	if c.ruling.Outcome != push.Pending {
		return false
	}
	noisy := func(f push.Finding) bool { return f.Problem != push.Awaited }
	if slices.ContainsFunc(c.ruling.Findings, noisy) {
		return false
	}
	receipts := map[string]bool{}
	for i := range c.j.in.Receipts {
		receipts[c.j.in.Receipts[i].Commit] = true
	}
	return !slices.ContainsFunc(c.j.in.Commits, func(commit push.Commit) bool {
		return !commit.Noted && !receipts[commit.OID] && !commit.Bot && commit.Marked()
	})
}

// maxCommand bounds a command for people to type: one that is cut is none.
const maxCommand = 1000

// retry is the command that brings branches and notes in one push, if missing
// receipts are among what refuses this one.
func retry(p *hooks.Push, findings []push.Finding) string {
	missing := func(f push.Finding) bool { return f.Outcome == push.Refuse && f.Rule == receiptRule }
	if !slices.ContainsFunc(findings, missing) {
		return ""
	}
	words := []string{"git push --atomic origin"}
	for _, ref := range p.Refs {
		if ref.Kind == push.Notes || ref.New.IsZero() {
			continue
		}
		name := quoted(strings.TrimPrefix(ref.Name, "refs/heads/"))
		if ref.Forced {
			name = "+" + name
		}
		words = append(words, name)
	}
	command := strings.Join(append(words, "refs/notes/blameprompt"), " ")
	if len(command) > maxCommand {
		return ""
	}
	return command
}

// quoted makes a name one word of a shell.
func quoted(name string) string {
	plain := func(r rune) bool {
		return r < 0x80 && (unicode.IsLetter(r) || unicode.IsDigit(r) || strings.ContainsRune("._/-+@", r))
	}
	if name != "" && strings.IndexFunc(name, func(r rune) bool { return !plain(r) }) < 0 && name[0] != '-' {
		return name
	}
	return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
}
