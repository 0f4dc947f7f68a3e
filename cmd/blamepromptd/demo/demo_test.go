package demo

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var update = flag.Bool("update", false, "write testdata anew")

// at is a moment that is over, so that what is made is the same every day.
var at = time.Date(2026, 7, 30, 15, 4, 0, 0, time.UTC)

// made is a demo in a database of its own.
type made struct {
	Result
	db   *store.DB
	root string
}

func build(t *testing.T) made {
	t.Helper()
	root := t.TempDir()
	hook := filepath.Join(root, "blameprompt-hook")
	if out, err := exec.Command("go", "build", "-o", hook, "../../blameprompt-hook").CombinedOutput(); err != nil {
		t.Fatalf("building the hook: %v: %s", err, out)
	}
	work := filepath.Join(root, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	db := storetest.Open(t)
	began := time.Now()
	result, err := Build(t.Context(), Config{DB: db, MirrorRoot: filepath.Join(root, "mirrors"), GatewayRoot: filepath.Join(root, "gateway"),
		ReportDir: filepath.Join(root, "reports"), HookProgram: hook, WorkDir: work, Now: at, Seed: 1, Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("built in %s: %d pushes, %d refused", time.Since(began).Round(time.Millisecond), result.Pushes, result.Refused)
	return made{result, db, root}
}

// refs are the refs of the gateway's repositories, whose names are ids that the
// database drew.
func (m made) refs(t *testing.T) string {
	t.Helper()
	var all []string
	repos, err := m.db.Repos(t.Context(), m.Org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, repo := range repos {
		out, err := exec.Command("git", "-C", filepath.Join(m.root, "gateway", repo.ID.String()+".git"), "for-each-ref", "--format=%(objectname) %(refname)").Output()
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, repo.Name, string(out))
	}
	return strings.Join(all, "\n")
}

// tells is what the database says, without what it drew.
func (m made) tells(t *testing.T) string {
	t.Helper()
	var all []string
	for _, query := range []string{
		`SELECT id || ' ' || model || ' ' || coalesce(cost_usd::text, '') || ' ' || user_email || ' ' || timestamp || ' ' || received_at FROM receipts ORDER BY id`,
		`SELECT at || ' ' || repo || ' ' || pusher || ' ' || outcome || ' ' || state || ' ' || commits || ' ' || added || ' ' || ai FROM decisions ORDER BY at, repo, refs::text`,
		`SELECT at || ' ' || policy_name || ' ' || outcome || ' ' || late || ' ' || commit FROM violations ORDER BY at, policy_name, commit`,
		`SELECT at || ' ' || split_part(principal, ':', 1) || ' ' || action FROM audit_log ORDER BY at, action, principal`,
		`SELECT day || ' ' || sum(added) || ' ' || sum(ai) FROM commit_lines GROUP BY day ORDER BY day`,
		`SELECT class || ' ' || encode(path, 'escape') || ' ' || first || ' ' || last FROM live_runs ORDER BY repo_id, path, first`,
		`SELECT w.reason || ' ' || w.created_at || ' ' || w.expires_at FROM waivers w ORDER BY w.created_at`,
	} {
		rows := storetest.Column(t, m.db, query)
		// Databases order texts in more than one way.
		slices.Sort(rows)
		all = append(all, rows...)
	}
	return strings.Join(all, "\n")
}

// What was made is whole: everything that is stored adds up, nothing of the
// record was changed, and there is something of each kind to look at. It is the
// same wherever and whenever it is made: testdata has the SHA-256 of all it tells.
func TestBuild(t *testing.T) {
	t.Parallel()
	m := build(t)
	m.whole(t)
	told := fmt.Sprintf("%x\n", sha256.Sum256([]byte(m.refs(t)+m.tells(t))))
	const golden = "testdata/told.sha256"
	if *update {
		if err := os.WriteFile(golden, []byte(told), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if told != string(want) {
		t.Errorf("the demo tells %s and not %s: if its story changed, run this with -update, and the reports over it", told, want)
	}
}

// whole judges one demo.
func (m made) whole(t *testing.T) {
	t.Helper()
	db := m.db
	for what, count := range map[string]struct {
		query string
		least int
	}{
		"repositories":              {`SELECT count(*) FROM repos`, 6},
		"people":                    {`SELECT count(*) FROM users WHERE email <> 'renovate@acme.example'`, 25},
		"secrets in prompts":        {`SELECT count(*) FROM findings WHERE code = 'secret_found'`, 1},
		"teams":                     {`SELECT count(*) FROM teams`, 5},
		"receipts":                  {`SELECT count(*) FROM receipts`, 300},
		"sources":                   {`SELECT count(DISTINCT source) FROM receipts`, 2},
		"days":                      {`SELECT count(DISTINCT at::date) FROM decisions`, 30},
		"refusals":                  {`SELECT count(*) FROM decisions WHERE outcome = 'refuse'`, 8},
		"late releases":             {`SELECT count(*) FROM decisions WHERE outcome = 'pending' AND state = 'released'`, 10},
		"pushes that wait":          {`SELECT count(*) FROM decisions WHERE state = 'pending'`, 1},
		"branches that are held":    {`SELECT count(*) FROM holds WHERE released_at IS NULL`, 1},
		"holds that were released":  {`SELECT count(*) FROM holds WHERE release = 'released'`, 1},
		"waivers":                   {`SELECT count(*) FROM waivers`, 1},
		"reviews":                   {`SELECT count(DISTINCT approved) FROM reviews`, 2},
		"overrides":                 {`SELECT count(*) FROM decisions WHERE override <> ''`, 1},
		"receipts tampered with":    {`SELECT count(*) FROM findings WHERE code = 'receipt_tampered'`, 1},
		"notes that were laid anew": {`SELECT count(*) FROM reattachments WHERE active`, 4},
		"reports":                   {`SELECT count(*) FROM reports WHERE state = 'done'`, 3},
		"removed lines":             {`SELECT count(*) FROM removed_runs`, 100},
		"bots":                      {`SELECT count(*) FROM commit_lines WHERE bot`, 8},
	} {
		var n int
		if err := db.Pool().QueryRow(t.Context(), count.query).Scan(&n); err != nil || n < count.least {
			t.Errorf("%s: %d (%v), want at least %d", what, n, err, count.least)
		}
	}
	report, err := db.VerifyChain(t.Context(), m.Org.ID, nil, func(int64, int64) {})
	if err != nil || len(report.Problems) > 0 || report.Waiting > 0 {
		t.Errorf("the audit chain: %v, %+v", err, report)
	}
	numbers, err := db.CheckNumbers(t.Context(), m.Org.ID, 10, func(string) {})
	if err != nil || len(numbers.Differences) > 0 {
		t.Errorf("stored sums: %v, %+v", err, numbers.Differences)
	}
}
