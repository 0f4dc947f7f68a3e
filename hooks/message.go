package hooks

// What a pusher reads.
//
// The rules of the text:
//
//   - The first line says what became of the push. It begins with
//     "BlamePrompt: ", and no other line of ours does.
//   - A refusal names for each finding the policy with its version, the commit,
//     file or amount, and the next step; then the link to the decision and the
//     ways around it that the pusher has.
//   - An accepted push without findings says nothing at all.
//   - Text that is not ours (names, paths, models, reasons, links) is stripped of
//     everything that is not to be seen: control characters, terminal sequences,
//     line breaks, invisible and direction-changing characters. It is cut at
//     a bound and never stands at the beginning of a line: lines that hold it
//     are indented.
//   - Lines are wrapped at 76 columns, as git puts "remote: " in front of them;
//     commands and links stand on one line each. There are at most maxShown findings; the rest is counted.
//   - No colours, no symbols beyond ASCII, no blame: the text says what is and
//     what to do.
//   - GitLab hides what a hook says of a refused push from its pages unless
//     each line begins with "GL-HOOK-ERR:", which then is there.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/blameprompt/enterprise/policy/push"
)

// AnswerVersion is the version of the format of an Answer; see PushVersion.
const AnswerVersion = 1

// maxAnswer bounds the JSON of an Answer in bytes.
const maxAnswer = 4 << 20

// Mode says what becomes of pushes to a repository that nobody could judge.
type Mode string

// The modes: an Advisory repository accepts them with a warning, an Enforcing
// one refuses them.
const (
	Advisory  Mode = "advisory"
	Enforcing Mode = "enforcing"
)

// Answer is what the daemon says to a Push.
type Answer struct {
	Version int          `json:"version"`
	Verdict push.Verdict `json:"verdict"`
	// Decision is the id of the recorded decision and Link its page; both may be
	// empty.
	Decision string `json:"decision,omitempty"`
	Link     string `json:"link,omitempty"`
	// Override says that this pusher may go ahead with the push option
	// OverrideOption, and Waiver whom to ask for a waiver.
	Override bool   `json:"override,omitempty"`
	Waiver   string `json:"waiver,omitempty"`
	// OverrideProblem says in one clause why an override that was asked for does
	// not count.
	OverrideProblem string `json:"override_problem,omitempty"`
	// Quiet says that an accepted push needs no text: what is awaited concerns no
	// commit that shows an agent's hand.
	Quiet bool `json:"quiet,omitempty"`
	// Retry is the command that brings what was missing; empty where none does.
	Retry string `json:"retry,omitempty"`
	// WaitMS asks the hook to look for the notes of the push for so many
	// milliseconds and then to ask again, with Push.Waited; nothing was decided.
	WaitMS int `json:"wait_ms,omitempty"`
}

// OverrideOption is the push option that gives the reason to accept a push
// that a policy refuses.
const OverrideOption = "blameprompt.override"

// notesRef is where the stock client keeps its receipts.
const notesRef = "refs/notes/blameprompt"

// ErrAnswer says that a document is no Answer of a known version.
var ErrAnswer = errors.New("document is no answer to a push")

// DecodeAnswer reads an Answer as JSON of at most 4 MiB. Unknown fields are
// ignored, an unknown outcome is not. The error wraps ErrAnswer.
func DecodeAnswer(r io.Reader) (Answer, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("reading answer: %w", err)
	}
	if len(text) > maxAnswer {
		return Answer{}, fmt.Errorf("reading answer: more than %d bytes: %w", maxAnswer, ErrAnswer)
	}
	var a Answer
	if err := json.Unmarshal(text, &a); err != nil {
		return Answer{}, fmt.Errorf("reading answer: %w: %w", err, ErrAnswer)
	}
	if a.Version != AnswerVersion {
		return Answer{}, fmt.Errorf("reading answer: version %d instead of %d: %w", a.Version, AnswerVersion, ErrAnswer)
	}
	if _, known := headlines[a.Verdict.Outcome]; !known {
		return Answer{}, fmt.Errorf("reading answer: unknown outcome %.40q: %w", a.Verdict.Outcome, ErrAnswer)
	}
	return a, nil
}

// Refused reports whether the push is to be refused.
func (a Answer) Refused() bool { return a.Verdict.Outcome == push.Refuse }

var headlines = map[push.Outcome]string{
	push.Accept:  "this push is accepted.",
	push.Warn:    "this push is accepted, with warnings.",
	push.Pending: "this push is accepted for now: receipts are awaited.",
	push.Refuse:  "this push is refused.",
}

// Text returns what the pusher reads, lines that end in a newline, or "" when
// there is nothing to say.
func (a Answer) Text(forge Forge) string {
	if a.Verdict.Outcome == push.Accept && len(a.Verdict.Findings) == 0 || a.quiet() {
		return ""
	}
	var t lines
	t.say(headlines[a.Verdict.Outcome])
	t.findings(a.Verdict)
	t.blank()
	switch a.Verdict.Outcome {
	case push.Refuse:
		t.waysOut(a)
	case push.Warn:
		if slices.ContainsFunc(a.Verdict.Findings, func(f push.Finding) bool { return f.Overridden }) {
			t.item("Override", "your reason is recorded with the decision.")
		}
	case push.Pending:
		t.item("Next", "The push is judged when they are there, or when the time for them is over. If your tool does "+
			"not push notes by itself:")
		t.command("git push origin " + notesRef)
	}
	if a.Link != "" {
		// Unbroken, so that it can be followed: it is the daemon's own.
		t.list = append(t.list, "  Decision: "+clean(a.Link, maxLink))
	} else if a.Decision != "" {
		t.item("Decision", clean(a.Decision, maxShownName))
	}
	return t.text(forge, a.Refused())
}

// quiet reports whether the pusher need not be told: Quiet never hides a
// refusal, nor anything that is more than awaited.
func (a Answer) quiet() bool {
	return a.Quiet && !a.Refused() && !slices.ContainsFunc(a.Verdict.Findings, func(f push.Finding) bool {
		return f.Problem != push.Awaited
	})
}

// UnjudgedText is said when there is no verdict: the daemon gave no answer, or
// Collect failed by no fault of the push. why says in one clause what went
// wrong. In an Enforcing repository the push is refused, else accepted.
func UnjudgedText(mode Mode, forge Forge, why string) string {
	var t lines
	if mode != Enforcing {
		t.say("this push is accepted without having been judged.")
		t.blank()
		t.item("Why", clean(why, maxShownText))
		t.item("Next", "Nothing to do: the push is judged when the service is back.")
		return t.text(forge, false)
	}
	t.say("this push is refused because nobody could judge it.")
	t.blank()
	t.item("Why", clean(why, maxShownText))
	t.item("Next", "Push again in a minute. Your commits are not at fault. If it goes on, tell your administrator: "+
		"this repository refuses what it cannot judge.")
	return t.text(forge, true)
}

// UnreadableText is said when the push itself cannot be read: err wraps
// ErrUpdates, ErrPushOptions or ErrIncomplete. Such a push is refused in every
// repository.
func UnreadableText(forge Forge, err error) string {
	var t lines
	t.say("this push is refused because it cannot be read.")
	t.blank()
	t.item("Why", clean(err.Error(), maxShownText))
	switch {
	case errors.Is(err, ErrIncomplete):
		t.item("Next", "Your clone is shallow. Complete it and push again:")
		t.command("git fetch --unshallow")
	case errors.Is(err, ErrPushOptions):
		t.item("Next", "Push with fewer or shorter push options (git push -o).")
	default:
		t.item("Next", "Push fewer refs at once. If that does not help, give this text to your administrator.")
	}
	return t.text(forge, true)
}

// RemoteText is said of a push that policies let pass and that the gateway has
// forwarded to the repository's remote: what the remote answered, if it refused
// or said anything. problem says in one clause why it could not be asked; it is
// empty when it was.
func RemoteText(refused bool, problem string, answer []string) string {
	var t lines
	switch {
	case problem != "":
		t.say("this push is refused because it could not be forwarded.")
		t.blank()
		t.item("Why", clean(problem, maxShownText))
		t.item("Next", "Push again in a minute. Nothing was changed, here or there, unless it says so above.")
	case refused:
		t.say("this push is refused by the repository that it is forwarded to.")
	case len(answer) > 0:
		t.say("the repository that this push was forwarded to says:")
	default:
		return ""
	}
	if len(answer) > 0 {
		t.blank()
	}
	for i, line := range answer {
		if i == maxAnswerLines {
			t.wrap("    ", "    ", fmt.Sprintf("%d more lines are not shown.", len(answer)-i))
			break
		}
		if shown := clean(line, maxLink); strings.Contains(shown, "://") && !strings.Contains(shown, " ") {
			// A link is unbroken, so that it can be followed.
			t.command(shown)
		} else {
			t.wrap("    ", "      ", clean(line, maxShownText))
		}
	}
	return t.text(Gateway, refused)
}

// The bounds of what is shown.
const (
	maxAnswerLines = 40
	maxShown       = 8
	maxShownName   = 80
	maxShownText   = 400
	maxLink        = 300
	maxCommand     = 1500
	width          = 76
)

// lines is a text in the making.
type lines struct{ list []string }

func (t *lines) say(headline string) { t.list = append(t.list, "BlamePrompt: "+headline) }

func (t *lines) blank() {
	if last := len(t.list) - 1; t.list[last] != "" {
		t.list = append(t.list, "")
	}
}

// item adds "  Label: text", wrapped under the text.
func (t *lines) item(label, text string) { t.wrap("  "+label+": ", "    ", text) }

// command adds a line to type as it stands.
func (t *lines) command(text string) { t.list = append(t.list, "    "+text) }

// wrap adds text behind first, and behind rest where it needs further lines.
// Words that are too long for a line are broken: else the terminal breaks them,
// and puts the remainder where our own lines begin.
func (t *lines) wrap(first, rest, text string) {
	line, used := first, 0
	for _, word := range strings.Fields(text) {
		for piece := range pieces(word, width-columns(first)) {
			if used > 0 && columns(line)+1+columns(piece) > width {
				t.list = append(t.list, line)
				line, used = rest, 0
			}
			if used > 0 {
				line += " "
			}
			line, used = line+piece, used+1
		}
	}
	if used > 0 {
		t.list = append(t.list, line)
	}
}

// pieces yields a word in parts of at most limit columns.
func pieces(word string, limit int) iter.Seq[string] {
	return func(yield func(string) bool) {
		start, used := 0, 0
		for i, r := range word {
			if used+columnsOf(r) > limit {
				if !yield(word[start:i]) {
					return
				}
				start, used = i, 0
			}
			used += columnsOf(r)
		}
		yield(word[start:])
	}
}

func columns(text string) int {
	n := 0
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

// columnsOf is at least what a terminal takes: everything from Hangul Jamo on
// may be wide.
func columnsOf(r rune) int {
	if r >= 0x1100 {
		return 2
	}
	return 1
}

// findings shows the strongest ones, each policy's together.
func (t *lines) findings(v push.Verdict) {
	policy := ""
	for i, f := range v.Findings {
		if i == maxShown {
			break
		}
		if i == 0 || f.PolicyID != policy {
			policy = f.PolicyID
			t.blank()
			t.wrap("  ", "    ", heading(f)+strictness(f.Outcome, v.Outcome)+":")
		}
		t.finding(f)
	}
	if more := hidden(v); more > 0 {
		t.blank()
		t.wrap("  ", "    ", fmt.Sprintf("%d more findings are not shown.", more))
	}
}

// heading names what a finding is by: a policy, or what holds without any.
func heading(f push.Finding) string {
	if f.PolicyID == "" {
		return clean(f.PolicyName, maxShownName)
	}
	return fmt.Sprintf("Policy %s, version %d (%s)", quoted(f.PolicyName), f.Version, clean(f.Rule, maxShownName))
}

// strictness says that a finding did not decide.
func strictness(finding, verdict push.Outcome) string {
	if finding != verdict && finding == push.Warn {
		return ", only a warning"
	}
	return ""
}

func hidden(v push.Verdict) int {
	return max(0, len(v.Findings)-maxShown) + hiddenFindings(v)
}

// hiddenFindings counts those that the verdict itself leaves out.
func hiddenFindings(v push.Verdict) int {
	more := 0
	for _, judged := range v.Policies {
		more += max(0, judged.More)
	}
	return more
}

func (t *lines) finding(f push.Finding) {
	t.wrap("    - ", "      ", clean(f.Message, maxShownText))
	if where := place(f); where != "" {
		t.wrap("      Where: ", "        ", where)
	}
	if f.Limit != "" && f.Found != "" {
		t.wrap("      Limit: ", "        ", clean(f.Limit, maxShownText)+"; found: "+clean(f.Found, maxShownText))
	}
	t.wrap("      Next: ", "        ", clean(f.Next, maxShownText))
}

// place says which commit, file and model a finding is about.
func place(f push.Finding) string {
	var parts []string
	if f.Commit != "" {
		parts = append(parts, "commit "+clean(f.Commit[:min(12, len(f.Commit))], maxShownName))
	}
	if f.File != "" {
		parts = append(parts, "file "+quoted(f.File))
	}
	if f.Model != "" {
		parts = append(parts, "model "+quoted(f.Model))
	}
	return strings.Join(parts, ", ")
}

// quoted puts text that the pusher chose between quotes that it cannot end.
func quoted(text string) string {
	return `"` + strings.ReplaceAll(clean(text, maxShownName), `"`, "'") + `"`
}

func (t *lines) waysOut(a Answer) {
	if a.Retry != "" {
		t.item("Retry", "bring what is missing in the same push:")
		t.command(clean(a.Retry, maxCommand))
	}
	if a.OverrideProblem != "" {
		t.item("Override", "yours does not count: "+clean(a.OverrideProblem, maxShownText)+".")
	} else if a.Override {
		t.item("Override", "you may go ahead, on the record:")
		t.command("git push -o " + OverrideOption + `="why" ...`)
	}
	switch {
	case !a.waivable():
	case a.Waiver != "":
		t.item("Waiver", "ask "+clean(a.Waiver, maxShownName))
	default:
		t.item("Waiver", "ask an administrator of BlamePrompt, who can let this push through for a while.")
	}
}

// waivable reports whether a waiver can let the push through: there are none of
// what holds without a policy.
func (a Answer) waivable() bool {
	fixed := func(f push.Finding) bool { return f.Outcome == push.Refuse && f.PolicyID == "" }
	return !slices.ContainsFunc(a.Verdict.Findings, fixed)
}

// text ends the text; a blank last line is left out.
func (t *lines) text(forge Forge, refused bool) string {
	prefix := ""
	if forge == GitLab && refused {
		prefix = "GL-HOOK-ERR: "
	}
	var out strings.Builder
	for i, line := range t.list {
		if line == "" && i == len(t.list)-1 {
			break
		}
		out.WriteString(strings.TrimRight(prefix+line, " ") + "\n")
	}
	return out.String()
}

// terminalSequence matches what terminals take as commands (ECMA-48): control
// sequences, and strings such as titles and links.
var terminalSequence = regexp.MustCompile(
	"(?:\x1b\\[|\u009b)[0-?]*[ -/]*[@-~]?|" +
		"(?:\x1b[\\]PX^_]|[\u0090\u0098\u009d-\u009f])[^\x07\x1b\u009c]*(?:\x07|\x1b\\\\|\u009c)?")

// clean makes one line of visible text of at most limit bytes. Blanks of all
// kinds become single spaces.
func clean(text string, limit int) string {
	const bound = 4
	text = text[:min(len(text), bound*limit)]
	text = terminalSequence.ReplaceAllString(strings.ToValidUTF8(text, "?"), "")
	text = strings.Join(strings.Fields(strings.Map(visible(), text)), " ")
	if len(text) > limit {
		text = cut(text, limit-3) + "..."
	}
	return text
}

// maxMarks bounds the accents on one letter: more would cover other lines.
const maxMarks = 2

// visible returns a mapping of runes: what breaks lines becomes a blank, what
// cannot be seen or changes the direction of what can is dropped.
func visible() func(rune) rune {
	marks := 0
	return func(r rune) rune {
		if !unicode.Is(unicode.M, r) {
			marks = 0
		} else if marks++; marks > maxMarks {
			return -1
		}
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r), unicode.In(r, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point):
			return -1
		}
		return r
	}
}
