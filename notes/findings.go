package notes

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// code is a Finding's Code. docs/findings.md says for each what was kept and
// what to do; a test holds the two together.
type code string

const (
	emptyNote         code = "empty_note"
	noteTooLarge      code = "note_too_large"
	formatUnknown     code = "format_unknown"
	findingsTruncated code = "findings_truncated"

	syntaxBroken     code = "syntax_error"
	severalDocuments code = "several_documents"
	notANote         code = "not_a_note"
	notAReceipt      code = "not_a_receipt"
	receiptsMissing  code = "receipts_missing"
	tooManyReceipts  code = "too_many_receipts"
	tooManyFiles     code = "too_many_files"

	duplicateReceipt code = "duplicate_receipt"
	receiptConflict  code = "receipt_conflict"
	duplicateKey     code = "duplicate_key"
	idMissing        code = "id_missing"
	idShortened      code = "id_shortened"
	fieldMissing     code = "field_missing"
	fieldMistyped    code = "field_mistyped"
	valueCoerced     code = "value_coerced"

	numberInvalid       code = "number_invalid"
	costInvalid         code = "cost_invalid"
	costRounded         code = "cost_rounded"
	timestampInvalid    code = "timestamp_invalid"
	timestampOutOfRange code = "timestamp_out_of_range"

	lineRangeInvalid code = "line_range_invalid"
	lineRangeSwapped code = "line_range_swapped"
	lineRangeClamped code = "line_range_clamped"
	blobHashInvalid  code = "blob_hash_invalid"
	pathMissing      code = "path_missing"

	textTruncated       code = "text_truncated"
	textRepaired        code = "text_repaired"
	detailDropped       code = "detail_dropped"
	conversationDropped code = "conversation_dropped"

	dividerMissing      code = "divider_missing"
	metadataMissing     code = "metadata_missing"
	schemaUnknown       code = "schema_unknown"
	baseCommitDiffers   code = "base_commit_differs"
	recordMissing       code = "record_missing"
	entryInvalid        code = "entry_invalid"
	fileWithoutEntries  code = "file_without_entries"
	pathRepeated        code = "path_repeated"
	tooManyAttestations code = "too_many_attestations"
)

var severities = map[code]Severity{
	emptyNote:         Warning,
	noteTooLarge:      Error,
	formatUnknown:     Error,
	findingsTruncated: Info,

	syntaxBroken:     Error,
	severalDocuments: Info,
	notANote:         Error,
	notAReceipt:      Error,
	receiptsMissing:  Warning,
	tooManyReceipts:  Error,
	tooManyFiles:     Error,

	duplicateReceipt: Info,
	receiptConflict:  Warning,
	duplicateKey:     Warning,
	idMissing:        Warning,
	idShortened:      Warning,
	fieldMissing:     Warning,
	fieldMistyped:    Warning,
	valueCoerced:     Info,

	numberInvalid:       Warning,
	costInvalid:         Warning,
	costRounded:         Info,
	timestampInvalid:    Warning,
	timestampOutOfRange: Warning,

	lineRangeInvalid: Warning,
	lineRangeSwapped: Info,
	lineRangeClamped: Warning,
	blobHashInvalid:  Warning,
	pathMissing:      Warning,

	textTruncated:       Warning,
	textRepaired:        Warning,
	detailDropped:       Warning,
	conversationDropped: Warning,

	dividerMissing:      Error,
	metadataMissing:     Error,
	schemaUnknown:       Warning,
	baseCommitDiffers:   Info,
	recordMissing:       Warning,
	entryInvalid:        Warning,
	fileWithoutEntries:  Info,
	pathRepeated:        Info,
	tooManyAttestations: Error,
}

var severityRank = map[Severity]int{Info: 1, Warning: 2, Error: 3}

// report collects at most MaxFindings findings. When it is full, a finding
// takes the place of a less severe one, so that a flood of trifles can't hide
// an error.
type report struct {
	findings []Finding
	dropped  int
	// least is the lowest rank among the kept findings once the report is full.
	least int
	// unnamed are the positions of findings about the receipt being read, whose
	// id is not known yet.
	unnamed []int
	once    map[code]bool
}

// place says where a finding is: in a document that starts on a line (0 for the
// body's first), at a JSON pointer, perhaps at an element of an array there,
// perhaps inside that element.
type place struct {
	line    int
	pointer string
	// index is the element of the array at pointer, -1 for none.
	index int
	// member is the name of a member of the object at pointer, "" for none.
	member string
	// list names a member of the object so far, item an element of it, -1 for
	// none; list is "" for none.
	list string
	item int
}

// at writes the place of a field ("" for the object itself).
func (p place) at(field string) string {
	out := p.pointer
	if p.index >= 0 {
		out += "/" + strconv.Itoa(p.index)
	}
	if p.member != "" {
		out += "/" + pointerToken(p.member)
	}
	if p.list != "" {
		out += "/" + p.list
		if p.item >= 0 {
			out += "/" + strconv.Itoa(p.item)
		}
	}
	if field != "" {
		out += "/" + pointerToken(field)
	}
	switch {
	case p.line == 0:
		return out
	case out == "":
		return "line " + strconv.Itoa(p.line)
	}
	return "line " + strconv.Itoa(p.line) + " " + out
}

// pointerToken writes a member name as a token of a JSON pointer (RFC 6901),
// shortened to what a finding needs.
func pointerToken(key string) string {
	key, _ = truncate(key, maxKey)
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// add records a finding at a field of p ("" for p itself).
func (r *report) add(c code, p place, field, format string, args ...any) {
	slot, ok := r.slot(c)
	if !ok {
		return
	}
	where, _ := cleanText([]byte(p.at(field)))
	where, _ = truncate(where, 512)
	r.findings[slot] = Finding{Code: string(c), Severity: severities[c], Where: where, Message: fmt.Sprintf(format, args...)}
	r.unnamed = append(r.unnamed, slot)
}

// addOnce records the first finding of its code and ignores the others.
func (r *report) addOnce(c code, p place, field, format string, args ...any) {
	if r.once[c] {
		return
	}
	if r.once == nil {
		r.once = map[code]bool{}
	}
	r.once[c] = true
	r.add(c, p, field, format, args...)
}

// slot finds the position for one more finding; false when it is only counted.
func (r *report) slot(c code) (int, bool) {
	if len(r.findings) < MaxFindings-1 {
		r.findings = append(r.findings, Finding{})
		return len(r.findings) - 1, true
	}
	r.dropped++
	rank := severityRank[severities[c]]
	if rank <= r.least {
		return 0, false
	}
	slot, least := 0, rank
	for i := len(r.findings) - 1; i >= 0; i-- {
		if have := severityRank[r.findings[i].Severity]; have < least {
			slot, least = i, have
		}
	}
	r.least = least
	return slot, least < rank
}

// name gives the findings since the last call the id of the receipt that they
// are about; "" when they concern none.
func (r *report) name(receiptID string) {
	for _, i := range r.unnamed {
		r.findings[i].ReceiptID = receiptID
	}
	r.unnamed = r.unnamed[:0]
}

// close returns the findings, the last one counting those that found no room.
func (r *report) close() []Finding {
	if r.dropped == 0 {
		return r.findings
	}
	return append(r.findings, Finding{
		Code: string(findingsTruncated), Severity: severities[findingsTruncated],
		Message: fmt.Sprintf("%d more findings were not kept; the kept ones are the most severe.", r.dropped),
	})
}

// lineCounter numbers the lines of a text from 1. It remembers where it was, so
// that asking for places in order costs one pass.
type lineCounter struct {
	pos, breaks int
}

func (l *lineCounter) at(text []byte, pos int) int {
	pos = min(pos, len(text))
	if pos >= l.pos {
		l.breaks += bytes.Count(text[l.pos:pos], []byte("\n"))
	} else {
		l.breaks -= bytes.Count(text[pos:l.pos], []byte("\n"))
	}
	l.pos = pos
	return l.breaks + 1
}

// columnAt is the byte, from 1, at which pos stands in its line.
func columnAt(text []byte, pos int) int {
	return pos - bytes.LastIndexByte(text[:min(pos, len(text))], '\n')
}
