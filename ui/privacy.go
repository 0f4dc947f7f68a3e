package ui

import (
	"cmp"
	"net/http"
	"strconv"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Privacy is what is kept of the text of prompts, how long data is kept, and
// what a person can ask for.
type Privacy struct {
	Base
	Tabs    []Tab
	Org     store.Org
	Prompts []Option
	Kept    []KeptRow
	// Erased is a person who was erased just now.
	Erased *store.Erasure
}

// KeptRow is a class of data with how long it is kept.
type KeptRow struct {
	store.Retention
	What string
}

const privacyPath = "/settings/privacy"

// keptClasses say what each class of data holds.
var keptClasses = map[string]string{
	"conversations":      "Conversations that receipts brought",
	"decision_documents": "What was judged of a push; without it a push cannot be tried on a policy any more",
	"deliveries":         "Deliveries of webhooks",
	"messages":           "Messages to endpoints",
	"links":              "Links of invitations and passwords",
	"prompts":            "Text of prompts and answers, and what tools said beside it",
}

var promptChoices = []Option{
	{string(store.PromptsStored), "The text, with secrets masked"},
	{string(store.PromptsHashed), "A hash, by which equal texts are known"},
	{string(store.PromptsDropped), "Nothing"},
}

func (p *pages) privacy(w http.ResponseWriter, r *http.Request) error {
	return p.showPrivacy(w, r, nil, nil)
}

func (p *pages) showPrivacy(w http.ResponseWriter, r *http.Request, erased *store.Erasure, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Privacy and retention")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Privacy{Base: base, Tabs: settingsTabs(privacyPath), Prompts: promptChoices, Erased: erased}
	if page.Org, err = p.cfg.DB.OrgByID(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	kept, err := p.cfg.DB.Retentions(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	for _, row := range kept {
		page.Kept = append(page.Kept, KeptRow{row, keptClasses[row.Class]})
	}
	return p.show(w, r, statusFor(refused), "privacy", page)
}

// changePrivacy does what the button of the page says.
func (p *pages) changePrivacy(w http.ResponseWriter, r *http.Request) error {
	f, by := postOf(r), whoOf(r)
	var err error
	switch f.choice("do", "prompts", "retention", "erase") {
	case "prompts":
		prompts := store.Prompts(f.choice("prompts", string(store.PromptsStored), string(store.PromptsHashed), string(store.PromptsDropped)))
		if err = f.err(); err == nil {
			_, err = p.cfg.DB.UpdateOrg(r.Context(), by, store.OrgChange{Prompts: &prompts})
		}
	case "retention":
		err = p.setRetention(r, by, f)
	case "erase":
		return p.erasePerson(w, r, by, f)
	default:
		f.refuse("do", "must be a button of the page")
		err = f.err()
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showPrivacy(w, r, nil, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, privacyPath, "changed")
}

func (p *pages) setRetention(r *http.Request, by access.Principal, f *form) error {
	row := store.Retention{Class: f.text("class", 100)}
	if text := f.text("days", 10); text != "" {
		days, err := strconv.Atoi(text)
		if err != nil {
			f.refuse("days", "must be a number of days, or empty for ever")
		}
		row.Days = &days
	}
	if err := f.err(); err != nil {
		return err
	}
	return p.cfg.DB.SetRetention(r.Context(), by, row)
}

// erasePerson erases somebody whose address was typed twice.
func (p *pages) erasePerson(w http.ResponseWriter, r *http.Request, by access.Principal, f *form) error {
	email := f.wanted("email", 320)
	if f.text("again", 320) != email {
		f.refuse("again", "must be the same address, to make sure")
	}
	err := f.err()
	var erased store.Erasure
	if err == nil {
		erased, err = p.cfg.DB.ErasePerson(r.Context(), by, email)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showPrivacy(w, r, nil, faults)
	}
	if err != nil {
		return err
	}
	return p.showPrivacy(w, r, &erased, nil)
}

// exportPerson answers everything that is stored of a person.
func (p *pages) exportPerson(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	email, format := f.wanted("email", 320), report.Format(cmp.Or(f.choice("format", "html", "md", "json"), "html"))
	if err := f.err(); err != nil {
		return p.showPrivacy(w, r, nil, f.faults)
	}
	media, name := compliance.PersonFile(format)
	file := &respond.File{W: w, MediaType: media, Name: name}
	err := compliance.WritePerson(r.Context(), file, p.cfg.DB, whoOf(r), email, format)
	if faults, ok := faultsOf(err); err != nil && ok && !file.Begun() {
		return p.showPrivacy(w, r, nil, faults)
	}
	if err == nil && !file.Begun() {
		return p.showPrivacy(w, r, nil, []Fault{{"email", "is of nobody that anything is stored of"}})
	}
	return err
}
