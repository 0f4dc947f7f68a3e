package backtest

import (
	"context"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/push"
)

// sums are the totals that pushes are judged by. Of days before the push they
// are what the books say; of its own day they are what recorded pushes had
// brought by then.
type sums struct {
	books Books
	spent map[month]map[string]push.Decimal
	added map[string]map[string]push.Lines

	// today is the day of the newest push. The others are of this day alone:
	// costs by owner, lines by repository, each prompt's cost, and the commits that
	// are in lines.
	today   string
	costs   map[owner]push.Decimal
	lines   map[string]push.Lines
	prompts map[string]push.Decimal
	commits map[string]bool
}

// owner has accounts.
type owner struct {
	per push.Per
	key string
}

type month struct {
	owner
	month string
}

func newSums(books Books) *sums {
	return &sums{books: books, spent: map[month]map[string]push.Decimal{}, added: map[string]map[string]push.Lines{}}
}

// lay replaces the totals of an input by those of the backtest.
func (s *sums) lay(ctx context.Context, set *policy.Set, in *push.Input) error {
	if s.today != in.Today {
		s.turn(in.Today)
	}
	for i := range in.Receipts {
		in.Receipts[i].CountedUSD = s.counted(&in.Receipts[i])
	}
	in.Totals = push.Totals{}
	needs := set.Needs(*in)
	for _, account := range needs.Accounts {
		usd, err := s.account(ctx, account)
		if err != nil {
			return err
		}
		in.Totals.Spent = append(in.Totals.Spent, push.Spent{Account: account, USD: usd})
	}
	for _, days := range needs.Windows {
		lines, err := s.window(ctx, in.Repo.Name, days)
		if err != nil {
			return err
		}
		in.Totals.Windows = append(in.Totals.Windows, push.Window{Days: days, Lines: lines})
	}
	return nil
}

// turn begins a new day, and with a new month forgets the others.
func (s *sums) turn(day string) {
	if monthOf(day) != monthOf(s.today) {
		s.spent = map[month]map[string]push.Decimal{}
	}
	s.today = day
	s.costs, s.lines = map[owner]push.Decimal{}, map[string]push.Lines{}
	s.prompts, s.commits = map[string]push.Decimal{}, map[string]bool{}
}

// monthOf is the month of a day or month: "2026-11".
func monthOf(period string) string { return period[:min(len(period), len("2026-11"))] }

// isToday reports whether a receipt counts for the day of the push. One without
// a day that can be read does.
func (s *sums) isToday(r *push.Receipt) bool {
	_, err := time.Parse(time.DateOnly, r.Day)
	return err != nil || r.Day == s.today
}

// counted is what the totals hold of a receipt's prompt: of today what earlier
// pushes brought; of other days all of it, since the books know it by now.
func (s *sums) counted(r *push.Receipt) *push.Decimal {
	if !s.isToday(r) {
		return r.CostUSD
	}
	if usd, ok := s.prompts[promptOf(r)]; ok {
		return &usd
	}
	return nil
}

// promptOf identifies a prompt among those of its kind.
func promptOf(r *push.Receipt) string {
	if r.Prompt == "" {
		return "receipt " + r.ID
	}
	return "prompt " + r.Prompt
}

// account is what an account holds at the push.
func (s *sums) account(ctx context.Context, a push.Account) (push.Decimal, error) {
	who := owner{a.Per, a.Key}
	if a.Period == s.today {
		return s.costs[who], nil
	}
	of := monthOf(a.Period)
	days, err := s.month(ctx, who, of)
	if err != nil || len(a.Period) > len(of) {
		return days[a.Period], err
	}
	var sum push.Decimal
	current := of == monthOf(s.today)
	for day, usd := range days {
		if !current || day < s.today {
			sum = sum.Add(usd)
		}
	}
	if current {
		sum = sum.Add(s.costs[who])
	}
	return sum, nil
}

func (s *sums) month(ctx context.Context, who owner, of string) (map[string]push.Decimal, error) {
	key := month{who, of}
	days, known := s.spent[key]
	if !known {
		var err error
		if days, err = s.books.Spent(ctx, who.per, who.key, of); err != nil {
			return nil, err
		}
		s.spent[key] = days
	}
	return days, nil
}

// window is what the repository's pushes added on the last days, today included.
func (s *sums) window(ctx context.Context, repo string, days int) (push.Lines, error) {
	const longest = 999
	today, err := time.Parse(time.DateOnly, s.today)
	if err != nil {
		return push.Lines{}, err
	}
	added, known := s.added[repo]
	if !known {
		from := today.AddDate(0, 0, -longest).Format(time.DateOnly)
		if added, err = s.books.Added(ctx, repo, from); err != nil {
			return push.Lines{}, err
		}
		s.added[repo] = added
	}
	sum := s.lines[repo]
	for day := 1; day < days; day++ {
		sum = sum.Plus(added[today.AddDate(0, 0, -day).Format(time.DateOnly)])
	}
	return sum, nil
}

// add takes an accepted push into the sums of its day.
func (s *sums) add(in *push.Input) {
	for i := range in.Commits {
		c := &in.Commits[i]
		if commit := in.Repo.Name + " " + c.OID; !s.commits[commit] {
			s.commits[commit] = true
			s.lines[in.Repo.Name] = s.lines[in.Repo.Name].Plus(c.Lines())
		}
	}
	for i := range in.Receipts {
		r := &in.Receipts[i]
		if r.CostUSD == nil || !s.isToday(r) {
			continue
		}
		prompt := promptOf(r)
		more := r.CostUSD.Sub(s.prompts[prompt])
		if more.Sign() <= 0 {
			continue
		}
		s.prompts[prompt] = *r.CostUSD
		for _, who := range ownersOf(in, r) {
			s.costs[who] = s.costs[who].Add(more)
		}
	}
}

// ownersOf are those whose accounts a receipt counts for.
func ownersOf(in *push.Input, r *push.Receipt) []owner {
	key := func(user string) string { return strings.ToLower(strings.TrimSpace(user)) }
	user, teams := r.User, r.Teams
	if user == "" {
		user = in.Pusher.User
	}
	if len(teams) == 0 && key(user) == key(in.Pusher.User) {
		teams = in.Pusher.Teams
	}
	owners := []owner{{push.PerOrg, ""}, {push.PerRepo, in.Repo.Name}, {push.PerUser, key(user)}}
	for _, team := range teams {
		owners = append(owners, owner{push.PerTeam, team})
	}
	return owners
}
