// Package backtest tells what policies would have done to recorded pushes.
//
// It owns the counting, and the sums that pushes are judged by as they were at
// each of them. It does no I/O: pushes come in from the caller, and what was
// known before a day from its Books.
//
// Promises: a push is judged by what was recorded of it, as package policy would
// have judged it then; what could not be judged is counted as such, never as
// accepted; memory is bounded by one day's prompts and by what the Books
// answer; when time runs out, the counts are those of the pushes so far, and say
// so.
package backtest

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"time"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/push"
)

// Recorded is a push as it was recorded.
type Recorded struct {
	// Decision is the id of the decision on it.
	Decision string
	At       time.Time
	Repo     string
	Pusher   string
	// Told is the outcome that the pusher was told.
	Told push.Outcome
	// Input is what is judged; nil where that is not known, and then Missing says
	// why. It belongs to Run, which changes its totals.
	Input   *push.Input
	Missing string
}

// Books know what was spent and added, by day, as it is known now. They are
// asked once for each owner and month, and for each repository.
type Books interface {
	// Spent returns what an owner's prompts cost on the days of a month, "2026-11",
	// by day. The key is as in push.Account.
	Spent(ctx context.Context, per push.Per, key, month string) (map[string]push.Decimal, error)
	// Added returns the lines that pushes added to a repository, by day, from a day
	// on.
	Added(ctx context.Context, repo, from string) (map[string]push.Lines, error)
}

// Result is what a backtest found. Pushes are WouldAccept, WouldWarn,
// WouldRefuse, WouldWait and the sum of NotJudged.
type Result struct {
	Pushes int
	// InScope counts the pushes that a policy was for.
	InScope                                        int
	WouldAccept, WouldWarn, WouldRefuse, WouldWait int
	// Examples are the newest pushes that would not be accepted: refused ones
	// first, then those with warnings, then those that would wait.
	Examples  []Example
	NotJudged []NotJudged
	// Stopped says why the newest pushes were not looked at; empty if all were.
	Stopped string
}

// Example is a push that would not be accepted silently.
type Example struct {
	Recorded
	Outcome push.Outcome
	// Findings are at most three.
	Findings []push.Finding
}

// NotJudged counts the pushes that could not be judged for one reason.
type NotJudged struct {
	Reason string
	Pushes int
}

const (
	maxExamples = 20
	maxFindings = 3
	// maxPushes and maxPrompts bound one backtest; prompts are those of one day.
	maxPushes  = 100_000
	maxPrompts = 500_000
)

// Run judges the pushes, which come in the order in which they were made, by a
// set of policies. Its error is the first of the pushes or the books, but not
// the end of the context: that is a Result with Stopped.
func Run(ctx context.Context, set *policy.Set, books Books, pushes iter.Seq2[Recorded, error]) (Result, error) {
	r := &run{set: set, sums: newSums(books), examples: map[push.Outcome][]Example{}, missing: map[string]int{}}
	for recorded, err := range pushes {
		if err == nil && ctx.Err() == nil {
			err = r.look(ctx, recorded)
		}
		if ctx.Err() != nil {
			r.result.Stopped = "the time for the backtest ran out"
			break
		}
		if err != nil {
			return Result{}, err
		}
		if r.result.Stopped = r.full(); r.result.Stopped != "" {
			break
		}
	}
	return r.finish(), nil
}

type run struct {
	set      *policy.Set
	sums     *sums
	result   Result
	examples map[push.Outcome][]Example
	missing  map[string]int
}

func (r *run) full() string {
	switch {
	case r.result.Pushes >= maxPushes:
		return "there are too many pushes for one backtest"
	case len(r.sums.prompts) > maxPrompts:
		return "a day has too many prompts for a backtest"
	}
	return ""
}

// look judges one push. It counts nothing when the context ends meanwhile.
func (r *run) look(ctx context.Context, recorded Recorded) error {
	in := recorded.Input
	if in == nil {
		r.result.Pushes++
		r.missing[cmp.Or(recorded.Missing, "its record is not there")]++
		return nil
	}
	if err := r.sums.lay(ctx, r.set, in); err != nil {
		return err
	}
	verdict := r.set.Evaluate(ctx, *in)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	r.count(recorded, verdict)
	if recorded.Told != push.Refuse {
		r.sums.add(in)
	}
	return nil
}

func (r *run) count(recorded Recorded, verdict push.Verdict) {
	r.result.Pushes++
	if len(verdict.Policies) > 0 {
		r.result.InScope++
	}
	switch verdict.Outcome {
	case push.Refuse:
		r.result.WouldRefuse++
	case push.Warn:
		r.result.WouldWarn++
	case push.Pending:
		r.result.WouldWait++
	default:
		r.result.WouldAccept++
		return
	}
	recorded.Input = nil
	list := append(r.examples[verdict.Outcome], Example{Recorded: recorded, Outcome: verdict.Outcome,
		Findings: slices.Clone(verdict.Findings[:min(len(verdict.Findings), maxFindings)])})
	if len(list) > maxExamples {
		list = slices.Delete(list, 0, 1)
	}
	r.examples[verdict.Outcome] = list
}

func (r *run) finish() Result {
	for _, outcome := range []push.Outcome{push.Refuse, push.Warn, push.Pending} {
		for _, example := range slices.Backward(r.examples[outcome]) {
			if len(r.result.Examples) < maxExamples {
				r.result.Examples = append(r.result.Examples, example)
			}
		}
	}
	for reason, n := range r.missing {
		r.result.NotJudged = append(r.result.NotJudged, NotJudged{reason, n})
	}
	slices.SortFunc(r.result.NotJudged, func(a, b NotJudged) int {
		return cmp.Or(cmp.Compare(b.Pushes, a.Pushes), cmp.Compare(a.Reason, b.Reason))
	})
	return r.result
}
