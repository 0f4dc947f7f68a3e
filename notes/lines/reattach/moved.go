package reattach

import (
	"context"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/store"
)

// maxSquashed bounds the files of one squash whose lines are followed.
const maxSquashed = 1000

// pair is a run of lines of one file and the line that the first of them is in
// another.
type pair struct {
	notes.LineRange
	to uint32
}

// zip pairs the lines of two lists of ranges, the first with the first; none if
// they have not equally many.
func zip(from, to []notes.LineRange) []pair {
	if lines.Count(from) != lines.Count(to) {
		return nil
	}
	var pairs []pair
	// f and t are what is left of the ranges that were begun.
	f, t := notes.LineRange{First: 1}, notes.LineRange{First: 1}
	for {
		if f.First > f.Last {
			if len(from) == 0 {
				return pairs
			}
			f, from = from[0], from[1:]
		}
		if t.First > t.Last {
			t, to = to[0], to[1:]
		}
		n := min(f.Last-f.First, t.Last-t.First)
		pairs = append(pairs, pair{notes.LineRange{First: f.First, Last: f.First + n}, t.First})
		f.First += n + 1
		t.First += n + 1
	}
}

// addedBy finds files by their paths.
func addedBy(c *lines.Commit) map[string]*lines.File {
	files := make(map[string]*lines.File, len(c.Files))
	for i := range c.Files {
		files[c.Files[i].Path] = &c.Files[i]
	}
	return files
}

// movedLines says which lines of one commit are which of another that makes the
// same change: patch ids are equal, so that every file adds the same lines in
// the same order, at other places perhaps.
func movedLines(from, to *lines.Commit) []store.MovedLines {
	var moved []store.MovedLines
	files := addedBy(from)
	for i := range to.Files {
		t := &to.Files[i]
		f := files[t.Path]
		if f == nil {
			continue
		}
		for _, p := range zip(f.Added, t.Added) {
			moved = append(moved, store.MovedLines{From: string(from.OID), FromPath: f.Path, FromFirst: p.First, Path: t.Path,
				LineRange: notes.LineRange{First: p.to, Last: p.to + p.Last - p.First}})
		}
	}
	return moved
}

// squashedLines says which lines of a squash come from which commit of a chain,
// by blaming the files at its end. What git cannot say is left out.
func squashedLines(ctx context.Context, repo *gitcmd.Repo, c chain, base gitcmd.OID, squash *lines.Commit) ([]store.MovedLines, error) {
	whole, err := lines.DiffBase(ctx, repo, base, c.tip)
	if err != nil {
		return nil, err
	}
	var moved []store.MovedLines
	files := addedBy(whole)
	for i := range squash.Files[:min(len(squash.Files), maxSquashed)] {
		to := &squash.Files[i]
		f := files[to.Path]
		if f == nil || len(to.Added) == 0 {
			continue
		}
		pairs := zip(f.Added, to.Added)
		if pairs == nil {
			continue
		}
		origins, err := live.Within(ctx, repo, base, c.tip, to.Path)
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err == nil {
			moved = append(moved, compose(to.Path, pairs, origins)...)
		}
	}
	return moved, nil
}

// compose leads lines of a squash over the chain's end to where they were added.
func compose(path string, pairs []pair, origins []live.Run) []store.MovedLines {
	var moved []store.MovedLines
	for i, j := 0, 0; i < len(pairs) && j < len(origins); {
		p, o := pairs[i], origins[j]
		first, last := max(p.First, o.First), min(p.Last, o.Last)
		if first <= last {
			to := p.to + first - p.First
			moved = append(moved, store.MovedLines{From: string(o.Commit), FromPath: o.Path, FromFirst: o.Line + first - o.First,
				Path: path, LineRange: notes.LineRange{First: to, Last: to + last - first}})
		}
		if p.Last < o.Last {
			i++
		} else {
			j++
		}
	}
	return moved
}
