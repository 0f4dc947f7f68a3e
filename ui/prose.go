package ui

import "strings"

// Paragraph is a paragraph of a text of ours.
type Paragraph []Span

// Span is text of one kind: "", "strong" or "code".
type Span struct{ Kind, Text string }

// paragraphs reads the little of Markdown that descriptions of the API use:
// paragraphs, **strong** words and `code`.
func paragraphs(text string) []Paragraph {
	var out []Paragraph
	for part := range strings.SplitSeq(strings.TrimSpace(text), "\n\n") {
		if words := strings.Join(strings.Fields(part), " "); words != "" {
			out = append(out, spans(words))
		}
	}
	return out
}

// spans parts a line into its kinds. A mark without its other half is text.
func spans(text string) Paragraph {
	var out Paragraph
	plain := func(s string) {
		if s != "" {
			out = append(out, Span{Text: s})
		}
	}
	for text != "" {
		at := strings.IndexAny(text, "`*")
		if at < 0 {
			break
		}
		span, length := spanAt(text[at:])
		if length == 0 {
			// No span begins here.
			plain(text[:at+1])
			text = text[at+1:]
			continue
		}
		plain(text[:at])
		out = append(out, span)
		text = text[at+length:]
	}
	plain(text)
	return out
}

// spanAt is the span that a text begins with and its length, 0 if there is none.
func spanAt(text string) (Span, int) {
	for _, mark := range []struct{ kind, mark string }{{"code", "`"}, {"strong", "**"}} {
		if rest, ok := strings.CutPrefix(text, mark.mark); ok {
			if inner, _, closed := strings.Cut(rest, mark.mark); closed && inner != "" {
				return Span{Kind: mark.kind, Text: inner}, len(inner) + 2*len(mark.mark)
			}
		}
	}
	return Span{}, 0
}
