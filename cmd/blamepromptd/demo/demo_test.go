package demo

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// build makes the demo in a database of its own.
func build(t *testing.T, now time.Time) (*store.DB, Result, string) {
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
		HookProgram: hook, WorkDir: work, Now: now, Seed: 1, Password: "correct horse battery", Log: zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.WarnLevel)})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("built in %s: %d pushes, %d refused", time.Since(began).Round(time.Millisecond), result.Pushes, result.Refused)
	return db, result, root
}

// What was made is whole: everything that is stored adds up, nothing of the
// record was changed, and there is something of each kind to look at.
func TestBuild(t *testing.T) {
	t.Parallel()
	db, made, _ := build(t, time.Now())
	for what, count := range map[string]struct {
		query string
		least int
	}{
		"repositories":              {`SELECT count(*) FROM repos`, 6},
		"people":                    {`SELECT count(*) FROM users WHERE email <> 'renovate@acme.example'`, 25},
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
		"removed lines":             {`SELECT count(*) FROM removed_runs`, 100},
		"bots":                      {`SELECT count(*) FROM commit_lines WHERE bot`, 8},
	} {
		var n int
		if err := db.Pool().QueryRow(t.Context(), count.query).Scan(&n); err != nil || n < count.least {
			t.Errorf("%s: %d (%v), want at least %d", what, n, err, count.least)
		}
	}
	report, err := db.VerifyChain(t.Context(), made.Org.ID, nil, func(int64, int64) {})
	if err != nil || len(report.Problems) > 0 || report.Waiting > 0 {
		t.Errorf("the audit chain: %v, %+v", err, report)
	}
	numbers, err := db.CheckNumbers(t.Context(), made.Org.ID, 10, func(string) {})
	if err != nil || len(numbers.Differences) > 0 {
		t.Errorf("stored sums: %v, %+v", err, numbers.Differences)
	}
}
