package notes

import (
	"errors"
	"fmt"
)

// ErrNotReceipts says that a body is not JSON, no shape of receipts, or has more
// of them than one request may.
var ErrNotReceipts = errors.New("body is no list of receipts")

// Batch is what ParseReceipts reads from one request body.
type Batch struct {
	// Repo and Commit are "repo" and "commit_hash" of an upload
	// {repo, commit_hash, receipts}, empty in the other shapes; Commit is in
	// lower case and otherwise as written.
	Repo   string
	Commit string
	// Note holds the receipts that were read, and the findings.
	Note Note
	// Items tells for each element of the body's array, in its order, what
	// became of it.
	Items []Item
}

// Item is the fate of one element of a Batch.
type Item struct {
	// Receipt is the position in Note.Receipts, -1 when the element was rejected.
	Receipt int
	// Duplicate is set when an earlier element has the same id. Both then have
	// the same position, whose content is the last element's.
	Duplicate bool
	// Err says why the element was rejected, empty when it was not.
	Err string
}

// ParseReceipts reads the body of an upload: an array of receipts, an object
// with a "receipts" array (a whole note payload, or {repo, commit_hash,
// receipts}), or one receipt. Unlike Parse it takes one JSON document and
// refuses a body with a syntax error as a whole, since half of a request that
// was cut off is not what its sender meant; the error wraps ErrNotReceipts and
// names the line. So does a body of more than 32,768 receipts. Elements are as
// tolerant as in Parse. The result shares memory with body.
func ParseReceipts(body []byte) (Batch, error) {
	if len(body) > MaxBody {
		return Batch{}, fmt.Errorf("reading receipts: more than %d bytes: %w", MaxBody, ErrNotReceipts)
	}
	p := newBlamePrompt(body)
	p.nesting, p.itemised = 1, true
	if err := p.wholeDocument(); err != nil {
		return Batch{}, fmt.Errorf("reading receipts: %w: %w", err, ErrNotReceipts)
	}
	at := place{index: -1}
	if p.s.text[p.s.pos] == '[' {
		if err := p.list(at, 1); err != nil {
			return Batch{}, fmt.Errorf("reading receipts: %w: %w", err, ErrNotReceipts)
		}
		return p.batch(), nil
	}
	out, err := p.object(at, 0, false)
	switch {
	case err != nil:
		return Batch{}, fmt.Errorf("reading receipts: %w: %w", err, ErrNotReceipts)
	case out.payload && !out.listed:
		return Batch{}, fmt.Errorf("reading receipts: %q is not an array: %w", "receipts", ErrNotReceipts)
	case !out.payload && out.item.Receipt < 0:
		return Batch{}, fmt.Errorf("reading receipts: %s: %w", out.item.Err, ErrNotReceipts)
	case !out.payload:
		p.items = []Item{out.item}
	}
	return p.batch(), nil
}

func (p *blamePrompt) batch() Batch {
	note := p.finish()
	return Batch{Repo: p.repo, Commit: p.commit, Note: note, Items: p.items}
}

// wholeDocument checks that the body is one array or object and nothing else,
// and leaves the cursor at its start.
func (p *blamePrompt) wholeDocument() error {
	p.s.space()
	start := p.s.pos
	v, err := p.s.value()
	if err == nil && v.kind < kindArray {
		err = &syntaxError{pos: start, what: fmt.Sprintf("a %s is neither an array nor an object", v.kind)}
	}
	p.s.space()
	if err == nil && p.s.pos < len(p.s.text) {
		err = p.s.fail("more text follows the JSON document")
	}
	if err != nil {
		pos := brokenAt(err)
		return fmt.Errorf("line %d, column %d: %w", p.lines.at(p.s.text, pos), columnAt(p.s.text, pos), err)
	}
	p.s.pos = start
	return nil
}
