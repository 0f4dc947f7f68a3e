package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
)

// maxReviewed bounds the commits that one act of review covers.
const maxReviewed = 1000

// Review is a person's judgement of a change. The newest of each person counts.
type Review struct {
	ID     uuid.UUID
	RepoID uuid.UUID
	Repo   string
	Commit string
	// PatchID names the change wherever it is rebased to; empty where it is not
	// known.
	PatchID string
	// Reviewer is the person's e-mail address, Name what the person is called.
	Reviewer  string
	Name      string
	Approved  bool
	Comment   string
	CreatedAt time.Time
}

// NewReview says what is reviewed: a commit of a repository, or all commits of
// a decision's push, or one of them.
type NewReview struct {
	// Repo is the nil UUID where Decision names the repository.
	Repo uuid.UUID
	// Commit is empty for all commits of the decision.
	Commit string
	// Decision is the nil UUID where Repo and Commit name the commit.
	Decision uuid.UUID
	Approved bool
	Comment  string
}

// ErrNotAPerson: what only a person may do was asked by a machine's key or by
// the command line in nobody's name.
var ErrNotAPerson = errors.New("this needs a person: a key that belongs to a user")

const reviewColumns = `v.id, v.repo_id, r.name AS repo, v.commit, v.patch_id, v.reviewer, v.name, v.approved, v.comment, v.created_at`

// CreateReviews records the review of the person who acts, one row per commit.
// ErrNotAPerson if nobody does. What the person authored or pushed is refused:
// it would count for nothing.
func (db *DB) CreateReviews(ctx context.Context, by access.Principal, in NewReview) ([]Review, error) {
	if by.User == "" {
		return nil, ErrNotAPerson
	}
	if err := in.tidy(); err != nil {
		return nil, err
	}
	var made []Review
	err := db.InTx(ctx, func(tx *Tx) error {
		who, err := activeUser(ctx, tx, by.Org, by.User)
		if errors.Is(err, ErrNotFound) {
			return ErrNotAPerson
		}
		if err != nil {
			return err
		}
		reviewer := push.Person{User: who.Email, Name: who.Name, Email: who.Email}
		repo, changes, err := tx.changesToReview(ctx, by.Org, in, reviewer)
		if err != nil {
			return err
		}
		made, err = tx.createReviews(ctx, by, repo, changes, reviewer, in)
		return err
	})
	return made, err
}

func (in *NewReview) tidy() error {
	in.Commit = strings.ToLower(in.Commit)
	switch {
	case in.Commit != "" && !objectID.MatchString(in.Commit):
		return &InvalidError{"commit", "must be a full commit id of 40 or 64 hex digits"}
	case in.Decision == uuid.Nil && (in.Repo == uuid.Nil || in.Commit == ""):
		return &InvalidError{"commit", "and repo, or a decision, must say what is reviewed"}
	case in.Decision != uuid.Nil && in.Repo != uuid.Nil:
		return &InvalidError{"repo", "must not stand beside a decision, which names it"}
	}
	return checkText("comment", &in.Comment, !in.Approved)
}

// changesToReview finds the commits that a review is of, without those that the
// reviewer may not review.
func (tx *Tx) changesToReview(ctx context.Context, org uuid.UUID, in NewReview, reviewer push.Person) (uuid.UUID, []change, error) {
	if in.Decision == uuid.Nil {
		one, pusher, err := tx.findChange(ctx, org, in.Repo, in.Commit)
		if err != nil {
			return uuid.Nil, nil, err
		}
		kept, err := reviewable([]change{one}, pusher, reviewer)
		return in.Repo, kept, err
	}
	judged, err := tx.judged(ctx, org, in.Decision)
	if err != nil {
		return uuid.Nil, nil, err
	}
	changes, err := judged.pick(in.Commit)
	if err != nil {
		return uuid.Nil, nil, err
	}
	kept, err := reviewable(changes, judged.Pusher, reviewer)
	return judged.RepoID, kept, err
}

// reviewable drops the changes that the reviewer wrote or pushed. None left is
// an error.
func reviewable(changes []change, pusher string, reviewer push.Person) ([]change, error) {
	kept := slices.DeleteFunc(changes, func(c change) bool {
		return reviewer.Same(c.Author) || strings.EqualFold(pusher, reviewer.Email)
	})
	if len(kept) == 0 {
		return nil, &InvalidError{"commit", "is of the reviewer: somebody who is neither author nor pusher must review it"}
	}
	return kept, nil
}

// pick returns the commits of a decision, or the one that is named.
func (j *judged) pick(commit string) ([]change, error) {
	if commit != "" {
		c, ok := j.Commits[commit]
		if !ok {
			return nil, &InvalidError{"commit", "is none of the decision"}
		}
		return []change{c}, nil
	}
	if len(j.Commits) == 0 {
		return nil, &InvalidError{"decision", "has no commits"}
	}
	if len(j.Commits) > maxReviewed {
		return nil, &InvalidError{"decision", fmt.Sprintf("has more than %d commits; name the one that is reviewed", maxReviewed)}
	}
	return slices.SortedFunc(maps.Values(j.Commits), func(a, b change) int { return strings.Compare(a.OID, b.OID) }), nil
}

// recentDecisions is how many decisions of a repository are searched for a
// commit that no accepted push brought.
const recentDecisions = 200

// findChange finds a commit that was pushed, and who pushed it: among accepted
// pushes, else among recent decisions. A commit that nobody pushed yet is
// reviewed by its id alone.
func (tx *Tx) findChange(ctx context.Context, org, repo uuid.UUID, commit string) (change, string, error) {
	rows, err := collect[struct{ PatchID, AuthorEmail, Pusher string }](ctx, tx, "finding a pushed commit", `
		SELECT c.patch_id, c.author_email, coalesce(d.pusher, '') AS pusher
		FROM pushed_commits c LEFT JOIN decisions d ON d.org_id = c.org_id AND d.id = c.decision_id
		WHERE c.org_id = $1 AND c.repo_id = $2 AND c.commit = $3`, org, repo, commit)
	if err != nil {
		return change{}, "", err
	}
	if len(rows) > 0 {
		return change{OID: commit, PatchID: rows[0].PatchID, Author: push.Person{Email: rows[0].AuthorEmail}}, rows[0].Pusher, nil
	}
	return tx.findDecided(ctx, org, repo, commit)
}

// findDecided finds a commit among recent decisions. The text of their inputs is
// searched because members of JSON with U+0000 cannot be taken out.
func (tx *Tx) findDecided(ctx context.Context, org, repo uuid.UUID, commit string) (change, string, error) {
	inputs, err := collect[struct {
		Input  []byte
		Pusher string
	}](ctx, tx, "finding a commit in recent decisions", `
		WITH recent AS (SELECT id, pusher FROM decisions WHERE org_id = $1 AND repo_id = $2 ORDER BY id DESC LIMIT $4)
		SELECT i.input, recent.pusher FROM recent
		JOIN decision_inputs i ON i.org_id = $1 AND i.decision_id = recent.id
		WHERE strpos(i.input::text, $3) > 0 ORDER BY recent.id DESC LIMIT 5`, org, repo, commit, recentDecisions)
	if err != nil {
		return change{}, "", err
	}
	for _, row := range inputs {
		changes, err := readChanges(row.Input)
		if err != nil {
			return change{}, "", translate(err, "reading a recorded input")
		}
		if c, ok := changes[commit]; ok {
			return c, row.Pusher, nil
		}
	}
	return change{OID: commit}, "", nil
}

func (tx *Tx) createReviews(ctx context.Context, by access.Principal, repo uuid.UUID, changes []change, reviewer push.Person,
	in NewReview) ([]Review, error) {
	var ids []uuid.UUID
	var commits, patches []string
	for _, c := range changes {
		ids, commits, patches = append(ids, newID()), append(commits, c.OID), append(patches, c.PatchID)
	}
	made, err := collect[Review](ctx, tx, "recording reviews", `
		WITH v AS (
			INSERT INTO reviews (org_id, id, repo_id, commit, patch_id, reviewer, name, approved, comment, principal)
			SELECT $1, new.id, $2, new.commit, new.patch_id, $6, $7, $8, $9, $10
			FROM unnest($3::uuid[], $4::text[], $5::text[]) new (id, commit, patch_id)
			RETURNING *)
		SELECT `+reviewColumns+` FROM v JOIN repos r ON r.org_id = $1 AND r.id = v.repo_id ORDER BY v.id`,
		by.Org, repo, ids, commits, patches, reviewer.Email, reviewer.Name, in.Approved, in.Comment, by.Name)
	if err != nil {
		return nil, err
	}
	if len(made) == 0 {
		return nil, &InvalidError{"repo", "is no repository of the organisation"}
	}
	url := tx.page("/repositories/" + made[0].RepoID.String() + "/commits/" + made[0].Commit)
	if err := tx.tell(ctx, by.Org, toldOfReview(made, url)); err != nil {
		return nil, err
	}
	act := "review.reject"
	if in.Approved {
		act = "review.approve"
	}
	return made, tx.Audit(ctx, by, act, made[0].Repo, map[string]any{"reviewer": reviewer.Email, "commits": commits, "comment": in.Comment})
}

// ReviewFilter selects reviews; zero values select everything.
type ReviewFilter struct {
	Repos    []uuid.UUID
	Commit   string
	Reviewer string
}

// Reviews lists up to limit reviews, newest first, after the one with the id
// after (the nil UUID: from the newest).
func (db *DB) Reviews(ctx context.Context, org uuid.UUID, f ReviewFilter, after uuid.UUID, limit int) ([]Review, error) {
	c := &conditions{}
	c.add("v.org_id = ?", org)
	if f.Repos != nil {
		c.add("v.repo_id = ANY(?)", f.Repos)
	}
	if f.Commit != "" {
		c.add("v.commit = ?", strings.ToLower(f.Commit))
	}
	if f.Reviewer != "" {
		c.add("v.reviewer = lower(?)", f.Reviewer)
	}
	c.newest("v.id", "v.created_at", time.Time{}, time.Time{}, after)
	return collect[Review](ctx, db.pool, "listing reviews", `SELECT `+reviewColumns+` FROM reviews v
		JOIN repos r ON r.org_id = v.org_id AND r.id = v.repo_id
		WHERE `+c.where()+` ORDER BY v.id DESC LIMIT `+itoa(limit), c.args...)
}

// WantedReview is a commit that a review would let pass.
type WantedReview struct {
	Violation
	// Held says that the commit was pushed and holds its branch; otherwise its
	// push was refused.
	Held bool
}

// queueDays is how far back refused pushes are looked at for reviews.
const queueDays = 30

// WantedReviews lists up to limit commits that wait for a review, newest first,
// each once: of held decisions, whatever later pushes were refused for them, and of
// pushes that were refused in the last 30 days and whose commit was neither
// approved nor pushed since.
func (db *DB) WantedReviews(ctx context.Context, org uuid.UUID, limit int) ([]WantedReview, error) {
	return collect[WantedReview](ctx, db.pool, "listing wanted reviews", `
		WITH wanted AS (
			SELECT DISTINCT ON (v.repo_id, v.commit) v.*, d.state = 'held' AS held
			FROM violations v JOIN decisions d ON d.org_id = v.org_id AND d.id = v.decision_id
			WHERE v.org_id = $1 AND v.id >= $2 AND v.rule = ANY($3) AND v.outcome = 'refuse' AND v.commit <> ''
			  AND v.waiver_id IS NULL AND (d.state = 'held' OR d.state = 'final' AND d.outcome = 'refuse')
			ORDER BY v.repo_id, v.commit, held DESC, v.id DESC)
		SELECT `+violationColumns+`, v.held FROM wanted v
		WHERE NOT EXISTS (SELECT FROM reviews a WHERE a.org_id = $1 AND a.repo_id = v.repo_id AND a.commit = v.commit AND a.approved
		                  AND NOT EXISTS (SELECT FROM reviews n WHERE n.org_id = $1 AND n.repo_id = a.repo_id AND n.commit = a.commit
		                                  AND n.reviewer = a.reviewer AND n.id > a.id))
		  AND (v.held OR NOT EXISTS (SELECT FROM pushed_commits c
		                             WHERE c.org_id = $1 AND c.repo_id = v.repo_id AND c.commit = v.commit))
		ORDER BY v.id DESC LIMIT $4`, org, idFloor(time.Now().AddDate(0, 0, -queueDays)), policy.ReviewKinds(), limit)
}
