package ui

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/url"
	"path"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// screens are what each template shows.
func screens() map[string]view {
	return map[string]view{
		"overview": &Overview{}, "receipts": &Receipts{}, "receipt": &Receipt{}, "enforcement": &Decisions{}, "waiting": &Waiting{},
		"violations": &Violations{}, "reviews": &Reviews{}, "waivers": &Waivers{}, "decision": &Decision{}, "decision_link": &DecisionLink{},
		"policies": &Policies{}, "policy": &Policy{}, "policy_form": &PolicyForm{}, "repositories": &Repositories{},
		"repository": &Repository{}, "register": &Register{}, "help": &Help{}, "login": &Login{}, "teams": &Teams{}, "team": &Team{}, "audit": &Audit{}, "reports": &Reports{},
		"settings": &Settings{}, "coverage": &Coverage{}, "commits": &Commits{}, "commit": &CommitPage{}, "files": &Folder{}, "file": &File{}, "keys": &Keys{}, "webhooks": &Webhooks{}, "endpoints": &Endpoints{}, "endpoint": &EndpointPage{}, "people": &People{}, "ssh_keys": &GatewayAccess{}, "link": &Link{}, "review": &ReviewPage{}, "prices": &Prices{}, "identities": &Identities{}, "privacy": &Privacy{}, "reference": &Reference{}, "operation": &OperationPage{}, "schema": &SchemaPage{}, "account": &Account{}, "message": &Message{},
	}
}

// hostile is text that no page may let out: markup in every context, writing
// that changes direction, control characters, and lines that break.
const hostile = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>{{.}}${x}`\u202e\u2066\u200f\x1b[31m\x00\x07\u2028 javascript:alert(1)"

// filled is a page in which every text is hostile and every list has rows.
func filled(v view) view {
	out := reflect.New(reflect.TypeOf(v).Elem())
	fill(out.Elem(), 6)
	page := out.Interface().(view)
	b := page.base()
	b.Theme, b.Clock = "dark", Clock{Now: time.Now(), Zone: time.UTC}
	b.Viewer = Viewer{Name: hostile, Principal: access.Principal{Org: uuid.New(), Scopes: []access.Scope{access.Admin}}}
	return page
}

// fill sets everything that can be set, down to a depth.
func fill(v reflect.Value, depth int) {
	if !v.CanSet() || depth == 0 {
		return
	}
	switch v.Interface().(type) {
	case json.RawMessage:
		raw, _ := json.Marshal(hostile)
		v.SetBytes(raw)
		return
	case time.Time:
		v.Set(reflect.ValueOf(time.Now().Add(-time.Hour)))
		return
	case *time.Location:
		v.Set(reflect.ValueOf(time.UTC))
		return
	case store.Decimal:
		v.SetString("1234.5")
		return
	case url.Values:
		v.Set(reflect.ValueOf(url.Values{"q": {hostile}}))
		return
	case uuid.UUID:
		v.Set(reflect.ValueOf(uuid.New()))
		return
	}
	fillKind(v, depth)
}

func fillKind(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(7)
	case reflect.Float64:
		v.SetFloat(7)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), depth)
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), depth-1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 4, 4))
		for i := range v.Len() {
			fill(v.Index(i), depth-1)
		}
	}
}

func newTestPages(t testing.TB) *pages {
	t.Helper()
	p, err := newPages(Config{PublicURL: "https://blame.example.com", Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestEveryTemplateHasItsPage(t *testing.T) {
	t.Parallel()
	p := newTestPages(t)
	all := screens()
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if _, ok := all[name]; !ok && name != "layout" && name != "components" {
			t.Errorf("the template %s shows no page of the test", name)
		}
	}
	for name := range all {
		if p.screens[name] == nil {
			t.Errorf("the page %s has no template", name)
		}
	}
}

// Every page is rendered with nothing in it, and with hostile text in all of
// it, whole and, where there is one, its live part alone.
func TestPagesLetNothingOut(t *testing.T) {
	t.Parallel()
	p := newTestPages(t)
	for name, empty := range screens() {
		for _, page := range []view{empty, filled(empty)} {
			for _, block := range []string{"layout", live} {
				if p.screens[name].Lookup(block) == nil {
					continue
				}
				var b bytes.Buffer
				if err := p.screens[name].ExecuteTemplate(&b, block, page); err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				checkMarkup(t, name, b.String())
			}
		}
	}
}

var (
	inlineStyle  = regexp.MustCompile(`(?i)<[^>]*\s(style|on[a-z]+)\s*=`)
	inlineScript = regexp.MustCompile(`(?i)<script(>| [^>]*>[^<])|<style`)
	elsewhere    = regexp.MustCompile(`(?i)(src|href|action|hx-get|hx-post)="(https?:|//|javascript:|data:)`)
	nothingToSee = func(r rune) bool {
		return unicode.Is(unicode.Cc, r) && r != '\n' && r != '\t' || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028'
	}
	editable      = regexp.MustCompile(`(?s)<textarea.*?</textarea>`)
	tag           = regexp.MustCompile(`<[^>]*>`)
	spoken        = regexp.MustCompile(` (title|aria-label|placeholder)="[^"]*"`)
	attributeText = regexp.MustCompile(`"[^"]*"`)
)

// checkMarkup looks for what broke out, and for what the policy of content
// forbids.
func checkMarkup(t testing.TB, name, page string) {
	t.Helper()
	if strings.Contains(page, "<script>") || strings.Contains(page, "<img") {
		t.Errorf("%s: markup of a text became the page's:\n%s", name, around(page, "<script>"))
	}
	// What is to be edited comes back as it is; only a browser's field shows it.
	seen := tag.ReplaceAllString(editable.ReplaceAllString(page, ""), "") + strings.Join(spoken.FindAllString(page, -1), "")
	if i := strings.IndexFunc(seen, nothingToSee); i >= 0 {
		t.Errorf("%s: a character that is not to be seen: %s", name, seen[max(0, i-200):i])
	}
	tags := attributeText.ReplaceAllString(page, `""`)
	for _, pattern := range []*regexp.Regexp{inlineStyle, inlineScript} {
		if found := pattern.FindString(tags); found != "" {
			t.Errorf("%s: %s is inline", name, found)
		}
	}
	if found := elsewhere.FindString(page); found != "" {
		t.Errorf("%s: %s leads elsewhere", name, found)
	}
}

func around(text, part string) string {
	i := strings.Index(text, part)
	return text[max(0, i-200):min(len(text), max(0, i)+100)]
}
