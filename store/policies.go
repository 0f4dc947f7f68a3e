package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
)

// MaxPolicies bounds the policies of one organisation, disabled ones included.
const MaxPolicies = 500

// Policy is a stored policy. A removed one keeps its versions, which decisions
// name, and gives its name free.
type Policy struct {
	ID      uuid.UUID
	Name    string
	Version int
	Enabled bool
	// Document is what policy.Parse reads, without id and version.
	Document  json.RawMessage
	CreatedAt time.Time
	UpdatedAt time.Time
	RemovedAt *time.Time
}

// Parse reads the document, with id and version as the store has them.
func (p Policy) Parse() (policy.Policy, error) { return parseStored(p.ID, p.Version, p.Document) }

func parseStored(id uuid.UUID, version int, document []byte) (policy.Policy, error) {
	parsed, err := policy.Parse(document)
	if err != nil {
		return policy.Policy{}, fmt.Errorf("reading version %d of policy %s: %w", version, id, err)
	}
	parsed.ID, parsed.Version = id.String(), version
	return parsed, nil
}

// PolicyOutline is what a document says, not compiled.
type PolicyOutline struct {
	Rule   json.RawMessage
	Scope  PolicyScope
	Action policy.Action
}

// PolicyScope lists the patterns of a scope.
type PolicyScope struct {
	Repos    []string `json:"repos,omitempty"`
	Branches []string `json:"branches,omitempty"`
	Teams    []string `json:"teams,omitempty"`
}

// Outline reads the document to show it. That works for every stored policy,
// also for one that this program cannot judge by any more.
func (p Policy) Outline() PolicyOutline {
	var out PolicyOutline
	// It was written as JSON of this shape.
	_ = json.Unmarshal(p.Document, &out)
	return out
}

// PolicyChange is what a version of a policy did.
type PolicyChange string

// What becomes of policies. Unchanged makes no version.
const (
	PolicyCreated   PolicyChange = "created"
	PolicyChanged   PolicyChange = "changed"
	PolicyEnabled   PolicyChange = "enabled"
	PolicyDisabled  PolicyChange = "disabled"
	PolicyRemoved   PolicyChange = "removed"
	PolicyUnchanged PolicyChange = "unchanged"
)

// PolicyVersion is one version of a policy. Versions count from 1 without gaps.
type PolicyVersion struct {
	PolicyID  uuid.UUID
	Version   int
	Document  json.RawMessage
	Change    PolicyChange
	Author    string
	CreatedAt time.Time
}

// Parse reads the document of the version.
func (v PolicyVersion) Parse() (policy.Policy, error) {
	return parseStored(v.PolicyID, v.Version, v.Document)
}

const (
	policyColumns        = `id, name, version, enabled, document, created_at, updated_at, removed_at`
	policyVersionColumns = `policy_id, version, document, change, author, created_at`
)

// CreatePolicy adds a policy; its id and version are the store's. ErrConflict if
// one has its name.
func (db *DB) CreatePolicy(ctx context.Context, by access.Principal, doc policy.Policy) (Policy, error) {
	var out Policy
	err := db.changePolicies(ctx, by, func(tx *Tx) (changed bool, err error) {
		out, err = tx.createPolicy(ctx, by, doc)
		return true, err
	})
	return out, err
}

// UpdatePolicy replaces the document of a policy. version is the one that the
// caller has read, 0 if it does not matter: ErrMoved if another is in force. A
// document that says the same makes no new version.
func (db *DB) UpdatePolicy(ctx context.Context, by access.Principal, id uuid.UUID, version int, doc policy.Policy) (Policy, PolicyChange, error) {
	var out Policy
	var change PolicyChange
	err := db.changePolicies(ctx, by, func(tx *Tx) (changed bool, err error) {
		old, err := tx.livePolicy(ctx, by.Org, id)
		if err != nil {
			return false, err
		}
		out, change, err = tx.replacePolicy(ctx, by, old, version, doc)
		return change != PolicyUnchanged, err
	})
	return out, change, err
}

// EnablePolicy switches a policy on or off. version is as in UpdatePolicy.
func (db *DB) EnablePolicy(ctx context.Context, by access.Principal, id uuid.UUID, version int, enabled bool) (Policy, error) {
	var out Policy
	err := db.changePolicies(ctx, by, func(tx *Tx) (changed bool, err error) {
		old, err := tx.livePolicy(ctx, by.Org, id)
		if err != nil {
			return false, err
		}
		if version != 0 && version != old.Version {
			return false, moved(old, version)
		}
		if out = old; old.Enabled == enabled {
			return false, nil
		}
		out, err = tx.switchPolicy(ctx, by, old, enabled)
		return true, err
	})
	return out, err
}

// switchPolicy works on the document as it is, so that also a policy that this
// program cannot judge by can be switched off, though not on.
func (tx *Tx) switchPolicy(ctx context.Context, by access.Principal, old Policy, enabled bool) (Policy, error) {
	change := PolicyDisabled
	if enabled {
		change = PolicyEnabled
		if _, err := old.Parse(); err != nil {
			return Policy{}, &InvalidError{"rule", "cannot be judged by with this version of the program"}
		}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(old.Document, &members); err != nil {
		return Policy{}, fmt.Errorf("reading policy %s: %w", old.ID, err)
	}
	members["enabled"] = json.RawMessage(strconv.FormatBool(enabled))
	var document bytes.Buffer
	enc := json.NewEncoder(&document)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(members); err != nil {
		return Policy{}, fmt.Errorf("writing policy %s: %w", old.ID, err)
	}
	return tx.writePolicy(ctx, by, old, old.Name, enabled, bytes.TrimSpace(document.Bytes()), change)
}

// RemovePolicy takes a policy away for good; its versions stay readable by its
// id. version is as in UpdatePolicy.
func (db *DB) RemovePolicy(ctx context.Context, by access.Principal, id uuid.UUID, version int) error {
	return db.changePolicies(ctx, by, func(tx *Tx) (changed bool, err error) {
		old, err := tx.livePolicy(ctx, by.Org, id)
		if err != nil {
			return false, err
		}
		if version != 0 && version != old.Version {
			return false, moved(old, version)
		}
		row, err := collectOne[Policy](ctx, tx, "removing policy "+id.String(), `
			UPDATE policies SET version = version + 1, removed_at = now(), updated_at = now()
			WHERE org_id = $1 AND id = $2 RETURNING `+policyColumns, by.Org, id)
		if err != nil {
			return false, err
		}
		return true, tx.recordVersion(ctx, by, row, PolicyRemoved)
	})
}

// AppliedPolicy is a policy that was applied, and what that changed.
type AppliedPolicy struct {
	Policy
	Change PolicyChange
}

// ApplyPolicies brings policies to the given documents, all of them or none: a
// document with an id changes that policy, others the one of their name, or
// make it. A document with a version wants that version to be in force. With
// dryRun nothing is kept.
func (db *DB) ApplyPolicies(ctx context.Context, by access.Principal, docs []policy.Policy, dryRun bool) ([]AppliedPolicy, error) {
	var applied []AppliedPolicy
	err := db.changePolicies(ctx, by, func(tx *Tx) (changed bool, err error) {
		for _, doc := range docs {
			one, err := tx.applyPolicy(ctx, by, doc)
			if err != nil {
				return false, fmt.Errorf("applying policy %q: %w", doc.Name, err)
			}
			applied = append(applied, one)
			changed = changed || one.Change != PolicyUnchanged
		}
		if dryRun {
			return false, errDryRun
		}
		return changed, nil
	})
	if err != nil && !errors.Is(err, errDryRun) {
		return nil, err
	}
	return applied, nil
}

// errDryRun rolls a transaction back that did what was wanted.
var errDryRun = errors.New("dry run")

func (tx *Tx) applyPolicy(ctx context.Context, by access.Principal, doc policy.Policy) (AppliedPolicy, error) {
	var old Policy
	var err error
	if doc.ID != "" {
		id, invalid := uuid.Parse(doc.ID)
		if invalid != nil {
			return AppliedPolicy{}, &InvalidError{"id", "is not the id of a policy; leave it out to go by the name"}
		}
		old, err = tx.livePolicy(ctx, by.Org, id)
	} else {
		old, err = collectOne[Policy](ctx, tx, "finding policy "+doc.Name, `
			SELECT `+policyColumns+` FROM policies WHERE org_id = $1 AND name = $2 AND removed_at IS NULL`, by.Org, doc.Name)
		if errors.Is(err, ErrNotFound) && doc.Version == 0 {
			row, err := tx.createPolicy(ctx, by, doc)
			return AppliedPolicy{row, PolicyCreated}, err
		}
	}
	if err != nil {
		return AppliedPolicy{}, err
	}
	row, change, err := tx.replacePolicy(ctx, by, old, doc.Version, doc)
	return AppliedPolicy{row, change}, err
}

// changePolicies runs fn in a transaction as the only writer of the
// organisation's policies. If fn changed something, the revision rises.
func (db *DB) changePolicies(ctx context.Context, by access.Principal, fn func(*Tx) (changed bool, err error)) error {
	return db.InTx(ctx, func(tx *Tx) error {
		// Rows that refer to the organisation can still be written meanwhile.
		tag, err := tx.Exec(ctx, `SELECT FROM orgs WHERE id = $1 FOR NO KEY UPDATE`, by.Org)
		if err != nil {
			return translate(err, "locking the policies")
		}
		if tag.RowsAffected() == 0 {
			return fmt.Errorf("locking the policies: %w", ErrNotFound)
		}
		changed, err := fn(tx)
		if err != nil || !changed {
			return err
		}
		_, err = tx.Exec(ctx, `UPDATE orgs SET policy_revision = policy_revision + 1 WHERE id = $1`, by.Org)
		return translate(err, "raising the policy revision")
	})
}

func (tx *Tx) livePolicy(ctx context.Context, org, id uuid.UUID) (Policy, error) {
	return collectOne[Policy](ctx, tx, "finding policy "+id.String(), `
		SELECT `+policyColumns+` FROM policies WHERE org_id = $1 AND id = $2 AND removed_at IS NULL`, org, id)
}

func (tx *Tx) createPolicy(ctx context.Context, by access.Principal, doc policy.Policy) (Policy, error) {
	document, err := policyDocument(doc)
	if err != nil {
		return Policy{}, err
	}
	var n int
	if err := tx.QueryRow(ctx, `SELECT count(*) FROM policies WHERE org_id = $1 AND removed_at IS NULL`, by.Org).Scan(&n); err != nil {
		return Policy{}, translate(err, "counting the policies")
	}
	if n >= MaxPolicies {
		return Policy{}, &InvalidError{"policies", "there are " + itoa(n) + " already, which is the most; remove one first"}
	}
	row, err := collectOne[Policy](ctx, tx, "creating policy "+doc.Name, `
		INSERT INTO policies (id, org_id, name, version, enabled, document) VALUES ($1, $2, $3, 1, $4, $5)
		RETURNING `+policyColumns, newID(), by.Org, doc.Name, doc.Enabled, document)
	if err != nil {
		return Policy{}, err
	}
	return row, tx.recordVersion(ctx, by, row, PolicyCreated)
}

func (tx *Tx) replacePolicy(ctx context.Context, by access.Principal, old Policy, version int, doc policy.Policy) (Policy, PolicyChange, error) {
	if version != 0 && version != old.Version {
		return Policy{}, PolicyUnchanged, moved(old, version)
	}
	document, err := policyDocument(doc)
	if err != nil {
		return Policy{}, PolicyUnchanged, err
	}
	change := changeOf(old, doc)
	if change == PolicyUnchanged {
		return old, PolicyUnchanged, nil
	}
	row, err := tx.writePolicy(ctx, by, old, doc.Name, doc.Enabled, document, change)
	return row, change, err
}

// writePolicy makes the next version of a policy.
func (tx *Tx) writePolicy(ctx context.Context, by access.Principal, old Policy, name string, enabled bool, document []byte,
	change PolicyChange) (Policy, error) {
	row, err := collectOne[Policy](ctx, tx, "changing policy "+old.Name, `
		UPDATE policies SET name = $3, version = version + 1, enabled = $4, document = $5, updated_at = now()
		WHERE org_id = $1 AND id = $2 RETURNING `+policyColumns, by.Org, old.ID, name, enabled, document)
	if err != nil {
		return Policy{}, err
	}
	return row, tx.recordVersion(ctx, by, row, change)
}

func moved(p Policy, want int) error {
	return fmt.Errorf("changing version %d of policy %q, of which version %d is in force: %w", want, p.Name, p.Version, ErrMoved)
}

// policyDocument writes what is stored of a policy.
func policyDocument(doc policy.Policy) ([]byte, error) {
	if strings.TrimSpace(doc.Name) != doc.Name {
		return nil, &InvalidError{"name", "must not have spaces at the ends"}
	}
	if uuid.Validate(doc.Name) == nil {
		return nil, &InvalidError{"name", "must not look like an id"}
	}
	doc.ID, doc.Version = "", 0
	text, err := doc.MarshalJSON()
	if err != nil {
		return nil, err
	}
	// The rule stands in it byte for byte, and PostgreSQL takes no other text.
	if !utf8.Valid(text) {
		return nil, &InvalidError{"rule", "must be valid UTF-8"}
	}
	return text, nil
}

// changeOf says what a document changes of a policy.
func changeOf(old Policy, doc policy.Policy) PolicyChange {
	was, err := old.Parse()
	if err != nil {
		// A document that an older program wrote can be replaced all the same.
		return PolicyChanged
	}
	toggled := was
	toggled.Enabled = doc.Enabled
	switch {
	case !toggled.Same(doc):
		return PolicyChanged
	case was.Enabled == doc.Enabled:
		return PolicyUnchanged
	case doc.Enabled:
		return PolicyEnabled
	}
	return PolicyDisabled
}

// recordVersion keeps the version that is in force now, and who made it.
func (tx *Tx) recordVersion(ctx context.Context, by access.Principal, p Policy, change PolicyChange) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO policy_versions (org_id, policy_id, version, document, change, author)
		VALUES ($1, $2, $3, $4, $5, $6)`, by.Org, p.ID, p.Version, []byte(p.Document), change, actor(by))
	if err != nil {
		return translate(err, "recording version %d of policy %s", p.Version, p.Name)
	}
	return tx.Audit(ctx, by, "policy."+policyActs[change], p.ID.String(), map[string]any{"name": p.Name, "version": p.Version})
}

// actor is who did something, as people read it: the person, else the principal.
func actor(by access.Principal) string { return cmp.Or(by.User, by.Name) }

// policyActs are the changes as the audit log names acts.
var policyActs = map[PolicyChange]string{
	PolicyCreated: "create", PolicyChanged: "update", PolicyEnabled: "enable", PolicyDisabled: "disable", PolicyRemoved: "remove",
}

// Policies lists the policies of an organisation by name, without removed ones.
func (db *DB) Policies(ctx context.Context, org uuid.UUID) ([]Policy, error) {
	return collect[Policy](ctx, db.pool, "listing policies", `
		SELECT `+policyColumns+` FROM policies WHERE org_id = $1 AND removed_at IS NULL ORDER BY name`, org)
}

// Policy finds a policy by id, removed ones included, or by name.
func (db *DB) Policy(ctx context.Context, org uuid.UUID, nameOrID string) (Policy, error) {
	id, _ := uuid.Parse(nameOrID)
	return collectOne[Policy](ctx, db.pool, "finding policy "+nameOrID, `
		SELECT `+policyColumns+` FROM policies WHERE org_id = $1 AND (id = $2 OR name = $3 AND removed_at IS NULL)
		ORDER BY id = $2 DESC LIMIT 1`, org, id, nameOrID)
}

// PolicyVersions lists up to limit versions of a policy before a version (0:
// from the newest), newest first.
func (db *DB) PolicyVersions(ctx context.Context, org, id uuid.UUID, before, limit int) ([]PolicyVersion, error) {
	return collect[PolicyVersion](ctx, db.pool, "listing versions of policy "+id.String(), `
		SELECT `+policyVersionColumns+` FROM policy_versions
		WHERE org_id = $1 AND policy_id = $2 AND ($3 = 0 OR version < $3) ORDER BY version DESC LIMIT $4`, org, id, before, limit)
}

// PolicyVersion reads one version of a policy.
func (db *DB) PolicyVersion(ctx context.Context, org, id uuid.UUID, version int) (PolicyVersion, error) {
	return collectOne[PolicyVersion](ctx, db.pool, fmt.Sprintf("finding version %d of policy %s", version, id), `
		SELECT `+policyVersionColumns+` FROM policy_versions
		WHERE org_id = $1 AND policy_id = $2 AND version = $3`, org, id, version)
}
