package ui

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
)

// Base is what every page shows around its own part. Pages embed it.
type Base struct {
	Title string
	// Section is the address of the menu's entry that the page belongs to.
	Section string
	// Path is the page's own address with its query, to come back to.
	Path    string
	Release string
	Public  string
	OrgName string
	// OrgZone is the organisation's time zone, by whose days sums are kept and filters
	// select; nil where nobody is signed in.
	OrgZone *time.Location
	Viewer  Viewer
	// Theme is light, dark, or empty for the system's.
	Theme string
	Clock
	// Notice says what a form did, Problems what it refused.
	Notice   string
	Problems []Fault
	// Sent is the form that was refused.
	Sent url.Values
}

// Kept is what a form that was refused said in a field, so that nobody types it again.
func (b *Base) Kept(field string) string {
	if len(b.Problems) == 0 {
		return ""
	}
	return b.Sent.Get(field)
}

// Viewer is who looks.
type Viewer struct {
	// Name is empty for nobody.
	Name string
	access.Principal
}

// MayWrite and MayAdmin say which forms are shown. What they do is decided
// again when they are sent.
func (v Viewer) MayWrite() bool { return access.Allow(v.Principal, access.ToWrite, access.Resource{}) }
func (v Viewer) MayAdmin() bool {
	return access.Allow(v.Principal, access.ToAdminister, access.Resource{})
}

// Fault is a field that was refused and why.
type Fault struct{ Field, Problem string }

// Clock is the moment of a page and the zone that it shows times in.
type Clock struct {
	Now  time.Time
	Zone *time.Location
}

// MenuItem is an entry of the menu. Key is the letter that leads there after g.
type MenuItem struct {
	Path, Name, Key string
	// Admin entries are shown to those who may administer.
	Admin   bool
	Current bool
}

// menu is the entries in order.
var menu = []MenuItem{
	{Path: "/", Name: "Overview", Key: "o"},
	{Path: "/receipts", Name: "Receipts", Key: "r"},
	{Path: "/coverage", Name: "Lines and coverage", Key: "l"},
	{Path: "/enforcement", Name: "Enforcement", Key: "e"},
	{Path: "/policies", Name: "Policies", Key: "p"},
	{Path: "/repositories", Name: "Repositories", Key: "s"},
	{Path: "/teams", Name: "Teams", Key: "t"},
	{Path: reportsPath, Name: "Reports", Key: "c", Admin: true},
	{Path: "/audit", Name: "Audit", Key: "a", Admin: true},
	{Path: "/settings", Name: "Settings", Key: ",", Admin: true},
}

// Menu is the entries, with the one that the page belongs to marked.
func (b *Base) Menu() []MenuItem {
	var out []MenuItem
	for _, item := range menu {
		if !item.Admin || b.Viewer.MayAdmin() {
			item.Current = item.Path == b.Section
			out = append(out, item)
		}
	}
	return out
}

func (b *Base) base() *Base { return b }

// Cookies of a viewer's preferences. Neither says who the viewer is.
const (
	themeCookie = "bp_theme"
	zoneCookie  = "bp_zone"
)

// newBase is the frame of a page. The organisation is asked for its name and
// its time zone, which counts where the browser told none.
func (p *pages) newBase(r *http.Request, section, title string) (Base, error) {
	b := p.bareBase(r, title)
	b.Section = section
	if b.Viewer.Name == "" {
		return b, nil
	}
	org, err := p.cfg.DB.OrgByID(r.Context(), b.Viewer.Org)
	if err != nil {
		return b, err
	}
	b.OrgName = cmp.Or(org.Title, org.Name)
	if b.OrgZone, err = time.LoadLocation(org.TimeZone); b.Zone == nil {
		b.Zone = b.OrgZone
	}
	return b, err
}

// bareBase is the frame of a page that asks the database nothing.
func (p *pages) bareBase(r *http.Request, title string) Base {
	b := Base{Title: title, Path: r.URL.RequestURI(), Release: p.cfg.Version, Public: p.cfg.PublicURL, Viewer: viewer(r.Context()),
		Clock: Clock{Now: p.cfg.Now(), Zone: zoneOf(r)}, Sent: r.PostForm, Notice: notices[r.URL.Query().Get("done")]}
	if theme, err := r.Cookie(themeCookie); err == nil && (theme.Value == "light" || theme.Value == "dark") {
		b.Theme = theme.Value
	}
	return b
}

func viewer(ctx context.Context) Viewer {
	by, ok := auth.PrincipalOf(ctx)
	if !ok {
		return Viewer{}
	}
	name := by.User
	if name == "" {
		name = by.Name
	}
	return Viewer{Name: name, Principal: by}
}

// zoneOf is the time zone that the browser told; nil if it told none.
func zoneOf(r *http.Request) *time.Location {
	cookie, err := r.Cookie(zoneCookie)
	if err != nil || len(cookie.Value) > 64 {
		return nil
	}
	name, err := url.QueryUnescape(cookie.Value)
	if err != nil || strings.EqualFold(name, "local") {
		return nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return zone
}

// zone is the zone that times are shown in.
func (c Clock) zone() *time.Location {
	if c.Zone == nil {
		return time.UTC
	}
	return c.Zone
}
