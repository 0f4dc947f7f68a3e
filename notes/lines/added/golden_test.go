package added_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// sample is a real git-ai note, the lines that its commit added, and what
// another reader counted.
type sample struct {
	Commit string
	Note   string
	Added  map[string][][2]uint32
	Expect *struct{ Added, AI, Human, Unknown int64 }
}

func readSamples(t *testing.T) (samples []sample) {
	t.Helper()
	f, err := os.Open("../../testdata/git-ai-notes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := bufio.NewScanner(f)
	rows.Buffer(nil, 1<<20)
	for rows.Scan() {
		var s sample
		if err := json.Unmarshal(rows.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Expect != nil {
			samples = append(samples, s)
		}
	}
	return samples
}

// commits are one that has the lines which the sampled commit did not add, and
// one that adds the others between them.
func (s *sample) commits(n int) []gittest.Commit {
	before, after := map[string]string{}, map[string]string{}
	for path, ranges := range s.Added {
		var kept, all strings.Builder
		line := uint32(1)
		for _, r := range ranges {
			for ; line < r[0]; line++ {
				fmt.Fprintf(&kept, "%d %s %d\n", n, path, line)
				fmt.Fprintf(&all, "%d %s %d\n", n, path, line)
			}
			for ; line <= r[1]; line++ {
				fmt.Fprintf(&all, "%d %s %d is new\n", n, path, line)
			}
		}
		if kept.Len() > 0 {
			before[path] = kept.String()
		}
		after[path] = all.String()
	}
	return []gittest.Commit{{Files: before, Replace: true, Message: "before"}, {Files: after, Message: fmt.Sprintf("sample %03d", n)}}
}

// TestSampledCommitsExact brings the sampled commits through a mirror and the
// database, with nothing excluded.
func TestSampledCommitsExact(t *testing.T) {
	t.Parallel()
	samples := readSamples(t)
	w := newWorld(t)
	var commits []gittest.Commit
	for i := range samples {
		commits = append(commits, samples[i].commits(i)...)
	}
	ids := w.remote.Import(commits)
	bodies := map[gitcmd.OID]string{}
	var want []string
	for i, s := range samples {
		bodies[ids[2*i+1]] = s.Note
		want = append(want, fmt.Sprintf("sample %03d: %d %d %d %d", i, s.Expect.Added, s.Expect.AI, s.Expect.Human, s.Expect.Unknown))
	}
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: bodies})
	w.set(store.RepoSettings{ExcludedPaths: []string{"!*"}})
	w.sync()
	got := storetest.Column(t, w.db, `
		SELECT format('%s: %s %s %s %s', k.subject, c.added, c.ai, c.human, c.unknown)
		FROM commit_lines c JOIN commits k USING (org_id, repo_id, commit) WHERE k.subject LIKE 'sample%' ORDER BY 1`)
	if diff := cmp.Diff(want, got); diff != "" || len(got) != 237 {
		t.Errorf("%d commits (-want +got):\n%s", len(got), diff)
	}
	w.mustEqualFreshRun()
}

// TestSumsOfRunsAreThoseOfCommits holds the tables of the sampled commits
// against each other.
func TestSumsOfRunsAreThoseOfCommits(t *testing.T) {
	t.Parallel()
	samples := slices.Clip(readSamples(t)[:40])
	w := newWorld(t)
	var commits []gittest.Commit
	for i := range samples {
		commits = append(commits, samples[i].commits(i)...)
	}
	ids := w.remote.Import(commits)
	bodies := map[gitcmd.OID]string{}
	for i, s := range samples {
		bodies[ids[2*i+1]] = s.Note
	}
	w.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: bodies})
	w.sync()
	for what, sql := range map[string]string{
		"files": `SELECT c.commit FROM commit_lines c JOIN (SELECT commit, sum(added) FILTER (WHERE excluded = '') AS added,
				sum(added) FILTER (WHERE excluded <> '') AS excluded, sum(ai) AS ai, sum(human) AS human, sum(unknown) AS unknown
				FROM added_files GROUP BY 1) f USING (commit)
			WHERE (c.added, c.excluded, c.ai, c.human, c.unknown) IS DISTINCT FROM
			      (coalesce(f.added, 0), coalesce(f.excluded, 0), f.ai, f.human, f.unknown)`,
		"runs": `SELECT c.commit FROM commit_lines c LEFT JOIN (SELECT commit, sum(last - first + 1) FILTER (WHERE class = 'ai') AS ai,
				sum(last - first + 1) FILTER (WHERE class = 'human') AS human FROM added_runs GROUP BY 1) r USING (commit)
			WHERE (c.ai, c.human) IS DISTINCT FROM (coalesce(r.ai, 0), coalesce(r.human, 0))`,
		"owners": `SELECT c.commit FROM commit_lines c LEFT JOIN (SELECT commit, sum(ai) AS ai FROM commit_owners GROUP BY 1) o USING (commit)
			WHERE c.ai IS DISTINCT FROM coalesce(o.ai, 0)`,
	} {
		if got := storetest.Column(t, w.db, sql); len(got) > 0 {
			t.Errorf("commits whose %s add up to something else: %v", what, got)
		}
	}
}
