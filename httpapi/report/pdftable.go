package report

import "math"

// grid is a table on paper: at most maxRows rows, with widths by what is in them.
type grid struct {
	columns []Column
	head    []string
	rows    [][]string
	widths  []float64
}

// table lays a table out; a wide one on pages that lie on their side.
func (p *paper) table(t *Table) error {
	t = t.forPeople()
	g := &grid{columns: t.Columns}
	for _, c := range t.Columns {
		g.head = append(g.head, p.glyphs.text(visible(c.Title)))
	}
	more, err := t.bounded(p.ctx, p.maxRows, func(row Row) error {
		cells := make([]string, len(row))
		for i, cell := range row {
			cells[i] = p.glyphs.text(shown(t.Columns[i].Kind, cell))
		}
		g.rows = append(g.rows, cells)
		return nil
	})
	if err != nil {
		return err
	}
	if len(g.rows) == 0 {
		p.paragraph(t.empty(), "", bodySize)
		return nil
	}
	if len(t.Columns) >= wideFrom && !p.across {
		p.page(true)
	}
	p.caption(t)
	p.measure(g)
	p.drawHead(g)
	for _, row := range g.rows {
		p.drawRow(g, row)
	}
	if more > 0 {
		p.gap(1)
		p.paragraph(leftOut(more), "", smallSize)
	}
	p.gap(3)
	return nil
}

func (p *paper) caption(t *Table) {
	p.need(20)
	if t.Caption != "" {
		p.paragraph(t.Caption, "B", smallSize)
		p.gap(1)
	}
}

// measure gives each column what it needs, as long as that is no more than an
// equal share of what the others leave.
func (p *paper) measure(g *grid) {
	wants := make([]float64, len(g.columns))
	for i := range g.columns {
		p.font(sansFamily, "B", tableSize)
		wants[i] = p.pdf.GetStringWidth(g.head[i])
		p.cellFont(g.columns[i].Kind)
		for _, row := range g.rows {
			wants[i] = max(wants[i], p.pdf.GetStringWidth(row[i]))
		}
		wants[i] += 2*cellPad + 0.5
	}
	g.widths = shareOut(p.width(), wants)
}

// shareOut divides a width: wants that are below an equal share of what is left
// are met, the others share the rest by the roots of their wants, so that long
// texts have more of it and not all. What nobody wants is spread evenly.
func shareOut(width float64, wants []float64) []float64 {
	got := make([]float64, len(wants))
	left, open := width, len(wants)
	for met := true; met && open > 0; {
		met = false
		share := left / float64(open)
		for i, want := range wants {
			if got[i] == 0 && want <= share {
				got[i] = max(want, min(minColumn, share))
				left -= got[i]
				open--
				met = true
			}
		}
	}
	var roots float64
	for i, want := range wants {
		if got[i] == 0 {
			roots += math.Sqrt(want)
		}
	}
	for i, want := range wants {
		switch {
		case open == 0:
			got[i] += left / float64(len(wants))
		case got[i] == 0:
			got[i] = left * math.Sqrt(want) / roots
		}
	}
	return got
}

func (p *paper) cellFont(kind Kind) {
	if kind == OID {
		p.font(monoFamily, "", tableSize-0.5)
		return
	}
	p.font(sansFamily, "", tableSize)
}

func (p *paper) drawHead(g *grid) {
	p.pdf.SetFillColor(232, 236, 240)
	p.draw(g, g.head, true)
}

// drawRow begins a page with the head of the table where the row does not fit.
func (p *paper) drawRow(g *grid, row []string) {
	if p.room() < p.height(g, row, false) {
		p.page(p.across)
		p.drawHead(g)
	}
	p.draw(g, row, false)
}

// maxCellLines bounds a cell, so that a row always fits on a page.
const maxCellLines = 12

func (p *paper) lines(g *grid, i int, text string, head bool) []string {
	if head {
		p.font(sansFamily, "B", tableSize)
	} else {
		p.cellFont(g.columns[i].Kind)
	}
	lines := p.pdf.SplitText(text, g.widths[i]-2*cellPad)
	if len(lines) > maxCellLines {
		lines = append(lines[:maxCellLines-1], "…")
	}
	return lines
}

func (p *paper) height(g *grid, row []string, head bool) float64 {
	most := 1
	for i, text := range row {
		most = max(most, len(p.lines(g, i, text, head)))
	}
	return float64(most)*tableSize*lineOf + cellPad
}

func (p *paper) draw(g *grid, row []string, head bool) {
	height := p.height(g, row, head)
	top, x := p.pdf.GetY(), margin
	if head {
		p.pdf.Rect(margin, top, p.width(), height, "F")
	}
	for i, text := range row {
		align := "L"
		if rightAligned(g.columns[i].Kind) {
			align = "R"
		}
		y := top + cellPad/2
		for _, line := range p.lines(g, i, text, head) {
			p.pdf.SetXY(x+cellPad, y)
			p.pdf.CellFormat(g.widths[i]-2*cellPad, tableSize*lineOf, line, "", 0, align, false, 0, "")
			y += tableSize * lineOf
		}
		x += g.widths[i]
	}
	p.pdf.SetDrawColor(200, 205, 210)
	p.pdf.Line(margin, top+height, margin+p.width(), top+height)
	p.pdf.SetXY(margin, top+height)
}
