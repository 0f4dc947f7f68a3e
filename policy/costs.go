package policy

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// The bounds of amounts in rules: a billion dollars, a millionth of one.
const (
	maxAmount    = 1_000_000_000
	amountPlaces = 6
)

// costRule is max_cost_per_day and max_cost_per_month. An account is over its
// limit when what is stored and what the push adds is more than the limit; the
// push answers for that only if it carries prompts of that account that cost
// something, so that nobody else's work is stopped by money that is spent.
type costRule struct {
	limit   push.Decimal
	per     push.Per
	monthly bool
	// touched judges every period in which a prompt of the push lies, not only the
	// current one.
	touched bool
}

func readMaxCostPerDay(o *object) judge   { return readCostRule(o, MaxCostPerDay, false) }
func readMaxCostPerMonth(o *object) judge { return readCostRule(o, MaxCostPerMonth, true) }

func readCostRule(o *object, kind Kind, monthly bool) judge {
	return &costRule{
		limit:   o.decimal(string(kind), maxAmount, amountPlaces),
		per:     push.Per(o.choice("per", "org", "team", "repo", "user")),
		touched: o.choice("periods", "current", "touched") == "touched",
		monthly: monthly,
	}
}

func (c *costRule) judge(_ context.Context, v *view, r *report) {
	for _, s := range v.spend(c.key()) {
		total := v.stored[s.account].Add(s.added)
		if c.covers(v, &r.policy.Scope, s) && total.Cmp(c.limit) > 0 {
			r.violated(s.first, c.finding(s, total))
		}
	}
	r.await(v.awaited(anyCommit))
}

func (c *costRule) needs(v *view, scope *Scope, n *needs) {
	for _, s := range v.spend(c.key()) {
		if c.covers(v, scope, s) {
			n.accounts[s.account] = true
		}
	}
}

func (c *costRule) key() spendingKey { return spendingKey{per: c.per, monthly: c.monthly} }

// covers reports whether the rule looks at the account for this push.
func (c *costRule) covers(v *view, scope *Scope, s spending) bool {
	if s.carried.Sign() <= 0 || (c.per == push.PerTeam && !scope.HoldsTeam(s.name)) {
		return false
	}
	return c.touched || s.account.Period == period(v.in.Today, c.monthly)
}

func (c *costRule) finding(s spending, total push.Decimal) push.Finding {
	account, unit, on := s.account, "day", "on"
	if c.monthly {
		unit, on = "month", "in"
	}
	next := fmt.Sprintf("Ask an administrator for a waiver or a higher limit, or push when the %s is over.", unit)
	if c.touched {
		next = "Ask an administrator for a waiver or a higher limit."
	}
	return push.Finding{
		Account: &account,
		Limit:   c.limit.Dollars() + " per " + unit,
		Found:   fmt.Sprintf("%s, %s of it new", total.Dollars(), s.added.Dollars()),
		Message: fmt.Sprintf("With this push %s has spent %s %s %s; the limit per %s is %s.",
			owner(c.per, s.name), total.Dollars(), on, account.Period, unit, c.limit.Dollars()),
		Next: next,
	}
}

func owner(per push.Per, name string) string {
	switch per {
	case push.PerTeam:
		return "the team " + quote(name)
	case push.PerRepo:
		return "the repository " + quote(name)
	case push.PerUser:
		return quote(name)
	}
	return "the organisation"
}

// spendingKey selects the accounts of one kind of owner and period.
type spendingKey struct {
	per     push.Per
	monthly bool
}

// spending is what the prompts of a view cost one account.
type spending struct {
	account push.Account
	// name is the account's key as the push spells it.
	name string
	// carried is the cost of all prompts, added what of it is not stored yet.
	carried, added push.Decimal
	// first is the first commit with a prompt that costs something.
	first *commit
}

// spend computes the accounts of a key, once, in time that grows with the
// receipts.
func (v *view) spend(key spendingKey) []spending {
	if list, known := v.spendings[key]; known {
		return list
	}
	l := ledger{accounts: map[push.Account]*tally{}}
	for _, receipts := range v.byPrompt() {
		for _, r := range receipts {
			for _, name := range r.owners(v, key.per) {
				l.charge(push.Account{Per: key.per, Key: accountKey(key.per, name), Period: period(r.day, key.monthly)}, name, r)
			}
		}
		l.settle()
	}
	list := make([]spending, 0, len(l.accounts))
	for _, t := range l.accounts {
		list = append(list, t.spending)
	}
	slices.SortFunc(list, func(a, b spending) int { return compareAccounts(a.account, b.account) })
	v.spendings[key] = list
	return list
}

// byPrompt are the receipts of each prompt, in the order of the first ones.
func (v *view) byPrompt() [][]*receipt {
	if v.promptReceipts != nil {
		return v.promptReceipts
	}
	places := make(map[string]int, len(v.receipts))
	groups := make([][]*receipt, 0, len(v.receipts))
	for _, r := range v.receipts {
		place, known := places[r.prompt]
		if !known {
			place = len(groups)
			places[r.prompt] = place
			groups = append(groups, nil)
		}
		groups[place] = append(groups[place], r)
	}
	v.promptReceipts = groups
	return groups
}

// owners are the accounts' owners that a receipt counts for.
func (r *receipt) owners(v *view, per push.Per) []string {
	switch per {
	case push.PerTeam:
		return r.teams
	case push.PerRepo:
		return []string{v.in.Repo.Name}
	case push.PerUser:
		return []string{r.user}
	}
	return []string{""}
}

// accountKey is the form in which an owner names an account: users are e-mail
// addresses, whose case does not matter.
func accountKey(per push.Per, name string) string {
	if per == push.PerUser {
		return strings.ToLower(strings.TrimSpace(name))
	}
	return name
}

// period is the day, or the month of it.
func period(day string, monthly bool) string {
	const month = len("2026-11")
	if monthly && len(day) > month {
		return day[:month]
	}
	return day
}

// ledger sums up accounts, prompt by prompt.
type ledger struct {
	accounts map[push.Account]*tally
	// open are those that the prompt at hand is charged to.
	open []*tally
}

// tally is an account being summed up. Cost and counted are the largest that any
// receipt reports for the prompt at hand.
type tally struct {
	spending
	open          bool
	cost, counted push.Decimal
}

// charge lays a receipt of the prompt at hand to an account, whose owner it
// calls by the name.
func (l *ledger) charge(account push.Account, name string, r *receipt) {
	t := l.accounts[account]
	if t == nil {
		t = &tally{spending: spending{account: account, name: name}}
		l.accounts[account] = t
	}
	if !t.open {
		t.open = true
		l.open = append(l.open, t)
	}
	if r.CountedUSD != nil {
		t.counted = t.counted.Max(*r.CountedUSD)
	}
	if r.CostUSD == nil || r.CostUSD.Sign() <= 0 {
		return
	}
	t.cost = t.cost.Max(*r.CostUSD)
	if t.first == nil || r.commit.index < t.first.index {
		t.first = r.commit
	}
}

// settle adds the prompt at hand to the accounts that it was charged to.
func (l *ledger) settle() {
	for _, t := range l.open {
		t.carried = t.carried.Add(t.cost)
		if more := t.cost.Sub(t.counted); more.Sign() > 0 {
			t.added = t.added.Add(more)
		}
		t.open, t.cost, t.counted = false, push.Decimal{}, push.Decimal{}
	}
	l.open = l.open[:0]
}

func compareAccounts(a, b push.Account) int {
	return cmp.Or(strings.Compare(string(a.Per), string(b.Per)), strings.Compare(a.Key, b.Key),
		strings.Compare(a.Period, b.Period))
}

// promptRule is max_cost_per_prompt. Prompts whose cost is not known pass.
type promptRule struct {
	withoutTotals
	limit push.Decimal
}

func readMaxCostPerPrompt(o *object) judge {
	return &promptRule{limit: o.decimal(string(MaxCostPerPrompt), maxAmount, amountPlaces)}
}

func (p *promptRule) judge(_ context.Context, v *view, r *report) {
	for _, one := range v.prompts() {
		if one.cost.Cmp(p.limit) <= 0 {
			// They are sorted: the others cost less.
			break
		}
		r.violated(one.receipt.commit, push.Finding{
			Receipt: one.receipt.ID,
			Limit:   p.limit.Dollars() + " per prompt",
			Found:   one.cost.Dollars(),
			Message: fmt.Sprintf("A prompt of commit %s cost %s; the limit per prompt is %s.",
				short(one.receipt.commit.OID), one.cost.Dollars(), p.limit.Dollars()),
			Next: "Ask an administrator for a waiver; smaller tasks and fresh sessions keep prompts cheap.",
		})
	}
	r.await(v.awaited(anyCommit))
}

// prompt is one prompt with its largest reported cost and the receipt that
// reports it.
type prompt struct {
	cost    push.Decimal
	receipt *receipt
}

// prompts are those of the view, the dearest first.
func (v *view) prompts() []prompt {
	if v.promptSet != nil {
		return v.promptSet
	}
	places := map[string]int{}
	list := make([]prompt, 0, len(v.receipts))
	for _, r := range v.receipts {
		var cost push.Decimal
		if r.CostUSD != nil {
			cost = *r.CostUSD
		}
		place, known := places[r.prompt]
		switch {
		case !known:
			places[r.prompt] = len(list)
			list = append(list, prompt{cost: cost, receipt: r})
		case cost.Cmp(list[place].cost) > 0:
			list[place] = prompt{cost: cost, receipt: r}
		}
	}
	slices.SortStableFunc(list, func(a, b prompt) int { return b.cost.Cmp(a.cost) })
	v.promptSet = list
	return list
}
