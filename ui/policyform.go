package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/store"
)

// PolicyForm is where a policy is made or changed, by fields or as JSON.
type PolicyForm struct {
	Base
	// ID and Version are of the policy that is changed; nil and 0 for a new one.
	ID      uuid.UUID
	Version int
	// Action is where the form is sent.
	Action  string
	AsJSON  bool
	Other   string
	Kind    policy.Kind
	Kinds   []Option
	About   string
	Name    string
	Blocks  bool
	Enabled bool
	Fields  []RuleField
	Scope   []Input
	Raw     string
	// Checked says that the document was looked at, and Trial what came of trying it.
	Checked bool
	Trial   *Trial
}

// maxDocument bounds a policy that is edited as JSON.
const maxDocument = 200 << 10

// newPolicy shows the form of a rule that is not there yet.
func (p *pages) newPolicy(w http.ResponseWriter, r *http.Request) error {
	kind := policy.Kind(r.URL.Query().Get("rule"))
	if !slices.Contains(policy.Kinds(), kind) {
		kind = policy.Kinds()[0]
	}
	document, err := emptyPolicy(kind)
	if err != nil {
		return err
	}
	return p.showPolicyForm(w, r, policyDraft{document: document, kind: kind, asJSON: r.URL.Query().Get("as") == "json"})
}

// emptyPolicy is the document that a form of a new policy begins with.
func emptyPolicy(kind policy.Kind) (json.RawMessage, error) {
	schema, err := readRuleSchema(kind)
	if err != nil {
		return nil, err
	}
	var value any
	switch p := schema.Properties[string(kind)]; p.widget() {
	case ConstWidget:
		value = p.Const
	case LinesWidget, BoxesWidget:
		value = []string{}
	case NumberWidget:
		value = 0
	case ChoiceWidget:
		value = p.Enum[0]
	case BoolWidget:
		value = true
	default:
		value = ""
	}
	rule, err := object([]member{{string(kind), value}})
	if err != nil {
		return nil, err
	}
	return object([]member{{"name", ""}, {"rule", rule}, {"action", policy.Advise}, {"enabled", false}})
}

// editPolicy shows the form of a policy that is there.
func (p *pages) editPolicy(w http.ResponseWriter, r *http.Request) error {
	row, err := p.policyAt(r)
	if err != nil {
		return err
	}
	return p.showPolicyForm(w, r, policyDraft{id: row.ID, version: row.Version, document: row.Document, asJSON: r.URL.Query().Get("as") == "json"})
}

// policyDraft is a document on its way through the form.
type policyDraft struct {
	id       uuid.UUID
	version  int
	document json.RawMessage
	kind     policy.Kind
	asJSON   bool
	// raw is the text of a document that is not JSON.
	raw     string
	checked bool
	faults  []Fault
	trial   *Trial
}

func (p *pages) showPolicyForm(w http.ResponseWriter, r *http.Request, d policyDraft) error {
	title := "New policy"
	if d.id != uuid.Nil {
		title = "Change a policy"
	}
	base, err := p.newBase(r, "/policies", title)
	if err != nil {
		return err
	}
	base.Problems = d.faults
	page := &PolicyForm{Base: base, ID: d.id, Version: d.version, AsJSON: d.asJSON, Checked: d.checked, Trial: d.trial, Action: "/policies"}
	here := "/policies/new"
	if d.id != uuid.Nil {
		page.Action, here = "/policies/"+d.id.String(), "/policies/"+d.id.String()+"/edit"
	}
	if err := page.fill(d); err != nil {
		return err
	}
	page.Other = here + "?rule=" + string(page.Kind)
	if !d.asJSON {
		page.Other += "&as=json"
	}
	return p.show(w, r, statusFor(d.faults), "policy_form", page)
}

// fill shows the document in the fields, and as JSON.
func (p *PolicyForm) fill(d policyDraft) error {
	var doc struct {
		Name    string            `json:"name"`
		Rule    json.RawMessage   `json:"rule"`
		Scope   store.PolicyScope `json:"scope"`
		Action  policy.Action     `json:"action"`
		Enabled *bool             `json:"enabled"`
	}
	if d.document != nil {
		_ = json.Unmarshal(d.document, &doc)
	}
	p.Name, p.Blocks, p.Enabled = doc.Name, doc.Action == policy.Block, doc.Enabled == nil || *doc.Enabled
	if p.Kind = kindOf(doc.Rule); p.Kind == "" {
		p.Kind = d.kind
	}
	if p.Kind == "" {
		p.Kind = policy.Kinds()[0]
	}
	for _, kind := range policy.Kinds() {
		p.Kinds = append(p.Kinds, Option{string(kind), words(kind)})
	}
	p.Raw = d.raw
	var b bytes.Buffer
	if p.Raw == "" && json.Indent(&b, d.document, "", "  ") == nil {
		p.Raw = b.String()
	}
	p.Scope = []Input{scopeInput("repos", "Repositories", doc.Scope.Repos, "web-*\n!web-legacy"),
		scopeInput("branches", "Branches", doc.Scope.Branches, "main\nrelease/*"), scopeInput("teams", "Teams", doc.Scope.Teams, "payments")}
	var err error
	if p.Fields, p.About, err = ruleFields(p.Kind, doc.Rule); err != nil {
		return err
	}
	for i := range p.Fields {
		p.Fields[i].Problem = problemOf(d.faults, p.Fields[i].Name)
	}
	for i := range p.Scope {
		p.Scope[i].Problem = problemOf(d.faults, p.Scope[i].Name)
	}
	return nil
}

func scopeInput(name, label string, patterns []string, example string) Input {
	return Input{ID: "scope-" + name, Name: "scope." + name, Label: label, Value: strings.Join(patterns, "\n"), Rows: 2, Example: example,
		Hint: "One pattern a line; nothing means all. * and ? stop at slashes, ** does not, ! in front takes back."}
}

// problemOf is what is wrong with a field: "scope.repos[2]" is about "scope.repos".
func problemOf(faults []Fault, name string) string {
	for _, fault := range faults {
		if fault.Field == name || strings.HasPrefix(fault.Field, name+"[") || strings.HasPrefix(fault.Field, name+".") {
			return fault.Problem
		}
	}
	return ""
}

// savePolicy takes the form: it saves the policy, or only looks at it or tries
// it, as the button says.
func (p *pages) savePolicy(w http.ResponseWriter, r *http.Request) error {
	d, err := p.draftOf(r)
	if err != nil {
		return err
	}
	doc, faults := parsePolicy(d.document)
	d.faults = append(d.faults, faults...)
	d.checked = true
	if len(d.faults) > 0 {
		return p.showPolicyForm(w, r, d)
	}
	switch r.PostForm.Get("do") {
	case "save":
		return p.storePolicy(w, r, d, doc)
	case "backtest":
		d.trial, err = p.backtest(r, doc)
	case "dry-run":
		d.trial, err = p.dryRun(r, doc)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		d.faults = faults
	} else if err != nil {
		return err
	}
	return p.showPolicyForm(w, r, d)
}

func (p *pages) storePolicy(w http.ResponseWriter, r *http.Request, d policyDraft, doc policy.Policy) error {
	by := whoOf(r)
	var row store.Policy
	var err error
	if d.id == uuid.Nil {
		row, err = p.cfg.DB.CreatePolicy(r.Context(), by, doc)
	} else {
		row, _, err = p.cfg.DB.UpdatePolicy(r.Context(), by, d.id, d.version, doc)
	}
	if errors.Is(err, store.ErrMoved) {
		err = &respond.Problem{Status: http.StatusConflict, Code: "changed",
			Detail: "Somebody else changed the policy meanwhile. Open it again, and make your change anew."}
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		d.faults = faults
		return p.showPolicyForm(w, r, d)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/policies/"+row.ID.String(), "saved")
}

// draftOf reads the form, whichever way it was filled in.
func (p *pages) draftOf(r *http.Request) (policyDraft, error) {
	f := postOf(r)
	d := policyDraft{asJSON: f.text("as", 10) == "json", kind: policy.Kind(f.choice("rule", kindNames()...))}
	if r.URL.Path != "/policies" {
		row, err := p.policyAt(r)
		if err != nil {
			return d, err
		}
		d.id, d.version = row.ID, row.Version
		if version := f.text("version", 10); version != "" {
			if err := json.Unmarshal([]byte(version), &d.version); err != nil {
				f.refuse("version", "must be a number")
			}
		}
	}
	var err error
	if d.asJSON {
		d.raw = f.text("document", maxDocument)
		d.document = json.RawMessage(d.raw)
	} else {
		d.document, err = documentFrom(d.kind, f)
	}
	d.faults = f.faults
	return d, err
}

func kindNames() []string {
	names := make([]string, len(policy.Kinds()))
	for i, kind := range policy.Kinds() {
		names[i] = string(kind)
	}
	return names
}

// documentFrom is the policy that the fields say.
func documentFrom(kind policy.Kind, f *form) (json.RawMessage, error) {
	if kind == "" {
		f.refuse("rule", "must be given")
		return nil, nil
	}
	rule, err := ruleFrom(kind, f)
	if err != nil {
		return nil, err
	}
	members := []member{{"name", f.text("name", 500)}, {"rule", rule}}
	var scope []member
	for _, name := range []string{"repos", "branches", "teams"} {
		if lines := f.lines("scope."+name, maxRule); len(lines) > 0 {
			scope = append(scope, member{name, lines})
		}
	}
	if scope != nil {
		raw, err := object(scope)
		if err != nil {
			return nil, err
		}
		members = append(members, member{"scope", raw})
	}
	members = append(members, member{"action", f.text("action", 20)}, member{"enabled", f.on("enabled")})
	return object(members)
}

// parsePolicy reads a document; what is wrong is named at once.
func parsePolicy(document json.RawMessage) (policy.Policy, []Fault) {
	doc, err := policy.Parse(document)
	var invalid *policy.Invalid
	switch {
	case err == nil:
		return doc, nil
	case !errors.As(err, &invalid):
		return doc, []Fault{{"document", "cannot be read as a policy"}}
	}
	var faults []Fault
	for _, p := range invalid.Problems {
		text := p.Problem
		if len(p.Allowed) > 0 {
			text += " (allowed: " + strings.Join(p.Allowed, ", ") + ")"
		}
		faults = append(faults, Fault{p.Field, text})
	}
	return doc, faults
}
