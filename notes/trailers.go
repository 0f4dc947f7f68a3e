package notes

import (
	"regexp"
	"strings"
	"sync"
)

// ConfidenceLow marks what a commit says of itself: anyone may type it, and
// its absence proves nothing.
const ConfidenceLow = "low"

// AgentMark is a sign in a commit that an AI agent had a part in it.
type AgentMark struct {
	// Agent is the tool in BlamePrompt's spelling of providers ("claude",
	// "cursor"), or "unknown" when the sign does not name it.
	Agent string
	// Evidence says where the sign is: "trailer Co-authored-by", "author",
	// "committer", "line Generated with".
	Evidence string
	// Value is the trailer's value or the line, at most 256 bytes of it; empty
	// for identities.
	Value string
	// Confidence is ConfidenceLow.
	Confidence string
}

// The bounds of what AgentMarks looks at and returns.
const (
	maxMessage = 64 << 10
	maxMarks   = 32
	maxValue   = 256
)

// AgentMarks returns the signs of AI agents in a commit's identities and
// message: trailers by git's rules, and lines "Generated with". Of a message of
// more than 64 KiB only the end is read. Equal marks are returned once, at most
// 32 in all. The text may be any bytes.
func AgentMarks(authorName, authorEmail, committerName, committerEmail, message string) []AgentMark {
	var m marks
	m.add(agentOf(authorName, authorEmail), "author", "")
	m.add(agentOf(committerName, committerEmail), "committer", "")
	whole := len(message) <= maxMessage
	if !whole {
		message = message[len(message)-maxMessage:]
	}
	lines := strings.Split(message, "\n")
	for _, line := range lines {
		m.generated(line)
	}
	for _, t := range trailers(lines, whole) {
		m.trailer(t)
	}
	return m.found
}

// IsBot reports whether a commit's author is automation that is no coding
// agent, such as dependabot or a release job.
func IsBot(name, email string) bool {
	name, email = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(email))
	if agentOf(name, email) != "" {
		return false
	}
	login := noReplyLogin(email)
	return botMails[email] || strings.HasSuffix(name, "[bot]") || strings.HasSuffix(login, "[bot]") ||
		botLogins[name] || botLogins[login] || gitlabBot().MatchString(email)
}

// gitlabBot is the address of a GitLab project or group access token's user.
var gitlabBot = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^(project|group)_?[0-9]+_bot[0-9a-f_]*@noreply\.`)
})

// marks collects AgentMarks.
type marks struct{ found []AgentMark }

func (m *marks) add(agent, evidence, value string) {
	if agent == "" || len(m.found) == maxMarks {
		return
	}
	value, _ = cleanText([]byte(value))
	value, _ = truncate(value, maxValue)
	mark := AgentMark{Agent: agent, Evidence: evidence, Value: value, Confidence: ConfidenceLow}
	for _, have := range m.found {
		if have == mark {
			return
		}
	}
	m.found = append(m.found, mark)
}

// generated takes lines like "🤖 Generated with [Claude Code](https://…)".
// Agents put at most an emoji in front; prose about such lines has more.
func (m *marks) generated(line string) {
	const words = "enerated with "
	i := strings.Index(line, words)
	if i < 1 || len(line) > 4*maxValue || (line[i-1] != 'G' && line[i-1] != 'g') {
		return
	}
	if strings.ContainsFunc(line[:i-1], isWordRune) {
		return
	}
	name := strings.TrimLeft(line[i+len(words):], "[*")
	if end := strings.IndexAny(name, "](*.,"); end >= 0 {
		name = name[:end]
	}
	name = strings.ToLower(strings.TrimSpace(name))
	m.add(generators[name], "line Generated with", strings.TrimSpace(line))
}

func isWordRune(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9') || r == '>' || r == '`'
}

func (m *marks) trailer(t trailer) {
	switch key := strings.ToLower(t.key); key {
	case "co-authored-by":
		m.add(agentOf(splitUser(t.value)), "trailer Co-authored-by", t.value)
	case "co-developed-by":
		m.add(agentOf(splitUser(t.value)), "trailer Co-developed-by", t.value)
	case "assisted-by":
		m.add(assistant(t.value), "trailer Assisted-by", t.value)
	case "generated-by":
		m.add(assistant(t.value), "trailer Generated-by", t.value)
	default:
		if key == "entire-attribution" && strings.HasPrefix(t.value, "0%") {
			return
		}
		session := sessionTrailers[key]
		m.add(session.agent, "trailer "+session.name, t.value)
	}
}

// assistant finds the agent in "Claude:claude-opus-4 sparse", "Crush <mail>" or
// "Claude Code (Anthropic)".
func assistant(value string) string {
	name, email := splitUser(value)
	if agent := agentOf(name, email); agent != "" {
		return agent
	}
	if end := strings.IndexAny(name, ":(,"); end >= 0 {
		name = name[:end]
	}
	return assistants[strings.ToLower(strings.TrimSpace(name))]
}

// agentOf is the agent behind an identity, or "".
func agentOf(name, email string) string {
	name, email = strings.ToLower(strings.TrimSpace(name)), strings.ToLower(strings.TrimSpace(email))
	switch {
	case agentMails[email] != "":
		return agentMails[email]
	case agentLogins[noReplyLogin(email)] != "":
		return agentLogins[noReplyLogin(email)]
	case strings.HasSuffix(name, "[bot]"):
		return agentLogins[name]
	case strings.HasSuffix(name, " (aider)"):
		// aider's default: the developer's name with this behind it.
		return "aider"
	}
	return ""
}

// noReplyLogin is the account in GitHub's "NUMBER+login@users.noreply.github.com",
// also without the number, or "".
func noReplyLogin(email string) string {
	local, ok := strings.CutSuffix(email, "@users.noreply.github.com")
	if !ok {
		return ""
	}
	if _, login, numbered := strings.Cut(local, "+"); numbered {
		return login
	}
	return local
}

// trailer is one "key: value" of a commit message.
type trailer struct{ key, value string }

// trailers returns the trailers of a message by the rules of
// git-interpret-trailers: they stand in the last paragraph, which is not the
// title, and either every line there is one, or one is git's own and at least
// a quarter are. whole says that lines begin with the title.
func trailers(lines []string, whole bool) []trailer {
	var out []trailer
	count, others, ours := 0, 0, false
	for _, line := range lastParagraph(lines, whole) {
		line = strings.TrimRight(line, " \t\r")
		t, isTrailer := parseTrailer(line)
		switch {
		case strings.HasPrefix(line, "#"):
		case count > 0 && (line[0] == ' ' || line[0] == '\t'):
			out = continueTrailer(out, line)
		case strings.HasPrefix(line, "(cherry picked from commit "):
			count++
			ours = true
		case isTrailer:
			count++
			ours = ours || t.key == "Signed-off-by"
			out = append(out, t)
		default:
			others++
		}
	}
	if others == 0 || (ours && count*3 >= others) {
		return out
	}
	return nil
}

// continueTrailer adds an indented line to the trailer before it.
func continueTrailer(out []trailer, line string) []trailer {
	if n := len(out); n > 0 && len(out[n-1].value) < maxValue {
		out[n-1].value += " " + strings.TrimSpace(line)
	}
	return out
}

// lastParagraph returns the lines behind the last blank line, nil when they are
// the title.
func lastParagraph(lines []string, whole bool) []string {
	end := len(lines)
	for end > 0 && strings.TrimSpace(lines[end-1]) == "" {
		end--
	}
	start := end
	for start > 0 && strings.TrimSpace(lines[start-1]) != "" {
		start--
	}
	if start == 0 && whole {
		return nil
	}
	return lines[start:end]
}

// parseTrailer reads "key: value"; a key is of letters, digits and hyphens.
func parseTrailer(line string) (trailer, bool) {
	key, value, ok := strings.Cut(line, ":")
	key = strings.TrimRight(key, " \t")
	if !ok || key == "" {
		return trailer{}, false
	}
	for i := range len(key) {
		if c := key[i]; c != '-' && (c < '0' || c > '9') && (c|0x20 < 'a' || c|0x20 > 'z') {
			return trailer{}, false
		}
	}
	return trailer{key: key, value: strings.TrimSpace(value)}, true
}
