package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// Erasure is a person who was erased.
type Erasure struct {
	// Pseudonym stands in the place of the address.
	Pseudonym string
	// Act is the number of the act.
	Act int64
	At  time.Time
	// Rows counts the changed rows by table.
	Rows map[string]int64 `db:"-"`
}

// erasedName stands in the place of names.
const erasedName = "(erased)"

// person is whom an erasure or an export is about.
type person struct {
	org     uuid.UUID
	email   string
	user    *User
	aliases []string // in lower case: the address and the accounts
	names   []string
	// pseudonym takes the place of the address.
	pseudonym string
}

// ErasePerson takes the person with the address out of everything that the
// organisation keeps: names and addresses give way to a pseudonym, what was
// said to models is removed, keys end to work. Counts and sums stay as they are.
// The act is recorded without the person. Notes and commits that are read
// later are stored under the pseudonym from the start.
//
// It changes every table, and the planner's statistics, in one transaction, in
// which no notes are taken in. Dead rows are for VacuumErased.
func (db *DB) ErasePerson(ctx context.Context, by access.Principal, email string) (Erasure, error) {
	email = strings.ToLower(strings.TrimSpace(email))
	if address, err := mail.ParseAddress(email); err != nil || address.Address != email {
		return Erasure{}, &InvalidError{"email", "give an address such as ada@example.com"}
	}
	hash, err := db.sealer.hashPerson(by.Org, email)
	if err != nil {
		return Erasure{}, err
	}
	return db.erase(ctx, by, email, pseudonymOf(hash))
}

// pseudonymOf is what stands in the place of an address: equal for equal ones,
// so that what was one person's is still one person's.
func pseudonymOf(hash []byte) string {
	return "erased-" + hex.EncodeToString(hash[:12]) + "@erased.invalid"
}

func (db *DB) erase(ctx context.Context, by access.Principal, email, pseudonym string) (Erasure, error) {
	var out Erasure
	err := db.InTx(ctx, func(tx *Tx) error {
		if err := tx.lockOrg(ctx, by.Org); err != nil {
			return err
		}
		p, err := tx.findPerson(ctx, by.Org, email)
		if err != nil {
			return err
		}
		p.pseudonym = pseudonym
		e := &eraser{tx: tx, person: p, rows: map[string]int64{}}
		if err := e.run(ctx); err != nil {
			return err
		}
		if out, err = e.record(ctx, by); err != nil {
			return err
		}
		return e.statistics(ctx)
	})
	return out, err
}

// EraseAgain takes erased people out of what was stored of them since by ways
// that do not know them: mailmaps, lines of commits, pushes of old commits.
func (db *DB) EraseAgain(ctx context.Context) error {
	rows, err := db.pool.Query(ctx, `SELECT DISTINCT org_id FROM erasures ORDER BY 1`)
	if err != nil {
		return translate(err, "listing erasures")
	}
	orgs, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return translate(err, "listing erasures")
	}
	for _, org := range orgs {
		erased, err := erasedPeople(ctx, db.pool, db.sealer, org)
		if err != nil {
			return err
		}
		found, err := knownAddresses(ctx, db.pool, org)
		if err != nil {
			return err
		}
		for _, email := range found {
			pseudonym, ok := erased.pseudonym(email)
			if !ok {
				continue
			}
			if _, err := db.erase(ctx, access.Daemon(org), strings.ToLower(email), pseudonym); err != nil {
				return err
			}
		}
	}
	return nil
}

// knownAddresses lists the addresses that an organisation's tables hold.
func knownAddresses(ctx context.Context, q querier, org uuid.UUID) ([]string, error) {
	var parts []string
	for _, column := range columnsOf(address) {
		parts = append(parts, fmt.Sprintf(`SELECT lower(%s) AS email FROM %s WHERE org_id = $1`, column.name, column.table))
	}
	for _, column := range columnsOf(joined) {
		parts = append(parts, fmt.Sprintf(`SELECT lower(%s) FROM %s WHERE org_id = $1`, column.name, column.table))
	}
	rows, err := q.Query(ctx, `SELECT email FROM (`+strings.Join(parts, " UNION ")+`) a WHERE email LIKE '%@%' ORDER BY 1`, org)
	if err != nil {
		return nil, translate(err, "listing the addresses of an organisation")
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return found, translate(err, "listing the addresses of an organisation")
}

// findPerson gathers by what the person is known. Nobody has to be known: the
// notes of somebody without a row in users are erased all the same.
func (tx *Tx) findPerson(ctx context.Context, org uuid.UUID, email string) (*person, error) {
	p := &person{org: org, email: email, aliases: []string{email}}
	rows, err := tx.Query(ctx, `
		SELECT a FROM (SELECT email AS a FROM identities WHERE org_id = $1 AND person = person_of($1, $2) UNION SELECT person_of($1, $2)) a
		WHERE a <> $2 ORDER BY 1`, org, email)
	if err != nil {
		return nil, translate(err, "reading the addresses of a person")
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, translate(err, "reading the addresses of a person")
	}
	p.aliases = append(p.aliases, others...)
	users, err := collect[User](ctx, tx, "finding a person", `SELECT `+userColumns+` FROM users WHERE org_id = $1 AND email = $2`, org, email)
	if err != nil {
		return nil, err
	}
	if len(users) > 0 {
		p.user = &users[0]
		p.aliases = append(p.aliases, users[0].Logins...)
	}
	for _, column := range columnsOf(nameBeside) {
		rows, err := tx.Query(ctx, fmt.Sprintf(`SELECT DISTINCT %s FROM %s WHERE org_id = $1 AND lower(%s) = ANY($2) AND %[1]s <> ''`,
			column.name, column.table, column.beside), org, p.aliases)
		if err != nil {
			return nil, translate(err, "reading the names in %s", column.table)
		}
		names, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return nil, translate(err, "reading the names in %s", column.table)
		}
		p.names = append(p.names, names...)
	}
	slices.Sort(p.names)
	p.names = slices.DeleteFunc(slices.Compact(p.names), func(name string) bool { return name == erasedName })
	return p, nil
}

// columnsOf lists the columns of a class in a fixed order.
func columnsOf(class dataClass) []personalColumn {
	var columns []personalColumn
	for _, c := range personal {
		if c.class == class {
			columns = append(columns, c)
		}
	}
	slices.SortFunc(columns, func(a, b personalColumn) int {
		return cmp.Or(cmp.Compare(a.table, b.table), cmp.Compare(a.name, b.name))
	})
	return columns
}

// eraser is one erasure on its way.
type eraser struct {
	tx     *Tx
	person *person
	types  map[string]string
	rows   map[string]int64
}

func (e *eraser) run(ctx context.Context) error {
	var err error
	if e.types, err = e.tx.columnTypes(ctx); err != nil {
		return err
	}
	// The user's row is renamed last: it says whose keys and uploads are meant.
	for _, step := range []func(context.Context) error{e.uploads, e.access, e.memberships, e.addresses, e.lists, e.sums, e.words} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// columnTypes gives the type of every column by table and name.
func (tx *Tx) columnTypes(ctx context.Context) (map[string]string, error) {
	rows, err := tx.Query(ctx, `SELECT table_name || '.' || column_name, data_type FROM information_schema.columns WHERE table_schema = current_schema()`)
	if err != nil {
		return nil, translate(err, "reading the columns of the database")
	}
	types := map[string]string{}
	var name, kind string
	_, err = pgx.ForEachRow(rows, []any{&name, &kind}, func() error { types[name] = kind; return nil })
	return types, translate(err, "reading the columns of the database")
}

func (e *eraser) exec(ctx context.Context, table, sql string, args ...any) error {
	tag, err := e.tx.Exec(ctx, sql, append([]any{e.person.org}, args...)...)
	e.rows[table] += tag.RowsAffected()
	return translate(err, "erasing a person from %s", table)
}

// uploads empties uploaded notes that hold receipts of the person or name them.
func (e *eraser) uploads(ctx context.Context) error {
	return e.exec(ctx, "note_uploads", `
		UPDATE note_uploads u SET content = '' WHERE u.org_id = $1 AND u.content <> '' AND (
			encode(u.content, 'escape') ~* $3
			OR EXISTS (SELECT FROM receipt_commits c JOIN receipts r ON r.org_id = c.org_id AND r.id = c.receipt_id
			           WHERE c.org_id = $1 AND c.commit = u.commit AND c.blob = u.blob AND lower(r.user_email) = ANY($2)))`,
		e.person.aliases, e.person.addressPattern())
}

// access ends the keys of the person.
func (e *eraser) access(ctx context.Context) error {
	if e.person.user == nil {
		return nil
	}
	err := e.exec(ctx, "api_keys", `UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) WHERE org_id = $1 AND user_id = $2`, e.person.user.ID)
	if err != nil {
		return err
	}
	for _, table := range []string{"passwords", "sessions"} {
		if err := e.exec(ctx, table, `DELETE FROM `+table+` WHERE org_id = $1 AND user_id = $2`, e.person.user.ID); err != nil {
			return err
		}
	}
	return e.exec(ctx, "ssh_keys", `
		UPDATE ssh_keys SET revoked_at = coalesce(revoked_at, now()), name = '', public_key = '', fingerprint = id::text
		WHERE org_id = $1 AND user_id = $2`, e.person.user.ID)
}

// memberships keeps the person's place in teams, whose sums go on to hold what
// was theirs. A second erasure of one address finds the first one's rows.
func (e *eraser) memberships(ctx context.Context) error {
	err := e.exec(ctx, "team_members", `
		DELETE FROM team_members m WHERE m.org_id = $1 AND m.email = ANY($2)
		  AND EXISTS (SELECT FROM team_members o WHERE o.org_id = $1 AND o.team_id = m.team_id AND o.email = $3)`, e.person.aliases, e.person.pseudonym)
	if err != nil || e.person.user == nil {
		return err
	}
	return e.exec(ctx, "users", `
		UPDATE users u SET name = '', logins = '{}', disabled_at = coalesce(u.disabled_at, now()),
			email = CASE WHEN EXISTS (SELECT FROM users o WHERE o.org_id = $1 AND o.email = $3) THEN u.id || '-' || $3 ELSE $3 END
		WHERE u.org_id = $1 AND u.id = $2`, e.person.user.ID, e.person.pseudonym)
}

// addresses puts the pseudonym in the place of addresses, and takes out the
// names beside them and what was said.
func (e *eraser) addresses(ctx context.Context) error {
	for _, column := range columnsOf(address) {
		set := []string{column.name + " = $3"}
		for _, c := range columnsOf(nameBeside) {
			if c.table == column.table && c.beside == column.name {
				set = append(set, c.name+" = CASE "+c.name+" WHEN '' THEN '' ELSE '"+erasedName+"' END")
			}
		}
		for _, c := range columnsOf(said) {
			if c.table == column.table {
				set = append(set, c.name+" = "+nothing(e.types[c.table+"."+c.name]))
			}
		}
		err := e.exec(ctx, column.table, `UPDATE `+column.table+` SET `+strings.Join(set, ", ")+` WHERE org_id = $1 AND lower(`+column.name+`) = ANY($2)`,
			e.person.aliases, e.person.pseudonym)
		if err != nil {
			return err
		}
	}
	return nil
}

// lists replaces addresses in arrays, and forgets which addresses were one person's.
func (e *eraser) lists(ctx context.Context) error {
	for _, column := range columnsOf(addresses) {
		err := e.exec(ctx, column.table, fmt.Sprintf(`
			UPDATE %[1]s SET %[2]s = ARRAY(SELECT CASE WHEN lower(x) = ANY($2) THEN $3 ELSE x END FROM unnest(%[2]s) WITH ORDINALITY AS u (x, n) ORDER BY n)
			WHERE org_id = $1 AND EXISTS (SELECT FROM unnest(%[2]s) x WHERE lower(x) = ANY($2))`, column.table, column.name),
			e.person.aliases, e.person.pseudonym)
		if err != nil {
			return err
		}
	}
	for _, column := range columnsOf(joined) {
		if err := e.exec(ctx, column.table, fmt.Sprintf(`DELETE FROM %s WHERE org_id = $1 AND %s = ANY($2)`, column.table, column.name), e.person.aliases); err != nil {
			return err
		}
	}
	return nil
}

// nothing is the value of a column that was emptied.
func nothing(kind string) string {
	switch kind {
	case "text":
		return "''"
	case "ARRAY":
		return "'{}'"
	default:
		return "NULL"
	}
}

// sums moves the sums of the person to the pseudonym. Triggers have moved
// those of receipts and left rows of zeros.
func (e *eraser) sums(ctx context.Context) error {
	for _, column := range columnsOf(sumKey) {
		keys, measures, err := e.tx.sumColumns(ctx, column.table)
		if err != nil {
			return err
		}
		var selected, updates, zeros []string
		for _, m := range measures {
			selected = append(selected, "sum("+m+")")
			updates = append(updates, m+" = t."+m+" + excluded."+m)
			zeros = append(zeros, m+" = 0")
		}
		grouped := slices.DeleteFunc(slices.Clone(keys), func(key string) bool { return key == column.name })
		err = e.exec(ctx, column.table, fmt.Sprintf(`
			WITH gone AS (DELETE FROM %[1]s WHERE org_id = $1 AND %[2]s = ANY($2) AND dimension LIKE 'user%%' RETURNING *)
			INSERT INTO %[1]s AS t (%[3]s, %[2]s, %[4]s)
			SELECT %[3]s, $3, %[5]s FROM gone WHERE NOT (%[6]s) GROUP BY %[3]s
			ON CONFLICT (%[7]s) DO UPDATE SET %[8]s`, column.table, column.name, strings.Join(grouped, ", "), strings.Join(measures, ", "),
			strings.Join(selected, ", "), strings.Join(zeros, " AND "), strings.Join(keys, ", "), strings.Join(updates, ", ")),
			e.person.aliases, e.person.pseudonym)
		if err != nil {
			return err
		}
	}
	return nil
}

// sumColumns gives the columns of a table's key, and the others.
func (tx *Tx) sumColumns(ctx context.Context, table string) (keys, measures []string, err error) {
	rows, err := tx.Query(ctx, `
		SELECT a.attname, coalesce(a.attnum = ANY(i.indkey), false) FROM pg_attribute a
		LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
		WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`, table)
	if err != nil {
		return nil, nil, translate(err, "reading the columns of %s", table)
	}
	var name string
	var key bool
	_, err = pgx.ForEachRow(rows, []any{&name, &key}, func() error {
		if key {
			keys = append(keys, name)
		} else {
			measures = append(measures, name)
		}
		return nil
	})
	return keys, measures, translate(err, "reading the columns of %s", table)
}

// words replaces addresses and names in texts and documents, but for those of
// acts, which the chain holds.
func (e *eraser) words(ctx context.Context) error {
	for _, column := range columnsOf(words) {
		if column.table == "audit_log" {
			continue
		}
		kind := e.types[column.table+"."+column.name]
		replaced, found := e.person.replacing(column.name, kind)
		err := e.exec(ctx, column.table, `UPDATE `+column.table+` SET `+column.name+` = `+replaced+` WHERE org_id = $1 AND `+found, e.person.replacements()...)
		if err != nil {
			return err
		}
	}
	return nil
}

// replacing is the expression of a column without the person, and the condition
// that it is needed; $2 and following are replacements.
func (p *person) replacing(column, kind string) (replaced, found string) {
	text := column + "::text"
	replaced = fmt.Sprintf(`regexp_replace(regexp_replace(regexp_replace(%s, $2, $3, 'gi'), $4, $5, 'gi'), $6, '"' || $5 || '"', 'gi')`, text)
	found = fmt.Sprintf(`(%[1]s ~* $2 OR %[1]s ~* $4 OR %[1]s ~* $6 OR lower(%[1]s) = ANY($7))`, text)
	switch kind {
	case "json", "jsonb":
		return "(" + replaced + ")::" + kind, found
	default:
		return `CASE WHEN lower(` + text + `) = ANY($7) THEN $5 ELSE ` + replaced + ` END`, found
	}
}

func (p *person) replacements() []any {
	whole := p.accounts()
	for _, name := range p.names {
		whole = append(whole, strings.ToLower(name))
	}
	return []any{p.addressPattern(), p.pseudonym, p.namePattern(), erasedName, p.valuePattern(), whole}
}

// accounts are the names by which forges know the person.
func (p *person) accounts() []string {
	return slices.DeleteFunc(slices.Clone(p.aliases), func(alias string) bool { return strings.Contains(alias, "@") })
}

// never is a regular expression that nothing matches.
const never = `x\Ax`

// addressPattern finds the addresses, and not the end or the beginning of another one.
func (p *person) addressPattern() string {
	var all []string
	for _, alias := range p.aliases {
		if strings.Contains(alias, "@") {
			all = append(all, quotePattern(alias))
		}
	}
	return `(?:(?<![\w.+%-])|(?<=\\u003c))(?:` + strings.Join(all, "|") + `)(?![\w-]|\.\w)`
}

// namePattern finds names that are more than one word, which mean nothing else.
func (p *person) namePattern() string {
	var long []string
	for _, name := range p.names {
		if strings.ContainsFunc(name, unicode.IsSpace) {
			long = append(long, quotePattern(name))
		}
	}
	if len(long) == 0 {
		return never
	}
	return `(?<!\w)(?:` + strings.Join(long, "|") + `)(?!\w)`
}

// valuePattern finds names and accounts of one word where they are a whole
// value of a JSON document.
func (p *person) valuePattern() string {
	var short []string
	for _, name := range slices.Concat(p.names, p.accounts()) {
		if !strings.ContainsFunc(name, unicode.IsSpace) {
			short = append(short, quotePattern(name))
		}
	}
	if len(short) == 0 {
		return never
	}
	return `"(?:` + strings.Join(short, "|") + `)"(?!\s*:)`
}

// quotePattern makes text an expression of PostgreSQL that matches it alone.
func quotePattern(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r < 0x80 && r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// record writes the act, takes the person out of the words of acts, and keeps
// the keyed hash by which notes of the person are known later.
func (e *eraser) record(ctx context.Context, by access.Principal) (Erasure, error) {
	out := Erasure{Pseudonym: e.person.pseudonym, Rows: e.rows}
	for table, n := range e.rows {
		if n == 0 {
			delete(e.rows, table)
		}
	}
	err := e.tx.QueryRow(ctx, `
		INSERT INTO audit_log (org_id, principal, action, target, detail, request_id) VALUES ($1, $2, 'person.erase', $3, $4, $5)
		RETURNING seq, at`, by.Org, by.Name, out.Pseudonym, map[string]any{"rows": e.rows}, by.RequestID).Scan(&out.Act, &out.At)
	if err != nil {
		return out, translate(err, "recording an erasure")
	}
	for _, alias := range e.person.aliases {
		if err := e.remember(ctx, alias, &out); err != nil {
			return out, err
		}
	}
	if _, err = e.tx.Exec(ctx, `UPDATE orgs SET privacy_revision = privacy_revision + 1 WHERE id = $1`, by.Org); err != nil {
		return out, translate(err, "recording an erasure")
	}
	return out, e.redact(ctx, out.Act)
}

// remember keeps the keyed hash of an address, by which it is known later.
func (e *eraser) remember(ctx context.Context, alias string, out *Erasure) error {
	hash, err := e.tx.sealer.hashPerson(e.person.org, alias)
	if err != nil {
		return err
	}
	_, err = e.tx.Exec(ctx, `
		INSERT INTO erasures (org_id, person, pseudonym, act, at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org_id, person) DO UPDATE SET pseudonym = excluded.pseudonym, act = excluded.act, at = excluded.at, vacuumed_at = NULL`,
		e.person.org, hash, out.Pseudonym, out.Act, out.At)
	return translate(err, "recording an erasure")
}

// redact takes the person out of the words of acts, and lays what is left into
// the chain.
func (e *eraser) redact(ctx context.Context, act int64) error {
	head, err := e.tx.lockChain(ctx, e.person.org)
	if err != nil {
		return err
	}
	var conditions []string
	changed := map[string]string{}
	for _, column := range []string{"principal", "target", "detail"} {
		replaced, found := e.person.replacing(column, e.types["audit_log."+column])
		changed[column] = replaced
		conditions = append(conditions, found)
	}
	args := append([]any{e.person.org}, e.person.replacements()...)
	where := strings.Join(conditions, " OR ")
	acts, err := collect[chainedAct](ctx, e.tx, "finding the acts that name a person", `
		SELECT `+chainedActColumns+` FROM audit_log
		WHERE org_id = $1 AND (`+where+`) AND ($3::text, $5::text) IS NOT NULL ORDER BY seq FOR UPDATE`, args...)
	if err != nil {
		return err
	}
	for batch := range slices.Chunk(acts, chainBatch) {
		seqs, commitments := make([]int64, len(batch)), make([][]byte, len(batch))
		for i := range batch {
			seqs[i], commitments[i] = batch[i].Seq, batch[i].commit()
		}
		left, err := collect[chainedAct](ctx, e.tx, "redacting acts", `
			UPDATE audit_log SET principal = `+changed["principal"]+`, target = `+changed["target"]+`, detail = `+changed["detail"]+`,
				salt = NULL, commitment = c.commitment, erasures = erasures || $10::bigint
			FROM unnest($8::bigint[], $9::bytea[]) AS c (number, commitment) WHERE org_id = $1 AND seq = c.number
			RETURNING seq, at, principal, action, target, detail::text AS detail, request_id, salt, audit_log.commitment, erasures`,
			append(slices.Clone(args), seqs, commitments, act)...)
		if err != nil {
			return err
		}
		entries := make([]chainEntry, len(left))
		for i := range left {
			entries[i] = left[i].redaction(e.person.org)
		}
		if head, err = e.tx.layLink(ctx, e.person.org, head, redactionKind, seqs, entries); err != nil {
			return err
		}
	}
	return nil
}
