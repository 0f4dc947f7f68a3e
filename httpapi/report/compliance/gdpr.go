package compliance

import (
	"cmp"
	"context"
	"fmt"

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
	retention, err := b.retention(ctx)
	if err != nil {
		return nil, err
	}
	return b.document("GDPR: personal data in receipts", b.processing(), retention, totals, dataCategories(categories[0]), b.people(),
		b.recipients(), b.reads(), b.secrets(), rights(), definitions(), check()), nil
}

func (b *builder) processing() *report.Section {
	texts := map[store.Prompts]string{store.PromptsStored: "stored as the notes say, secrets masked", store.PromptsHashed: "not stored; a keyed hash stands for each",
		store.PromptsDropped: "not stored"}[b.data.Scope().Org.Prompts]
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
			{Name: "Texts of prompts and answers", Value: texts, Note: "the setting in force when the report was made; changes of it are acts org.update in the report soc2"},
			{Name: "Conversations", Value: conversations},
			{Name: "Recipients", Value: "those listed under Recipients. The program runs on the organisation's machines and sends nothing elsewhere; forges that it is connected to are told the outcome of a push, without personal data beyond the commit, and endpoints that administrators have entered are told of pushes and decisions, with who pushed"},
			{Name: "Third countries", Value: "no transfer by the program, but to endpoints that are there"},
			{Name: "Retention", Value: "as listed under Retention in force"},
			{Name: "Security", Value: "see the report soc2: access changes, audit trail chained by hashes, secrets encrypted or hashed"},
		},
	}
}

func dataCategories(counts []any) *report.Section {
	names := []string{"Receipts", "with a name", "with an e-mail address", "with a summary of the prompt", "with a summary of the answer",
		"with the conversation", "with paths of files", "with a session id", "Secrets found in texts"}
	facts := make([]report.Fact, len(names))
	for i, name := range names {
		n, _ := counts[i].(int64)
		facts[i] = report.Fact{Name: name, Value: count(n)}
	}
	facts[0].Note = "of the period, also superseded ones"
	facts[len(facts)-1].Note = "masked before storing; each is listed under Findings"
	return &report.Section{ID: "categories", Title: "Categories of personal data", Facts: facts}
}

// retained says what a class of data is.
var retained = map[string]string{
	"conversations": "Conversations of receipts", "prompts": "Texts, hashes and details of receipts", "links": "Links of invitations and passwords",
	"decision_documents": "What decisions were judged by", "deliveries": "Deliveries of webhooks", "messages": "Messages to endpoints",
}

// retention is what is kept how long.
func (b *builder) retention(ctx context.Context) (*report.Section, error) {
	set, err := b.data.Retentions(ctx)
	if err != nil {
		return nil, err
	}
	s := &report.Section{ID: "retention", Title: "Retention in force", Paragraphs: []string{
		"What is older is removed by a daily task, which records how much in the audit trail (retention.apply). Acts, notes and receipts without their texts are kept for as long as the organisation is: they are what reports rest on. What git itself keeps is outside of the program.",
	}}
	for _, r := range set {
		kept := "for ever"
		if r.Days != nil {
			kept = fmt.Sprintf("%d days", *r.Days)
		}
		s.Facts = append(s.Facts, report.Fact{Name: cmp.Or(retained[r.Class], r.Class), Value: kept, Note: "class " + r.Class})
	}
	return s, nil
}

func (b *builder) recipients() *report.Section {
	return &report.Section{
		ID: "recipients", Title: "Recipients",
		Paragraphs: []string{"Who could read data of the organisation, or was told something, at some time of the period: people with an account, API keys that can read, connected forges, endpoints that are told of pushes and decisions with the address of who pushed, and remotes that the gateway forwards pushes to."},
		Table: b.table(store.ReportRecipients, "", "There are none.", text("kind", "Kind"), text("who", "Who"), text("may", "Role or scopes"),
			at("since", "Since"), at("last_used", "Last used")),
	}
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
		Paragraphs: []string{"prompt.read is the text of one receipt on a page or over the API, prompt.list a list or an export with texts, hour by hour, report.fetch the file of an audit report, person.export all that is kept of one person. Lists of the hour that the report was made in are in the next one."},
		Table:      b.table(store.ReportReads, "", "Nobody did.", at("at", "At"), text("principal", "Who"), text("action", "How"), text("target", "What")),
	}
}

func rights() *report.Section {
	return &report.Section{
		ID: "rights", Title: "Rights of people",
		Facts: []report.Fact{
			{Name: "Access and portability (Art. 15, 20)", Value: "blamepromptd person export ADDRESS, as JSON or as a page for people (--format html)"},
			{Name: "Erasure (Art. 17)", Value: "blamepromptd person erase ADDRESS removes text and identity from the database and keeps totals; for the notes in git it writes a script for people to review"},
			{Name: "Rectification (Art. 16)", Value: "identities join and split the addresses of a person; receipts stay as they were written"},
		},
	}
}
