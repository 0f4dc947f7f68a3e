package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi/respond"
)

// operation is what openapi.yaml says of one operation, ready to check requests.
type operation struct {
	id       string
	method   string
	template string
	// path matches escaped paths of the template.
	path   *regexp.Regexp
	need   need
	params []param
	// body is the schema of a JSON body; nil if the operation reads its own.
	body    *openapi3.Schema
	maxBody int64
	timeout time.Duration
}

// operations by method and path template.
type operations map[string]*operation

// Limits of bodies and durations that differ from the usual ones.
const (
	usualBody     = 1 << 20
	usualTimeout  = 30 * time.Second
	longTimeout   = 5 * time.Minute
	streamTimeout = 15 * time.Minute
)

var maxBody = map[string]int64{
	"postReceipts": 32 << 20, "uploadNotes": 96 << 20, "receiveWebhook": forge.MaxBody, "syncActivities": 16 << 20,
	"judgePush": hooks.MaxPush, "reportPush": hooks.MaxPush, "evaluatePush": 32 << 20,
}

var timeouts = map[string]time.Duration{
	"postReceipts": longTimeout, "uploadNotes": longTimeout, "readNotes": longTimeout, "receiveWebhook": longTimeout,
	"backtestPolicy": longTimeout,
}

func readOperations(spec *openapi3.T) (operations, error) {
	ops := operations{}
	for template, item := range spec.Paths.Map() {
		for method, o := range item.Operations() {
			op, err := readOperation(template, method, item, o)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", method, template, err)
			}
			ops[method+" "+template] = op
		}
	}
	return ops, nil
}

var placeholder = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

func readOperation(template, method string, item *openapi3.PathItem, o *openapi3.Operation) (*operation, error) {
	n, ok := needs[o.OperationID]
	if !ok {
		return nil, fmt.Errorf("operation %q has no entry in the table of needs", o.OperationID)
	}
	op := &operation{id: o.OperationID, method: method, template: template, need: n, maxBody: usualBody, timeout: usualTimeout,
		path: regexp.MustCompile("^" + placeholder.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$")}
	if limit, ok := maxBody[op.id]; ok {
		op.maxBody = limit
	}
	if timeout, ok := timeouts[op.id]; ok {
		op.timeout = timeout
	}
	for _, ref := range slices.Concat(item.Parameters, o.Parameters) {
		p, err := readParam(ref.Value)
		if err != nil {
			return nil, err
		}
		op.params = append(op.params, p)
	}
	if o.RequestBody != nil {
		if media, ok := o.RequestBody.Value.Content["application/json"]; ok {
			op.body = media.Schema.Value
		}
	}
	return op, nil
}

// methods lists the methods that a path knows.
func (ops operations) methods(escapedPath string) []string {
	var methods []string
	for _, op := range ops {
		if op.path.MatchString(escapedPath) {
			methods = append(methods, op.method)
		}
	}
	slices.Sort(methods)
	return methods
}

// param is a parameter and what its values may be.
type param struct {
	name, in string
	required bool
	// form tells a person what is allowed.
	form     string
	repeated bool
	maxItems int
	kind     string
	isUUID   bool
	enum     []string
	pattern  *regexp.Regexp
	min, max uint64
	from, to float64
}

func readParam(p *openapi3.Parameter) (param, error) {
	form, ok := p.Extensions["x-form"].(string)
	if !ok {
		return param{}, fmt.Errorf("parameter %q has no x-form", p.Name)
	}
	out := param{name: p.Name, in: p.In, required: p.Required, form: form, maxItems: 1}
	schema := p.Schema.Value
	if schema.Type.Is("array") {
		out.repeated, out.maxItems = true, int(*schema.MaxItems)
		schema = schema.Items.Value
	}
	out.kind, out.isUUID, out.min, out.max = (*schema.Type)[0], schema.Format == "uuid", schema.MinLength, 1000
	if schema.MaxLength != nil {
		out.max = *schema.MaxLength
	}
	for _, value := range schema.Enum {
		out.enum = append(out.enum, fmt.Sprint(value))
	}
	if schema.Min != nil && schema.Max != nil {
		out.from, out.to = *schema.Min, *schema.Max
	}
	var err error
	if schema.Pattern != "" {
		out.pattern, err = regexp.Compile(schema.Pattern)
	}
	return out, err
}

// checkParams checks path, query and header against openapi.yaml. All that is
// wrong is named at once. Unknown query parameters of public operations pass:
// probes and scrapers add some of their own.
func (op *operation) checkParams(vars map[string]string, query url.Values, header http.Header) error {
	var bad []respond.Field
	known := map[string]bool{}
	for _, p := range op.params {
		var values []string
		switch p.in {
		case "path":
			values = []string{vars[p.name]}
		case "header":
			values = header.Values(p.name)
		default:
			known[p.name] = true
			values = query[p.name]
		}
		if !p.allows(values) {
			bad = append(bad, respond.Field{Field: p.name, Problem: "must be " + p.form})
		}
	}
	for name := range query {
		if !known[name] && !op.need.isPublic() {
			bad = append(bad, respond.Field{Field: shorten(name), Problem: "is not a parameter of this operation" + op.listParams()})
		}
	}
	if len(bad) == 0 {
		return nil
	}
	slices.SortFunc(bad, func(a, b respond.Field) int { return strings.Compare(a.Field, b.Field) })
	return respond.Invalid(bad...)
}

func (op *operation) listParams() string {
	var names []string
	for _, p := range op.params {
		if p.in == "query" {
			names = append(names, p.name)
		}
	}
	if names == nil {
		return ", which has none"
	}
	return ", which knows " + strings.Join(names, ", ")
}

// shorten makes a name that a client sent fit to be sent back.
func shorten(name string) string {
	name = strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return -1
		}
		return r
	}, name), "\uFFFD")
	if runes := []rune(name); len(runes) > 100 {
		name = string(runes[:100]) + "…"
	}
	return name
}

func (p param) allows(values []string) bool {
	if len(values) == 0 {
		return !p.required
	}
	if len(values) > p.maxItems {
		return false
	}
	return !slices.ContainsFunc(values, func(v string) bool { return !p.allowsOne(v) })
}

func (p param) allowsOne(value string) bool {
	// PostgreSQL takes neither U+0000 nor invalid UTF-8.
	if !utf8.ValidString(value) || strings.ContainsRune(value, 0) {
		return false
	}
	length := uint64(utf8.RuneCountInString(value))
	if length < p.min || length > p.max {
		return false
	}
	if p.enum != nil && !slices.Contains(p.enum, value) {
		return false
	}
	if p.pattern != nil && !p.pattern.MatchString(value) {
		return false
	}
	return p.allowsKind(value)
}

func (p param) allowsKind(value string) bool {
	switch {
	case p.kind == "boolean":
		return value == "true" || value == "false"
	case p.kind == "integer":
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && float64(n) >= p.from && float64(n) <= p.to
	case p.isUUID:
		return len(value) == 36 && uuid.Validate(value) == nil
	}
	return true
}
