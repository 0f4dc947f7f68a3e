package notes

import "strings"

// metadata reads the JSON object at the cursor.
func (g *gitAI) metadata() error {
	if g.s.text[g.s.pos] != '{' {
		return g.s.unexpected("the metadata object")
	}
	o := object{at: place{index: -1}, restFrom: len(g.rest)}
	o.at.line = g.lines.at(g.s.text, g.s.pos)
	err := g.s.members(func(key []byte) error {
		switch string(key) {
		case "prompts", "sessions", "humans":
			if g.s.space() == '{' {
				return g.recordMap(o.at.line, string(key))
			}
		}
		v, err := g.s.value()
		if err == nil {
			g.metadataField(&o, string(key), v)
		}
		return err
	})
	g.name("")
	if err != nil {
		return err
	}
	g.extra = append(g.extra, g.rest[o.restFrom:]...)
	g.extra = g.extra[:min(len(g.extra), maxMembers)]
	g.rest = g.rest[:o.restFrom]
	return nil
}

func (g *gitAI) metadataField(o *object, key string, v value) {
	switch key {
	case "schema_version":
		g.note.FormatVersion = g.text(o, key, v, maxName)
		if g.note.FormatVersion != gitAISchema {
			g.add(schemaUnknown, o.at, key, "the schema is not %s; it was read as if it were.", gitAISchema)
		}
	case "git_ai_version":
		g.note.ToolVersion = g.text(o, key, v, maxName)
	case "base_commit_sha":
		g.note.BaseCommit = strings.ToLower(g.text(o, key, v, maxName))
		if g.note.BaseCommit != g.commit {
			g.add(baseCommitDiffers, o.at, key, "the note was written for another commit than the one it stands on.")
		}
	case "prompts", "sessions", "humans":
		if v.kind != kindNull {
			g.mistyped(o, key, v, "an object")
		}
	default:
		g.keep(o, key, v)
	}
}

// recordMap reads {"key": record, ...}.
func (g *gitAI) recordMap(line int, name string) error {
	pointer := "/" + name
	return g.s.members(func(raw []byte) error {
		at := place{line: line, pointer: pointer, index: -1, member: string(raw)}
		key := g.key(at, raw)
		switch {
		case g.s.space() != '{':
			v, err := g.s.value()
			g.add(notAReceipt, at, "", "%s stands where a record was expected; it was left out.", article(v.kind))
			g.name("")
			return err
		case name == "humans":
			return g.human(at, key)
		}
		return g.record(at, recordKey(key))
	})
}

// human reads {"author": "Name <mail>"}.
func (g *gitAI) human(at place, key string) error {
	o := object{at: at, restFrom: len(g.rest)}
	err := g.s.members(func(name []byte) error {
		v, err := g.s.value()
		if err == nil && string(name) == "author" {
			g.authors[key] = g.text(&o, "author", v, maxUser)
		}
		return err
	})
	g.rest = g.rest[:o.restFrom]
	g.name("")
	return err
}

// record reads one prompt or session record. A key that comes again replaces
// the first record, as sessions come after the legacy prompts.
func (g *gitAI) record(at place, key string) error {
	start := g.s.pos
	o := object{at: at, restFrom: len(g.rest)}
	var r Receipt
	seen := map[string]bool{}
	err := g.s.members(func(name []byte) error {
		v, err := g.s.value()
		if err != nil {
			return err
		}
		if seen[string(name)] {
			g.add(duplicateKey, o.at, string(name), "a member name stands twice; the last value is kept.")
		}
		seen[string(name)] = true
		g.recordField(&o, &r, string(name), v)
		return nil
	})
	if err != nil {
		g.rest = g.rest[:o.restFrom]
		g.name("")
		return err
	}
	r.UserName, r.UserEmail = splitUser(r.User)
	r.Detail = g.detail(&o)
	g.putRecord(at, key, r, g.s.text[start:g.s.pos])
	return nil
}

func (g *gitAI) putRecord(at place, key string, r Receipt, raw []byte) {
	i, known := g.records[key]
	switch {
	case known && sameJSON(g.raws[i], raw):
		g.raws[i] = raw
		g.add(duplicateReceipt, at, "", "the record stands in the note twice with the same content.")
	case known:
		g.add(receiptConflict, at, "", "the record's key stands in the note with other content; the last one is kept.")
		r.ID, r.Index = g.note.Receipts[i].ID, i
		g.note.Receipts[i], g.raws[i] = r, raw
	case len(g.note.Receipts) == maxReceipts:
		g.add(tooManyReceipts, at, "", "the note holds more than %d records; this one was left out.", maxReceipts)
		g.name("")
		return
	default:
		i = g.addReceipt(key, r, raw)
	}
	g.name(g.note.Receipts[i].ID)
}

func (g *gitAI) recordField(o *object, r *Receipt, name string, v value) {
	switch name {
	case "agent_id":
		g.agent(o, r, v)
	case "human_author":
		r.User = g.text(o, name, v, maxUser)
	case "total_additions":
		r.TotalAdditions = g.counter(o, name, v)
	case "total_deletions":
		r.TotalDeletions = g.counter(o, name, v)
	case "accepted_lines":
		r.AcceptedLines = g.counter(o, name, v)
	case "overriden_lines", "overridden_lines":
		// git-ai spells it with one d.
		r.OverriddenLines = g.counter(o, name, v)
	case "messages":
		r.Conversation, r.ConversationTurns = g.conversation(o, name, v)
	default:
		g.keep(o, name, v)
	}
}

// agent reads {"tool", "id", "model"}; other members keep their place in Detail.
func (g *gitAI) agent(o *object, r *Receipt, v value) {
	if v.kind == kindNull {
		return
	}
	if v.kind != kindObject {
		g.mistyped(o, "agent_id", v, "an object")
		return
	}
	agent := object{at: o.at}
	agent.at.list, agent.at.item = "agent_id", -1
	s := scanner{text: v.raw}
	rest := len(g.rest)
	// The object has been scanned once, so that no error can come.
	_ = s.members(func(key []byte) error {
		v, err := s.value()
		if err != nil {
			return err
		}
		switch string(key) {
		case "tool":
			r.Provider = g.text(&agent, "tool", v, maxName)
		case "id":
			r.SessionID = g.text(&agent, "id", v, maxName)
		case "model":
			r.Model = g.text(&agent, "model", v, maxName)
		default:
			g.keep(&agent, string(key), v)
		}
		return nil
	})
	if len(g.rest) > rest {
		g.rest = g.rest[:rest]
		g.keep(o, "agent_id", v)
	}
}
