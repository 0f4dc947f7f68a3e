package policy

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/blameprompt/enterprise/policy/push"
)

// pushed is an Input prepared for judging: receipts sorted and laid to their
// commits, models and totals read once. It is used by one goroutine.
type pushed struct {
	in      *push.Input
	commits []*commit
	stored  map[push.Account]push.Decimal
	windows map[int]push.Lines
	models  map[string]modelName
	// direct are the judged refs that somebody pushed, forged those that the forge
	// itself moved.
	direct, forged map[string]bool
	// views are by the refs that they hold: policies with the same refs in scope
	// share what is computed of them.
	views map[string]*view
}

// commit is a commit with what is computed of it once.
type commit struct {
	*push.Commit
	index    int
	lines    push.Lines
	receipts []*receipt
	// awaited: receipts of it may still come.
	awaited bool
}

// view is the part of a push that a scope holds.
type view struct {
	*pushed
	refs     []push.Ref
	commits  []*commit
	receipts []*receipt
	lines    push.Lines

	// What rules share, computed when first asked for.
	spendings      map[spendingKey][]spending
	promptReceipts [][]*receipt
	promptSet      []prompt
	modelSet       []modelUse
	lists          map[string]ref.Val
	isSmall        *bool
}

// receipt is a receipt of a view with what is computed of it once.
type receipt struct {
	*push.Receipt
	commit *commit
	model  modelName
	prompt string
	user   string
	teams  []string
	day    string
	// cost is the cost for expressions, 0 when it is not known.
	cost ref.Val
}

func newPushed(in *push.Input) *pushed {
	p := &pushed{
		in:      in,
		stored:  map[push.Account]push.Decimal{},
		windows: map[int]push.Lines{},
		models:  map[string]modelName{},
		views:   map[string]*view{},
		direct:  map[string]bool{},
		forged:  map[string]bool{},
	}
	for _, s := range in.Totals.Spent {
		account := s.Account
		account.Key = accountKey(account.Per, account.Key)
		p.stored[account] = p.stored[account].Max(s.USD)
	}
	for _, w := range in.Totals.Windows {
		p.windows[w.Days] = w.Lines
	}
	for _, ref := range in.Refs {
		switch {
		case !ref.Judged():
		case ref.Origin == push.Merge || ref.Origin == push.Web:
			p.forged[ref.Name] = true
		default:
			p.direct[ref.Name] = true
		}
	}
	p.readCommits()
	return p
}

func (p *pushed) readCommits() {
	byOID := make(map[string]*commit, len(p.in.Commits))
	for i := range p.in.Commits {
		c := &commit{Commit: &p.in.Commits[i], index: i}
		c.lines = c.Lines()
		p.commits = append(p.commits, c)
		byOID[c.OID] = c
	}
	raw := map[*commit][]*push.Receipt{}
	for i := range p.in.Receipts {
		if c := byOID[p.in.Receipts[i].Commit]; c != nil {
			raw[c] = append(raw[c], &p.in.Receipts[i])
		}
	}
	for _, c := range p.commits {
		slices.SortFunc(raw[c], compareReceipts)
		for _, r := range raw[c] {
			c.receipts = append(c.receipts, p.read(c, r))
		}
		c.awaited = p.awaits(c)
	}
}

// awaits reports whether receipts of the commit may still come: not of bots,
// not of what the forge itself made, not of merges without lines of their own.
func (p *pushed) awaits(c *commit) bool {
	if !p.in.Await || c.Noted || len(c.receipts) > 0 || c.Bot {
		return false
	}
	return (!c.Merged() || c.lines.Added > 0) && !p.madeByForge(c)
}

// madeByForge reports whether only merge buttons and web editors bring the
// commit.
func (p *pushed) madeByForge(c *commit) bool {
	return c.reachedBy(p.forged) && !c.reachedBy(p.direct)
}

// reachedBy reports whether one of the named refs brings the commit.
func (c *commit) reachedBy(names map[string]bool) bool {
	if len(c.Refs) == 0 {
		return len(names) > 0
	}
	return slices.ContainsFunc(c.Refs, func(ref string) bool { return names[ref] })
}

// compareReceipts is a total order on all that rules read, so that the order in
// which receipts come does not matter.
func compareReceipts(a, b *push.Receipt) int {
	if order := strings.Compare(a.ID, b.ID); order != 0 {
		return order
	}
	return cmp.Or(
		strings.Compare(a.Prompt, b.Prompt),
		strings.Compare(a.Provider, b.Provider),
		strings.Compare(a.Model, b.Model),
		strings.Compare(a.User, b.User),
		strings.Compare(a.Day, b.Day),
		compareOptional(a.CostUSD, b.CostUSD),
		compareOptional(a.CountedUSD, b.CountedUSD),
		cmp.Compare(a.InputTokens, b.InputTokens),
		cmp.Compare(a.OutputTokens, b.OutputTokens),
		cmp.Compare(a.CacheReadTokens, b.CacheReadTokens),
		cmp.Compare(a.CacheCreationTokens, b.CacheCreationTokens),
		slices.Compare(a.Teams, b.Teams),
		slices.Compare(a.Files, b.Files),
		slices.Compare(a.Secrets, b.Secrets),
	)
}

func compareOptional(a, b *push.Decimal) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Cmp(*b)
}

// view returns the part of the push that the refs at these places bring.
func (p *pushed) view(refs []int) *view {
	key := make([]byte, len(p.in.Refs))
	names := make(map[string]bool, len(refs))
	v := &view{pushed: p, spendings: map[spendingKey][]spending{}, lists: map[string]ref.Val{}}
	for _, i := range refs {
		key[i] = 1
		names[p.in.Refs[i].Name] = true
		v.refs = append(v.refs, p.in.Refs[i])
	}
	if known := p.views[string(key)]; known != nil {
		return known
	}
	p.views[string(key)] = v
	for _, c := range p.commits {
		if c.reachedBy(names) {
			v.add(c)
		}
	}
	return v
}

func (v *view) add(c *commit) {
	v.commits = append(v.commits, c)
	v.lines = v.lines.Plus(c.lines)
	v.receipts = append(v.receipts, c.receipts...)
}

func (p *pushed) read(c *commit, r *push.Receipt) *receipt {
	out := &receipt{Receipt: r, commit: c, prompt: r.Prompt, user: r.User, teams: r.Teams, day: r.Day}
	if out.prompt == "" {
		out.prompt = "receipt " + r.ID
	}
	if out.user == "" {
		out.user = p.in.Pusher.User
	}
	if len(out.teams) == 0 && accountKey(push.PerUser, out.user) == accountKey(push.PerUser, p.in.Pusher.User) {
		out.teams = p.in.Pusher.Teams
	}
	if _, err := time.Parse(time.DateOnly, out.day); err != nil {
		out.day = p.in.Today
	}
	model, known := p.models[r.Model]
	if !known {
		model = readModel(r.Model)
		p.models[r.Model] = model
	}
	out.model, out.cost = model, types.Double(0)
	if r.CostUSD != nil {
		out.cost = types.Double(r.CostUSD.Float64())
	}
	return out
}

// awaited returns the commits whose receipts may still come and which the test
// holds for relevant.
func (v *view) awaited(relevant func(*commit) bool) []*commit {
	var list []*commit
	for _, c := range v.commits {
		if c.awaited && relevant(c) {
			list = append(list, c)
		}
	}
	return list
}

func anyCommit(*commit) bool { return true }
