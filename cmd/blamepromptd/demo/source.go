package demo

import (
	"math/rand/v2"
	"strings"
)

// source is a file that people and tools work on: a head and blocks of lines.
type source struct {
	path   string
	of     *language
	head   []string
	blocks []*block
}

// block is a function, a rule or a paragraph.
type block struct{ lines []string }

func (s *source) text() string {
	var b strings.Builder
	for _, line := range s.head {
		b.WriteString(line + "\n")
	}
	for _, one := range s.blocks {
		b.WriteString("\n")
		for _, line := range one.lines {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// lines is where a block stands: its first and last line.
func (s *source) lines(of *block) (first, last int) {
	n := len(s.head)
	for _, one := range s.blocks {
		n++
		if one == of {
			return n + 1, n + len(one.lines)
		}
		n += len(one.lines)
	}
	return 0, 0
}

// copied is a file that can be changed without the other.
func (s *source) copied() *source {
	out := &source{path: s.path, of: s.of, head: s.head, blocks: make([]*block, len(s.blocks))}
	for i, one := range s.blocks {
		out.blocks[i] = &block{lines: append([]string{}, one.lines...)}
	}
	return out
}

// language is how files of a repository look.
type language struct {
	extension string
	folders   []string
	head      func(folder, name string) []string
	snippets  []string
	// remark begins a comment, endRemark ends it.
	remark, endRemark string
}

// words fill the snippets.
type words struct{ thing, verb, field string }

var (
	things = []string{"invoice", "refund", "order", "customer", "payout", "ledger", "session", "basket", "discount", "shipment", "voucher",
		"subscription", "address", "catalogue", "price", "stock", "review", "campaign", "segment", "event", "metric", "forecast", "device", "token"}
	verbs = []string{"load", "store", "merge", "validate", "settle", "cancel", "refresh", "render", "count", "archive", "export", "import",
		"publish", "reconcile", "format", "parse", "notify", "retry"}
	fields = []string{"amount", "currency", "status", "total", "created", "owner", "region", "weight", "score", "limit", "label", "channel"}
)

func draw(r *rand.Rand) words {
	return words{thing: pick(r, things), verb: pick(r, verbs), field: pick(r, fields)}
}

func pick[T any](r *rand.Rand, from []T) T { return from[r.IntN(len(from))] }

func upper(word string) string { return strings.ToUpper(word[:1]) + word[1:] }

// fill makes the lines of a snippet.
func fill(r *rand.Rand, snippet string) []string {
	w := draw(r)
	text := strings.NewReplacer(
		"{t}", w.thing, "{T}", upper(w.thing), "{v}", w.verb, "{V}", upper(w.verb), "{f}", w.field, "{F}", upper(w.field),
		"{n}", pick(r, []string{"3", "5", "8", "10", "25", "50", "100", "250"}), "{m}", pick(r, []string{"15", "30", "60", "90", "120"}),
	).Replace(strings.Trim(snippet, "\n"))
	for _, vowel := range []string{"a", "e", "i", "o"} {
		text = strings.ReplaceAll(text, " a "+vowel, " an "+vowel)
	}
	return strings.Split(text, "\n")
}

// write makes a block of one of the snippets.
func (l *language) write(r *rand.Rand) *block { return &block{lines: fill(r, pick(r, l.snippets))} }

// begin makes a file with its first blocks.
func (l *language) begin(r *rand.Rand, path, folder, name string, blocks int) *source {
	s := &source{path: path, of: l, head: l.head(folder, name)}
	for range blocks {
		s.blocks = append(s.blocks, l.write(r))
	}
	return s
}

// touch changes a line or two of a block, as people do by hand.
func (l *language) touch(r *rand.Rand, b *block) {
	for range 1 + r.IntN(2) {
		i := r.IntN(len(b.lines))
		line := b.lines[i]
		switch {
		case strings.Contains(line, " 10"):
			line = strings.Replace(line, " 10", " 12", 1)
		case strings.TrimSpace(line) == "" || strings.TrimSpace(line) == "}":
			continue
		default:
			line = strings.Replace(line, pick(r, things), pick(r, things), 1)
		}
		if line == b.lines[i] {
			w := draw(r)
			line += " " + l.remark + " " + w.verb + " the " + w.field + " of the " + w.thing + l.endRemark
		}
		b.lines[i] = line
	}
}
