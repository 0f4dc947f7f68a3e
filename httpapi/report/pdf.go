package report

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"codeberg.org/go-pdf/fpdf"
)

// The layout, in millimetres and points.
const (
	margin    = 18.0
	footerAt  = -12.0
	bodySize  = 10.0
	tableSize = 7.5
	smallSize = 8.0
	lineOf    = 0.353 * 1.3 // millimetres of a line for each point of type
	cellPad   = 1.2
	barHeight = 4.0
	wideFrom  = 8 // columns from which a table lies on its side
	minColumn = 9.0
	// chapterRoom is what a chapter wants to have of the page that it begins on.
	chapterRoom = 60.0
	sansFamily  = "sans"
	monoFamily  = "mono"
)

var headSizes = []float64{15, 12.5, 11}

// writePDF lays the report out on pages with numbers and bookmarks. Its fonts
// are embedded and have Latin, Greek and Cyrillic; what they lack is marked by
// its code point (readable), never an empty box.
func writePDF(ctx context.Context, w io.Writer, doc *Document, o Options) error {
	paper := "A4"
	if strings.EqualFold(o.Paper, "letter") {
		paper = "Letter"
	}
	p, err := newPaper(paper, doc)
	if err != nil {
		return err
	}
	p.ctx, p.maxRows = ctx, o.MaxRows
	p.titlePage(doc)
	for depth, s := range doc.all() {
		if err := p.section(depth, s); err != nil {
			return err
		}
	}
	return p.pdf.Output(w)
}

// paper is a PDF in the making.
type paper struct {
	ctx     context.Context
	pdf     *fpdf.Fpdf
	maxRows int
	glyphs  *glyphs
	// across says that the page lies on its side.
	across bool
}

func newPaper(size string, doc *Document) (*paper, error) {
	g, err := loadGlyphs()
	if err != nil {
		return nil, err
	}
	pdf := fpdf.New("P", "mm", size, "")
	p := &paper{pdf: pdf, glyphs: g}
	// The writer of fonts writes into the bytes that it is given.
	pdf.AddUTF8FontFromBytes(sansFamily, "", bytes.Clone(regularFont))
	pdf.AddUTF8FontFromBytes(sansFamily, "B", bytes.Clone(boldFont))
	pdf.AddUTF8FontFromBytes(monoFamily, "", bytes.Clone(monoFont))
	pdf.SetMargins(margin, margin, margin)
	pdf.SetAutoPageBreak(false, margin)
	// Cells have no padding but cellPad, which widths are measured with.
	pdf.SetCellMargin(0)
	pdf.SetCatalogSort(true)
	pdf.SetCreationDate(doc.Made.UTC())
	pdf.SetModificationDate(doc.Made.UTC())
	pdf.SetTitle(visible(doc.Title), true)
	pdf.SetAuthor(visible(doc.Organisation), true)
	pdf.SetCreator("BlamePrompt Enterprise", true)
	pdf.SetLang("en")
	pdf.AliasNbPages("{pages}")
	foot := g.text(visible(doc.Organisation + " · " + doc.Title))
	pdf.SetFooterFunc(func() {
		pdf.SetY(footerAt)
		p.font(sansFamily, "", smallSize)
		pdf.SetTextColor(90, 90, 90)
		pdf.CellFormat(p.width()*0.75, 4, foot, "", 0, "L", false, 0, "")
		pdf.CellFormat(0, 4, fmt.Sprintf("%d of {pages}", pdf.PageNo()), "", 0, "R", false, 0, "")
		pdf.SetTextColor(0, 0, 0)
	})
	p.page(false)
	return p, nil
}

func (p *paper) font(family, style string, size float64) { p.pdf.SetFont(family, style, size) }

// width is that of the text.
func (p *paper) width() float64 {
	w, _ := p.pdf.GetPageSize()
	return w - 2*margin
}

// room is what is left of the page above the footer.
func (p *paper) room() float64 {
	_, h := p.pdf.GetPageSize()
	return h - margin - p.pdf.GetY()
}

func (p *paper) page(across bool) {
	p.across = across
	orientation := "P"
	if across {
		orientation = "L"
	}
	// A format is given by its upright size.
	w, h := p.pdf.GetPageSize()
	p.pdf.AddPageFormat(orientation, fpdf.SizeType{Wd: min(w, h), Ht: max(w, h)})
}

// need begins a page if so much does not fit on this one.
func (p *paper) need(height float64) {
	if p.room() < height {
		p.page(p.across)
	}
}

// paragraph writes text over the width, across pages.
func (p *paper) paragraph(text, style string, size float64) {
	p.font(sansFamily, style, size)
	for _, line := range p.pdf.SplitText(p.glyphs.text(visible(text)), p.width()) {
		p.need(size * lineOf)
		p.pdf.CellFormat(p.width(), size*lineOf, line, "", 1, "L", false, 0, "")
	}
}

func (p *paper) gap(height float64) {
	if p.room() > height {
		p.pdf.Ln(height)
	}
}

func (p *paper) titlePage(doc *Document) {
	p.pdf.Ln(10)
	p.paragraph(doc.Title, "B", 22)
	p.gap(4)
	p.facts(doc.facts())
	p.gap(6)
	p.paragraph("Contents", "B", headSizes[1])
	for _, s := range doc.Sections {
		p.paragraph(s.Title, "", bodySize)
	}
}

func (p *paper) section(depth int, s *Section) error {
	size := headSizes[min(depth, len(headSizes)-1)]
	p.begin(depth, s)
	p.pdf.Bookmark(p.glyphs.text(visible(s.Title)), depth, -1)
	p.paragraph(s.Title, "B", size)
	p.gap(1.5)
	for _, text := range s.Paragraphs {
		p.paragraph(text, "", bodySize)
		p.gap(1.5)
	}
	p.facts(s.Facts)
	p.chart(s.Chart)
	if s.Table == nil {
		return nil
	}
	return p.table(s.Table)
}

// begin goes to where a section begins: the first behind the title on a page of
// its own, a wide table with its heading on one that lies on its side, and any
// other where a good part of the page is left.
func (p *paper) begin(depth int, s *Section) {
	across := s.Table != nil && len(s.Table.forPeople().Columns) >= wideFrom && len(s.Paragraphs)+len(s.Facts) == 0 && s.Chart == nil
	if p.pdf.PageNo() == 1 || across != p.across {
		p.page(across)
		return
	}
	if depth == 0 {
		p.gap(6)
		p.need(chapterRoom)
	}
	p.gap(5)
	p.need(30)
}

// facts are two columns: the name, and the value with its note below.
func (p *paper) facts(list []Fact) {
	name := p.width() * 0.3
	for _, f := range list {
		p.font(sansFamily, "B", bodySize)
		names := p.pdf.SplitText(p.glyphs.text(visible(f.Name)), name-cellPad)
		p.font(sansFamily, "", bodySize)
		values := p.pdf.SplitText(p.glyphs.text(visible(f.Value)), p.width()-name)
		p.font(sansFamily, "", smallSize)
		var notes []string
		if f.Note != "" {
			notes = p.pdf.SplitText(p.glyphs.text(visible(f.Note)), p.width()-name)
		}
		p.need(float64(max(len(names), len(values)))*bodySize*lineOf + float64(len(notes))*smallSize*lineOf)
		top := p.pdf.GetY()
		p.column(margin, name, names, "B", bodySize)
		low := p.pdf.GetY()
		p.pdf.SetY(top)
		p.column(margin+name, p.width()-name, values, "", bodySize)
		p.pdf.SetTextColor(90, 90, 90)
		p.column(margin+name, p.width()-name, notes, "", smallSize)
		p.pdf.SetTextColor(0, 0, 0)
		p.pdf.SetY(max(low, p.pdf.GetY()) + 0.8)
	}
	p.gap(1)
}

// column writes lines below each other from the current height on.
func (p *paper) column(x, width float64, lines []string, style string, size float64) {
	p.font(sansFamily, style, size)
	for _, line := range lines {
		p.pdf.SetX(x)
		p.pdf.CellFormat(width, size*lineOf, line, "", 1, "L", false, 0, "")
	}
}

func (p *paper) chart(c *Chart) {
	if c == nil || len(c.Labels) == 0 {
		return
	}
	p.gap(2)
	p.need(4 * barHeight)
	p.paragraph(c.Title+" ("+c.Unit+")", "B", smallSize)
	labels, values := p.width()*0.28, p.width()*0.14
	most := c.most()
	for i, label := range c.Labels {
		p.need(barHeight)
		p.font(sansFamily, "", tableSize)
		y := p.pdf.GetY()
		p.pdf.CellFormat(labels, barHeight, p.fit(p.glyphs.text(visible(label)), labels-cellPad), "", 0, "L", false, 0, "")
		p.pdf.SetFillColor(47, 111, 159)
		p.pdf.Rect(margin+labels, y+0.5, (p.width()-labels-values)*c.Values[i]/most, barHeight-1, "F")
		p.pdf.SetX(margin + p.width() - values)
		p.pdf.CellFormat(values, barHeight, shownValue(c.Values[i]), "", 1, "R", false, 0, "")
	}
	p.gap(2)
}

// fit cuts text to a width, with an ellipsis.
func (p *paper) fit(text string, width float64) string {
	if p.pdf.GetStringWidth(text) <= width {
		return text
	}
	runes := []rune(text)
	for len(runes) > 0 && p.pdf.GetStringWidth(string(runes)+"…") > width {
		runes = runes[:len(runes)-1]
	}
	return string(runes) + "…"
}
