package notes

import (
	"bytes"
	"strings"
)

// draft is a receipt while its object is being read.
type draft struct {
	Receipt
	// present and filled are bits of receiptFields: named at all, and not null.
	present, filled uint64
	// The legacy file is read last, when it is known whether it is needed.
	legacyPath  string
	legacyRange value
	hasRange    bool
}

// receiptField is one member of a receipt that the model has a place for.
type receiptField struct {
	name string
	// Every writer fills a required field.
	required bool
	// A telling field occurs in receipts and in none of their nested objects.
	telling bool
	read    func(p *blamePrompt, o *object, d *draft, v value)
	bit     uint64
}

// receiptFields are the fields of every client version (0.1.0 to 1.0.1).
var receiptFields = byName([]receiptField{
	{name: "id", required: true, telling: true, read: func(p *blamePrompt, o *object, d *draft, v value) {
		d.ID = p.id(o, "id", v)
	}},
	textField("provider", maxName, func(d *draft) *string { return &d.Provider }).always().tells(),
	textField("model", maxName, func(d *draft) *string { return &d.Model }).always().tells(),
	textField("session_id", maxName, func(d *draft) *string { return &d.SessionID }).always().tells(),
	counterField("prompt_number", func(d *draft) **int64 { return &d.PromptNumber }),

	textField("prompt_summary", maxSummary, func(d *draft) *string { return &d.PromptSummary }).always().tells(),
	textField("response_summary", maxSummary, func(d *draft) *string { return &d.ResponseSummary }),
	textField("prompt_hash", maxName, func(d *draft) *string { return &d.PromptHash }).always().tells(),
	counterField("message_count", func(d *draft) **int64 { return &d.MessageCount }).always(),

	{name: "cost_usd", required: true, read: func(p *blamePrompt, o *object, d *draft, v value) {
		d.CostUSD = p.cost(o, "cost_usd", v)
	}},
	counterField("input_tokens", func(d *draft) **int64 { return &d.InputTokens }),
	counterField("output_tokens", func(d *draft) **int64 { return &d.OutputTokens }),
	counterField("cache_read_tokens", func(d *draft) **int64 { return &d.CacheReadTokens }),
	counterField("cache_creation_tokens", func(d *draft) **int64 { return &d.CacheCreationTokens }),

	timeField("timestamp").always(),
	timeField("session_start"),
	timeField("session_end"),
	timeField("prompt_submitted_at"),
	counterField("session_duration_secs", func(d *draft) **int64 { return &d.SessionDurationSecs }),
	counterField("prompt_duration_secs", func(d *draft) **int64 { return &d.PromptDurationSecs }),
	{name: "ai_response_time_secs", read: func(p *blamePrompt, o *object, d *draft, v value) {
		d.AIResponseTimeSecs = p.duration(o, "ai_response_time_secs", v)
	}},

	counterField("accepted_lines", func(d *draft) **int64 { return &d.AcceptedLines }),
	counterField("overridden_lines", func(d *draft) **int64 { return &d.OverriddenLines }),
	counterField("total_additions", func(d *draft) **int64 { return &d.TotalAdditions }),
	counterField("total_deletions", func(d *draft) **int64 { return &d.TotalDeletions }),

	textField("user", maxUser, func(d *draft) *string { return &d.User }).always(),
	textField("parent_receipt_id", maxID, func(d *draft) *string { return &d.ParentReceiptID }),
	{name: "files_changed", read: (*blamePrompt).filesChanged},
	{name: "file_path", read: func(p *blamePrompt, o *object, d *draft, v value) {
		d.legacyPath = p.path(o, "file_path", v)
	}},
	{name: "line_range", read: func(_ *blamePrompt, _ *object, d *draft, v value) {
		d.legacyRange, d.hasRange = v, v.kind != kindNull
	}},
	{name: "conversation", read: func(p *blamePrompt, o *object, d *draft, v value) {
		d.Conversation, d.ConversationTurns = p.conversation(o, "conversation", v)
	}},
})

// byName numbers the fields' bits in their order.
func byName(fields []receiptField) map[string]receiptField {
	out := make(map[string]receiptField, len(fields))
	for i, f := range fields {
		f.bit = 1 << i
		out[f.name] = f
	}
	return out
}

func (f receiptField) always() receiptField { f.required = true; return f }
func (f receiptField) tells() receiptField  { f.telling = true; return f }

func textField(name string, limit int, field func(*draft) *string) receiptField {
	return receiptField{name: name, read: func(p *blamePrompt, o *object, d *draft, v value) {
		*field(d) = p.text(o, name, v, limit)
	}}
}

func counterField(name string, field func(*draft) **int64) receiptField {
	return receiptField{name: name, read: func(p *blamePrompt, o *object, d *draft, v value) {
		*field(d) = p.counter(o, name, v)
	}}
}

func timeField(name string) receiptField {
	return receiptField{name: name, read: func(p *blamePrompt, o *object, d *draft, v value) {
		p.timestamp(o, d, name, v)
	}}
}

func (p *blamePrompt) timestamp(o *object, d *draft, name string, v value) {
	t, raw := p.time(o, name, v)
	if raw == "" {
		return
	}
	if d.RawTimestamps == nil {
		d.RawTimestamps = make(map[string]string, 4)
	}
	d.RawTimestamps[name] = raw
	switch name {
	case "timestamp":
		d.Timestamp = t
	case "session_start":
		d.SessionStart = t
	case "session_end":
		d.SessionEnd = t
	case "prompt_submitted_at":
		d.PromptSubmittedAt = t
	}
}

// path reads a file path and turns back-slashes into slashes.
func (p *blamePrompt) path(o *object, field string, v value) string {
	return strings.ReplaceAll(p.text(o, field, v, maxPath), `\`, "/")
}

// filesChanged reads the array of files. An array that could not be kept
// whole stays in Detail as well.
func (p *blamePrompt) filesChanged(o *object, d *draft, v value) {
	switch v.kind {
	case kindNull:
		return
	case kindArray:
	default:
		p.mistyped(o, "files_changed", v, "an array")
		return
	}
	d.Files = nil
	rest := len(p.rest)
	s := scanner{text: v.raw}
	// The array has been scanned once, so that no error can come.
	_ = s.elements(func(i int) error {
		item, err := s.value()
		if err != nil {
			return err
		}
		file := object{at: o.at}
		file.at.list, file.at.item = "files_changed", i
		p.addFile(&file, d, item)
		return nil
	})
	if len(p.rest) > rest {
		p.rest = p.rest[:rest]
		p.keep(o, "files_changed", v)
	}
}

func (p *blamePrompt) addFile(o *object, d *draft, v value) {
	if v.kind != kindObject {
		p.add(fieldMistyped, o.at, "", "a changed file is %s, not an object; kept in detail only.", article(v.kind))
		p.keep(o, "", v)
		return
	}
	if p.files == maxFiles {
		p.addOnce(tooManyFiles, o.at, "", "the note names more than %d files; the rest is not kept.", maxFiles)
		return
	}
	file := p.file(o, v)
	if file.Path == "" {
		p.add(pathMissing, o.at, "path", "a changed file has no path; it is kept in detail only.")
		p.keep(o, "path", v)
		return
	}
	p.files++
	d.Files = append(d.Files, file)
}

func (p *blamePrompt) file(o *object, v value) FileChange {
	var f FileChange
	s := scanner{text: v.raw}
	_ = s.members(func(key []byte) error {
		v, err := s.value()
		if err != nil {
			return err
		}
		switch string(key) {
		case "path":
			f.Path = p.path(o, "path", v)
		case "line_range":
			f.LineStart, f.LineEnd = p.lineRange(o, v)
		case "blob_hash":
			f.BlobHash = p.blobHash(o, v)
		case "additions":
			f.Additions = p.counter(o, "additions", v)
		case "deletions":
			f.Deletions = p.counter(o, "deletions", v)
		default:
			p.keep(o, string(key), v)
		}
		return nil
	})
	return f
}

// lineRange reads [first, last]; both are 0 when they say nothing.
func (p *blamePrompt) lineRange(o *object, v value) (first, last int64) {
	const field = "line_range"
	if v.kind == kindNull {
		return 0, 0
	}
	bounds := p.bounds(o, v)
	if len(bounds) != 2 || bounds[0] == nil || bounds[1] == nil {
		p.add(lineRangeInvalid, o.at, field, "line_range is not a pair of line numbers; the lines count as unknown.")
		p.keep(o, field, v)
		return 0, 0
	}
	first, last = *bounds[0], *bounds[1]
	if first > last {
		p.add(lineRangeSwapped, o.at, field, "line_range is reversed; it was turned round.")
		first, last = last, first
	}
	if last > MaxLine || (first == 0 && last > 0) {
		p.add(lineRangeClamped, o.at, field, "line_range leaves lines 1 to %d; it was cut to them.", MaxLine)
		first, last = min(max(first, 1), MaxLine), min(last, MaxLine)
	}
	return first, last
}

// bounds reads an array of at most three counters; nil stands for one that
// could not be read.
func (p *blamePrompt) bounds(o *object, v value) []*int64 {
	if v.kind != kindArray {
		return nil
	}
	out := make([]*int64, 0, 3)
	s := scanner{text: v.raw}
	_ = s.elements(func(i int) error {
		n, err := s.value()
		if err == nil && i < cap(out) {
			out = append(out, p.counter(o, "line_range", n))
		}
		return err
	})
	return out
}

// blobHash reads a git blob id of either hash function.
func (p *blamePrompt) blobHash(o *object, v value) string {
	hash := strings.ToLower(p.text(o, "blob_hash", v, maxName))
	if hash == "" || ((len(hash) == 40 || len(hash) == 64) && isHex(hash)) {
		return hash
	}
	p.add(blobHashInvalid, o.at, "blob_hash", "blob_hash is not 40 or 64 hexadecimal digits; the file counts as one without.")
	p.keep(o, "blob_hash", v)
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// legacyFile takes file_path and line_range, which old clients fill and new
// ones leave at "" and [0,0]. An absent range reads as [1,1], as in the client.
func (p *blamePrompt) legacyFile(o *object, d *draft) {
	if len(d.Files) > 0 || d.legacyPath == "" {
		return
	}
	if p.files == maxFiles {
		p.addOnce(tooManyFiles, o.at, "", "the note names more than %d files; the rest is not kept.", maxFiles)
		return
	}
	p.files++
	file := FileChange{Path: d.legacyPath, LineStart: 1, LineEnd: 1, Legacy: true}
	if d.hasRange {
		file.LineStart, file.LineEnd = p.lineRange(o, d.legacyRange)
	}
	d.Files = []FileChange{file}
}

// splitUser takes "name <mail>" apart. Without brackets the text is an
// address if it looks like one, else a name.
func splitUser(user string) (name, email string) {
	if body, ok := strings.CutSuffix(user, ">"); ok {
		tail := strings.LastIndexByte(body, '>') + 1
		if open := strings.IndexByte(body[tail:], '<'); open >= 0 {
			return strings.TrimSpace(body[:tail+open]), strings.TrimSpace(body[tail+open+1:])
		}
	}
	user = strings.TrimSpace(user)
	at := strings.IndexByte(user, '@')
	if at > 0 && at < len(user)-1 && !strings.ContainsAny(user, " \t\n<>") {
		return "", user
	}
	return user, ""
}

// sameJSON reports whether two JSON texts differ in white space alone.
func sameJSON(a, b []byte) bool {
	return bytes.Equal(a, b) || bytes.Equal(appendSafe(nil, a), appendSafe(nil, b))
}
