package endpoint_test

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

var benchDecisions = flag.Int("decisions", 2000, "decisions of each kind that BenchmarkTold makes")

// BenchmarkTold measures what endpoints add to a decision on a push: one that is
// accepted, of which nothing is told, and one that is refused, with two messages
// for each endpoint.
//
//	go test -run '^$' -bench BenchmarkTold -benchtime 1x ./hooks/endpoint
//
// prints the times; worlds with and without endpoints take turns, so that what else
// the machine does falls on all of them.
func BenchmarkTold(b *testing.B) {
	type series struct {
		*world
		endpoints int
		times     map[push.Outcome][]time.Duration
	}
	var all []*series
	for _, n := range []int{0, 1, 5} {
		w := newWorld(b)
		w.policy("Reviews", "block", `{"require_review_above": 5}`)
		for range n {
			w.add(endpoint.New{Name: "chat", URL: "http://127.0.0.1:1/x"})
		}
		all = append(all, &series{w, n, map[push.Outcome][]time.Duration{}})
	}
	by := access.Principal{Org: all[0].org.ID, Name: "hook:uid=7", Scopes: []access.Scope{access.Hook}, RequestID: "r1"}
	for b.Loop() {
		for i := range *benchDecisions {
			for _, s := range all {
				by.Org = s.org.ID
				for kind, model := range map[push.Outcome]string{push.Pending: "", push.Refuse: "claude-sonnet-4"} {
					p := pushed(fmt.Sprintf("%s-%06d", kind, i), model)
					start := time.Now()
					answer, err := s.Decide(context.Background(), by, repoName, p)
					took := time.Since(start)
					if err != nil || answer.Verdict.Outcome != kind {
						b.Fatalf("%v: %+v", err, answer.Verdict)
					}
					s.times[kind] = append(s.times[kind], took)
				}
			}
		}
	}
	for _, s := range all {
		for _, kind := range []push.Outcome{push.Pending, push.Refuse} {
			times := s.times[kind]
			slices.Sort(times)
			at := func(q float64) time.Duration {
				return times[int(q*float64(len(times)-1))].Round(10 * time.Microsecond)
			}
			b.Logf("%d endpoints, %-7s: p50 %s, p95 %s, fastest %s, of %d decisions", s.endpoints, kind, at(0.5), at(0.95), at(0), len(times))
		}
	}
}
