package ui

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/ui/chromium"
)

// signIn signs a browser in as a person of the organisation.
func (w *world) signIn(b *chromium.Browser, email string) {
	w.t.Helper()
	b.Visit(w.srv.URL + "/login")
	b.Fill("#org", w.org.Name)
	b.Fill("#email", email)
	b.Fill("#password", password)
	b.Click("main button.main")
	b.See(".fixed-menu")
}

// Every page is looked at in both widths and both colours.
func TestPagesInABrowser(t *testing.T) {
	b := chromium.New(t)
	w := furnished(t)
	w.fetchRepo()
	w.person(w.org, "ada@example.com", access.RoleAdmin)
	b.Visit(w.srv.URL + "/login")
	b.Accessible("/login")
	b.Picture("login")
	w.signIn(b, "ada@example.com")
	for name, path := range w.sights() {
		b.Visit(w.srv.URL + path)
		b.See("h1")
		for _, l := range looks {
			b.Look(l.width, l.dark)
			where := fmt.Sprintf("%s-%d-%s", name, l.width, map[bool]string{true: "dark", false: "light"}[l.dark])
			b.Fits(where)
			b.Accessible(where)
			b.Quiet(where)
			b.Picture(where)
		}
	}
}

// looks are how a page is looked at.
var looks = []struct {
	width int64
	dark  bool
}{{chromium.Wide, false}, {chromium.Wide, true}, {chromium.Narrow, true}, {chromium.Narrow, false}}

// An administrator works with the keyboard: goes to a section, searches, and
// writes a policy that is checked meanwhile. What the mouse does, and what other
// programs do meanwhile, is in the test of a team at work of cmd/blamepromptd.
func TestAnAdministratorAtTheKeyboard(t *testing.T) {
	b := chromium.New(t)
	w := furnished(t)
	w.person(w.org, "ada@example.com", access.RoleAdmin)
	w.signIn(b, "ada@example.com")

	// A search replaces the list and the address, without loading the page.
	b.Run(chromedp.KeyEvent("g"))
	b.Leave(chromedp.KeyEvent("r"))
	b.Mark()
	b.Run(chromedp.KeyEvent("/"))
	b.Until(`document.activeElement.id === "q"`)
	b.Fill("#q", "no such text")
	b.See("#live .empty")
	if at := b.Ask("location.href"); !b.Marked() || !strings.Contains(at, "/receipts?q=no") || strings.Contains(at, "repo=&") {
		t.Errorf("the search loaded the page anew (%t) or left the address as %s", !b.Marked(), at)
	}
	b.Run(chromedp.KeyEvent(kb.Escape))
	b.Leave(chromedp.KeyEvent("?"))

	// A form that is filled in is checked while it is, and saved by the return key.
	b.Visit(w.srv.URL + "/policies/new?rule=max_cost_per_day")
	b.Fill("#name", "Daily limit")
	b.Fill(`[name="rule.max_cost_per_day"]`, "a lot")
	b.See("#live .refused")
	b.Fill(`[name="rule.max_cost_per_day"]`, "50")
	b.See("#live .notice")
	b.Leave(chromedp.KeyEvent(kb.Enter))
	b.See(`a[href$="/edit"]`)
	b.Quiet("at the keyboard")
}

// sights are one page of each kind.
func (w *world) sights() map[string]string {
	w.t.Helper()
	decision := strings.Join([]string{"/decisions", w.column(`SELECT id::text FROM decisions WHERE state = 'held' LIMIT 1`)}, "/")
	return map[string]string{
		"overview": "/", "receipts": "/receipts", "receipts-filtered": "/receipts?model=claude*&sort=-cost&q=zzz", "receipt": "/receipts/r-1",
		"enforcement": "/enforcement", "decision": decision, "waiting": "/enforcement/waiting", "violations": "/enforcement/violations",
		"reviews": "/enforcement/reviews", "waivers": "/enforcement/waivers", "policies": "/policies", "policy-new": "/policies/new?rule=allowed_models",
		"policy": "/policies/" + w.column(`SELECT id::text FROM policies LIMIT 1`), "policy-json": "/policies/new?as=json",
		"repositories": "/repositories", "repository": "/repositories/" + w.column(`SELECT id::text FROM repos WHERE name = 'repo-1'`),
		"repository-new": "/repositories/new", "help": "/help", "teams": "/teams", "coverage": "/coverage", "commit": "/repositories/repo-1/commits/" + w.column(`SELECT commit FROM commit_lines WHERE ai > 0 LIMIT 1`), "commits": "/commits", "team": "/teams/team-0", "audit": "/audit", "settings": "/settings", "people": "/settings/people",
		"keys": "/settings/keys", "webhooks": "/settings/webhooks", "ssh-keys": "/settings/ssh-keys", "account": "/account",
		"prices": "/settings/prices", "identities": "/settings/identities", "privacy": "/settings/privacy", "reference": "/help/api",
		"operation": "/help/api/listReceipts", "schema": "/help/api/schemas/Receipt",
		"review": "/enforcement/reviews/" + w.column(`SELECT v.id::text FROM violations v JOIN decisions d ON d.id = v.decision_id WHERE d.outcome = 'refuse' LIMIT 1`),
		"repository-real": "/repositories/web", "files": "/repositories/web/files", "file": "/repositories/web/files?path=main.go",
		"commit-real": "/repositories/web/commits/" + w.column(`SELECT commit FROM commit_lines WHERE state = 'classified' AND repo_id = (SELECT id FROM repos WHERE name = 'web') AND ai > 0`),
	}
}
