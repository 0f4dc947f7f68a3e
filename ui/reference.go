package ui

import (
	"cmp"
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/blameprompt/enterprise/store"
)

// Reference is the list of all that the API can do, made of its OpenAPI file.
type Reference struct {
	Base
	About   []Paragraph
	Query   string
	Groups  []OperationGroup
	Schemas []string
	// All counts the operations, Found those that the query leaves.
	All, Found int
}

// OperationGroup are the operations on one kind of thing.
type OperationGroup struct {
	ID, Name string
	Rows     []OperationRow
}

// OperationRow is an operation in one line.
type OperationRow struct{ ID, Method, Route, Summary, Scope string }

// OperationPage is one operation with all that is to be known to call it.
type OperationPage struct {
	Base
	OperationRow
	About   []Paragraph
	Params  []ParamRow
	Bodies  []BodyView
	Answers []AnswerView
	// Curl is a call of it to start from.
	Curl string
}

// ParamRow is a parameter of an operation.
type ParamRow struct {
	Name, In, Type, Form, Default string
	Required                      bool
	About                         []Paragraph
}

// BodyView is what is sent or answered in one media type.
type BodyView struct {
	MediaType string
	SchemaView
}

// AnswerView is an answer by its status.
type AnswerView struct {
	Status string
	About  []Paragraph
	Bodies []BodyView
}

// SchemaPage is one shape of the API.
type SchemaPage struct {
	Base
	SchemaView
	UsedBy []OperationRow
}

// SchemaView is a shape: its fields, and an example. Name is empty where it has
// none of its own.
type SchemaView struct {
	Name, Type string
	About      []Paragraph
	Fields     []FieldRow
	Example    string
}

// FieldRow is a field of a shape; those of objects within are named with dots.
// Of is the name of the shape that its value has, if that has one.
type FieldRow struct {
	Name, Type, Of string
	Required       bool
	About          []Paragraph
}

// reference is the OpenAPI file as the pages show it.
type reference struct {
	about      []Paragraph
	operations map[string]*OperationPage
	schemas    map[string]*SchemaPage
	groups     []OperationGroup
}

// newReference reads the file once. Without one there is no reference.
func newReference(spec *openapi3.T, public string) *reference {
	out := &reference{operations: map[string]*OperationPage{}, schemas: map[string]*SchemaPage{}}
	if spec == nil {
		return out
	}
	out.about = paragraphs(spec.Info.Description)
	if spec.Components != nil {
		for name, schema := range spec.Components.Schemas {
			out.schemas[name] = &SchemaPage{SchemaView: schemaView(name, schema)}
		}
	}
	groups := map[string]*OperationGroup{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			page := out.operation(path, method, item, op, public)
			out.operations[page.ID] = page
			id := groupOf(path)
			if groups[id] == nil {
				groups[id] = &OperationGroup{ID: "on-" + id, Name: strings.ToUpper(id[:1]) + strings.ReplaceAll(id[1:], "-", " ")}
			}
			groups[id].Rows = append(groups[id].Rows, page.OperationRow)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(groups)) {
		slices.SortFunc(groups[id].Rows, byPath)
		out.groups = append(out.groups, *groups[id])
	}
	return out
}

func byPath(a, b OperationRow) int {
	return cmp.Or(cmp.Compare(a.Route, b.Route), cmp.Compare(a.Method, b.Method))
}

// groupOf is the kind of thing that a path is about: the first part of it
// behind the version.
func groupOf(path string) string {
	rest, own := strings.CutPrefix(path, "/api/v1/")
	if !own {
		return "others"
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}

func (ref *reference) operation(path, method string, item *openapi3.PathItem, op *openapi3.Operation, public string) *OperationPage {
	scope, _ := op.Extensions["x-scope"].(string)
	page := &OperationPage{OperationRow: OperationRow{ID: op.OperationID, Method: method, Route: path, Summary: op.Summary, Scope: scope},
		About: paragraphs(op.Description)}
	for _, p := range slices.Concat(item.Parameters, op.Parameters) {
		page.Params = append(page.Params, paramRow(p.Value))
	}
	if op.RequestBody != nil {
		page.Bodies = ref.bodies(page, op.RequestBody.Value.Content)
	}
	answers := op.Responses.Map()
	for _, status := range slices.Sorted(maps.Keys(answers)) {
		answer := AnswerView{Status: status, Bodies: ref.bodies(page, answers[status].Value.Content)}
		if text := answers[status].Value.Description; text != nil {
			answer.About = paragraphs(*text)
		}
		page.Answers = append(page.Answers, answer)
	}
	page.Curl = page.curl(public)
	return page
}

// bodies are the shapes of a content, which their pages then name the operation
// for.
func (ref *reference) bodies(page *OperationPage, content openapi3.Content) []BodyView {
	var out []BodyView
	for _, mediaType := range slices.Sorted(maps.Keys(content)) {
		schema := content[mediaType].Schema
		if schema == nil {
			out = append(out, BodyView{MediaType: mediaType})
			continue
		}
		view := schemaView(refName(schema), schema)
		if used := ref.schemas[view.Name]; used != nil && !slices.ContainsFunc(used.UsedBy, func(r OperationRow) bool { return r.ID == page.ID }) {
			used.UsedBy = append(used.UsedBy, page.OperationRow)
			slices.SortFunc(used.UsedBy, byPath)
		}
		out = append(out, BodyView{mediaType, view})
	}
	return out
}

func paramRow(p *openapi3.Parameter) ParamRow {
	row := ParamRow{Name: p.Name, In: p.In, Required: p.Required, About: paragraphs(p.Description)}
	row.Form, _ = p.Extensions["x-form"].(string)
	if p.Schema != nil {
		row.Type = typeOf(p.Schema)
		if p.Schema.Value.Default != nil {
			row.Default = literal(p.Schema.Value.Default)
		}
	}
	return row
}

// curl is a call of the operation with what it must have.
func (p *OperationPage) curl(public string) string {
	path, query := p.Route, ""
	for _, param := range p.Params {
		switch {
		case param.In == "path":
			path = strings.ReplaceAll(path, "{"+param.Name+"}", strings.ToUpper(param.Name))
		case param.In == "query" && param.Required:
			query = "?" + param.Name + "=" + strings.ToUpper(param.Name)
		}
	}
	lines := []string{"curl"}
	if p.Method != http.MethodGet {
		lines[0] += " -X " + p.Method
	}
	if p.Scope != "none" && p.Scope != "" {
		lines = append(lines, `-H "Authorization: Bearer $BLAMEPROMPT_API_KEY"`)
	}
	for _, body := range p.Bodies {
		if body.MediaType == "application/json" {
			lines = append(lines, "-H 'Content-Type: application/json' -d @body.json")
		}
	}
	return strings.Join(append(lines, "'"+cmp.Or(public, "http://127.0.0.1:8780")+path+query+"'"), " \\\n  ")
}

// schemaView lays a shape out.
func schemaView(name string, ref *openapi3.SchemaRef) SchemaView {
	view := SchemaView{Name: name, Type: typeOf(&openapi3.SchemaRef{Value: ref.Value}), About: paragraphs(ref.Value.Description)}
	if example, err := json.MarshalIndent(exampleOf(ref, 0), "", "  "); err == nil {
		view.Example = clip(string(example), maxText)
	}
	view.addFields("", ref.Value, 0)
	return view
}

// maxNesting bounds how deep objects within objects are laid out.
const maxNesting = 5

func (v *SchemaView) addFields(prefix string, schema *openapi3.Schema, depth int) {
	if depth > maxNesting {
		return
	}
	for _, part := range slices.Concat(schema.AllOf, schema.OneOf, schema.AnyOf) {
		if refName(part) == "" || len(schema.AllOf) > 0 {
			v.addFields(prefix, part.Value, depth+1)
			continue
		}
		v.Fields = append(v.Fields, FieldRow{Name: strings.TrimSuffix(prefix, "."), Type: "either", Of: refName(part), About: paragraphs(part.Value.Description)})
	}
	if items := schema.Items; items != nil {
		if name := refName(items); name != "" {
			v.Fields = append(v.Fields, FieldRow{Name: prefix + "[]", Type: typeOf(items), Of: name, About: paragraphs(items.Value.Description)})
			return
		}
		v.addFields(prefix+"[].", items.Value, depth+1)
	}
	for _, name := range slices.Sorted(maps.Keys(schema.Properties)) {
		property := schema.Properties[name]
		row := FieldRow{Name: prefix + name, Type: typeOf(property), Of: ofName(property), Required: slices.Contains(schema.Required, name),
			About: paragraphs(property.Value.Description)}
		v.Fields = append(v.Fields, row)
		switch {
		case row.Of != "":
		case property.Value.Items != nil:
			v.addFields(prefix+name+"[].", property.Value.Items.Value, depth+1)
		default:
			v.addFields(prefix+name+".", property.Value, depth+1)
		}
	}
}

// refName is the name of a shape that a reference leads to.
func refName(ref *openapi3.SchemaRef) string {
	name, ok := strings.CutPrefix(ref.Ref, "#/components/schemas/")
	if !ok {
		return ""
	}
	return name
}

// ofName is the named shape of a property, or of the items of its list.
func ofName(ref *openapi3.SchemaRef) string {
	name := refName(ref)
	if name == "" && ref.Value.Items != nil {
		name = refName(ref.Value.Items)
	}
	if name == "" && len(ref.Value.AllOf) == 1 {
		name = refName(ref.Value.AllOf[0])
	}
	return name
}

// typeOf is the type of a value in a few words.
func typeOf(ref *openapi3.SchemaRef) string {
	schema := ref.Value
	text := "any"
	switch {
	case len(schema.Enum) > 0:
		choices := make([]string, len(schema.Enum))
		for i, choice := range schema.Enum {
			choices[i] = literal(choice)
		}
		text = "one of " + strings.Join(choices, ", ")
	case schema.Items != nil:
		text = "list of " + typeOf(schema.Items)
	case schema.Type != nil && len(*schema.Type) > 0:
		text = (*schema.Type)[0]
		if schema.Format != "" {
			text += " (" + schema.Format + ")"
		}
	case len(schema.AllOf) == 1:
		text = typeOf(schema.AllOf[0])
	case len(schema.AllOf)+len(schema.Properties) > 0:
		text = "object"
	case len(schema.OneOf)+len(schema.AnyOf) > 0:
		text = "one of several"
	}
	if schema.Nullable {
		text += " or null"
	}
	return text
}

func literal(v any) string {
	if text, ok := v.(string); ok {
		return text
	}
	raw, err := json.Marshal(v)
	if err != nil {
		return ""
	}
	return string(raw)
}

// exampleOf is a value of a shape, as the file gives one or as its type allows.
func exampleOf(ref *openapi3.SchemaRef, depth int) any {
	schema := ref.Value
	switch {
	case schema.Example != nil:
		return schema.Example
	case schema.Default != nil:
		return schema.Default
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case depth > maxNesting:
		return nil
	case len(schema.AllOf) == 1 && len(schema.Properties) == 0:
		return exampleOf(schema.AllOf[0], depth+1)
	case len(schema.OneOf) > 0:
		return exampleOf(schema.OneOf[0], depth+1)
	case schema.Items != nil:
		return []any{exampleOf(schema.Items, depth+1)}
	case schema.Type.Is("object"), len(schema.Properties)+len(schema.AllOf) > 0:
		return exampleObject(schema, depth)
	}
	return exampleScalar(schema)
}

func exampleObject(schema *openapi3.Schema, depth int) map[string]any {
	out := map[string]any{}
	for _, part := range schema.AllOf {
		if fields, ok := exampleOf(part, depth+1).(map[string]any); ok {
			maps.Copy(out, fields)
		}
	}
	for name, property := range schema.Properties {
		out[name] = exampleOf(property, depth+1)
	}
	return out
}

// exampleTexts are by format.
var exampleTexts = map[string]string{"uuid": "0192f0c4-8d3e-7b6a-9c1d-2f3e4a5b6c7d", "date-time": "2026-11-02T09:30:00Z", "date": "2026-11-02",
	"email": "ada@example.com", "uri": "https://example.com/"}

func exampleScalar(schema *openapi3.Schema) any {
	switch {
	case schema.Type.Is("boolean"):
		return true
	case schema.Type.Is("integer"):
		return 1
	case schema.Type.Is("number"):
		return 0.25
	case schema.Type.Is("string"):
		return cmp.Or(exampleTexts[schema.Format], "text")
	}
	return nil
}

// referencePath is where the API is described.
const referencePath = "/help/api"

// apiReference lists the operations, or those that a search leaves.
func (p *pages) apiReference(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "", "API reference")
	if err != nil {
		return err
	}
	f := queryOf(r)
	page := &Reference{Base: base, About: p.reference.about, Query: f.text("q", 100), All: len(p.reference.operations),
		Schemas: slices.Sorted(maps.Keys(p.reference.schemas))}
	page.Problems = f.faults
	for _, group := range p.reference.groups {
		left := slices.DeleteFunc(slices.Clone(group.Rows), func(row OperationRow) bool { return !row.matches(page.Query) })
		if page.Found += len(left); len(left) > 0 {
			page.Groups = append(page.Groups, OperationGroup{group.ID, group.Name, left})
		}
	}
	return p.show(w, r, statusFor(page.Problems), "reference", page)
}

// matches reports whether every word of a search is in the operation.
func (row OperationRow) matches(query string) bool {
	text := strings.ToLower(strings.Join([]string{row.ID, row.Method, row.Route, row.Summary}, " "))
	return !slices.ContainsFunc(strings.Fields(strings.ToLower(query)), func(word string) bool { return !strings.Contains(text, word) })
}

func (p *pages) apiOperation(w http.ResponseWriter, r *http.Request) error {
	id, err := pathVar(r, "operation")
	if err != nil {
		return err
	}
	known := p.reference.operations[id]
	if known == nil {
		return store.ErrNotFound
	}
	page := *known
	if page.Base, err = p.newBase(r, "", known.Summary); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "operation", &page)
}

func (p *pages) apiSchema(w http.ResponseWriter, r *http.Request) error {
	name, err := pathVar(r, "name")
	if err != nil {
		return err
	}
	known := p.reference.schemas[name]
	if known == nil {
		return store.ErrNotFound
	}
	page := *known
	if page.Base, err = p.newBase(r, "", name); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "schema", &page)
}
