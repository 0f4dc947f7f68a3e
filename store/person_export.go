package store

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// ExportPerson hands each everything that the organisation keeps of the person
// with the address, row by row as JSON objects, table by table: rows that are
// the person's, and acts whose words name the person. What is sealed is left
// out. The act is recorded under the person's pseudonym.
func (db *DB) ExportPerson(ctx context.Context, by access.Principal, email string, each func(table string, row json.RawMessage) error) error {
	hash, err := db.sealer.hashPerson(by.Org, email)
	if err != nil {
		return err
	}
	return db.InTx(ctx, func(tx *Tx) error {
		p, err := tx.findPerson(ctx, by.Org, strings.ToLower(strings.TrimSpace(email)))
		if err != nil {
			return err
		}
		for _, ask := range p.questions() {
			if err := tx.exportRows(ctx, p, ask, each); err != nil {
				return err
			}
		}
		return tx.Audit(ctx, by, "person.export", pseudonymOf(hash), nil)
	})
}

// question asks a table for the rows of a person.
type question struct{ table, where string }

func (p *person) questions() []question {
	conditions := map[string][]string{}
	for _, column := range columnsOf(address) {
		conditions[column.table] = append(conditions[column.table], fmt.Sprintf("lower(%s) = ANY($2)", column.name))
	}
	for _, column := range columnsOf(joined) {
		conditions[column.table] = append(conditions[column.table], fmt.Sprintf("%s = ANY($2)", column.name))
	}
	for _, column := range columnsOf(addresses) {
		conditions[column.table] = append(conditions[column.table],
			fmt.Sprintf("EXISTS (SELECT FROM unnest(%s) x WHERE lower(x) = ANY($2))", column.name))
	}
	for _, column := range columnsOf(words) {
		if column.table == "audit_log" {
			conditions[column.table] = append(conditions[column.table], column.name+"::text ~* $3")
		}
	}
	var out []question
	for table, any := range conditions {
		out = append(out, question{table, strings.Join(any, " OR ")})
	}
	slices.SortFunc(out, func(a, b question) int { return strings.Compare(a.table, b.table) })
	return out
}

func (tx *Tx) exportRows(ctx context.Context, p *person, ask question, each func(string, json.RawMessage) error) error {
	// Not nil: less NULL, a row would be NULL.
	hidden := []string{}
	for _, c := range columnsOf(sealed) {
		if c.table == ask.table {
			hidden = append(hidden, c.name)
		}
	}
	sql := `SELECT to_jsonb(t) - $4::text[] FROM ` + ask.table + ` t WHERE org_id = $1 AND (` + ask.where + `) AND $2::text[] IS NOT NULL AND $3::text IS NOT NULL`
	rows, err := tx.Query(ctx, sql, p.org, p.aliases, p.addressPattern(), hidden)
	if err != nil {
		return translate(err, "exporting a person from %s", ask.table)
	}
	var row json.RawMessage
	_, err = pgx.ForEachRow(rows, []any{&row}, func() error { return each(ask.table, row) })
	return translate(err, "exporting a person from %s", ask.table)
}
