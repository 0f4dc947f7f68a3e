package policy

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"sync"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"cel.dev/cel-go/ext"

	"github.com/blameprompt/enterprise/policy/push"
)

// recordType is an object type that expressions know. Its fields are read from
// the Go value when an expression asks for them: nothing is copied for the many
// receipts of which one field is looked at.
type recordType struct {
	name   string
	typ    *cel.Type
	fields []field
	index  map[string]int
}

// field is one field of a recordType.
type field struct {
	name string
	typ  *cel.Type
	get  func(any) ref.Val
}

func (f field) scalar() bool {
	switch f.typ.Kind() {
	case types.StringKind, types.IntKind, types.DoubleKind, types.BoolKind:
		return true
	}
	return false
}

func newRecordType(name string, fields ...field) *recordType {
	t := &recordType{name: name, typ: cel.ObjectType(name), fields: fields, index: map[string]int{}}
	for i, f := range fields {
		t.index[f.name] = i
	}
	return t
}

func textField[T any](name string, get func(T) string) field {
	return field{name, cel.StringType, func(v any) ref.Val { return types.String(get(v.(T))) }}
}

func intField[T any](name string, get func(T) int64) field {
	return field{name, cel.IntType, func(v any) ref.Val { return types.Int(get(v.(T))) }}
}

func doubleField[T any](name string, get func(T) float64) field {
	return field{name, cel.DoubleType, func(v any) ref.Val { return types.Double(get(v.(T))) }}
}

func boolField[T any](name string, get func(T) bool) field {
	return field{name, cel.BoolType, func(v any) ref.Val { return types.Bool(get(v.(T))) }}
}

func textsField[T any](name string, get func(T) []string) field {
	return field{name, cel.ListType(cel.StringType), func(v any) ref.Val {
		return types.NewStringList(types.DefaultTypeAdapter, get(v.(T)))
	}}
}

func recordField[T any](name string, t *recordType, get func(T) any) field {
	return field{name, t.typ, func(v any) ref.Val { return &record{t, get(v.(T))} }}
}

func recordsField[T any](name string, t *recordType, get func(T) []any) field {
	return field{name, cel.ListType(t.typ), func(v any) ref.Val { return records(t, get(v.(T))) }}
}

// records is a list of objects.
func records(t *recordType, values []any) ref.Val {
	list := make([]ref.Val, 0, len(values))
	for _, v := range values {
		list = append(list, &record{t, v})
	}
	return types.NewRefValList(types.DefaultTypeAdapter, list)
}

// record is a value of a recordType. It implements ref.Val and the traits of
// objects.
type record struct {
	typ   *recordType
	value any
}

// ConvertToNative returns the Go value behind the object.
func (r *record) ConvertToNative(typeDesc reflect.Type) (any, error) {
	if reflect.TypeOf(r.value).AssignableTo(typeDesc) {
		return r.value, nil
	}
	return nil, fmt.Errorf("converting %s to %s: no such conversion", r.typ.name, typeDesc)
}

// ConvertToType converts to the own type and to the type of types.
func (r *record) ConvertToType(t ref.Type) ref.Val {
	switch t.TypeName() {
	case r.typ.name:
		return r
	case types.TypeType.TypeName():
		return r.typ.typ
	}
	return types.NewErr("no conversion from %s to %s", r.typ.name, t.TypeName())
}

// Equal compares the identity of what is behind the objects.
func (r *record) Equal(other ref.Val) ref.Val {
	o, ok := other.(*record)
	return types.Bool(ok && o.typ == r.typ && o.value == r.value)
}

// Type is the object type.
func (r *record) Type() ref.Type { return r.typ.typ }

// Value is the Go value.
func (r *record) Value() any { return r.value }

// Get returns a field.
func (r *record) Get(name ref.Val) ref.Val {
	text, _ := name.(types.String)
	place, known := r.typ.index[string(text)]
	if !known {
		return types.NewErr("no such field: %s", string(text))
	}
	return r.typ.fields[place].get(r.value)
}

// IsSet reports whether a field is neither empty nor zero.
func (r *record) IsSet(name ref.Val) ref.Val {
	value := r.Get(name)
	if types.IsError(value) {
		return value
	}
	return types.Bool(!isZero(value))
}

func isZero(value ref.Val) bool {
	zeroer, ok := value.(traits.Zeroer)
	return ok && zeroer.IsZeroValue()
}

// provider adds the record types to cel-go's own.
type provider struct {
	*types.Registry
	records map[string]*recordType
}

// FindStructType implements types.Provider.
func (p *provider) FindStructType(name string) (*types.Type, bool) {
	if t := p.records[name]; t != nil {
		return types.NewTypeTypeWithParam(t.typ), true
	}
	return p.Registry.FindStructType(name)
}

// FindStructFieldNames implements types.Provider.
func (p *provider) FindStructFieldNames(name string) ([]string, bool) {
	t := p.records[name]
	if t == nil {
		return p.Registry.FindStructFieldNames(name)
	}
	names := make([]string, 0, len(t.fields))
	for _, f := range t.fields {
		names = append(names, f.name)
	}
	return names, true
}

// FindStructFieldType implements types.Provider.
func (p *provider) FindStructFieldType(name, fieldName string) (*types.FieldType, bool) {
	t := p.records[name]
	if t == nil {
		return p.Registry.FindStructFieldType(name, fieldName)
	}
	place, known := t.index[fieldName]
	if !known {
		return nil, false
	}
	f := t.fields[place]
	return &types.FieldType{
		Type:    f.typ,
		IsSet:   func(v any) bool { return !isZero(f.get(behind(v))) },
		GetFrom: func(v any) (any, error) { return f.get(behind(v)), nil },
	}, true
}

// behind is the Go value of an object, which cel-go passes wrapped or bare.
func behind(v any) any {
	if r, ok := v.(*record); ok {
		return r.value
	}
	return v
}

// variables of expressions, in the order of the documentation. The last is there
// only when the expression is evaluated for each commit.
var variables = []struct {
	name string
	typ  *cel.Type
}{
	{"pusher", personType.typ},
	{"repo", repoType.typ},
	{"refs", cel.ListType(refType.typ)},
	{"commits", cel.ListType(commitType.typ)},
	{"receipts", cel.ListType(receiptType.typ)},
	{"push", pushType.typ},
	{"totals", totalsType.typ},
	{"now", cel.TimestampType},
	{"today", cel.StringType},
	{"commit", commitType.typ},
}

// environment returns the typed environment of expressions, which is made once.
func environment(each bool) (*cel.Env, error) {
	if each {
		return commitEnvironment()
	}
	return pushEnvironment()
}

var (
	pushEnvironment   = sync.OnceValues(func() (*cel.Env, error) { return newEnvironment(len(variables) - 1) })
	commitEnvironment = sync.OnceValues(func() (*cel.Env, error) { return newEnvironment(len(variables)) })
)

// The bounds of an expression's syntax tree.
const (
	maxNesting = 32
	maxNodes   = 1000
)

func newEnvironment(count int) (*cel.Env, error) {
	registry, err := types.NewRegistry()
	if err != nil {
		return nil, fmt.Errorf("making a registry of types: %w", err)
	}
	p := &provider{Registry: registry, records: map[string]*recordType{}}
	for _, t := range recordTypes {
		p.records[t.name] = t
	}
	options := []cel.EnvOption{
		cel.CustomTypeAdapter(registry),
		cel.CustomTypeProvider(p),
		cel.DefaultUTCTimeZone(true),
		cel.CrossTypeNumericComparisons(true),
		cel.ParserExpressionSizeLimit(maxExpression * 4),
		cel.ParserRecursionLimit(maxNesting * 4),
		cel.ExpressionNodeLimit(maxNodes),
		cel.ExpressionNestingDepthLimit(maxNesting),
		cel.ASTValidators(cel.ValidateRegexLiterals(), cel.ValidateTimestampLiterals(), cel.ValidateDurationLiterals()),
		ext.Strings(),
	}
	for _, v := range variables[:count] {
		options = append(options, cel.Variable(v.name, v.typ))
	}
	env, err := cel.NewEnv(options...)
	if err != nil {
		return nil, fmt.Errorf("making the environment: %w", err)
	}
	return env, nil
}

// activation gives an expression its variables.
type activation struct {
	view *view
	// commit is nil when the expression is about the whole push.
	commit     *commit
	projection []int
}

// Parent implements cel.Activation; there is none.
func (a *activation) Parent() cel.Activation { return nil }

// ResolveName implements cel.Activation.
func (a *activation) ResolveName(name string) (any, bool) {
	v := a.view
	switch name {
	case "pusher":
		return &record{personType, &v.in.Pusher}, true
	case "repo":
		return &record{repoType, &v.in.Repo}, true
	case "refs":
		return v.list("refs", refType, func() []any { return pointers(v.refs) }), true
	case "commits":
		return v.list("commits", commitType, func() []any { return anys(v.commits) }), true
	case "receipts":
		return a.receipts(), true
	case "push":
		return &record{pushType, v}, true
	case "totals":
		return &record{totalsType, v}, true
	case "now":
		return types.Timestamp{Time: v.in.Now.UTC()}, true
	case "today":
		return types.String(v.in.Today), true
	case "commit":
		return &record{commitType, a.commit}, a.commit != nil
	}
	return nil, false
}

// receipts are those of the commit, of the view, or one of each kind that the
// expression can tell apart.
func (a *activation) receipts() ref.Val {
	switch {
	case a.commit != nil:
		return records(receiptType, anys(a.commit.receipts))
	case a.projection != nil:
		return a.view.distinctReceipts(a.projection)
	}
	return a.view.list("receipts", receiptType, func() []any { return anys(a.view.receipts) })
}

// list makes a list once per view.
func (v *view) list(key string, t *recordType, make func() []any) ref.Val {
	list, known := v.lists[key]
	if !known {
		list = records(t, make())
		v.lists[key] = list
	}
	return list
}

// distinctReceipts keeps the first of all receipts that are equal in the fields.
func (v *view) distinctReceipts(fields []int) ref.Val {
	key := fmt.Sprint("distinct ", fields)
	return v.list(key, receiptType, func() []any {
		seen := map[string]bool{}
		var kept []any
		var text []byte
		for _, r := range v.receipts {
			text = text[:0]
			for _, place := range fields {
				text = appendScalar(text, receiptType.fields[place].get(r))
			}
			if !seen[string(text)] {
				seen[string(text)] = true
				kept = append(kept, r)
			}
		}
		return kept
	})
}

// appendScalar writes a value so that different values differ, also in a row.
func appendScalar(text []byte, value ref.Val) []byte {
	switch v := value.(type) {
	case types.String:
		text = binary.AppendUvarint(text, uint64(len(v)))
		return append(text, v...)
	case types.Int:
		return binary.BigEndian.AppendUint64(text, uint64(v))
	case types.Double:
		return binary.BigEndian.AppendUint64(text, math.Float64bits(float64(v)))
	case types.Bool:
		if v {
			return append(text, 1)
		}
	}
	return append(text, 0)
}

func anys[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for _, one := range list {
		out = append(out, one)
	}
	return out
}

func pointers[T any](list []T) []any {
	out := make([]any, 0, len(list))
	for i := range list {
		out = append(out, &list[i])
	}
	return out
}

// accountOwner is somebody whose accounts totals speaks of.
type accountOwner struct {
	per  push.Per
	name string
}

// totalOwners are the organisation, the repository, the pusher and the pusher's
// teams.
func totalOwners(v *view) []accountOwner {
	owners := []accountOwner{{push.PerOrg, ""}, {push.PerRepo, v.in.Repo.Name}, {push.PerUser, v.in.Pusher.User}}
	for _, team := range v.in.Pusher.Teams {
		owners = append(owners, accountOwner{push.PerTeam, team})
	}
	return owners
}

// account is the current account of an owner.
func (v *view) account(per push.Per, name string, monthly bool) push.Account {
	return push.Account{Per: per, Key: accountKey(per, name), Period: period(v.in.Today, monthly)}
}

// total is what is stored in an account and what this push adds.
func (v *view) total(per push.Per, name string, monthly bool) push.Decimal {
	account := v.account(per, name, monthly)
	sum := v.stored[account]
	for _, s := range v.spend(spendingKey{per: per, monthly: monthly}) {
		if s.account == account {
			sum = sum.Add(s.added)
		}
	}
	return sum
}

func secretsOf(r *receipt) []string {
	words := make([]string, 0, len(r.Secrets))
	for _, kind := range r.Secrets {
		words = append(words, string(kind))
	}
	return words
}

func trailersOf(c *commit) map[string][]string {
	out := map[string][]string{}
	for _, t := range c.Trailers {
		key := strings.ToLower(t.Key)
		out[key] = append(out[key], t.Value)
	}
	return out
}

func originOf(r *push.Ref) string {
	if r.Origin == "" {
		return string(push.Direct)
	}
	return string(r.Origin)
}

func deletedLines(c *commit) int64 {
	var sum int64
	for i := range c.Files {
		if !c.Files[i].Excluded {
			sum += max(0, c.Files[i].Deleted)
		}
	}
	return sum
}

func changedFiles(v *view) []string {
	var paths []string
	for _, c := range v.commits {
		for i := range c.Files {
			paths = append(paths, c.Files[i].Path)
		}
	}
	slices.Sort(paths)
	return slices.Compact(paths)
}
