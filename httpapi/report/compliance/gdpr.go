package compliance

import (
	"context"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/store"
)

// gdpr has what Article 30 of Regulation (EU) 2016/679 asks of a record of
// processing, as far as this program knows it.
func (b *builder) gdpr(ctx context.Context) (*report.Document, error) {
	totals, err := b.totals(ctx)
	if err != nil {
		return nil, err
	}
	categories, err := b.read(ctx, store.ReportCategories)
	if err != nil {
		return nil, err
	}
	return b.document("GDPR: personal data in receipts", b.processing(), totals, dataCategories(categories[0]), b.people(), b.secrets(),
		b.reads(), rights(), definitions(), check()), nil
}

func (b *builder) processing() *report.Section {
	conversations := "not stored; their size and number of turns are"
	if b.data.Scope().Org.StoreConversations {
		conversations = "stored with the receipt, by the organisation's setting"
	}
	return &report.Section{
		ID: "processing", Title: "Record of processing",
		Facts: []report.Fact{
			{Name: "Purpose", Value: "to know which changes AI coding tools had a part in, what they cost, and to keep the organisation's policies on them"},
			{Name: "Data subjects", Value: "people who commit to, push to or administer the organisation's repositories"},
			{Name: "Source", Value: "git notes, commits and pushes of the organisation's own repositories; accounts that administrators make"},
			{Name: "Conversations", Value: conversations},
			{Name: "Recipients", Value: "nobody outside: the program runs on the organisation's machines. Forges that it is connected to are told the outcome of a push, without personal data beyond the commit"},
			{Name: "Third countries", Value: "no transfer by the program"},
			{Name: "Retention", Value: "as the organisation sets it for each class of data (docs/privacy.md); what git itself keeps is outside of the program"},
			{Name: "Security", Value: "see the report soc2: access changes, audit trail chained by hashes, secrets encrypted or hashed"},
		},
	}
}

func dataCategories(counts []any) *report.Section {
	names := []string{"Receipts", "with a name", "with an e-mail address", "with a summary of the prompt", "with a summary of the answer",
		"with the conversation", "with paths of files", "with a session id"}
	facts := make([]report.Fact, len(names))
	for i, name := range names {
		n, _ := counts[i].(int64)
		facts[i] = report.Fact{Name: name, Value: count(n)}
	}
	facts[0].Note = "of the period, also superseded ones"
	return &report.Section{ID: "categories", Title: "Categories of personal data", Facts: facts}
}

func (b *builder) people() *report.Section {
	return &report.Section{
		ID: "people", Title: "People in the receipts",
		Table: b.table(store.ReportPeople, "", "There are none.", text("email", "Address"), text("names", "Names"), number("receipts", "Receipts"),
			number("with_text", "With text"), number("with_conversation", "With conversation"), at("first", "First"), at("last", "Last")),
	}
}

func (b *builder) secrets() *report.Section {
	return &report.Section{
		ID: "findings", Title: "Findings, secrets among them",
		Paragraphs: []string{"A secret that was found in a text is masked before it is stored, and its finding asks to replace the credential; it never holds the secret."},
		Table:      b.findings(),
	}
}

func (b *builder) reads() *report.Section {
	return &report.Section{
		ID: "reads", Title: "Who read prompts",
		Table: b.table(store.ReportReads, "", "Nobody did.", at("at", "At"), text("principal", "Who"), text("action", "How"), text("target", "What")),
	}
}

func rights() *report.Section {
	return &report.Section{
		ID: "rights", Title: "Rights of people",
		Facts: []report.Fact{
			{Name: "Access and portability (Art. 15, 20)", Value: "blamepromptd person export ADDRESS"},
			{Name: "Erasure (Art. 17)", Value: "blamepromptd person erase ADDRESS removes text and identity from the database and keeps totals; for the notes in git it writes a script for people to review"},
			{Name: "Rectification (Art. 16)", Value: "identities join and split the addresses of a person; receipts stay as they were written"},
		},
	}
}
