package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ReceiptResult is what policies said of a receipt, or of a commit that carries it.
type ReceiptResult string

// The results. A receipt may have several; it is held as long as a branch is for
// its commit.
const (
	ResultRefused ReceiptResult = "refused"
	ResultWarned  ReceiptResult = "warned"
	ResultWaived  ReceiptResult = "waived"
	ResultHeld    ReceiptResult = "held"
)

// ReceiptResults are all of them.
var ReceiptResults = []ReceiptResult{ResultRefused, ResultWarned, ResultWaived, ResultHeld}

// ofResult finds the page among the receipts that have a result, whose rows are
// ordered as receipts are and hold their texts and the terms of the other filters.
func (ask receiptQuery) ofResult(ctx context.Context, q querier) ([]Receipt, error) {
	c := newConditions(ask.org)
	marks := &conditions{args: c.args}
	marks.add("p.org_id = $1")
	marks.add("p.result = ?", string(ask.filter.Result))
	bounds := &conditions{args: marks.args}
	ask.addBounds(bounds)
	marks.args = bounds.args
	for _, part := range bounds.parts {
		marks.parts = append(marks.parts, ofMarks.Replace(part))
	}
	t := &terms{c: marks}
	(&gathering{receiptQuery: ask, thorough: true}).addTerms(t)
	if len(t.all)+len(t.lists) > 0 {
		t.have("result", marks.arg(string(ask.filter.Result)))
		marks.parts = append(marks.parts, strings.ReplaceAll(t.where(), receiptTerms, "p.terms"))
	}
	if ask.filter.Text != "" {
		marks.add("p.prompt_summary ILIKE ?", textPattern(ask.filter.Text))
	}
	// Two terms may be alike; whose receipts stand in a repository, guests or not,
	// the links say.
	if len(ask.filter.Repos) > 0 {
		marks.parts = append(marks.parts, `EXISTS (SELECT FROM receipt_commits g WHERE g.org_id = p.org_id AND g.receipt_id = p.receipt_id AND `+
			oneOf("g.repo_id", ask.filter.Repos, marks)+`)`)
	}
	ask.filter.Repos, ask.filter.Result, ask.filter.Text = nil, "", ""
	c.args = marks.args
	ask.addFilter(c)
	// The fence has results be walked and each receipt be looked up by its id: the
	// planner takes rare words for rarer than they are among so few.
	return collect[Receipt](ctx, q, "querying receipts by result", "SELECT "+receiptColumns+` FROM receipt_results p,
		LATERAL (SELECT * FROM receipts r WHERE r.org_id = p.org_id AND r.id = p.receipt_id OFFSET 0) r
		WHERE `+marks.where()+" AND "+c.where()+ofMarks.Replace(ask.ordered(ask.limit)), append([]any{planned}, c.args...)...)
}

// ofMarks turns what is said of receipts into the same of their results.
var ofMarks = strings.NewReplacer("r.id", "p.receipt_id", "r.", "p.")

// hasResult looks at the results of a receipt, one receipt at a time.
const hasResult = `coalesce((SELECT true FROM receipt_results p WHERE p.org_id = r.org_id AND p.receipt_id = r.id AND p.result = ?), false)`

// lookedBack is how far behind a verdict its receipts are looked for once more.
const lookedBack = time.Hour

// MarkResults brings the results of receipts in line with the verdicts of the
// last hour. Verdicts and receipts mark each other as they come; only of two
// transactions at the same moment neither sees the other.
func (db *DB) MarkResults(ctx context.Context, now time.Time) error {
	_, err := db.pool.Exec(ctx, `
		SELECT receipt_results_refresh(n.org_id, receipts_carried(n.org_id, n.commits))
		FROM (SELECT v.org_id, array_agg(DISTINCT v.commit) AS commits FROM orgs o
		      JOIN violations v ON v.org_id = o.id AND v.id >= $1 AND v.commit <> '' GROUP BY v.org_id) n`, idFloor(now.Add(-lookedBack)))
	return translate(err, "marking what policies said of receipts")
}

// ResultsOf are the results of a receipt, the gravest first.
func (db *DB) ResultsOf(ctx context.Context, org uuid.UUID, receipt string) ([]ReceiptResult, error) {
	rows, err := collect[struct{ Result ReceiptResult }](ctx, db.pool, "finding what policies said of a receipt", `
		SELECT result FROM receipt_results WHERE org_id = $1 AND receipt_id = $2
		ORDER BY array_position(ARRAY['held', 'refused', 'waived', 'warned'], result)`, org, receipt)
	out := make([]ReceiptResult, len(rows))
	for i := range rows {
		out[i] = rows[i].Result
	}
	return out, err
}
