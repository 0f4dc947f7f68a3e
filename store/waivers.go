package store

import (
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// DefaultMaxWaiver is how long a waiver may be valid where Config says nothing.
const DefaultMaxWaiver = 366 * 24 * time.Hour

// maxReason bounds the texts that people give for what they do.
const maxReason = 2000

// Waiver takes the force of a policy away for a while, within its limits: a
// repository, a pusher, a commit or a change wherever it is rebased to.
type Waiver struct {
	ID       uuid.UUID
	PolicyID uuid.UUID
	// Policy is the policy's name now.
	Policy string
	// RepoID and Repo are nil and empty for every repository.
	RepoID *uuid.UUID
	Repo   string
	// Pusher, Commit and PatchID are empty where they do not limit.
	Pusher    string
	Commit    string
	PatchID   string
	Reason    string
	CreatedBy string
	CreatedAt time.Time
	ExpiresAt time.Time
	RevokedAt *time.Time
	RevokedBy string
}

// NewWaiver says what to waive. At least one of Repo, Pusher, Commit and
// PatchID limits it: a policy that is to hold for nobody is disabled instead.
type NewWaiver struct {
	Policy uuid.UUID
	// Repo is the nil UUID for every repository.
	Repo      uuid.UUID
	Pusher    string
	Commit    string
	PatchID   string
	Reason    string
	ExpiresAt time.Time
}

const waiverColumns = `w.id, w.policy_id, p.name AS policy, w.repo_id, coalesce(r.name, '') AS repo, w.pusher, w.commit, w.patch_id,
	w.reason, w.created_by, w.created_at, w.expires_at, w.revoked_at, w.revoked_by`

const waiverTables = `waivers w JOIN policies p ON p.id = w.policy_id LEFT JOIN repos r ON r.id = w.repo_id`

// CreateWaiver waives a policy. Reason and expiry are required.
func (db *DB) CreateWaiver(ctx context.Context, by access.Principal, in NewWaiver) (Waiver, error) {
	if err := in.tidy(time.Now(), db.maxWaiver); err != nil {
		return Waiver{}, err
	}
	var waiver Waiver
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		waiver, err = tx.createWaiver(ctx, by, in)
		return err
	})
	return waiver, err
}

var objectID = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// tidy brings the fields into the form in which they are stored and compared.
func (in *NewWaiver) tidy(now time.Time, most time.Duration) error {
	in.Commit, in.PatchID = strings.ToLower(in.Commit), strings.ToLower(in.PatchID)
	in.Pusher = pusherKey(in.Pusher)
	switch {
	case in.Commit != "" && !objectID.MatchString(in.Commit):
		return &InvalidError{"commit", "must be a full commit id of 40 or 64 hex digits"}
	case in.PatchID != "" && !objectID.MatchString(in.PatchID):
		return &InvalidError{"patch_id", "must be a patch id of 40 or 64 hex digits"}
	case in.Commit != "" && in.PatchID != "":
		return &InvalidError{"patch_id", "must not stand beside a commit: a waiver is of one of them"}
	case in.Repo == uuid.Nil && in.Pusher == "" && in.Commit == "" && in.PatchID == "":
		return &InvalidError{"repo", "or a pusher, a commit or a patch id must limit the waiver; to lift a policy for all, disable it"}
	}
	if err := checkUntil("expires_at", in.ExpiresAt, now, most); err != nil {
		return err
	}
	return checkText("reason", &in.Reason, true)
}

// pusherKey is a pusher as decisions name one: an e-mail address in lower case,
// else an account's name as it is.
func pusherKey(name string) string {
	name = strings.TrimSpace(name)
	if strings.Contains(name, "@") {
		return strings.ToLower(name)
	}
	return name
}

func checkUntil(field string, until, now time.Time, most time.Duration) error {
	if !until.After(now) {
		return &InvalidError{field, "must be a time to come"}
	}
	if until.After(now.Add(most)) {
		return &InvalidError{field, "must be at most " + itoa(int(most/(24*time.Hour))) + " days ahead"}
	}
	return nil
}

// checkText trims a text of a person and bounds it.
func checkText(field string, text *string, required bool) error {
	*text = strings.TrimSpace(*text)
	switch {
	case *text == "" && required:
		return &InvalidError{field, "must say why"}
	case utf8.RuneCountInString(*text) > maxReason:
		return &InvalidError{field, "must have at most " + itoa(maxReason) + " characters"}
	case !utf8.ValidString(*text) || strings.ContainsRune(*text, 0):
		return &InvalidError{field, "must be valid text"}
	}
	return nil
}

var errNoPolicy = &InvalidError{"policy", "is no policy of the organisation"}

func (tx *Tx) createWaiver(ctx context.Context, by access.Principal, in NewWaiver) (Waiver, error) {
	if _, err := tx.livePolicy(ctx, by.Org, in.Policy); err != nil {
		if errors.Is(err, ErrNotFound) {
			err = errNoPolicy
		}
		return Waiver{}, err
	}
	waiver, err := collectOne[Waiver](ctx, tx, "creating a waiver", `
		WITH w AS (
			INSERT INTO waivers (org_id, id, policy_id, repo_id, pusher, commit, patch_id, reason, created_by, expires_at)
			SELECT $1, $2, $3, r.id, $5, $6, $7, $8, $9, $10
			FROM (VALUES (nullif($4::uuid, '00000000-0000-0000-0000-000000000000'))) wanted (id)
			LEFT JOIN repos r ON r.org_id = $1 AND r.id = wanted.id
			WHERE wanted.id IS NULL OR r.id IS NOT NULL
			RETURNING *)
		SELECT `+waiverColumns+` FROM w JOIN policies p ON p.id = w.policy_id LEFT JOIN repos r ON r.id = w.repo_id`,
		by.Org, newID(), in.Policy, in.Repo, in.Pusher, in.Commit, in.PatchID, in.Reason, actor(by), in.ExpiresAt)
	if errors.Is(err, ErrNotFound) {
		return Waiver{}, &InvalidError{"repo", "is no repository of the organisation"}
	}
	if err != nil {
		return Waiver{}, err
	}
	if err := tx.tell(ctx, by.Org, waiver.told(tx.page("/enforcement/waivers"))); err != nil {
		return Waiver{}, err
	}
	return waiver, tx.Audit(ctx, by, "waiver.create", waiver.ID.String(), waiver.detail())
}

// detail is what the audit log keeps of a waiver.
func (w *Waiver) detail() map[string]any {
	detail := map[string]any{"policy": w.Policy, "reason": w.Reason, "expires_at": w.ExpiresAt}
	for name, value := range map[string]string{"repo": w.Repo, "pusher": w.Pusher, "commit": w.Commit, "patch_id": w.PatchID} {
		if value != "" {
			detail[name] = value
		}
	}
	return detail
}

// WaiveDecision makes the waivers that a decision's refusing findings need, as
// narrow as they can be: of the change where a finding is about one, else of the
// pusher in the repository. An InvalidError if nothing in it refuses.
func (db *DB) WaiveDecision(ctx context.Context, by access.Principal, decision uuid.UUID, reason string, expires time.Time) ([]Waiver, error) {
	var made []Waiver
	err := db.InTx(ctx, func(tx *Tx) error {
		judged, err := tx.judged(ctx, by.Org, decision)
		if err != nil {
			return err
		}
		for _, in := range judged.waivers() {
			in.Reason, in.ExpiresAt = reason, expires
			if err := in.tidy(time.Now(), db.maxWaiver); err != nil {
				return err
			}
			waiver, err := tx.createWaiver(ctx, by, in)
			if errors.Is(err, errNoPolicy) {
				// A policy that was removed refuses nothing any more.
				continue
			}
			if err != nil {
				return err
			}
			made = append(made, waiver)
		}
		if len(made) == 0 {
			return &InvalidError{"decision", "has no finding of a policy that still refuses"}
		}
		return nil
	})
	return made, err
}

// judged is what a decision says of a push, and about which changes.
type judged struct {
	RepoID  uuid.UUID
	Pusher  string
	Verdict push.Verdict
	Commits map[string]change
}

// change is a commit of a recorded push.
type change struct {
	OID     string      `json:"oid"`
	PatchID string      `json:"patch_id"`
	Author  push.Person `json:"author"`
}

// judged reads a decision's newest verdict and the commits of its push.
func (tx *Tx) judged(ctx context.Context, org, decision uuid.UUID) (judged, error) {
	row, err := collectOne[struct {
		RepoID  uuid.UUID
		Pusher  string
		Verdict []byte
		Input   []byte
	}](ctx, tx, "reading decision "+decision.String(), `
		SELECT d.repo_id, d.pusher, coalesce(d.late_verdict, d.verdict) AS verdict, i.input
		FROM decisions d LEFT JOIN decision_inputs i ON i.org_id = d.org_id AND i.decision_id = d.id
		WHERE d.org_id = $1 AND d.id = $2`, org, decision)
	if err != nil {
		return judged{}, err
	}
	out := judged{RepoID: row.RepoID, Pusher: row.Pusher}
	if err := json.Unmarshal(row.Verdict, &out.Verdict); err != nil {
		return judged{}, translate(err, "reading the verdict of decision %s", decision)
	}
	out.Commits, err = readChanges(row.Input)
	return out, translate(err, "reading the input of decision %s", decision)
}

// readChanges reads the commits of a recorded input by their ids; none where
// the input is not kept any more.
func readChanges(input []byte) (map[string]change, error) {
	if len(input) == 0 {
		return nil, nil
	}
	var in struct {
		Commits []change `json:"commits"`
	}
	if err := json.Unmarshal(input, &in); err != nil {
		return nil, err
	}
	commits := make(map[string]change, len(in.Commits))
	for _, c := range in.Commits {
		commits[c.OID] = c
	}
	return commits, nil
}

// waivers are those that take the force of every refusing finding away. Findings
// beyond the listed ones may be about any commit, so that their policy is waived
// for the pusher.
func (j *judged) waivers() []NewWaiver {
	hidden := map[string]bool{}
	for _, p := range j.Verdict.Policies {
		hidden[p.PolicyID] = p.More > 0
	}
	var out []NewWaiver
	seen := map[NewWaiver]bool{}
	for _, f := range j.Verdict.Findings {
		id, err := uuid.Parse(f.PolicyID)
		if f.Outcome != push.Refuse || err != nil {
			continue
		}
		in := NewWaiver{Policy: id, Repo: j.RepoID}
		switch patch := j.Commits[f.Commit].PatchID; {
		case f.Commit == "" || hidden[f.PolicyID]:
			in.Pusher = j.Pusher
		case patch != "":
			in.PatchID = patch
		default:
			in.Commit = f.Commit
		}
		if !seen[in] {
			seen[in] = true
			out = append(out, in)
		}
	}
	return out
}

// WaiverFilter selects waivers; zero values select everything.
type WaiverFilter struct {
	Policy uuid.UUID
	Repos  []uuid.UUID
	Pusher string
	// Active, unless nil, says whether the waiver is in force now.
	Active *bool
}

// Waivers lists up to limit waivers, newest first, after the one with the id
// after (the nil UUID: from the newest).
func (db *DB) Waivers(ctx context.Context, org uuid.UUID, f WaiverFilter, after uuid.UUID, limit int) ([]Waiver, error) {
	c := &conditions{}
	c.add("w.org_id = ?", org)
	if f.Policy != uuid.Nil {
		c.add("w.policy_id = ?", f.Policy)
	}
	if f.Repos != nil {
		c.add("w.repo_id = ANY(?)", f.Repos)
	}
	if f.Pusher != "" {
		c.add("w.pusher = ?", pusherKey(f.Pusher))
	}
	if f.Active != nil {
		c.add("(w.revoked_at IS NULL AND w.expires_at > now()) = ?", *f.Active)
	}
	c.newest("w.id", "w.created_at", time.Time{}, time.Time{}, after)
	return collect[Waiver](ctx, db.pool, "listing waivers", `SELECT `+waiverColumns+` FROM `+waiverTables+`
		WHERE `+c.where()+` ORDER BY w.id DESC LIMIT `+itoa(limit), c.args...)
}

// RevokeWaiver ends a waiver at once. Revoking it again changes nothing.
func (db *DB) RevokeWaiver(ctx context.Context, by access.Principal, id uuid.UUID) (Waiver, error) {
	var waiver Waiver
	err := db.InTx(ctx, func(tx *Tx) error {
		tag, err := tx.Exec(ctx, `
			UPDATE waivers SET revoked_at = now(), revoked_by = $3 WHERE org_id = $1 AND id = $2 AND revoked_at IS NULL`,
			by.Org, id, actor(by))
		if err != nil {
			return translate(err, "revoking waiver %s", id)
		}
		waiver, err = collectOne[Waiver](ctx, tx, "finding waiver "+id.String(), `SELECT `+waiverColumns+` FROM `+waiverTables+`
			WHERE w.org_id = $1 AND w.id = $2`, by.Org, id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		return tx.Audit(ctx, by, "waiver.revoke", id.String(), waiver.detail())
	})
	return waiver, err
}
