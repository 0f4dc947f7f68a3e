package ui

import "net/http"

// Help is the page of definitions and keys.
type Help struct {
	Base
	Numbers []Definition
	Keys    []Key
}

// Definition says how a number of the pages is counted. ID is its place, which
// the numbers link to.
type Definition struct{ ID, Name, Text string }

// Key is what a key does.
type Key struct{ Keys, Does string }

func (p *pages) help(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "", "Help and definitions")
	if err != nil {
		return err
	}
	page := &Help{Base: base, Numbers: definitions,
		Keys: []Key{{"/", "search on this page"}, {"?", "this help"}, {"Esc", "leave a field, close the menu"}}}
	for _, item := range menu {
		page.Keys = append(page.Keys, Key{"g " + item.Key, "go to " + item.Name})
	}
	return p.show(w, r, http.StatusOK, "help", page)
}

// definitions are what docs/numbers.md and docs/design.md say, for those who
// read a number.
var definitions = []Definition{
	{"receipts", "Receipts", "A receipt is a tool's claim that a model answered a prompt, as a note in git or the API brought it. Each stored one counts once, " +
		"also one that a later note replaced; “current” are those that the tip of a notes ref carries."},
	{"prompts", "Prompts", "A prompt is what a person asked once: the tool, the session and the prompt's number in it, or the receipt itself where these are not known. " +
		"One prompt may have several receipts."},
	{"cost", "Cost", "US dollars. Each prompt counts once, by its largest report. It is computed from tokens by the dated price book where model and tokens are known " +
		"(basis “computed”), else it is as the tool reported it (“reported”). A prompt of which neither tokens nor a cost were reported shows – and " +
		"adds nothing, so that a sum may be less than what was paid. Sums are exact decimals; what is below one dollar is shown to four places."},
	{"tokens", "Tokens", "As the tool reported them, each prompt once, by its largest report. Tokens read from a cache are counted apart from those sent anew."},
	{"claims", "What receipts claim", "Lines, files and ranges in a receipt are the client's own: they are cumulative and overlap, so they are shown where they stand and " +
		"never added up. Shares of lines come from git's own comparison of commits."},
	{"ai-share", "AI share", "AI lines among the lines that the commits of the default branch added in the period. A merge counts lines that are in neither parent; " +
		"excluded paths (lock files, vendored, generated) count nowhere."},
	{"unknown", "Unknown lines", "Added lines that nothing attests: no receipt, note or trailer says whose they are. Unknown is a class of its own, and never human."},
	{"coverage", "Coverage", "Commits of the default branch, without bots, that have a note which could be read, among all of them. Where it is low, the AI share is " +
		"a lower bound."},
	{"marked", "AI-marked without a note", "Commits whose trailers or identities name an agent and that no note speaks of: receipts that stayed on somebody's machine, most likely."},
	{"live", "Live AI share", "AI lines among the lines at the tip of the default branch, each by the commit that git blame says it comes from."},
	{"people", "People", "The addresses that rules and .mailmap files join are one person's: filters and sums take them for one. A commit counts for its author; " +
		"commits of bots are counted apart."},
	{"decisions", "Decisions", "A decision is what was said of one push. Its outcome is what the pusher was told; its state is where it stands now: final, pending " +
		"(receipts may still come), held (its branch takes no more pushes of that pusher) or released. Its lines are those that the hook counted in what was pushed."},
	{"violations", "Violations", "A finding of a policy with the outcome warned or refused, at the push or in a late verdict. Waived ones stay on record. " +
		"Open are those that nobody waived."},
	{"human", "Human lines", "Added lines that somebody attests to have written: a git-ai note says so. That no receipt speaks for a line makes it unknown, not human."},
	{"confidence", "How sure a class is", "exact: a receipt recorded the very content of the lines; attested: a note names the lines; envelope: a receipt names the file, " +
		"and its lines are counted up to what it claims; trailer: only a trailer or the author's identity names an agent. The surest word owns a line."},
	{"findings", "Findings of notes", "What of a repository's notes could not be read, or is not what it seems: a receipt that was changed, a text that is not Unicode, a note " +
		"about a commit that is not there. Nothing that was found is left out of what could be read."},
	{"events", "What happened to pushes and notes", "Pushes are those that were judged; a push without notes brought commits of a branch and no notes of theirs. Notes are rewritten " +
		"or deleted by a later commit of their notes ref; a ref is rewritten by a forced push, and deleted with all that it held."},
	{"current", "Current and superseded", "A receipt is current while the tip of a notes ref carries it. A superseded one was replaced, removed or left behind; it stays, and " +
		"its cost counts: the prompt was asked."},
	{"days", "Days and times", "Days of sums, filters and limits begin at midnight in the organisation's time zone. Times are shown in the browser's; pointing at one says exactly when."},
}
