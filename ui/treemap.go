package ui

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
)

// Map is a picture of parts by their size, each the darker the more of it is AI.
// What it shows stands in the table beside it.
type Map struct {
	Summary       string
	Width, Height int
	Cells         []Cell
}

// Cell is a part of a Map. Opacity is the share of AI lines.
type Cell struct {
	X, Y, W, H, Opacity, Label, Name string
	// TX and TY are where the name stands; TX is empty where it has no room.
	TX, TY string
}

// mapPart is what a cell is of.
type mapPart struct {
	name     string
	ai, size int64
}

// Size of a map in its own units, and what of a cell a name needs.
const (
	mapWidth, mapHeight = 720, 180
	letterWidth         = 7.5
	lineHeight          = 16
)

// newMap lays parts out in rectangles that are as square as they can be
// (Bruls, Huizing, van Wijk: Squarified Treemaps).
func newMap(parts []mapPart) Map {
	parts = slices.DeleteFunc(slices.Clone(parts), func(p mapPart) bool { return p.size <= 0 })
	slices.SortStableFunc(parts, func(a, b mapPart) int { return cmp.Compare(b.size, a.size) })
	m := Map{Width: mapWidth, Height: mapHeight, Summary: fmt.Sprintf("%d parts by their lines, darker where more of them are AI", len(parts))}
	var whole int64
	for _, p := range parts {
		whole += p.size
	}
	free := rectangle{w: mapWidth, h: mapHeight}
	scale := mapWidth * mapHeight / float64(max(whole, 1))
	for len(parts) > 0 {
		n := rowLength(parts, free, scale)
		free = m.lay(parts[:n], free, scale)
		parts = parts[n:]
	}
	return m
}

type rectangle struct{ x, y, w, h float64 }

// rowLength is how many parts make the squarest row along the shorter side.
func rowLength(parts []mapPart, free rectangle, scale float64) int {
	side, best := min(free.w, free.h), 0.0
	var sum float64
	for i, p := range parts {
		sum += float64(p.size) * scale
		thick := sum / max(side, 1e-9)
		worst := 0.0
		for _, q := range []mapPart{parts[0], p} {
			long := float64(q.size) * scale / max(thick, 1e-9)
			worst = max(worst, long/thick, thick/long)
		}
		if i > 0 && worst > best {
			return i
		}
		best = worst
	}
	return len(parts)
}

// lay puts a row along the shorter side and returns what stays free.
func (m *Map) lay(row []mapPart, free rectangle, scale float64) rectangle {
	var sum float64
	for _, p := range row {
		sum += float64(p.size) * scale
	}
	wide := free.w >= free.h
	thick := sum / max(min(free.w, free.h), 1e-9)
	at := rectangle{free.x, free.y, thick, thick}
	for _, p := range row {
		long := float64(p.size) * scale / max(thick, 1e-9)
		if wide {
			at.h = long
		} else {
			at.w = long
		}
		m.Cells = append(m.Cells, newCell(p, at))
		if wide {
			at.y += long
		} else {
			at.x += long
		}
	}
	if wide {
		return rectangle{free.x + thick, free.y, max(free.w-thick, 0), free.h}
	}
	return rectangle{free.x, free.y + thick, free.w, max(free.h-thick, 0)}
}

func newCell(p mapPart, at rectangle) Cell {
	c := Cell{X: decimal(at.x), Y: decimal(at.y), W: decimal(at.w), H: decimal(at.h), Name: p.name,
		Opacity: strconv.FormatFloat(float64(p.ai)/float64(p.size), 'f', 2, 64),
		Label:   p.name + ": " + percent(p.ai, p.size) + " AI of " + group(strconv.FormatInt(p.size, 10)) + " lines"}
	if at.w > letterWidth*float64(len(p.name))+8 && at.h > lineHeight+4 {
		c.TX, c.TY = decimal(at.x+6), decimal(at.y+lineHeight)
	}
	return c
}
