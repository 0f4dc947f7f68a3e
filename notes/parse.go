package notes

// Parse reads the body of a note on commit, an object id in lower-case hex
// that git-ai records are named after. It returns what could be read and, in
// Findings, what could not; a body of more than MaxBody bytes is not read at
// all. Conversations share memory with body, which must not be changed while
// they are in use. Parse keeps no state and may be called concurrently.
func Parse(format Format, commit string, body []byte) Note {
	if len(body) > MaxBody {
		return unread(format, noteTooLarge, "the note has %d bytes, more than %d; it was not read.", len(body), MaxBody)
	}
	switch format {
	case FormatBlamePrompt:
		return parseBlamePrompt(body)
	case FormatGitAI:
		return parseGitAI(commit, body)
	}
	return unread(format, formatUnknown, "no parser reads this format; the note was not read.")
}

func unread(format Format, c code, message string, args ...any) Note {
	var r report
	r.add(c, place{index: -1}, "", message, args...)
	return Note{Format: format, Findings: r.close()}
}
