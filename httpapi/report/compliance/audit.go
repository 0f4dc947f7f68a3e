package compliance

import (
	"context"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// trailColumns begin with those of the client's own audit, by its names, so that
// what reads them goes on working.
var trailColumns = []report.Column{
	oid("commit_sha", "Commit"), at("date", "Date"), text("author", "Author"), text("message", "Message"),
	text("provider", "Provider"), text("model", "Model"), text("session_id", "Session"), number("message_count", "Messages"),
	money("cost_usd", "Cost"), text("files", "Files"), number("total_lines", "Lines"), text("prompt_summary", "Prompt"),
	text("prompt_hash", "Prompt hash"), text("author_email", "Address"), text("repo", "Repository"), text("receipt_id", "Receipt"), text("source", "Source"),
	text("cost_basis", "Cost basis"), money("cost_reported_usd", "Reported cost"), truth("current", "Current"), at("received_at", "Received"),
	text("notes_ref", "Notes ref"), oid("note_blob", "Note"), number("commit_added", "Added lines"), number("commit_ai", "AI"),
	number("commit_human", "Human"), number("commit_unknown", "Unknown"), text("decision_outcome", "Push"), text("decision", "Decision"),
	text("policy_results", "Policies"),
}

// audit is the full trail: every receipt of the period with its commit, its
// lines, its push and what policies said.
func (b *builder) audit(ctx context.Context) (*report.Document, error) {
	totals, err := b.totals(ctx)
	if err != nil {
		return nil, err
	}
	trail := b.table(store.ReportTrail, "Every receipt of the period, by its time", "There are none.", trailColumns...)
	trail.People = []string{"commit_sha", "date", "author", "repo", "message", "model", "cost_usd", "files", "total_lines", "commit_ai", "prompt_summary",
		"decision_outcome", "policy_results"}
	doc := b.document("Audit trail of AI-assisted changes", totals, &report.Section{
		ID: "trail", Title: "The trail",
		Paragraphs: []string{
			"Lines are those of the whole commit, by class; cost is the receipt's own, and costs of receipts must not be added up: several receipts may report one prompt. The sum of the period is in the figures above.",
			"What people read has the columns that say most; the same report as CSV or JSON has all, the ids of notes, sessions and decisions among them.",
		},
		Table: trail,
	}, definitions(), check())
	doc.Main = trail
	return doc, nil
}
