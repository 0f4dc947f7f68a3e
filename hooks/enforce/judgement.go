package enforce

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// judgement is one push on its way to a verdict, within one transaction.
type judgement struct {
	tx   *store.Tx
	push *hooks.Push
	org  uuid.UUID
	repo uuid.UUID
	mode hooks.Mode
	// zone is the organisation's: it says which day a moment lies in.
	zone *time.Location
	// at is the moment of the push, which a late judgement does not change.
	at    time.Time
	rules *rulebook
	in    push.Input
	// prompts are the ids of the receipts' prompts, in their order.
	prompts []uuid.UUID
	// locked says that totals are to stay as they were read until what was
	// accepted is recorded.
	locked bool
}

// zone reads an organisation's time zone, which was checked when it was set.
func zone(name string) (*time.Location, error) {
	location, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("reading the organisation's time zone: %w", err)
	}
	return location, nil
}

// day is the day of a moment in the organisation's time zone.
func (j *judgement) day(at time.Time) string { return at.In(j.zone).Format(time.DateOnly) }

// today is the day of the push as midnight UTC, as the store has days.
func (j *judgement) today() time.Time { return midnight(j.day(j.at)) }

func midnight(day string) time.Time {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return time.Time{}
	}
	return t
}

// fill adds to the input what the push's notes and the store say: classes of
// lines, receipts, people and reviews. Await says that receipts may still come.
func (j *judgement) fill(ctx context.Context, await bool) error {
	j.in.Now, j.in.Today, j.in.Await = j.at, j.day(j.at), await
	c := newClassifier(j.push.Notes, !await && j.push.Via == hooks.Pushed)
	for i := range j.push.Commits {
		c.classify(&j.push.Commits[i], &j.in.Commits[i])
	}
	if err := j.tellBots(ctx); err != nil {
		return err
	}
	if err := j.addReceipts(ctx); err != nil {
		return err
	}
	if err := j.addTeams(ctx); err != nil {
		return err
	}
	return j.addReviews(ctx)
}

// tellBots lets the organisation's rules say which authors are bots.
func (j *judgement) tellBots(ctx context.Context) error {
	rules, err := j.tx.BotRules(ctx, j.org)
	if err != nil || len(rules) == 0 {
		return err
	}
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		c.Bot = rules.IsBot(c.Author.Name, c.Author.Email, j.push.Commits[i].Bot)
	}
	return nil
}

// addReceipts turns the receipts of the notes into those of the input. Prompts
// are named as the store names them, so that they count once, and their cost is
// computed as the store computes it.
func (j *judgement) addReceipts(ctx context.Context) error {
	j.in.Receipts, j.prompts = nil, nil
	if !slices.ContainsFunc(j.push.Notes, func(n hooks.Note) bool { return len(n.Receipts) > 0 }) {
		return nil
	}
	book, err := j.tx.PriceBook(ctx, j.org)
	if err != nil {
		return err
	}
	for _, note := range j.push.Notes {
		for i := range note.Receipts {
			r := &note.Receipts[i]
			prompt := store.PromptID(r.Provider, r.SessionID, r.PromptNumber, r.ID)
			j.prompts = append(j.prompts, prompt)
			out := j.receipt(string(note.Commit), prompt, r)
			out.CostUSD = j.cost(book, r)
			j.in.Receipts = append(j.in.Receipts, out)
		}
	}
	return nil
}

// cost is what a receipt's tokens cost by the book, or else what its client says.
func (j *judgement) cost(book *price.Book, r *hooks.Receipt) *push.Decimal {
	at := r.Timestamp
	if at.IsZero() {
		at = j.at
	}
	tokens := price.Tokens{Input: r.Tokens.Input, Output: r.Tokens.Output, CacheRead: r.Tokens.CacheRead, CacheWrite: r.Tokens.CacheCreation}
	usd := r.CostUSD
	if computed, ok := book.Cost(r.Model, at, tokens); ok {
		usd = computed.USD
	}
	cost, err := push.ParseDecimal(usd)
	if err != nil || usd == "" {
		return nil
	}
	return &cost
}

func (j *judgement) receipt(commit string, prompt uuid.UUID, r *hooks.Receipt) push.Receipt {
	out := push.Receipt{
		ID: r.ID, Commit: commit, Provider: r.Provider, Model: r.Model, Prompt: prompt.String(),
		User: userKey(r.UserEmail), InputTokens: count(r.Tokens.Input), OutputTokens: count(r.Tokens.Output),
		CacheReadTokens: count(r.Tokens.CacheRead), CacheCreationTokens: count(r.Tokens.CacheCreation), Secrets: r.Secrets,
	}
	if !r.Timestamp.IsZero() {
		out.Day = j.day(r.Timestamp)
	}
	for _, f := range r.Files {
		out.Files = append(out.Files, f.Path)
	}
	return out
}

func count(n *int64) int64 {
	if n == nil {
		return 0
	}
	return *n
}

// userKey is an address as the key of a person.
func userKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// addTeams names the people of the push as the organisation knows them.
func (j *judgement) addTeams(ctx context.Context) error {
	emails := map[string]bool{j.in.Pusher.User: true}
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		for _, who := range []*push.Person{&c.Author, &c.Committer} {
			who.User = userKey(who.Email)
			emails[who.User] = true
		}
	}
	for i := range j.in.Receipts {
		emails[j.in.Receipts[i].User] = true
	}
	teams, err := j.tx.TeamNames(ctx, j.org, known(emails))
	if err != nil {
		return err
	}
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		c.Author.Teams, c.Committer.Teams = teams[c.Author.User], teams[c.Committer.User]
	}
	for i := range j.in.Receipts {
		j.in.Receipts[i].Teams = teams[j.in.Receipts[i].User]
	}
	j.in.Pusher.Teams = teams[j.in.Pusher.User]
	return nil
}

// known lists what the database can be asked for.
func known(set map[string]bool) []string {
	var list []string
	for text := range set {
		if text != "" && !strings.ContainsRune(text, 0) {
			list = append(list, text)
		}
	}
	slices.Sort(list)
	return list
}

// addReviews adds to each commit the newest review of each person, of the
// commit or of its patch, if a policy asks for reviews.
func (j *judgement) addReviews(ctx context.Context) error {
	if !j.rules.reviews || j.repo == uuid.Nil || len(j.in.Commits) == 0 {
		return nil
	}
	commits, patches := j.oids(), map[string]bool{}
	for i := range j.in.Commits {
		patches[j.in.Commits[i].PatchID] = true
	}
	reviews, err := j.tx.Reviews(ctx, j.org, j.repo, commits, known(patches))
	if err != nil || len(reviews) == 0 {
		return err
	}
	byCommit, byPatch := map[string][]store.ChangeReview{}, map[string][]store.ChangeReview{}
	for _, r := range reviews {
		byCommit[r.Commit] = append(byCommit[r.Commit], r)
		if r.PatchID != "" {
			byPatch[r.PatchID] = append(byPatch[r.PatchID], r)
		}
	}
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		c.Reviews = newest(byCommit[c.OID], byPatch[c.PatchID])
	}
	return nil
}

// newest keeps the last review of each person.
func newest(lists ...[]store.ChangeReview) []push.Review {
	last := map[string]store.ChangeReview{}
	for _, list := range lists {
		for _, r := range list {
			if before, ok := last[r.Reviewer]; !ok || !r.CreatedAt.Before(before.CreatedAt) {
				last[r.Reviewer] = r
			}
		}
	}
	var out []push.Review
	for _, r := range last {
		out = append(out, push.Review{
			Reviewer: push.Person{User: r.Reviewer, Name: r.Name, Email: r.Reviewer},
			PatchID:  r.PatchID, OID: r.Commit, Approved: r.Approved, At: r.CreatedAt,
		})
	}
	slices.SortFunc(out, func(a, b push.Review) int { return strings.Compare(a.Reviewer.User, b.Reviewer.User) })
	return out
}

func (j *judgement) oids() []string {
	oids := make([]string, len(j.in.Commits))
	for i := range j.in.Commits {
		oids[i] = j.in.Commits[i].OID
	}
	return oids
}

// evaluate reads the totals that the rules ask for and judges by the rules.
// Whatever it accepts must be recorded in the same transaction: until it ends,
// nobody else judges by these totals.
func (j *judgement) evaluate(ctx context.Context) (*ruling, error) {
	needs := j.rules.set.Needs(j.in)
	if j.locked {
		if err := j.tx.LockTotals(ctx, j.org, j.repo, needs); err != nil {
			return nil, err
		}
	}
	totals, err := j.tx.Totals(ctx, store.TotalsQuestion{
		OrgID: j.org, RepoID: j.repo, Needs: needs, Today: j.today(), Commits: j.oids(), Prompts: unique(j.prompts)})
	if err != nil {
		return nil, err
	}
	j.in.Totals = totals.Totals
	for i, prompt := range j.prompts {
		if usd, ok := totals.Counted[prompt]; ok {
			j.in.Receipts[i].CountedUSD = &usd
		}
	}
	timed, cancel := context.WithTimeout(ctx, rulesTimeout)
	defer cancel()
	verdict := j.rules.evaluate(timed, j.in)
	if ctx.Err() != nil {
		return nil, fmt.Errorf("judging a push: %w", ctx.Err())
	}
	r := newRuling(verdict)
	if j.mode == hooks.Advisory {
		r.soften()
	}
	return r, nil
}

func unique(ids []uuid.UUID) []uuid.UUID {
	sorted := slices.SortedFunc(slices.Values(ids), func(a, b uuid.UUID) int { return strings.Compare(string(a[:]), string(b[:])) })
	return slices.Compact(sorted)
}

// waive applies the waivers that hold for the push.
func (j *judgement) waive(ctx context.Context, r *ruling) error {
	policies := r.refusing()
	if len(policies) == 0 {
		return nil
	}
	waivers, err := j.tx.ActiveWaivers(ctx, j.org, j.repo, j.in.Pusher.User, policies, j.at)
	if err != nil {
		return err
	}
	patches := map[string]string{}
	for i := range j.in.Commits {
		patches[j.in.Commits[i].OID] = j.in.Commits[i].PatchID
	}
	narrow := r.waive(waivers, patches)
	if j.in.Await && len(narrow) > 0 {
		r.await(j.rules.evaluate(ctx, j.missing()), narrow)
	}
	return nil
}

// missing is the input without what is known already: the commits whose
// receipts may still come.
func (j *judgement) missing() push.Input {
	rest := j.in
	rest.Receipts = nil
	receipts := map[string]bool{}
	for i := range j.in.Receipts {
		receipts[j.in.Receipts[i].Commit] = true
	}
	rest.Commits = slices.DeleteFunc(slices.Clone(j.in.Commits), func(c push.Commit) bool { return c.Noted || receipts[c.OID] })
	return rest
}

// brought are the commits of the push as they count from now on.
func (j *judgement) brought() []store.PushedCommit {
	out := make([]store.PushedCommit, len(j.in.Commits))
	for i := range j.in.Commits {
		c := &j.in.Commits[i]
		out[i] = store.PushedCommit{Commit: c.OID, PatchID: c.PatchID, AuthorEmail: c.Author.Email, Lines: c.Lines(), Noted: c.Noted}
	}
	return out
}

// spent are the prompts of the push that cost something, each by its largest
// report.
func (j *judgement) spent() []store.PushedPrompt {
	at := map[uuid.UUID]int{}
	var out []store.PushedPrompt
	for i := range j.in.Receipts {
		r := &j.in.Receipts[i]
		if r.CostUSD == nil || r.CostUSD.Sign() <= 0 {
			continue
		}
		one := store.PushedPrompt{ID: j.prompts[i], UserEmail: r.User, Day: midnight(r.Day), CostUSD: *r.CostUSD}
		if one.UserEmail == "" {
			one.UserEmail = userKey(j.in.Pusher.User)
		}
		// As policies have it: a day that is none is that of the push.
		if one.Day.IsZero() {
			one.Day = j.today()
		}
		n, known := at[one.ID]
		switch {
		case !known:
			at[one.ID] = len(out)
			out = append(out, one)
		case one.CostUSD.Cmp(out[n].CostUSD) > 0:
			out[n] = one
		}
	}
	return out
}
