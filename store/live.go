package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
)

// LiveFile is one path of a live map, as notes/lines/live makes it.
type LiveFile struct {
	// Path is raw bytes.
	Path string
	Blob string
	// Kind is a live.Kind; LiveRemoved says that the path is gone.
	Kind string
	// Excluded is why the lines do not count, or empty.
	Excluded string
	Lines    int32
	Runs     []LiveRun
	// Finding is nil unless the lines of the file could not be followed.
	Finding *notes.Finding
}

// LiveRun is a run of lines of a file and where they come from.
type LiveRun struct {
	First, Last int32
	Commit      string
	// OriginPath and OriginLine are where Commit has the first of them.
	OriginPath string
	OriginLine int32
}

// The kinds of files that the store itself knows.
const (
	LiveText    = "text"
	LiveRemoved = "removed"
)

// LiveMap is how far the live map of a repository is.
type LiveMap struct {
	Ref string
	// Tip is the commit that the map is of, empty before the first one is whole;
	// TipAt is its committer time.
	Tip   string
	TipAt *time.Time
	// BuildingTip is the commit whose map is being made from nothing, or empty:
	// files of Generation are done, of Total in all.
	BuildingTip       string
	Generation, Total int
	LiveBasis
	// RulesTip is the tip at which ExcludeRevision was last found to hold.
	RulesTip string
	// BeganAt is TipAt of the first map: removed lines are known from then on.
	BeganAt   *time.Time
	UpdatedAt time.Time
}

// LiveBasis is what a map depends on beside its tip.
type LiveBasis struct {
	GitVersion string
	// ExcludeRevision stands for the rules by which lines do not count.
	ExcludeRevision string
	// Boundary stands for the borders of a shallow history.
	Boundary string
}

const liveMapColumns = `ref, tip, tip_at, building_tip, generation, total, git_version, exclude_revision, boundary, rules_tip, began_at, updated_at`

// LiveMap returns the state of a repository's map; ErrNotFound if there is none.
func (db *DB) LiveMap(ctx context.Context, org, repo uuid.UUID) (LiveMap, error) {
	return collectOne[LiveMap](ctx, db.pool, "reading the state of a live map",
		`SELECT `+liveMapColumns+` FROM live_tips WHERE org_id = $1 AND repo_id = $2`, org, repo)
}

// LiveProgress returns how many files of a map that is being made are done, of
// how many. Both are 0 when none is being made.
func (db *DB) LiveProgress(ctx context.Context, org, repo uuid.UUID) (done, total int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT coalesce(sum((f.generation = t.generation)::int), 0), max(t.total)
		FROM live_tips t LEFT JOIN live_files f USING (org_id, repo_id)
		WHERE t.org_id = $1 AND t.repo_id = $2 AND t.building_tip <> '' HAVING count(*) > 0`, org, repo).Scan(&done, &total)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	return done, total, translate(err, "reading the progress of a live map")
}

// LiveRepo is a repository that has or shall have a live map.
type LiveRepo struct {
	OrgID, RepoID uuid.UUID
	Name          string
	// Ref and Tip are the default branch and where it is; both are empty when the
	// repository shall have no map: it was removed, or has no such branch.
	Ref, Tip string
	// ExcludedPaths is the repository's setting.
	ExcludedPaths []string
	// Changed says that lines of the map were classed anew.
	Changed bool
	// MapTip is the tip of the map, empty unless it is whole and not made anew, and
	// of this ref; RulesTip and LiveBasis are those of LiveMap.
	MapTip, RulesTip string
	LiveBasis
}

// LiveRepos lists, over all organisations, the repositories that have or shall
// have a live map; of one organisation and repository if they are not the zero
// UUID.
func (db *DB) LiveRepos(ctx context.Context, org, repo uuid.UUID) ([]LiveRepo, error) {
	return collect[LiveRepo](ctx, db.pool, "listing live maps", `
		SELECT r.org_id, r.id AS repo_id, r.name, coalesce(b.ref, '') AS ref, coalesce(b.tip, '') AS tip, r.excluded_paths,
		       coalesce(t.class_revision < (SELECT max(c.revision) FROM commit_lines c
		                                    WHERE c.org_id = r.org_id AND c.repo_id = r.id), false) AS changed,
		       CASE WHEN t.building_tip = '' AND t.ref = b.ref THEN t.tip ELSE '' END AS map_tip, coalesce(t.rules_tip, '') AS rules_tip,
		       coalesce(t.git_version, '') AS git_version, coalesce(t.exclude_revision, '') AS exclude_revision,
		       coalesce(t.boundary, '') AS boundary
		FROM repos r
		LEFT JOIN branch_refs b ON b.org_id = r.org_id AND b.repo_id = r.id AND b.ref = r.default_branch
			AND r.removed_at IS NULL AND r.fetch_heads
		LEFT JOIN live_tips t ON t.org_id = r.org_id AND t.repo_id = r.id
		WHERE (b.tip IS NOT NULL OR t.ref IS NOT NULL)
		  AND ($1 = '00000000-0000-0000-0000-000000000000'::uuid OR r.org_id = $1 AND r.id = $2)
		ORDER BY r.org_id, r.id`, org, repo)
}

// LiveFiles returns the files of a map by their paths; what it does not have is
// left out.
func (db *DB) LiveFiles(ctx context.Context, org, repo uuid.UUID, paths []string) (map[string]*LiveFile, error) {
	raw := make([][]byte, len(paths))
	for i, path := range paths {
		raw[i] = []byte(path)
	}
	rows, err := db.pool.Query(ctx, `
		SELECT path, blob, kind, reason, lines FROM live_files WHERE org_id = $1 AND repo_id = $2 AND path = ANY($3)`, org, repo, raw)
	if err != nil {
		return nil, translate(err, "reading files of a live map")
	}
	files := map[string]*LiveFile{}
	var f LiveFile
	var path, origin []byte
	_, err = pgx.ForEachRow(rows, []any{&path, &f.Blob, &f.Kind, &f.Excluded, &f.Lines}, func() error {
		file := f
		file.Path = string(path)
		files[file.Path] = &file
		return nil
	})
	if err != nil {
		return nil, translate(err, "reading files of a live map")
	}
	rows, err = db.pool.Query(ctx, `
		SELECT path, first, last, commit_id, origin_path, origin_line FROM live_runs
		WHERE org_id = $1 AND repo_id = $2 AND path = ANY($3) ORDER BY path, first`, org, repo, raw)
	if err != nil {
		return nil, translate(err, "reading runs of a live map")
	}
	var r LiveRun
	_, err = pgx.ForEachRow(rows, []any{&path, &r.First, &r.Last, &r.Commit, &origin, &r.OriginLine}, func() error {
		if file := files[string(path)]; file != nil {
			run := r
			run.OriginPath = string(origin)
			file.Runs = append(file.Runs, run)
		}
		return nil
	})
	return files, translate(err, "reading runs of a live map")
}

// BeginLive notes that the map of a tip with so many paths is being made from
// nothing. To go on with one that was begun, nothing is noted: its tip, ref and
// basis are those of LiveMap.
func (db *DB) BeginLive(ctx context.Context, org, repo uuid.UUID, ref, tip string, total int, basis LiveBasis) (LiveMap, error) {
	return collectOne[LiveMap](ctx, db.pool, "beginning a live map", `
		INSERT INTO live_tips AS t (org_id, repo_id, ref, building_tip, generation, total, git_version, exclude_revision, boundary,
			rules_tip, class_revision)
		VALUES ($1, $2, $3, $4, 1, $5, $6, $7, $8, $4,
			(SELECT coalesce(max(revision), 0) FROM commit_lines WHERE org_id = $1 AND repo_id = $2))
		ON CONFLICT (org_id, repo_id) DO UPDATE
		SET ref = excluded.ref, building_tip = excluded.building_tip, generation = t.generation + 1, total = excluded.total,
		    git_version = excluded.git_version, exclude_revision = excluded.exclude_revision, boundary = excluded.boundary,
		    rules_tip = excluded.rules_tip,
		    updated_at = now()
		RETURNING `+liveMapColumns, org, repo, ref, tip, total, basis.GitVersion, basis.ExcludeRevision, basis.Boundary)
}

// LivePaths returns the paths of a map that were done for a generation.
func (db *DB) LivePaths(ctx context.Context, org, repo uuid.UUID, generation int) (map[string]bool, error) {
	rows, err := db.pool.Query(ctx, `
		SELECT path FROM live_files WHERE org_id = $1 AND repo_id = $2 AND generation = $3`, org, repo, generation)
	if err != nil {
		return nil, translate(err, "listing the paths of a live map")
	}
	paths := map[string]bool{}
	var path []byte
	_, err = pgx.ForEachRow(rows, []any{&path}, func() error {
		paths[string(path)] = true
		return nil
	})
	return paths, translate(err, "listing the paths of a live map")
}

// ForgetLive removes the live map of a repository and all that it adds up to,
// with what is known of removed lines.
func (db *DB) ForgetLive(ctx context.Context, org, repo uuid.UUID) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.lockOrg(ctx, org); err != nil {
			return err
		}
		if _, err := tx.lockLive(ctx, org, repo); err != nil {
			return err
		}
		for _, table := range []string{"live_runs", "removed_runs", "live_files", "live_commits", "live_tips"} {
			if _, err := tx.Exec(ctx, `DELETE FROM `+table+` WHERE org_id = $1 AND repo_id = $2`, org, repo); err != nil {
				return translate(err, "forgetting a live map: %s", table)
			}
		}
		_, err := tx.Exec(ctx, `DELETE FROM findings WHERE org_id = $1 AND repo_id = $2 AND code = ANY($3)`, org, repo, liveCodes)
		return translate(err, "forgetting the findings of a live map")
	})
}

// lockLive locks the state of a map against other writers.
func (tx *Tx) lockLive(ctx context.Context, org, repo uuid.UUID) (LiveMap, error) {
	return collectOne[LiveMap](ctx, tx, "locking a live map",
		`SELECT `+liveMapColumns+` FROM live_tips WHERE org_id = $1 AND repo_id = $2 FOR UPDATE`, org, repo)
}

// errLiveMoved: another writer was first.
func errLiveMoved(what string) error { return fmt.Errorf("%s: %w", what, ErrMoved) }
