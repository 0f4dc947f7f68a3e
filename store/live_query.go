package store

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
)

// LiveCounts are numbers of live lines by class.
type LiveCounts struct{ AI, Human, Unknown int64 }

// LiveGroup is a part of the live lines.
type LiveGroup struct {
	// Key is what its lines have in common.
	Key string
	LiveCounts
}

// LiveDimension is what live lines are grouped by.
type LiveDimension string

// The dimensions. Models and tools have AI lines alone; a group of teams counts
// the lines of its members' commits, in each of their teams.
const (
	LiveByRepo  LiveDimension = "repo"
	LiveByModel LiveDimension = "model"
	LiveByTool  LiveDimension = "tool"
	LiveByUser  LiveDimension = "user"
	LiveByTeam  LiveDimension = "team"
	// LiveByAge groups by the month of the commits that lines come from.
	LiveByAge LiveDimension = "age"
)

// LiveStatus says how much of an organisation the live lines are of.
type LiveStatus struct {
	// Maps are repositories whose map is whole, Building those whose first one is
	// being made.
	Maps, Building int64
	// Since is when the last of the maps began: from then on it is known of all
	// which lines are removed. OldestTip is the least recent time of a tip.
	Since, OldestTip *time.Time
}

// LiveStatus returns the state of the maps of the repositories, nil for all.
func (db *DB) LiveStatus(ctx context.Context, org uuid.UUID, repos []uuid.UUID) (LiveStatus, error) {
	c := &conditions{}
	c.add("org_id = ?", org)
	if len(repos) > 0 {
		c.add("repo_id = ANY(?)", repos)
	}
	return collectOne[LiveStatus](ctx, db.pool, "reading the state of live maps", `
		SELECT count(*) FILTER (WHERE tip <> '') AS maps, count(*) FILTER (WHERE tip = '') AS building, max(began_at) AS since,
		       min(tip_at) AS oldest_tip
		FROM live_tips WHERE `+c.where(), c.args...)
}

const liveCounts = `coalesce(sum(s.ai), 0)::bigint AS ai, coalesce(sum(s.human), 0)::bigint AS human, coalesce(sum(s.unknown), 0)::bigint AS unknown`

// liveSums selects sums of a dimension over repositories, nil for all.
func liveSums(org uuid.UUID, dimension string, repos []uuid.UUID) *conditions {
	c := &conditions{}
	c.add("s.org_id = ? AND s.dimension = ?", org, dimension)
	if len(repos) == 0 {
		repos = []uuid.UUID{uuid.Nil}
	}
	c.add(oneOf("s.repo_id", repos, c))
	return c
}

// LiveTotal counts the live lines of repositories, nil for all.
func (db *DB) LiveTotal(ctx context.Context, org uuid.UUID, repos []uuid.UUID) (LiveCounts, error) {
	c := liveSums(org, "all", repos)
	return collectOne[LiveCounts](ctx, db.pool, "counting live lines", `SELECT `+liveCounts+` FROM live_sums s WHERE `+c.where(), c.args...)
}

// LiveBy groups the live lines of repositories, nil for all: by age in the order
// of months, else up to limit groups, those with most AI lines first. What it
// costs grows with the groups alone.
func (db *DB) LiveBy(ctx context.Context, org uuid.UUID, by LiveDimension, repos []uuid.UUID, limit int) ([]LiveGroup, error) {
	const (
		some = ` GROUP BY 1 HAVING sum(s.ai) <> 0 OR sum(s.human) <> 0 OR sum(s.unknown) <> 0`
		most = some + ` ORDER BY sum(s.ai) DESC, sum(s.human) + sum(s.unknown) DESC, 1`
	)
	var c *conditions
	var sql string
	switch by {
	case LiveByRepo:
		c = &conditions{}
		c.add("s.org_id = ? AND s.dimension = 'all' AND s.repo_id <> ?", org, uuid.Nil)
		if len(repos) > 0 {
			c.add(oneOf("s.repo_id", repos, c))
		}
		sql = `SELECT p.name AS key, ` + liveCounts + ` FROM live_sums s JOIN repos p ON p.org_id = s.org_id AND p.id = s.repo_id WHERE ` + c.where() + most
	case LiveByTeam:
		c = liveSums(org, "user", repos)
		sql = `SELECT t.name AS key, ` + liveCounts + ` FROM teams t JOIN team_members m ON m.org_id = t.org_id AND m.team_id = t.id
			JOIN live_sums s ON s.org_id = m.org_id AND s.key = m.email WHERE ` + c.where() + most
	case LiveByAge:
		c = liveSums(org, "month", repos)
		sql = `SELECT s.key, ` + liveCounts + ` FROM live_sums s WHERE ` + c.where() + some + ` ORDER BY 1 DESC`
	default:
		c = liveSums(org, map[LiveDimension]string{LiveByTool: "provider"}[by], repos)
		if by != LiveByTool {
			c = liveSums(org, string(by), repos)
		}
		sql = `SELECT s.key, ` + liveCounts + ` FROM live_sums s WHERE ` + c.where() + most
	}
	return collect[LiveGroup](ctx, db.pool, "grouping live lines", sql+` LIMIT `+itoa(limit), c.args...)
}

// LivePath is a folder or file of a live map.
type LivePath struct {
	// Path is raw bytes; that of a folder ends in a slash, that of the root is
	// empty.
	Path []byte
	// Kind is "folder" or the kind of a file.
	Kind string
	// Excluded is why the lines of a file do not count, or empty.
	Excluded string
	// Files is how many files of text are below a folder.
	Files int64
	LiveCounts
}

// LiveFolder lists what lies in a folder, folders before files, in the order of
// paths, after the position (nil: from the start). ErrNotFound if the map has no
// such folder.
func (db *DB) LiveFolder(ctx context.Context, org, repo uuid.UUID, folder string, after *LivePathPosition, limit int) (itself LivePath, in []LivePath, err error) {
	itself, err = collectOne[LivePath](ctx, db.pool, "finding a folder", `
		SELECT path, 'folder' AS kind, '' AS excluded, files, ai, human, unknown FROM live_directories
		WHERE org_id = $1 AND repo_id = $2 AND path = $3`, org, repo, []byte(folder))
	if err != nil {
		return itself, nil, err
	}
	from := LivePathPosition{}
	if after != nil {
		from = *after
	}
	if !from.File {
		in, err = collect[LivePath](ctx, db.pool, "listing folders", `
			SELECT path, 'folder' AS kind, '' AS excluded, files, ai, human, unknown FROM live_directories
			WHERE org_id = $1 AND repo_id = $2 AND md5(parent) = md5($3::bytea) AND parent = $3 AND path > $4 ORDER BY path LIMIT `+itoa(limit), org, repo, []byte(folder), append([]byte{}, from.Path...))
		if err != nil || len(in) == limit {
			return itself, in, err
		}
		from.Path = nil
	}
	files, err := collect[LivePath](ctx, db.pool, "listing files", `
		SELECT path, kind, reason AS excluded, 0::bigint AS files, ai::bigint, human::bigint, unknown::bigint FROM live_files
		WHERE org_id = $1 AND repo_id = $2 AND md5(directory) = md5($3::bytea) AND directory = $3 AND path > $4 ORDER BY path LIMIT `+itoa(limit-len(in)),
		org, repo, []byte(folder), append([]byte{}, from.Path...))
	return itself, append(in, files...), err
}

// LivePathPosition is a place in the list of a folder.
type LivePathPosition struct {
	// File says that the folders are done.
	File bool
	Path []byte
}

// LineOwner is whose lines are and where they come from.
type LineOwner struct {
	First, Last int32
	CommitID    string
	OriginPath  []byte
	OriginLine  int32
	Class       string
	Source      string
	Confidence  string
	ReceiptID   string
	Author      string
	// Model and Provider are those of the receipt.
	Model    string
	Provider string
	// AuthorEmail and CommittedAt are those of the commit.
	AuthorEmail string
	CommittedAt time.Time
}

// LiveFileLines is a file of a live map with the owners of its lines.
type LiveFileLines struct {
	LiveFileHead
	Runs []LineOwner
}

// LiveFileHead is a file as the tip has it.
type LiveFileHead struct {
	Tip, Blob string
	LivePath
}

// LiveFileLines returns a file of a live map and up to limit runs of its lines,
// from the first one that ends behind a line.
func (db *DB) LiveFileLines(ctx context.Context, org, repo uuid.UUID, path string, after int32, limit int) (out LiveFileLines, err error) {
	err = db.snapshot(ctx, func(q querier) error {
		out.LiveFileHead, err = collectOne[LiveFileHead](ctx, q, "finding a file", `
			SELECT t.tip, f.blob, f.path, f.kind, f.reason AS excluded, 0::bigint AS files, f.ai::bigint, f.human::bigint, f.unknown::bigint
			FROM live_files f JOIN live_tips t USING (org_id, repo_id) WHERE f.org_id = $1 AND f.repo_id = $2 AND f.path = $3`, org, repo, []byte(path))
		if err != nil {
			return err
		}
		out.Runs, err = collect[LineOwner](ctx, q, "listing the lines of a file", `
			SELECT l.first, l.last, l.commit_id, l.origin_path, l.origin_line, l.class, l.source, l.confidence, l.receipt_id, l.author,
			       coalesce(r.model, '') AS model, coalesce(r.provider, '') AS provider, c.author_email, c.committed_at
			FROM live_runs l
			JOIN live_commits c USING (org_id, repo_id, commit_id)
			LEFT JOIN live_receipts r ON r.org_id = l.org_id AND r.receipt_id = l.receipt_id AND r.repo_id = l.repo_id
			WHERE l.org_id = $1 AND l.repo_id = $2 AND l.path = $3 AND l.first > $4 ORDER BY l.first LIMIT `+itoa(limit), org, repo, []byte(path), after)
		return err
	})
	return out, err
}

// Recall says which live AI lines are asked for; fields are joined by AND, and
// at least one of the first four is given.
type Recall struct {
	Model, Provider, Session, Receipt string
	// Repos is nil for all.
	Repos []uuid.UUID
}

// RecalledLines are live lines that came from what was asked for.
type RecalledLines struct {
	ReceiptID   string
	RepoID      uuid.UUID
	Repo        string
	Path        []byte
	First, Last int32
	CommitID    string
	OriginPath  []byte
	OriginLine  int32
	Source      string
	Confidence  string
	Model       string
	Provider    string
	SessionID   string
}

// RecallPosition is a place in the list of recalled lines.
type RecallPosition struct {
	Receipt string
	Repo    uuid.UUID
	Path    []byte
	First   int32
}

// Position is the place of the lines in the list.
func (r *RecalledLines) Position() RecallPosition {
	return RecallPosition{r.ReceiptID, r.RepoID, r.Path, r.First}
}

const recalledColumns = `l.receipt_id, l.repo_id, p.name AS repo, l.path, l.first, l.last, l.commit_id, l.origin_path, l.origin_line, l.source, l.confidence`

// Recall lists up to limit runs of live lines over the whole organisation, in the
// order of receipts, repositories, paths and lines, after the position (nil: from
// the start). Lines that a trailer alone gives to a tool have no receipt and come
// first. What a page costs grows with its length alone.
func (db *DB) Recall(ctx context.Context, org uuid.UUID, ask Recall, after *RecallPosition, limit int) ([]RecalledLines, error) {
	return ask.page(ctx, db.pool, org, after, limit)
}

func (ask Recall) page(ctx context.Context, q querier, org uuid.UUID, after *RecallPosition, limit int) (out []RecalledLines, err error) {
	if ask.Provider != "" && ask.Model+ask.Session+ask.Receipt == "" && (after == nil || after.Receipt == "") {
		out, err = ask.trailers(ctx, q, org, after, limit)
		if err != nil || len(out) == limit {
			return out, err
		}
		after = nil
	}
	c := &conditions{}
	c.add("r.org_id = ? AND r.lines > 0", org)
	for _, is := range []struct{ column, value string }{
		{"r.receipt_id", ask.Receipt}, {"r.session_id", ask.Session}, {"r.model", ask.Model}, {"r.provider", ask.Provider},
	} {
		if is.value != "" {
			c.add(is.column+" = ?", is.value)
		}
	}
	if len(ask.Repos) > 0 {
		c.add(oneOf("r.repo_id", ask.Repos, c))
	}
	if after != nil {
		c.add("(r.receipt_id, r.repo_id) >= (?, ?) AND (l.receipt_id, l.repo_id, l.path, l.first) > (?, ?, ?, ?)",
			after.Receipt, after.Repo, after.Receipt, after.Repo, after.Path, after.First)
	}
	rest, err := collect[RecalledLines](ctx, q, "recalling live lines", `
		SELECT `+recalledColumns+`, l.model, l.provider, l.session_id
		FROM (SELECT l.*, r.model, r.provider, r.session_id
		      FROM live_receipts r
		      JOIN live_runs l ON l.org_id = r.org_id AND l.receipt_id = r.receipt_id AND l.repo_id = r.repo_id AND l.receipt_id <> ''
		      WHERE `+c.where()+` ORDER BY r.receipt_id, r.repo_id, l.path, l.first LIMIT `+itoa(limit-len(out))+`) l
		JOIN repos p ON p.id = l.repo_id ORDER BY l.receipt_id, l.repo_id, l.path, l.first`, c.args...)
	return append(out, rest...), err
}

// trailers lists the lines that a trailer alone gives to the tool; of some
// repositories one after the other, each in the order of the index.
func (ask Recall) trailers(ctx context.Context, q querier, org uuid.UUID, after *RecallPosition, limit int) (out []RecalledLines, err error) {
	if len(ask.Repos) == 0 {
		return ask.trailersOf(ctx, q, org, nil, after, limit)
	}
	repos := slices.Clone(ask.Repos)
	slices.SortFunc(repos, func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
	for _, repo := range slices.Compact(repos) {
		rows, err := ask.trailersOf(ctx, q, org, &repo, after, limit-len(out))
		if out = append(out, rows...); err != nil || len(out) == limit {
			return out, err
		}
	}
	return out, nil
}

func (ask Recall) trailersOf(ctx context.Context, q querier, org uuid.UUID, repo *uuid.UUID, after *RecallPosition, limit int) ([]RecalledLines, error) {
	c := &conditions{}
	c.add("l.org_id = ? AND l.source = 'trailer' AND l.author = ?", org, ask.Provider)
	if repo != nil {
		c.add("l.repo_id = ?", *repo)
	}
	if after != nil {
		c.add("(l.repo_id, l.path, l.first) > (?, ?, ?)", after.Repo, after.Path, after.First)
	}
	return collect[RecalledLines](ctx, q, "recalling live lines", `
		SELECT `+recalledColumns+`, '' AS model, l.author AS provider, '' AS session_id
		FROM (SELECT * FROM live_runs l WHERE `+c.where()+` ORDER BY l.repo_id, l.path, l.first LIMIT `+itoa(limit)+`) l
		JOIN repos p ON p.id = l.repo_id ORDER BY l.repo_id, l.path, l.first`, c.args...)
}

// Cohort is what became of the lines of one class that the commits of a week
// added.
type Cohort struct {
	// Key is empty unless the cohorts are those of models, tools or users.
	Key   string
	Class string
	// Week is its Monday, as midnight UTC.
	Week time.Time
	// Watched says that the map was there before the lines came.
	Watched bool
	Live    int64
	// Removed14 to Removed90 are those removed within so many days of their commit.
	Removed14, Removed30, Removed90, Removed int64
}

// cohortSums are the columns of Cohort but its key, of live_cohorts s.
const cohortSums = `s.class, s.week, s.watched, sum(s.live)::bigint AS live, sum(s.removed14)::bigint AS removed14,
	sum(s.removed30)::bigint AS removed30, sum(s.removed90)::bigint AS removed90, sum(s.removed)::bigint AS removed`

// Cohorts lists what became of the lines of repositories, nil for all, by week and
// class, and by model, tool or user unless by is empty.
func (db *DB) Cohorts(ctx context.Context, org uuid.UUID, by LiveDimension, repos []uuid.UUID) ([]Cohort, error) {
	dimension := map[LiveDimension]string{"": "all", LiveByTool: "provider", LiveByModel: "model", LiveByUser: "user"}[by]
	c := liveSums(org, dimension, repos)
	return collect[Cohort](ctx, db.pool, "listing cohorts of lines", `
		SELECT s.key, `+cohortSums+` FROM live_cohorts s WHERE `+c.where()+`
		GROUP BY 1, 2, 3, 4 HAVING sum(s.live) <> 0 OR sum(s.removed) <> 0 ORDER BY 3, 1, 2, 4`, c.args...)
}

// AddedWeek is how many lines the commits of a week added, by class, that the
// default branch reaches.
type AddedWeek struct {
	// Key is as in Cohort; models and tools have AI lines alone.
	Key  string
	Week time.Time
	LiveCounts
}

// AddedWeeks lists the added lines of repositories, nil for all, as Cohorts lists
// what became of them.
func (db *DB) AddedWeeks(ctx context.Context, org uuid.UUID, by LiveDimension, repos []uuid.UUID) ([]AddedWeek, error) {
	dimension := map[LiveDimension]string{"": "all", LiveByTool: "provider", LiveByModel: "model", LiveByUser: "user"}[by]
	c := liveSums(org, dimension, repos)
	return collect[AddedWeek](ctx, db.pool, "listing added lines by week", `
		SELECT s.key, date_trunc('week', s.day::timestamp)::date AS week, `+liveCounts+`
		FROM line_rollups s WHERE `+c.where()+` GROUP BY 1, 2 HAVING sum(s.added) <> 0 OR sum(s.ai) <> 0 ORDER BY 2, 1`, c.args...)
}
