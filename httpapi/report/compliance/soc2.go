package compliance

import (
	"context"
	"fmt"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// soc2 follows the Trust Services Criteria of the AICPA (TSP section 100, 2017,
// with points of focus of 2022), those of them that this data supports.
func (b *builder) soc2(ctx context.Context) (*report.Document, error) {
	totals, err := b.totals(ctx)
	if err != nil {
		return nil, err
	}
	outcomes, err := b.read(ctx, store.ReportOutcomes)
	if err != nil {
		return nil, err
	}
	coverage, err := b.read(ctx, store.ReportCoverage)
	if err != nil {
		return nil, err
	}
	numbers, err := b.populations(ctx)
	if err != nil {
		return nil, err
	}
	return b.document("SOC 2: AI-assisted changes", b.about(), totals,
		b.changeManagement(outcomes, numbers), b.logicalAccess(numbers), b.boundary(outcomes), b.detection(coverage, numbers),
		b.monitoring(numbers), b.evaluation(numbers), b.evidence(), b.gaps(coverage), definitions(), check()), nil
}

func (b *builder) about() *report.Section {
	return &report.Section{
		ID: "about", Title: "What this report is",
		Paragraphs: []string{
			"It shows how controls over changes that AI coding tools had a part in worked in the period, for the Trust Services Criteria that the data supports. It is evidence for an auditor, not an opinion.",
			"Each control says what is asserted, the population, how it was tested, on all rows, and its exceptions, one by one. A sample with the ids of git objects lets everything be followed in the repositories themselves.",
		},
	}
}

// populations counts the rows of the queries that controls are tested on.
func (b *builder) populations(ctx context.Context) (map[store.ReportQuery]int64, error) {
	counts := map[store.ReportQuery]int64{}
	for _, query := range []store.ReportQuery{store.ReportExceptions, store.ReportAccess, store.ReportChanges, store.ReportFindings,
		store.ReportWaivers, store.ReportPolicies, store.ReportReviews} {
		n, err := b.data.Count(ctx, query)
		if err != nil {
			return nil, err
		}
		counts[query] = n
	}
	return counts, nil
}

// control is the head that every control has.
func control(asserted, population, tested string, exceptions int64) []report.Fact {
	found := "none"
	if exceptions > 0 {
		found = fmt.Sprintf("%d, listed below", exceptions)
	}
	return []report.Fact{{Name: "Asserted", Value: asserted}, {Name: "Population", Value: population}, {Name: "Tested", Value: tested},
		{Name: "Exceptions", Value: found}}
}

func outcome(name string) func([]any) bool { return func(row []any) bool { return row[0] == name } }

func (b *builder) changeManagement(outcomes [][]any, numbers map[store.ReportQuery]int64) *report.Section {
	pushes := sum(outcomes, 2, nil)
	return &report.Section{
		ID: "cc8-1", Title: "CC8.1 Change management",
		Facts: control("Every push to a repository with hooks or behind the gateway is judged by the policies in force before it is accepted, and the decision is kept.",
			fmt.Sprintf("%d pushes with %d commits", pushes, sum(outcomes, 3, nil)),
			"Every decision of the period is read; an exception is a violation of a policy that did not stop its push: a waiver, an override, a held branch that was released, a verdict that came late, or a policy that warns.",
			numbers[store.ReportExceptions]),
		Table: b.table(store.ReportOutcomes, "Pushes by outcome", "There were no pushes.", text("outcome", "Outcome"), text("state", "State"),
			number("pushes", "Pushes"), number("commits", "Commits"), number("overrides", "Overridden")),
		Sections: []*report.Section{
			{ID: "exceptions", Title: "Exceptions", Table: b.exceptions()},
			{ID: "policies", Title: "Policies in force over time", Table: b.table(store.ReportPolicies, "", "There were no policies.",
				text("policy", "Policy"), number("version", "Version"), text("change", "Change"), text("author", "Author"), at("from", "From"),
				at("until", "Until"), text("rules", "Rules"))},
			{ID: "violated", Title: "Policies that were violated", Table: b.table(store.ReportViolated, "", "None was.", text("policy", "Policy"),
				number("version", "Version"), text("rule", "Rule"), number("refused", "Refused"), number("warned", "Warned"))},
			{ID: "reviews", Title: "Reviews", Table: b.table(store.ReportReviews, "", "There were none.", at("at", "At"), text("repo", "Repository"),
				oid("commit", "Commit"), oid("patch_id", "Patch id"), text("reviewer", "Reviewer"), truth("approved", "Approved"), text("comment", "Comment"))},
		},
	}
}

func (b *builder) exceptions() *report.Table {
	return b.table(store.ReportExceptions, "", "There were none.", at("at", "At"), text("decision", "Decision"), text("repo", "Repository"),
		oid("commit", "Commit"), text("pusher", "Pusher"), text("policy", "Policy"), number("version", "Version"), text("rule", "Rule"),
		text("why", "Why it passed"), text("approver", "Let pass by"), text("reason", "Reason"))
}

var actColumns = []report.Column{number("seq", "Row"), at("at", "At"), text("principal", "By"), text("action", "Act"), text("target", "On")}

func (b *builder) logicalAccess(numbers map[store.ReportQuery]int64) *report.Section {
	return &report.Section{
		ID: "cc6-1", Title: "CC6.1 Logical access",
		Facts: control("Every change of who may see or change the data is an act of a known principal and is in the append-only audit trail.",
			fmt.Sprintf("%d acts on users, teams, keys, grants and secrets", numbers[store.ReportAccess]),
			"The audit trail of the period is read whole; an act without a principal would be an exception, and the database refuses to store one.", 0),
		Table: b.table(store.ReportAccess, "Access changes", "There were none.", actColumns...),
	}
}

func (b *builder) boundary(outcomes [][]any) *report.Section {
	refused := sum(outcomes, 2, outcome("refuse"))
	return &report.Section{
		ID: "cc6-6", Title: "CC6.6 Boundary protection",
		Facts: control("What policies forbid does not cross the boundary of the repositories: it is refused before it is stored.",
			fmt.Sprintf("%d pushes, %d of them refused", sum(outcomes, 2, nil), refused),
			"Every decision is read. That a refused push is not in its repository is kept by git itself: the hook's refusal ends receive-pack before refs move.", 0),
		Table: b.table(store.ReportDecisions, "Decisions", "There were none.", text("id", "Decision"), at("at", "At"), text("repo", "Repository"),
			text("ref", "Ref"), text("pusher", "Pusher"), text("outcome", "Outcome"), text("state", "State"), text("override", "Override"),
			number("commits", "Commits"), number("added", "Added"), number("ai", "AI"), number("human", "Human"), number("policies", "Policies"),
			number("violations", "Violations")),
	}
}

func (b *builder) detection(coverage [][]any, numbers map[store.ReportQuery]int64) *report.Section {
	return &report.Section{
		ID: "cc7-1", Title: "CC7.1 Detection of changes and vulnerabilities",
		Facts: control("Notes and commits are read completely, and whatever cannot be read or looks wrong is a finding.",
			fmt.Sprintf("%d commits of people in %d repositories", sum(coverage, 1, nil), len(coverage)),
			"Every version of every note is parsed; findings of severity warning and error are listed.", numbers[store.ReportFindings]),
		Table: b.findings(),
	}
}

func (b *builder) findings() *report.Table {
	return b.table(store.ReportFindings, "Findings", "There were none.", at("at", "Found"), text("severity", "Severity"), text("code", "Code"),
		text("repo", "Repository"), text("ref", "Ref"), oid("commit", "Commit"), text("message", "What"))
}

func (b *builder) monitoring(numbers map[store.ReportQuery]int64) *report.Section {
	return &report.Section{
		ID: "cc7-2", Title: "CC7.2 Monitoring of the control itself",
		Facts: control("Changes of policies, repositories and settings are acts of known principals and are in the audit trail.",
			fmt.Sprintf("%d acts in %d days", numbers[store.ReportChanges], daysBetween(b.data.Scope())),
			"The audit trail of the period is read whole.", 0),
		Table: b.table(store.ReportChanges, "Changes of policies, repositories and settings", "There were none.", actColumns...),
	}
}

func (b *builder) evaluation(numbers map[store.ReportQuery]int64) *report.Section {
	return &report.Section{
		ID: "cc7-3", Title: "CC7.3 Evaluation of events",
		Facts: control("A push that a policy would stop passes only with a recorded waiver, which names its giver, reason and end.",
			fmt.Sprintf("%d waivers that held at some time of the period", numbers[store.ReportWaivers]),
			"Every waiver is listed; one without reason or end cannot be stored.", 0),
		Table: b.table(store.ReportWaivers, "Waivers", "There were none.", text("policy", "Policy"), text("repo", "Repository"), text("pusher", "Pusher"),
			oid("commit", "Commit"), text("reason", "Reason"), text("created_by", "Given by"), at("created_at", "Given"), at("expires_at", "Ends"),
			at("revoked_at", "Revoked"), text("revoked_by", "Revoked by")),
	}
}

func (b *builder) evidence() *report.Section {
	return &report.Section{
		ID: "evidence", Title: "Sampled evidence",
		Paragraphs: []string{"25 pushes of the period, chosen by the smallest MD5 of their ids, each with up to three of its commits and their notes."},
		Table: b.table(store.ReportSample, "", "There were no pushes.", text("decision", "Decision"), at("at", "At"), text("repo", "Repository"),
			oid("commit", "Commit"), text("notes_ref", "Notes ref"), oid("note_blob", "Note"), text("pusher", "Pusher"), text("outcome", "Outcome")),
	}
}
