package store

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// A person is known by one address; the others that are theirs lead to it. They
// lead there by rules, which people make, or else by the mailmaps of
// repositories, of which the one registered first wins. So every address leads to
// at most one other, and on to the person at the end; of a circle, which two
// mailmaps can make, the first address by name is the person.
//
// Mailmaps are text of a repository that many may write to. They say who is shown
// as whom; who pays for a push and who may do what is never asked of them.

// Person is somebody with more than one address.
type Person struct {
	// Email is the address that stands for all.
	Email     string
	Addresses []PersonAddress
}

// PersonAddress is another address of a person.
type PersonAddress struct {
	Email string `json:"email"`
	// Source is rule or mailmap: what leads from it to the person.
	Source string `json:"source"`
}

// IdentityRule says that an address is a person's, or by itself if both are the
// same.
type IdentityRule struct {
	Email, Person string
	CreatedBy     string
	CreatedAt     time.Time
}

// Persons lists those with more than one address after a name, at most limit.
func (db *DB) Persons(ctx context.Context, org uuid.UUID, after string, limit int) ([]Person, error) {
	return collect[Person](ctx, db.pool, "listing people", `
		SELECT person AS email, json_agg(json_build_object('email', email, 'source', source) ORDER BY email) AS addresses
		FROM identities WHERE org_id = $1 AND person > $2 GROUP BY person ORDER BY person LIMIT $3`, org, after, limit)
}

// Person is the person whose address it is, with all of their addresses.
func (db *DB) Person(ctx context.Context, org uuid.UUID, email string) (Person, error) {
	return collectOne[Person](ctx, db.pool, "finding a person", `
		SELECT p.email, coalesce((SELECT json_agg(json_build_object('email', i.email, 'source', i.source) ORDER BY i.email)
			FROM identities i WHERE i.org_id = $1 AND i.person = p.email), '[]') AS addresses
		FROM (SELECT person_of($1, $2) AS email) p`, org, strings.TrimSpace(email))
}

// IdentityRules lists the rules by address.
func (db *DB) IdentityRules(ctx context.Context, org uuid.UUID) ([]IdentityRule, error) {
	return collect[IdentityRule](ctx, db.pool, "listing rules on addresses", `
		SELECT email, person, created_by, created_at FROM identity_rules WHERE org_id = $1 ORDER BY email`, org)
}

// AddressesOf returns all addresses, in lower case, of the people whose addresses
// are given.
func (db *DB) AddressesOf(ctx context.Context, org uuid.UUID, emails []string) ([]string, error) {
	if len(emails) == 0 {
		return emails, nil
	}
	rows, err := db.pool.Query(ctx, `
		WITH people AS (SELECT DISTINCT person_of($1, e) AS person FROM unnest($2::text[]) AS e)
		SELECT person FROM people
		UNION SELECT i.email FROM people p JOIN identities i ON i.org_id = $1 AND i.person = p.person ORDER BY 1`, org, emails)
	if err != nil {
		return nil, translate(err, "finding the addresses of people")
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	return out, translate(err, "finding the addresses of people")
}

// maxRules bounds the rules of an organisation, and the addresses of a mailmap.
const maxRules = 50_000

// JoinAddresses says that addresses are a person's. It takes the place of what
// rules said of them. Addresses that lead to one of them come along.
func (db *DB) JoinAddresses(ctx context.Context, by access.Principal, person string, emails []string) (Person, error) {
	if err := checkAddress("person", &person); err != nil {
		return Person{}, err
	}
	emails = slices.Clone(emails)
	for i := range emails {
		if err := checkAddress("email", &emails[i]); err != nil {
			return Person{}, err
		}
	}
	err := db.inIdentities(ctx, by.Org, func(tx *Tx) error {
		for _, email := range emails {
			if err := tx.joinAddress(ctx, by, person, email); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return Person{}, err
	}
	return db.Person(ctx, by.Org, person)
}

func (tx *Tx) joinAddress(ctx context.Context, by access.Principal, person, email string) error {
	rules, err := tx.identityRules(ctx, by.Org)
	if err != nil {
		return err
	}
	if email == person {
		return &InvalidError{"email", "must not be the person's own; an address is by itself once it is split off"}
	}
	if len(rules) >= maxRules {
		return &InvalidError{"email", "makes more than " + itoa(maxRules) + " rules"}
	}
	rules[email] = person
	if last, circle := follow(rules, person); circle {
		return &InvalidError{"person", "leads back to " + last + "; split that off first"}
	}
	if err := tx.setIdentityRule(ctx, by, email, person); err != nil {
		return err
	}
	return tx.Audit(ctx, by, "identity.join", email, map[string]any{"person": person})
}

// SplitAddress says that an address is its own person, whatever mailmaps say.
func (db *DB) SplitAddress(ctx context.Context, by access.Principal, email string) error {
	if err := checkAddress("email", &email); err != nil {
		return err
	}
	return db.inIdentities(ctx, by.Org, func(tx *Tx) error {
		if err := tx.setIdentityRule(ctx, by, email, email); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "identity.split", email, nil)
	})
}

// ResetAddress removes the rule on an address: what mailmaps say of it holds
// again. ErrNotFound if there is none.
func (db *DB) ResetAddress(ctx context.Context, by access.Principal, email string) error {
	if err := checkAddress("email", &email); err != nil {
		return err
	}
	return db.inIdentities(ctx, by.Org, func(tx *Tx) error {
		tag, err := tx.Exec(ctx, `DELETE FROM identity_rules WHERE org_id = $1 AND email = $2`, by.Org, email)
		if err != nil {
			return translate(err, "removing the rule on an address")
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("finding a rule on %s: %w", email, ErrNotFound)
		}
		return tx.Audit(ctx, by, "identity.reset", email, nil)
	})
}

// checkAddress brings an address into the form in which people are known by it.
func checkAddress(field string, email *string) error {
	*email = strings.ToLower(strings.TrimSpace(*email))
	if !plausibleAddress(*email) || !strings.Contains(*email, "@") {
		return &InvalidError{field, "must be an e-mail address of at most " + itoa(maxAddress) + " characters"}
	}
	return nil
}

const maxAddress = 254

func plausibleAddress(email string) bool {
	return email != "" && len(email) <= maxAddress && utf8.ValidString(email) &&
		!strings.ContainsFunc(email, func(r rune) bool { return r <= ' ' || r == 0x7f })
}

func (tx *Tx) setIdentityRule(ctx context.Context, by access.Principal, email, person string) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO identity_rules (org_id, email, person, created_by) VALUES ($1, $2, $3, $4)
		ON CONFLICT (org_id, email) DO UPDATE SET person = excluded.person, created_by = excluded.created_by, created_at = now()`,
		by.Org, email, person, actor(by))
	return translate(err, "setting the rule on an address")
}

// Mailmap is what a repository's .mailmap says, as of its blob.
type Mailmap struct {
	// Blob is the file's id, empty where there is none.
	Blob string
	// Addresses lead from an address to the one that stands for it, in lower case.
	Addresses map[string]string
}

// MailmapBlob is the blob of the repository's mailmap that was read last.
// ErrNotFound if none was ever looked for.
func (db *DB) MailmapBlob(ctx context.Context, org, repo uuid.UUID) (string, error) {
	row, err := collectOne[struct{ Blob string }](ctx, db.pool, "finding a mailmap",
		`SELECT blob FROM mailmaps WHERE org_id = $1 AND repo_id = $2`, org, repo)
	return row.Blob, err
}

// TakeMailmap takes in a repository's mailmap in the place of the one before.
func (db *DB) TakeMailmap(ctx context.Context, org, repo uuid.UUID, m Mailmap) error {
	var emails, people []string
	for _, email := range slices.Sorted(maps.Keys(m.Addresses)) {
		from, to := strings.ToLower(email), strings.ToLower(m.Addresses[email])
		if plausibleAddress(from) && plausibleAddress(to) && from != to && len(emails) < maxRules {
			emails, people = append(emails, from), append(people, to)
		}
	}
	return db.inIdentities(ctx, org, func(tx *Tx) error {
		b := &pgx.Batch{}
		b.Queue(`DELETE FROM mailmap_addresses WHERE org_id = $1 AND repo_id = $2`, org, repo)
		b.Queue(`INSERT INTO mailmap_addresses (org_id, repo_id, email, person)
			SELECT DISTINCT ON (lower(m.email)) $1::uuid, $2::uuid, lower(m.email), lower(m.person) FROM unnest($3::text[], $4::text[]) AS m (email, person)
			ORDER BY lower(m.email)`, org, repo, emails, people)
		b.Queue(`INSERT INTO mailmaps (org_id, repo_id, blob, addresses) VALUES ($1, $2, $3, $4)
			ON CONFLICT (org_id, repo_id) DO UPDATE SET blob = excluded.blob, addresses = excluded.addresses, read_at = now()`,
			org, repo, m.Blob, len(emails))
		return translate(tx.SendBatch(ctx, b).Close(), "taking in a mailmap")
	})
}

// forgetMailmap has the mailmap of a repository that is taken up again read anew.
// Those of removed repositories say nothing.
func (tx *Tx) forgetMailmap(ctx context.Context, org, repo uuid.UUID) error {
	_, err := tx.Exec(ctx, `DELETE FROM mailmaps WHERE org_id = $1 AND repo_id = $2`, org, repo)
	return translate(err, "forgetting a mailmap")
}

// inIdentities changes what people are made of and then makes them anew.
func (db *DB) inIdentities(ctx context.Context, org uuid.UUID, change func(*Tx) error) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('identities:' || $1::text, 0))`, org)
		if err != nil {
			return translate(err, "waiting for other changes of people")
		}
		if err := change(tx); err != nil {
			return err
		}
		return tx.makePeople(ctx, org)
	})
}

func (tx *Tx) identityRules(ctx context.Context, org uuid.UUID) (map[string]string, error) {
	return tx.pairs(ctx, "reading rules on addresses", `SELECT email, person FROM identity_rules WHERE org_id = $1`, org)
}

func (tx *Tx) pairs(ctx context.Context, op, sql string, args ...any) (map[string]string, error) {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return nil, translate(err, "%s", op)
	}
	out := map[string]string{}
	var from, to string
	_, err = pgx.ForEachRow(rows, []any{&from, &to}, func() error { out[from] = to; return nil })
	return out, translate(err, "%s", op)
}

// makePeople derives identities from rules and mailmaps and writes what differs.
func (tx *Tx) makePeople(ctx context.Context, org uuid.UUID) error {
	rules, err := tx.identityRules(ctx, org)
	if err != nil {
		return err
	}
	leads, err := tx.pairs(ctx, "reading mailmaps", `
		SELECT DISTINCT ON (m.email) m.email, m.person FROM mailmap_addresses m
		JOIN repos r ON r.org_id = m.org_id AND r.id = m.repo_id AND r.removed_at IS NULL
		WHERE m.org_id = $1 ORDER BY m.email, r.created_at, r.id`, org)
	if err != nil {
		return err
	}
	maps.Copy(leads, rules)
	var emails, people, sources []string
	for _, email := range slices.Sorted(maps.Keys(leads)) {
		person, _ := follow(leads, email)
		if person == email {
			continue
		}
		source := "mailmap"
		if _, ruled := rules[email]; ruled {
			source = "rule"
		}
		emails, people, sources = append(emails, email), append(people, person), append(sources, source)
	}
	return tx.writePeople(ctx, org, emails, people, sources)
}

func (tx *Tx) writePeople(ctx context.Context, org uuid.UUID, emails, people, sources []string) error {
	before, err := tx.peopleBeside(ctx, org, emails, people)
	if err != nil {
		return err
	}
	b := &pgx.Batch{}
	b.Queue(`DELETE FROM identities i WHERE i.org_id = $1
		AND NOT EXISTS (SELECT FROM unnest($2::text[]) AS p (email) WHERE p.email = i.email)`, org, emails)
	b.Queue(`INSERT INTO identities AS i (org_id, email, person, source)
		SELECT $1, p.* FROM unnest($2::text[], $3::text[], $4::text[]) AS p (email, person, source) ORDER BY p.email
		ON CONFLICT (org_id, email) DO UPDATE SET person = excluded.person, source = excluded.source
		WHERE (i.person, i.source) <> (excluded.person, excluded.source)`, org, emails, people, sources)
	if len(before) > 0 {
		b.Queue(sqlClaimsOfPeople, org, before)
	}
	return translate(tx.SendBatch(ctx, b).Close(), "writing who is one person")
}

// peopleBeside are all addresses, as of now, of people who will not be the same.
func (tx *Tx) peopleBeside(ctx context.Context, org uuid.UUID, emails, people []string) ([]string, error) {
	return tx.texts(ctx, "comparing people", `
		WITH old AS (SELECT email, person FROM identities WHERE org_id = $1),
		fresh AS (SELECT * FROM unnest($2::text[], $3::text[]) AS p (email, person)),
		changed AS (SELECT * FROM ((TABLE old EXCEPT TABLE fresh) UNION (TABLE fresh EXCEPT TABLE old)) d)
		SELECT email FROM changed UNION SELECT person FROM changed
		UNION SELECT o.email FROM changed c JOIN old o ON o.person = c.person ORDER BY 1`, org, emails, people)
}

// follow goes from an address to where its leads end. Of a circle, which it
// reports, the end is the first address by name.
func follow(leads map[string]string, email string) (end string, circle bool) {
	seen := map[string]bool{}
	for at := email; ; {
		next, ok := leads[at]
		if !ok || next == at {
			return at, false
		}
		if seen[at] {
			return least(leads, at), true
		}
		seen[at] = true
		at = next
	}
}

// least is the first address of a circle by name.
func least(leads map[string]string, start string) string {
	first := start
	for at := leads[start]; at != start; at = leads[at] {
		first = min(first, at)
	}
	return first
}

// ReadMailmap is the .mailmap of a repository as it was read last.
type ReadMailmap struct {
	RepoID uuid.UUID
	Repo   string
	// Addresses counts those that it joins to another one.
	Addresses int
	ReadAt    time.Time
}

// Mailmaps lists up to limit mailmaps with addresses, those of repositories that
// were removed not among them.
func (db *DB) Mailmaps(ctx context.Context, org uuid.UUID, limit int) ([]ReadMailmap, error) {
	return collect[ReadMailmap](ctx, db.pool, "listing mailmaps", `
		SELECT m.repo_id, r.name AS repo, m.addresses, m.read_at FROM mailmaps m
		JOIN repos r ON r.org_id = m.org_id AND r.id = m.repo_id AND r.removed_at IS NULL
		WHERE m.org_id = $1 AND m.addresses > 0 ORDER BY r.name LIMIT $2`, org, limit)
}
