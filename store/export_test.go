package store

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
)

// explainer notes the plan of every query that it passes on.
type explainer struct {
	querier
	plans []string
}

func (e *explainer) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	rows, err := e.querier.Query(ctx, "EXPLAIN (ANALYZE, BUFFERS) "+sql, args...)
	if err != nil {
		return nil, err
	}
	lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	e.plans = append(e.plans, strings.Join(lines, "\n"))
	return e.querier.Query(ctx, sql, args...)
}

// ExplainReceipts is DB.Receipts, with the plans of its queries.
func ExplainReceipts(ctx context.Context, db *DB, org uuid.UUID, f ReceiptFilter, order ReceiptOrder, after *ReceiptPosition,
	limit int) (page []Receipt, plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) (err error) {
		e := &explainer{querier: q}
		page, err = receiptPage(ctx, e, receiptQuery{org: org, filter: f, order: order, after: after, limit: limit,
			effort: usual})
		plans = e.plans
		return err
	})
	return page, plans, err
}

// ReceiptsWithLittle is DB.Receipts with so little effort that it takes every way
// among few receipts.
func ReceiptsWithLittle(db *DB, ctx context.Context, org uuid.UUID, f ReceiptFilter, order ReceiptOrder, after *ReceiptPosition,
	limit int) (page []Receipt, err error) {
	little := effort{walked: 1, walkedCosts: 1, far: 2, gathered: 2, gatheredLeast: 10}
	err = db.snapshot(ctx, func(q querier) (err error) {
		page, err = receiptPage(ctx, q, receiptQuery{org: org, filter: f, order: order, after: after, limit: limit, effort: little})
		return err
	})
	return page, err
}

// ExplainAnalytics is DB.Analytics, with the plans of its queries.
func ExplainAnalytics(ctx context.Context, db *DB, org uuid.UUID, f AnalyticsFilter) (plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) (err error) {
		e := &explainer{querier: q}
		if _, _, err = f.days(ctx, e, org); err != nil {
			return err
		}
		if _, err = f.models(ctx, e, org, 10); err != nil {
			return err
		}
		_, err = f.repos(ctx, e, org, 10)
		plans = e.plans
		return err
	})
	return plans, err
}

// PathKeys is what the index holds of paths.
func PathKeys(org uuid.UUID, paths ...string) []int32 {
	var files []notes.FileChange
	for _, path := range paths {
		files = append(files, notes.FileChange{Path: path})
	}
	return pathKeys(org, files)
}

// LockRepoRow locks a row, as any statement that changes it does.
func (tx *Tx) LockRepoRow(ctx context.Context, repo uuid.UUID) (Repo, error) {
	return collectOne[Repo](ctx, tx, "locking a repository", `SELECT `+repoColumns+` FROM repos WHERE id = $1 FOR UPDATE`, repo)
}

// ExplainTotals is Tx.Totals, with the plans of its queries.
func ExplainTotals(ctx context.Context, db *DB, ask TotalsQuestion) (answer TotalsAnswer, plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) (err error) {
		e := &explainer{querier: q}
		answer, err = totals(ctx, e, ask)
		plans = e.plans
		return err
	})
	return answer, plans, err
}

// ExplainDecisions is DB.Decisions, with its plan.
func ExplainDecisions(ctx context.Context, db *DB, org uuid.UUID, f DecisionFilter, after uuid.UUID, limit int) (plan string, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		e := &explainer{querier: q}
		_, err := decisionsPage(ctx, e, org, f, after, limit)
		if err == nil {
			plan = e.plans[0]
		}
		return err
	})
	return plan, err
}

// ExplainViolations is DB.Violations, with its plan.
func ExplainViolations(ctx context.Context, db *DB, org uuid.UUID, f ViolationFilter, limit int) (page []Violation, plan string, err error) {
	err = db.snapshot(ctx, func(q querier) (err error) {
		e := &explainer{querier: q}
		if page, err = violationsPage(ctx, e, org, f, uuid.Nil, limit); err == nil {
			plan = e.plans[0]
		}
		return err
	})
	return page, plan, err
}

// SumPushedPrompts is DB.SumPushedPrompts for prompts of any age.
func SumPushedPrompts(ctx context.Context, db *DB, age time.Duration, limit int) (int, error) {
	return db.sumPushedPrompts(ctx, age, limit)
}

// explainingTx notes the plan of every query that it passes on.
type explainingTx struct {
	pgx.Tx
	explainer
}

func (e *explainingTx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return e.explainer.Query(ctx, sql, args...)
}

// ExplainTx is DB.InTx, with the plans of all queries that return rows.
func ExplainTx(ctx context.Context, db *DB, fn func(*Tx) error) (plans []string, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		e := &explainingTx{Tx: tx.Tx, explainer: explainer{querier: tx.Tx}}
		err := fn(&Tx{Tx: e, sealer: tx.sealer, prices: tx.prices})
		plans = e.plans
		return err
	})
	return plans, err
}

// ExplainStale is DB.StaleDecisions, with its plan.
func ExplainStale(ctx context.Context, db *DB, org, repo uuid.UUID) (plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		e := &explainer{querier: q}
		_, err := staleDecisions(ctx, e, org, repo)
		plans = e.plans
		return err
	})
	return plans, err
}

// RepriceBy is DB.Reprice with another number of receipts at a time.
func RepriceBy(ctx context.Context, db *DB, batch int) error { return db.reprice(ctx, batch) }

// RepriceOnce does one step of DB.Reprice, and reports whether there may be more.
func RepriceOnce(ctx context.Context, db *DB, org uuid.UUID, batch int) (more bool, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		if more, err = tx.resolveStale(ctx, org); err != nil || more {
			return err
		}
		more, err = tx.repriceSome(ctx, org, batch)
		return err
	})
	return more, err
}

// VerifyChain is DB.VerifyChain within a transaction.
func (tx *Tx) VerifyChain(ctx context.Context, org uuid.UUID) (ChainReport, error) {
	return verifyChain(ctx, tx, org, nil, nil)
}

// SessionQuery is what PrincipalBySession asks.
const SessionQuery = sqlSession

// ExplainRecall is DB.Recall, with the plans of its queries.
func ExplainRecall(ctx context.Context, db *DB, org uuid.UUID, ask Recall, after *RecallPosition, limit int) (page []RecalledLines, plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) (err error) {
		e := &explainer{querier: q}
		page, err = ask.page(ctx, e, org, after, limit)
		plans = e.plans
		return err
	})
	return page, plans, err
}

// ExplainMoney are the plans of computing costs anew, of checking claims and of
// lists of sessions.
func ExplainMoney(ctx context.Context, db *DB, org uuid.UUID, f PromptSessionFilter, after *PromptSessionPosition) ([]string, error) {
	return ExplainTx(ctx, db, func(tx *Tx) error {
		if _, err := promptSessions(ctx, tx, org, f, after, 50); err != nil {
			return err
		}
		if _, err := promptSessions(ctx, tx, org, PromptSessionFilter{Emails: []string{"stranger@example.com"}}, nil, 50); err != nil {
			return err
		}
		if _, err := checkClaims(ctx, tx, org, 100); err != nil {
			return err
		}
		_, err := tx.repriceSome(ctx, org, 100)
		return err
	})
}

// ReadLines reads what a batch is classified by, as WriteLines does.
func (tx *Tx) ReadLines(ctx context.Context, b LineBatch) error {
	if _, err := tx.demandedLines(ctx, &b); err != nil {
		return err
	}
	return tx.lineEvidence(ctx, &b, b.Commits, func(*lineCommit) error { return nil })
}

// DataClass is what a column, as table.column, may hold of people; "" for one that is not listed.
func DataClass(column string) string { return string(personal[column].class) }

// RecordListed is DB.RecordPromptsListed at another time.
func RecordListed(ctx context.Context, db *DB, now time.Time) error { return db.recordListed(ctx, now) }

// ExplainFigures is DB.Figures, with the plans of its queries.
func ExplainFigures(ctx context.Context, db *DB, org uuid.UUID, ask FiguresQuestion) (plans []string, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		e := &explainer{querier: q}
		_, err := ask.answer(ctx, e, org)
		plans = e.plans
		return err
	})
	return plans, err
}

// ExplainMessages are the plans of what the sender asks for, of lists of an
// endpoint's messages, and of the statement that writes them.
func ExplainMessages(ctx context.Context, db *DB, org, endpoint uuid.UUID) (plans []string, err error) {
	err = db.InTx(ctx, func(tx *Tx) error {
		e := &explainer{querier: tx}
		args, err := told{kind: ToldRefused, repo: newID(), data: 1}.arguments(org)
		if err != nil {
			return err
		}
		for _, ask := range []struct {
			sql  string
			args []any
		}{{sqlClaimEndpoints, []any{16, time.Minute}}, {sqlDueMessage, []any{org, endpoint}}, {sqlTell, args}} {
			rows, err := e.Query(ctx, ask.sql, ask.args...)
			if err != nil {
				return err
			}
			rows.Close()
		}
		for _, f := range []MessageFilter{{Endpoint: endpoint}, {Endpoint: endpoint, State: MessageFailed}, {Endpoint: endpoint, State: MessageWaiting}, {}} {
			if _, err := messages(ctx, e, org, f, newID(), 50); err != nil {
				return err
			}
		}
		if _, err := readEndpoint(ctx, e, org, endpoint); err != nil {
			return err
		}
		plans = e.plans
		return nil
	})
	return plans, err
}
