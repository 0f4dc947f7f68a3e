package policy

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// shareRule is max_ai_percentage: AI lines of all added lines of the repository
// over a window that ends with this push. Lines whose author is not known are in
// the denominator alone: they are called neither AI nor human. A push without AI
// lines cannot raise the share and passes.
type shareRule struct {
	limit push.Decimal
	// days is the length of the window before the push; 0 looks at the push alone.
	days int
}

const (
	defaultWindow = 30
	maxWindow     = 999
)

func readMaxAIPercentage(o *object) judge {
	return &shareRule{limit: o.decimal(string(MaxAIPercentage), 100, amountPlaces), days: o.window("window")}
}

// window reads "push" or a number of days: "30d".
func (o *object) window(name string) int {
	if _, given := o.members[name]; !given {
		o.take(name)
		return defaultWindow
	}
	word := o.text(name, maxText)
	if word == "push" {
		return 0
	}
	digits, ok := strings.CutSuffix(word, "d")
	days, err := strconv.Atoi(digits)
	if !ok || err != nil || days < 1 || days > maxWindow || strconv.Itoa(days) != digits {
		o.once(o.at(name), "is no window", "push", "1d to 999d")
	}
	return days
}

func (rule *shareRule) judge(_ context.Context, v *view, r *report) {
	before := rule.stored(v)
	sum := before.Plus(v.lines)
	if v.lines.AI > 0 && rule.above(sum) {
		r.violated(firstWithAI(v), rule.finding(v, before, sum))
		return
	}
	awaited := v.awaited(func(c *commit) bool { return c.lines.Unknown() > 0 })
	for _, c := range awaited {
		sum.AI += c.lines.Unknown()
	}
	if rule.above(sum) {
		r.await(awaited)
	}
}

func (rule *shareRule) needs(_ *view, _ *Scope, n *needs) {
	if rule.days > 0 {
		n.windows[rule.days] = true
	}
}

func (rule *shareRule) stored(v *view) push.Lines {
	if rule.days == 0 {
		return push.Lines{}
	}
	return v.windows[rule.days]
}

// above compares AI / added with the limit without dividing.
func (rule *shareRule) above(l push.Lines) bool {
	return push.DecimalOf(l.AI).Mul(push.DecimalOf(100)).Cmp(rule.limit.Mul(push.DecimalOf(l.Added))) > 0
}

func (rule *shareRule) finding(v *view, before, sum push.Lines) push.Finding {
	over := "this push"
	if rule.days > 0 {
		over = fmt.Sprintf("the last %s and this push", plural(int64(rule.days), "day"))
	}
	found := percent(sum)
	if before.Added > 0 {
		found += ", " + percent(before) + " before"
	}
	return push.Finding{
		Limit: rule.limit.String() + "%",
		Found: found,
		Message: fmt.Sprintf("Of %s that %s added, %d are AI lines (%s); the limit is %s%%. This push adds %d of %d.",
			plural(sum.Added, "line"), over, sum.AI, percent(sum), rule.limit, v.lines.AI, v.lines.Added),
		Next: "Ask an administrator for a waiver, or push less of what AI wrote at once.",
	}
}

// percent is the AI share with one digit, rounded up so that it is never shown
// as below a limit that it is above.
func percent(l push.Lines) string {
	if l.Added == 0 {
		return "0%"
	}
	tenths := (push.DecimalOf(l.AI).Mul(push.DecimalOf(1000))).CeilDiv(l.Added)
	return fmt.Sprintf("%d.%d%%", tenths/10, tenths%10)
}

func firstWithAI(v *view) *commit {
	for _, c := range v.commits {
		if c.lines.AI > 0 {
			return c
		}
	}
	return nil
}
