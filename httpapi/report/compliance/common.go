package compliance

import (
	"context"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// totals are the figures of the period, as GET /api/v1/analytics answers them.
func (b *builder) totals(ctx context.Context) (*report.Section, error) {
	total, days, err := b.data.Totals(ctx)
	if err != nil {
		return nil, err
	}
	const source = "GET /api/v1/analytics with the same from, to, repo and team"
	return &report.Section{
		ID: "totals", Title: "The period in figures",
		Facts: []report.Fact{
			{Name: "Receipts", Value: count(total.Receipts), Note: "every stored receipt, also superseded ones; " + source},
			{Name: "Current receipts", Value: count(total.ReceiptsCurrent), Note: "those that the tip of a notes ref carries"},
			{Name: "Prompts", Value: count(total.Prompts), Note: "a prompt counts once, however many receipts report it"},
			{Name: "Cost", Value: string(total.CostUSD) + " USD", Note: "each prompt once, by its largest report"},
		},
		Chart: byMonth(days),
	}, nil
}

func byMonth(days []store.DaySums) *report.Chart {
	chart := &report.Chart{Title: "Receipts by month", Unit: "receipts"}
	for _, day := range days {
		month := day.Day.Format("2006-01")
		if n := len(chart.Labels); n == 0 || chart.Labels[n-1] != month {
			chart.Labels, chart.Values = append(chart.Labels, month), append(chart.Values, 0)
		}
		chart.Values[len(chart.Values)-1] += float64(day.Receipts)
	}
	return chart
}

// definitions are what the words of a report mean.
func definitions() *report.Section {
	return &report.Section{
		ID: "definitions", Title: "Definitions",
		Paragraphs: []string{
			"The definitions of all figures are in docs/numbers.md of the program; these are the ones that this report uses.",
		},
		Facts: []report.Fact{
			{Name: "Receipt", Value: "what an AI coding tool left in git notes about a change it had a part in; a claim of the developer's client"},
			{Name: "Prompt", Value: "provider, session and number of a prompt; else the receipt itself"},
			{Name: "AI, human, unknown lines", Value: "added lines of a commit by who notes say wrote them; a line that nothing speaks for is unknown, never human"},
			{Name: "Coverage", Value: "commits of people on the default branch with a readable note, of all of them"},
			{Name: "Decision", Value: "what the policies in force said to a push before it was accepted"},
			{Name: "Waiver, override", Value: "a recorded permission to break a policy, with its giver and reason"},
			{Name: "Git object ids", Value: "names of commits and blobs in the repository itself, which prove what they name"},
		},
	}
}

// check says how a row is followed with git alone.
func check() *report.Section {
	return &report.Section{
		ID: "check", Title: "Checking a row with git alone",
		Paragraphs: []string{
			"In a clone of the repository: git fetch origin 'refs/notes/*:refs/notes/*', then git notes --ref=REF show COMMIT prints the note, " +
				"git rev-parse REF names the tip that it was read from, and git cat-file blob BLOB prints the very version that a row names, also where a later push replaced it and the object is still there.",
			"The audit trail and the versions of notes are chained by hashes: blamepromptd audit verify finds a row that was changed, removed or put in, and its head can be kept elsewhere.",
		},
	}
}

var coverageColumns = []report.Column{
	text("repo", "Repository"), number("commits", "Commits"), number("bot_commits", "By bots"), number("with_note", "With a note"),
	number("marked_without_note", "AI-marked, no note"), number("added", "Added lines"), number("ai", "AI"), number("human", "Human"),
	number("unknown", "Unknown"), at("last_note", "Last note"),
}

// gaps are what the data cannot say.
func (b *builder) gaps(coverage [][]any) *report.Section {
	commits, noted, added := sum(coverage, 1, nil), sum(coverage, 3, nil), sum(coverage, 5, nil)
	return &report.Section{
		ID: "gaps", Title: "Gaps in the data",
		Paragraphs: []string{
			"Receipts are written by the tools of developers. A commit without one may have been written by a person or by a tool that left nothing; both are unknown here. Bots are counted apart, and merges that add nothing of their own not at all.",
		},
		Facts: []report.Fact{
			{Name: "Commits of people on default branches", Value: count(commits)},
			{Name: "Of them with a note", Value: count(noted) + " (" + share(noted, commits) + ")", Note: "coverage"},
			{Name: "Added lines that nothing speaks for", Value: count(sum(coverage, 8, nil)) + " (" + share(sum(coverage, 8, nil), added) + ")"},
		},
		Table: b.table(store.ReportCoverage, "Coverage by repository", "No repository has commits on its default branch in the period.", coverageColumns...),
		Sections: []*report.Section{{
			ID: "marked", Title: "Commits that name an AI tool and have no note",
			Table: b.table(store.ReportGaps, "", "There are none.", at("at", "At"), text("repo", "Repository"), oid("commit", "Commit"),
				text("author", "Author"), text("agent", "Tool")),
		}},
	}
}

// daysBetween are the days of the scope.
func daysBetween(scope store.ReportScope) int64 {
	return int64(scope.LastDay.Sub(scope.FirstDay)/(24*time.Hour)) + 1
}
