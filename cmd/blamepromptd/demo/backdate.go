package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/store"
)

// moment is when a part of the story really began, and when it is told to be.
type moment struct{ real, told time.Time }

// backdate gives what the database recorded since the last call the times that
// the story tells. It is the one place in which the demo changes what the
// program wrote, and times are all that it changes: the columns that the
// database filled from its clock, and the part of the ids of violations that is
// a time. What counts days, limits and periods has the story's clock to begin
// with (enforce.Config.Now). The audit chain is laid behind it, so that its proof
// holds for what is there.
func (w *world) backdate() error {
	moments := w.moments
	w.moments = []moment{moments[len(moments)-1]}
	return w.cfg.DB.InTx(w.ctx, func(tx *store.Tx) error {
		if err := prepareMoments(w.ctx, tx, moments); err != nil {
			return err
		}
		tables, err := timedTables(w.ctx, tx)
		if err != nil {
			return err
		}
		for _, t := range tables {
			if err := t.backdate(w.ctx, tx, moments[0].real); err != nil {
				return fmt.Errorf("setting the times of %s: %w", t.name, err)
			}
		}
		return retime(w.ctx, tx)
	})
}

func prepareMoments(ctx context.Context, tx *store.Tx, moments []moment) error {
	for _, sql := range []string{
		`CREATE TEMP TABLE demo_moments (began timestamptz PRIMARY KEY, told timestamptz NOT NULL) ON COMMIT DROP`,
		`CREATE OR REPLACE FUNCTION pg_temp.demo_time(t timestamptz) RETURNS timestamptz LANGUAGE sql STABLE AS $$
			SELECT m.told FROM pg_temp.demo_moments m WHERE m.began <= t ORDER BY m.began DESC LIMIT 1 $$`,
	} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("preparing to set times: %w", err)
		}
	}
	began, told := make([]time.Time, len(moments)), make([]time.Time, len(moments))
	for i, m := range moments {
		began[i], told[i] = m.real, m.told
	}
	_, err := tx.Exec(ctx, `INSERT INTO demo_moments SELECT DISTINCT ON (b) b, t FROM unnest($1::timestamptz[], $2::timestamptz[]) AS m (b, t)`, began, told)
	if err != nil {
		return fmt.Errorf("preparing to set times: %w", err)
	}
	return nil
}

// timedTable is a table with columns of moments.
type timedTable struct {
	name    string
	columns []string
	// guarded says that the table has triggers.
	guarded bool
}

// timedTables are those of the program; the job queue's are none of them.
func timedTables(ctx context.Context, tx *store.Tx) ([]timedTable, error) {
	rows, err := tx.Query(ctx, `
		SELECT c.relname::text, array_agg(quote_ident(a.attname) ORDER BY a.attnum), EXISTS (SELECT FROM pg_trigger t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal)
		FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = current_schema()
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'timestamptz'::regtype
		WHERE c.relkind = 'r' AND c.relname NOT LIKE 'river%' AND c.relname NOT LIKE 'goose%'
		GROUP BY c.oid, c.relname ORDER BY c.relname`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []timedTable
	for rows.Next() {
		var t timedTable
		if err := rows.Scan(&t.name, &t.columns, &t.guarded); err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, rows.Err()
}

// backdate sets the times from a moment to now. The end of a waiver moves with
// its beginning: nobody filled it from the clock.
func (t timedTable) backdate(ctx context.Context, tx *store.Tx, since time.Time) error {
	var sets, wanted []string
	for _, c := range t.columns {
		sets = append(sets, fmt.Sprintf("%[1]s = CASE WHEN %[1]s BETWEEN $1 AND clock_timestamp() THEN pg_temp.demo_time(%[1]s) ELSE %[1]s END", c))
		wanted = append(wanted, fmt.Sprintf("%s BETWEEN $1 AND clock_timestamp()", c))
	}
	if t.name == "waivers" {
		i := slices.Index(t.columns, "expires_at")
		sets[i] = "expires_at = CASE WHEN created_at >= $1 THEN pg_temp.demo_time(created_at) + make_interval(days => round(extract(epoch FROM expires_at - created_at) / 86400)::integer) ELSE expires_at END"
	}
	where := strings.Join(wanted, " OR ")
	var found bool
	if err := tx.QueryRow(ctx, `SELECT EXISTS (SELECT FROM `+t.name+` WHERE `+where+`)`, since).Scan(&found); err != nil || !found {
		return err
	}
	return t.unguarded(ctx, tx, func() error {
		_, err := tx.Exec(ctx, `UPDATE `+t.name+` SET `+strings.Join(sets, ", ")+` WHERE `+where, since)
		return err
	})
}

// unguarded leaves the table's triggers out: sums do not depend on these times,
// and the audit log's keeps what is older from being changed.
func (t timedTable) unguarded(ctx context.Context, tx *store.Tx, fn func() error) error {
	if !t.guarded {
		return fn()
	}
	if _, err := tx.Exec(ctx, `ALTER TABLE `+t.name+` DISABLE TRIGGER USER`); err != nil {
		return err
	}
	if err := fn(); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `ALTER TABLE `+t.name+` ENABLE TRIGGER USER`)
	return err
}

// retime gives violations ids of their time, by which they are listed. Nothing
// refers to them.
func retime(ctx context.Context, tx *store.Tx) error {
	_, err := tx.Exec(ctx, `
		UPDATE violations SET id = encode(overlay(uuid_send(id) PLACING substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3) FROM 1), 'hex')::uuid
		WHERE substring(uuid_send(id) FOR 6) <> substring(int8send((extract(epoch FROM at) * 1000)::bigint) FROM 3)`)
	if err != nil {
		return fmt.Errorf("setting the ids of violations: %w", err)
	}
	return nil
}
