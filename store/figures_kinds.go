package store

import (
	"bytes"
	"cmp"
	"context"
	"slices"

	"github.com/google/uuid"
)

// facetSums sums up columns of prompt_rollups s, as PromptFacets has them.
const facetSums = `coalesce(sum(s.scored), 0)::bigint AS scored, coalesce(sum(s.score), 0)::bigint AS score,
	coalesce(sum(s.excellent), 0)::bigint AS excellent, coalesce(sum(s.good), 0)::bigint AS good, coalesce(sum(s.fair), 0)::bigint AS fair,
	coalesce(sum(s.timed), 0)::bigint AS timed, coalesce(sum(s.seconds), 0)::bigint AS seconds`

const anyFacets = ` HAVING sum(s.scored) <> 0 OR sum(s.timed) <> 0`

// PromptKind are the prompts of a category, or of an hour of the day from "00" to
// "23".
type PromptKind struct {
	Key     string
	Prompts int64
	CostUSD Decimal
	PromptFacets
}

// kinds are the prompts by category, the most first, or by hour in its order. They
// are not known of some people alone.
func (ask FiguresQuestion) kinds(ctx context.Context, q querier, org uuid.UUID) ([]PromptKind, error) {
	c, order := ask.from(org, string(ask.By), "", false), "1"
	if ask.By == FiguresByCategory {
		order = "2 DESC, 1"
	}
	return collect[PromptKind](ctx, q, "summing up prompts by "+string(ask.By), `
		SELECT s.key, sum(s.prompts)::bigint AS prompts, trim_scale(sum(s.cost_usd))::text AS cost_usd, `+facetSums+`
		FROM `+ask.sumsOf("prompt_", c)+` s GROUP BY 1 HAVING sum(s.prompts) <> 0 ORDER BY `+order+` LIMIT `+itoa(ask.Top),
		append([]any{planned}, c.args...)...)
}

// FolderFigures are the lines that commits of the period added below a folder, and
// those that are alive there.
type FolderFigures struct {
	// Path ends in a slash. That of the folder that was asked for itself stands for
	// the files that lie in no folder below it.
	Path  []byte
	Lines FolderLines
	Live  LiveCounts
}

// FolderLines are counts of added lines.
type FolderLines struct{ Added, AI, Human, Unknown, Trailer, Excluded int64 }

func (l *FolderLines) subtract(o FolderLines) {
	l.Added -= o.Added
	l.AI -= o.AI
	l.Human -= o.Human
	l.Unknown -= o.Unknown
	l.Trailer -= o.Trailer
	l.Excluded -= o.Excluded
}

func (c *LiveCounts) subtract(o LiveCounts) {
	c.AI -= o.AI
	c.Human -= o.Human
	c.Unknown -= o.Unknown
}

// folders are those in a folder, those with the most AI lines first, and behind
// them the files that lie in none of them.
func (ask FiguresQuestion) folders(ctx context.Context, q querier, org uuid.UUID) ([]FolderFigures, error) {
	children, err := ask.foldersAt(ctx, q, org, "md5(s.parent) = md5(?::bytea) AND s.parent = ?", "md5(d.parent) = md5($3::bytea) AND d.parent = $3")
	if err != nil {
		return nil, err
	}
	whole, err := ask.foldersAt(ctx, q, org, "s.path = ? AND s.path = ?", "d.path = $3")
	if err != nil || len(whole) == 0 {
		return nil, err
	}
	own := whole[0]
	for i := range children {
		own.Lines.subtract(children[i].Lines)
		own.Live.subtract(children[i].Live)
	}
	children = children[:min(len(children), ask.Top)]
	if own.Lines != (FolderLines{}) || own.Live != (LiveCounts{}) {
		children = append(children, own)
	}
	return children, nil
}

// foldersAt reads the folders that meet a condition of added and of live lines.
func (ask FiguresQuestion) foldersAt(ctx context.Context, q querier, org uuid.UUID, added, live string) ([]FolderFigures, error) {
	folder, c := []byte(ask.Folder), &conditions{}
	if folder == nil {
		folder = []byte{}
	}
	c.add("s.org_id = ? AND s.repo_id = ?", org, ask.Repos[0])
	c.add(added, folder, folder)
	lines, err := collect[struct {
		Path []byte
		FolderLines
	}](ctx, q, "summing up lines by path", `
		SELECT s.path, sum(s.added)::bigint AS added, sum(s.ai)::bigint AS ai, sum(s.human)::bigint AS human, sum(s.unknown)::bigint AS unknown,
		       sum(s.trailer)::bigint AS trailer, sum(s.excluded)::bigint AS excluded
		FROM `+ask.sumsOf("path_", c)+` s GROUP BY 1 HAVING sum(s.added) <> 0 OR sum(s.excluded) <> 0`, append([]any{planned}, c.args...)...)
	if err != nil {
		return nil, err
	}
	alive, err := collect[struct {
		Path []byte
		LiveCounts
	}](ctx, q, "reading live lines by path", `
		SELECT d.path, d.ai, d.human, d.unknown FROM live_directories d WHERE d.org_id = $1 AND d.repo_id = $2 AND `+live, org, ask.Repos[0], folder)
	at := map[string]*FolderFigures{}
	of := func(path []byte) *FolderFigures {
		if at[string(path)] == nil {
			at[string(path)] = &FolderFigures{Path: bytes.Clone(path)}
		}
		return at[string(path)]
	}
	for _, l := range lines {
		of(l.Path).Lines = l.FolderLines
	}
	for _, l := range alive {
		of(l.Path).Live = l.LiveCounts
	}
	return mostAI(at), err
}

func mostAI(at map[string]*FolderFigures) []FolderFigures {
	out := make([]FolderFigures, 0, len(at))
	for _, f := range at {
		out = append(out, *f)
	}
	slices.SortFunc(out, func(a, b FolderFigures) int {
		return cmp.Or(cmp.Compare(b.Lines.AI, a.Lines.AI), cmp.Compare(b.Lines.Added, a.Lines.Added), bytes.Compare(a.Path, b.Path))
	})
	return out
}
