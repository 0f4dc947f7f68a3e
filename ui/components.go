package ui

import (
	"fmt"
	"math/big"
	"strconv"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// What templates/components.html takes.

// Mark is a word with its colour: good, warn, bad, wait or quiet. The sign in
// front of it differs too, for those who see no colours.
type Mark struct{ Kind, Word string }

func newMark(kind, word string) Mark { return Mark{kind, word} }

// outcomeMark shows what a push, or one policy, came to.
func outcomeMark(o push.Outcome) Mark {
	switch o {
	case push.Accept:
		return Mark{"good", "accepted"}
	case push.Warn:
		return Mark{"warn", "warned"}
	case push.Pending:
		return Mark{"wait", "pending"}
	case push.Refuse:
		return Mark{"bad", "refused"}
	}
	return Mark{"quiet", string(o)}
}

// stateMark shows where a decision stands.
func stateMark(state store.DecisionState) Mark {
	switch state {
	case store.StatePending:
		return Mark{"wait", "pending"}
	case store.StateHeld:
		return Mark{"bad", "held"}
	case store.StateReleased:
		return Mark{"good", "released"}
	}
	return Mark{"quiet", string(state)}
}

// severityMark shows how grave a finding is.
func severityMark(severity string) Mark {
	switch severity {
	case "error":
		return Mark{"bad", severity}
	case "warning":
		return Mark{"warn", severity}
	}
	return Mark{"quiet", severity}
}

// newFigure is a figure without rows of its own.
func newFigure(name, value, unit, beside, definition string) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Beside: beside, Definition: definition}
}

// Figure is a number of a page. Rows is where the rows are that it counts, and
// Definition where on the help page it is defined; Also leads to what it leaves
// out, if anybody would look for that.
type Figure struct {
	Name, Value, Unit, Beside, Change, Rows, Definition string
	Also                                                View
}

// Pager is the way from one page of rows to the next.
type Pager struct{ Shown, First, Next string }

// Tab is one of the pages of a section.
type Tab struct {
	Path, Name string
	Count      int
	Current    bool
}

// Chip is a filter in force and the address without it.
type Chip struct{ Name, Value, Without string }

// Sure is a button that ends something, behind one that shows it: what a finger
// slips onto ends nothing. What is what ends, and Do the value of the button.
type Sure struct{ Word, What, Do string }

func newSure(word, what, do string) Sure { return Sure{word, what, do} }

// Option is a choice of a field.
type Option struct{ Value, Label string }

// Input is a field of a form. With Rows it is a text area, with Options a choice.
type Input struct {
	ID, Name, Label, Type, Value, Hint, Example, Problem, List, Step string
	Options                                                          []Option
	Rows                                                             int
	Required                                                         bool
}

// Chart is bars over days, and the table of what they stand for.
type Chart struct {
	Title, Note, Summary, Across, Down string
	Width, Height                      int
	Bars                               []Bar
	// Lines are the heights of the lines behind the bars.
	Lines []string
	// From, To and Top are the ends of the axes.
	From, To, Top string
	Rows          []ChartRow
}

// Bar is a bar in the units of its chart.
type Bar struct{ Kind, X, Y, W, H, Label, Value string }

// ChartRow is a row of the table behind a chart.
type ChartRow struct{ Label, Value string }

// Share is a bar whose parts are classes of lines.
type Share struct {
	Summary string
	Parts   []Part
}

// Part is a part of a Share in hundredths.
type Part struct{ Kind, X, W, Label string }

// Size of charts in their own units; the style sets the size on the page.
const (
	chartWidth  = 720
	chartHeight = 120
)

// point is the value of a day.
type point struct {
	day   time.Time
	value store.Decimal
}

// maxDays is how many days have a bar each; longer periods have one for a week.
const maxDays = 92

// barUnit is what a bar of a period is of.
func barUnit(days int) string {
	if days > maxDays {
		return "week"
	}
	return "day"
}

// bucket is a bar's days and the exact sum of their values.
type bucket struct {
	first, last int
	sum         *big.Rat
}

// buckets sums points up by day, or by week in a long period.
func buckets(from time.Time, days int, points []point) []bucket {
	width := 1
	if days > maxDays {
		width = 7
	}
	var out []bucket
	for _, p := range points {
		value, ok := new(big.Rat).SetString(orZero(p.value))
		day := int(p.day.Sub(from) / (24 * time.Hour))
		if !ok || day < 0 || day >= days {
			continue
		}
		first := day / width * width
		if n := len(out); n == 0 || out[n-1].first != first {
			out = append(out, bucket{first, min(first+width, days) - 1, new(big.Rat)})
		}
		last := &out[len(out)-1]
		last.sum.Add(last.sum, value)
	}
	return out
}

// barChart draws the values of a period; show writes one for people. Points are
// in the order of days.
func barChart(title, down, kind string, from, to time.Time, points []point, show func(any) string) Chart {
	days := int(to.Sub(from)/(24*time.Hour)) + 1
	c := Chart{Title: title + " by " + barUnit(days), Across: strings.ToUpper(barUnit(days)[:1]) + barUnit(days)[1:], Down: down, Width: chartWidth, Height: chartHeight,
		From: axisDay(from, to), To: axisDay(to, from)}
	list := buckets(from, days, points)
	var top float64
	var highest bucket
	for _, b := range list {
		if v, _ := b.sum.Float64(); v > top {
			top, highest = v, b
		}
	}
	if top == 0 {
		return c
	}
	step := float64(chartWidth) / float64(days)
	for _, b := range list {
		value, _ := b.sum.Float64()
		height := value / top * (chartHeight - 4)
		width := step * float64(b.last-b.first+1)
		label, shown := b.label(from), show(b.decimal())
		c.Bars = append(c.Bars, Bar{Kind: kind, X: decimal(float64(b.first)*step + width*0.1), Y: decimal(chartHeight - height),
			W: decimal(max(width*0.8, 0.5)), H: decimal(height), Label: label, Value: shown})
		c.Rows = append(c.Rows, ChartRow{label, shown})
	}
	c.Lines = []string{decimal(chartHeight - 0.5), decimal(chartHeight / 2), "4"}
	c.Top = "highest " + show(highest.decimal())
	c.Summary = fmt.Sprintf("%d bars, the highest %s on %s", len(c.Bars), show(highest.decimal()), highest.label(from))
	return c
}

// axisDay is an end of an axis, with its year if the other end has another.
func axisDay(day, other time.Time) string {
	if day.Year() != other.Year() {
		return day.Format("2 Jan 2006")
	}
	return day.Format("2 Jan")
}

// linePoint is whose the lines were that a day's commits added.
type linePoint struct {
	day                time.Time
	ai, human, unknown int64
}

// shareChart draws whose the added lines of a period were, each column the whole
// of its days.
func shareChart(from, to time.Time, list []linePoint) Chart {
	days := int(to.Sub(from)/(24*time.Hour)) + 1
	c := Chart{Title: "Whose the added lines are", Note: "AI, human and unknown, " + barUnit(days) + " by " + barUnit(days), Across: strings.ToUpper(barUnit(days)[:1]) + barUnit(days)[1:], Down: "AI share of added lines", Width: chartWidth, Height: chartHeight,
		From: axisDay(from, to), Top: "each column is 100 %", To: axisDay(to, from)}
	width := 1
	if days > maxDays {
		width = 7
	}
	sums := map[int]linePoint{}
	for _, p := range list {
		if day := int(p.day.Sub(from) / (24 * time.Hour)); day >= 0 && day < days {
			at := sums[day/width]
			sums[day/width] = linePoint{ai: at.ai + p.ai, human: at.human + p.human, unknown: at.unknown + p.unknown}
		}
	}
	step := float64(chartWidth) / float64(days)
	for i := range (days + width - 1) / width {
		sum := sums[i]
		all := sum.ai + sum.human + sum.unknown
		if all == 0 {
			continue
		}
		b := bucket{first: i * width, last: min(i*width+width, days) - 1}
		label, y := b.label(from), 0.0
		for _, part := range []struct {
			kind  string
			lines int64
		}{{"unknown", sum.unknown}, {"human", sum.human}, {"ai", sum.ai}} {
			height := float64(chartHeight) * float64(part.lines) / float64(all)
			if part.lines > 0 {
				c.Bars = append(c.Bars, Bar{Kind: part.kind, X: decimal(float64(b.first)*step + step*0.1), Y: decimal(y), W: decimal(step * (float64(b.last-b.first) + 0.8)),
					H: decimal(height), Label: label, Value: part.kind + " " + percent(part.lines, all)})
			}
			y += height
		}
		c.Rows = append(c.Rows, ChartRow{label, percent(sum.ai, all) + " AI, " + percent(sum.unknown, all) + " unknown, of " + group(strconv.FormatInt(all, 10)) + " lines"})
	}
	c.Summary = fmt.Sprintf("%d columns, each of AI, human and unknown lines", len(c.Rows))
	return c
}

func (b bucket) decimal() store.Decimal { return store.Decimal(b.sum.FloatString(6)) }

// label is the days of a bar.
func (b bucket) label(from time.Time) string {
	first, last := from.AddDate(0, 0, b.first), from.AddDate(0, 0, b.last)
	if b.first == b.last {
		return first.Format("2 Jan 2006")
	}
	return axisDay(first, last) + " to " + last.Format("2 Jan 2006")
}

func decimal(f float64) string {
	return strings.TrimSuffix(strings.TrimRight(strconv.FormatFloat(f, 'f', 2, 64), "0"), ".")
}

// lineShare is the bar of added or live lines by class.
func lineShare(ai, human, unknown int64) Share {
	whole := ai + human + unknown
	s := Share{Summary: fmt.Sprintf("AI %s, human %s, unknown %s", percent(ai, whole), percent(human, whole), percent(unknown, whole))}
	if whole == 0 {
		return s
	}
	var x float64
	for _, part := range []struct {
		kind, name string
		lines      int64
	}{{"ai", "AI", ai}, {"human", "Human", human}, {"unknown", "Unknown", unknown}} {
		width := 100 * float64(part.lines) / float64(whole)
		if part.lines > 0 {
			s.Parts = append(s.Parts, Part{Kind: part.kind, X: decimal(x), W: decimal(width),
				Label: part.name + ": " + group(strconv.FormatInt(part.lines, 10)) + " lines"})
		}
		x += width
	}
	return s
}
