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
	if s.carried.Sign() <= 0 || (c.per == push.PerTeam && !scope.team(s.name)) {
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

// spend computes the accounts of a key, once.
func (v *view) spend(key spendingKey) []spending {
	if list, known := v.spendings[key]; known {
		return list
	}
	books := map[push.Account]*book{}
	for _, r := range v.receipts {
		for _, name := range r.owners(v, key.per) {
			account := push.Account{Per: key.per, Key: accountKey(key.per, name), Period: period(r.day, key.monthly)}
			if books[account] == nil {
				books[account] = &book{name: name, prompts: map[string]*charge{}}
			}
			books[account].charge(r)
		}
	}
	list := make([]spending, 0, len(books))
	for account, b := range books {
		list = append(list, b.sum(account))
	}
	slices.SortFunc(list, func(a, b spending) int { return compareAccounts(a.account, b.account) })
	v.spendings[key] = list
	return list
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

// book holds the prompts of one account.
type book struct {
	name    string
	prompts map[string]*charge
	first   *commit
}

// charge is the largest cost that any receipt reports for a prompt.
type charge struct{ cost, counted push.Decimal }

func (b *book) charge(r *receipt) {
	c := b.prompts[r.prompt]
	if c == nil {
		c = &charge{}
		b.prompts[r.prompt] = c
	}
	if r.CountedUSD != nil {
		c.counted = c.counted.Max(*r.CountedUSD)
	}
	if r.CostUSD == nil || r.CostUSD.Sign() <= 0 {
		return
	}
	c.cost = c.cost.Max(*r.CostUSD)
	if b.first == nil || r.commit.index < b.first.index {
		b.first = r.commit
	}
}

func (b *book) sum(account push.Account) spending {
	s := spending{account: account, name: b.name, first: b.first}
	for _, c := range b.prompts {
		s.carried = s.carried.Add(c.cost)
		if more := c.cost.Sub(c.counted); more.Sign() > 0 {
			s.added = s.added.Add(more)
		}
	}
	return s
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
