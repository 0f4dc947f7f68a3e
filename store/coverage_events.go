package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// EventKind is what happened to a push, a note or a notes ref.
type EventKind string

// The kinds. A note is rewritten when another version of it is current than one
// that was, and deleted when none is.
const (
	EventPush             EventKind = "push"
	EventPushWithoutNotes EventKind = "push_without_notes"
	EventNoteRewritten    EventKind = "note_rewritten"
	EventNoteDeleted      EventKind = "note_deleted"
	EventRefRewritten     EventKind = "ref_rewritten"
	EventRefDeleted       EventKind = "ref_deleted"
)

// EventKinds are all kinds, in the order in which they are shown.
var EventKinds = []EventKind{EventPush, EventPushWithoutNotes, EventNoteRewritten, EventNoteDeleted, EventRefRewritten, EventRefDeleted}

// Event is one thing that happened.
type Event struct {
	At time.Time
	// ID tells events of one kind and moment apart.
	ID     string
	RepoID *uuid.UUID
	Repo   string
	// Ref and Commit are those of a note or ref, By who pushed, or the address that
	// wrote the version which is no longer current.
	Ref, Commit, By string
	DecisionID      *uuid.UUID
}

// EventPosition is a place in the list of events.
type EventPosition struct {
	At time.Time
	ID string
}

// events is the rows of a kind as a table; the figure of a kind is their number.
func (f AnalyticsFilter) events(c *conditions, kind EventKind) string {
	switch kind {
	case EventPush, EventPushWithoutNotes:
		return f.pushEvents(c, kind == EventPushWithoutNotes)
	case EventNoteRewritten:
		return f.noteEvents(c, "EXISTS")
	case EventNoteDeleted:
		return f.noteEvents(c, "NOT EXISTS")
	case EventRefDeleted:
		return f.refEvents(c, "notes_ref_deleted")
	}
	return f.refEvents(c, "notes_ref_rewritten")
}

// pushEvents are pushes that were judged, with commits of people; without those
// of whose commits a note speaks by now.
func (f AnalyticsFilter) pushEvents(c *conditions, without bool) string {
	where := f.eventWhere(c, "p.repo_id", "p.author_email", "p.pushed_at")
	having := "NOT bool_and(coalesce(l.bot, false))"
	if without {
		having += " AND NOT bool_or(p.noted OR CASE WHEN l.revision > coalesce(m.revision, 0) THEN l.noted ELSE n.commit IS NOT NULL END)"
	}
	return `(SELECT d.at, d.id::text AS id, d.repo_id, '' AS ref, '' AS commit, d.pusher AS by, d.id AS decision_id
		FROM (SELECT p.decision_id FROM pushed_commits p
		      LEFT JOIN commit_lines l ON l.org_id = p.org_id AND l.repo_id = p.repo_id AND l.commit = p.commit
		      LEFT JOIN late_noted n ON n.org_id = p.org_id AND n.repo_id = p.repo_id AND n.commit = p.commit
		      LEFT JOIN late_noted_marks m ON m.org_id = p.org_id AND m.repo_id = p.repo_id
		      WHERE p.org_id = $1` + where + ` GROUP BY 1 HAVING ` + having + `) x
		JOIN decisions d ON d.org_id = $1 AND d.id = x.decision_id)`
}

// noteEvents are notes with a version that is no longer current, at the time of
// the last such one; kept says whether there is to be one that is.
func (f AnalyticsFilter) noteEvents(c *conditions, kept string) string {
	where := f.eventWhere(c, "v.repo_id", "lower(v.author_email)", "v.committed_at")
	return `(SELECT max(v.committed_at) AS at, v.repo_id || ' ' || v.ref || ' ' || v.commit AS id, v.repo_id, v.ref, v.commit,
		       (array_agg(v.author_email ORDER BY v.committed_at DESC))[1] AS by, NULL::uuid AS decision_id
		FROM note_versions v
		WHERE v.org_id = $1 AND NOT v.current AND v.blob IS NOT NULL` + where + `
		  AND ` + kept + ` (SELECT FROM note_versions n WHERE n.org_id = $1 AND n.repo_id = v.repo_id AND n.ref = v.ref
		                    AND n.commit = v.commit AND n.current)
		GROUP BY v.repo_id, v.ref, v.commit)`
}

// refEvents are notes refs that left their tip behind. Nobody is known to have
// done it, so that there are none of a person or team.
func (f AnalyticsFilter) refEvents(c *conditions, code string) string {
	where := f.eventWhere(c, "f.repo_id", "", "f.found_at")
	if f.Emails != nil {
		where += " AND false"
	}
	return `(SELECT f.found_at AS at, f.id::text AS id, f.repo_id, f.ref, '' AS commit, '' AS by, NULL::uuid AS decision_id
		FROM findings f WHERE f.org_id = $1 AND f.code = '` + code + `'` + where + `)`
}

// eventWhere restricts rows to repositories, people and the days of the filter
// in the organisation's time zone.
func (f AnalyticsFilter) eventWhere(c *conditions, repo, email, at string) string {
	where := ""
	if len(f.Repos) > 0 {
		where += " AND " + oneOf(repo, f.Repos, c)
	}
	if f.Emails != nil && email != "" {
		where += " AND " + oneOf(email, f.Emails, c)
	}
	const midnight = `::date::timestamp AT TIME ZONE (SELECT o.time_zone FROM orgs o WHERE o.id = $1)`
	if !f.From.IsZero() {
		where += " AND " + at + " >= " + c.arg(f.From) + midnight
	}
	if !f.To.IsZero() {
		where += " AND " + at + " < " + c.arg(f.To.AddDate(0, 0, 1)) + midnight
	}
	return where
}

func (f AnalyticsFilter) countEvents(ctx context.Context, q querier, org uuid.UUID) (CoverageEvents, error) {
	counts, err := f.countPushes(ctx, q, org)
	if err != nil {
		return nil, err
	}
	for _, kind := range EventKinds {
		if _, counted := counts[kind]; counted {
			continue
		}
		c := &conditions{args: []any{org}}
		row, err := collectOne[struct{ N int64 }](ctx, q, "counting events", `SELECT count(*) AS n FROM `+f.events(c, kind)+` e`,
			append([]any{planned}, c.args...)...)
		if err != nil {
			return nil, err
		}
		counts[kind] = row.N
	}
	return counts, nil
}

// countPushes is how many rows pushEvents has of either kind, found in one walk of
// the commits that were pushed: those of bots, those that were noted later, and the
// lines that NoteLate has not seen yet are few, or of the same period.
func (f AnalyticsFilter) countPushes(ctx context.Context, q querier, org uuid.UUID) (CoverageEvents, error) {
	c := &conditions{args: []any{org}}
	where := f.eventWhere(c, "p.repo_id", "p.author_email", "p.pushed_at")
	late := f
	// Whose the commits are, the pushed ones say.
	late.Emails = nil
	row, err := collectOne[struct{ Pushes, Without int64 }](ctx, q, "counting pushes", `
		WITH bots AS MATERIALIZED (SELECT l.repo_id, l.commit FROM commit_lines l WHERE l.org_id = $1 AND l.bot),
		late AS MATERIALIZED (SELECT n.repo_id, n.commit FROM late_noted n WHERE n.org_id = $1`+late.eventWhere(c, "n.repo_id", "", "n.pushed_at")+`),
		fresh AS MATERIALIZED (`+freshLines+`)
		SELECT count(*) AS pushes, count(*) FILTER (WHERE NOT noted) AS without FROM (
			SELECT bool_or(p.noted OR coalesce(f.noted, n.commit IS NOT NULL)) AS noted
			FROM pushed_commits p LEFT JOIN bots b USING (repo_id, commit) LEFT JOIN late n USING (repo_id, commit)
			LEFT JOIN fresh f USING (repo_id, commit)
			WHERE p.org_id = $1`+where+` GROUP BY p.decision_id HAVING bool_or(b.commit IS NULL)) x`, append([]any{planned}, c.args...)...)
	return CoverageEvents{EventPush: row.Pushes, EventPushWithoutNotes: row.Without}, err
}

// freshLines are the commits whose lines NoteLate has not seen yet. The fence has
// each repository's be found behind its mark: the planner would read all lines.
const freshLines = `
	SELECT l.repo_id, l.commit, l.noted FROM repos r LEFT JOIN late_noted_marks m ON m.org_id = r.org_id AND m.repo_id = r.id
	CROSS JOIN LATERAL (SELECT l.repo_id, l.commit, l.noted FROM commit_lines l
	                    WHERE l.org_id = $1 AND l.repo_id = r.id AND l.revision > coalesce(m.revision, 0) OFFSET 0) l
	WHERE r.org_id = $1`

// Events lists up to limit events of a kind, newest first, after the position
// (nil: from the start).
func (db *DB) Events(ctx context.Context, org uuid.UUID, f AnalyticsFilter, kind EventKind, after *EventPosition, limit int) ([]Event, error) {
	c := &conditions{args: []any{org}}
	rows := f.events(c, kind)
	where := ""
	if after != nil {
		where = "WHERE (e.at, e.id) < (" + c.arg(after.At) + ", " + c.arg(after.ID) + ")"
	}
	return collect[Event](ctx, db.pool, "listing events", `
		SELECT e.at, e.id, e.repo_id, coalesce(r.name, '') AS repo, e.ref, e.commit, e.by, e.decision_id
		FROM `+rows+` e LEFT JOIN repos r ON r.org_id = $1 AND r.id = e.repo_id `+where+`
		ORDER BY e.at DESC, e.id DESC LIMIT `+itoa(limit), append([]any{planned}, c.args...)...)
}
