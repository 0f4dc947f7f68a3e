package ui

import (
	"fmt"
	"regexp"
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
	// With one organisation there is nothing to choose.
	if b.Ask(`document.querySelector("#org") !== null`) == "true" {
		b.Fill("#org", w.org.Name)
	}
	b.Fill("#email", email)
	b.Fill("#password", password)
	b.Click("main button.main")
	b.See(".fixed-menu")
}

// Every page is looked at, in an organisation whose every text is hostile: a page of
// each route in both widths and both colours, and of each kind for what texts
// become. There is no page that this does not see.
func TestPagesInABrowser(t *testing.T) {
	b := chromium.New(t)
	w := furnished(t)
	c := w.crawl(w.person(w.org, "ada@example.com", access.RoleAdmin))
	c.wantEveryRoute()
	b.Visit(w.srv.URL + "/login")
	b.Accessible("/login")
	b.Picture("login")
	w.signIn(b, "ada@example.com")
	kinds, ofRoute := map[string]bool{}, map[string]int{}
	for _, path := range c.pages {
		route := routeOf(path)
		if kinds[kindOfPath(path)] || ofRoute[route] == perRoute {
			continue
		}
		kinds[kindOfPath(path)] = true
		ofRoute[route]++
		b.Visit(w.srv.URL + path)
		b.See("h1")
		if found := b.Ask(brokenOut); found != "" {
			t.Errorf("%s: a text is not kept to itself:\n%s", path, found)
		}
		b.Quiet(path)
		if ofRoute[route] > 1 {
			continue
		}
		for _, l := range looks {
			b.Look(l.width, l.dark)
			where := fmt.Sprintf("%s at %d, dark: %t", path, l.width, l.dark)
			b.Fits(where)
			if unnamed := b.Ask(`[...document.querySelectorAll("table.texts td")].filter(td => td.dataset.label === undefined).length`); unnamed != "0" {
				t.Errorf("%s: %s cells do not name their column", where, unnamed)
			}
			b.Accessible(where)
			b.Quiet(where)
			b.Picture(fmt.Sprintf("%s-%d-%t", strings.Trim(notInNames.ReplaceAllString(route, "-"), "-"), l.width, l.dark))
		}
	}
	if len(kinds) < 60 {
		t.Errorf("only %d kinds of pages were looked at", len(kinds))
	}
}

// perRoute is how many kinds of pages of a route are looked at.
const perRoute = 4

var notInNames = regexp.MustCompile(`[^a-z]+`)

// brokenOut lists, in a page, elements that hostile texts became, texts that turn
// what is beside them around because nothing isolates them, and characters that
// are not to be seen. A text of people is known by its letters, which are Hebrew.
const brokenOut = `(() => {
	const found = [], isolates = (e) => { while (e && !/isolate|plaintext/.test(getComputedStyle(e).unicodeBidi)) e = e.parentElement; return e };
	for (const e of document.querySelectorAll(".hostile, img, iframe, script:not([src]), [onclick], [onerror], [style]")) found.push("element " + e.outerHTML.slice(0, 100));
	const hidden = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/;
	const texts = document.createTreeWalker(document.documentElement, NodeFilter.SHOW_TEXT), of = new Map();
	for (let n; n = texts.nextNode();) {
		const p = n.parentElement;
		if (p.closest("textarea, script, noscript") || !/\S/.test(n.data)) continue;
		if (hidden.test(n.data)) found.push("not to be seen: " + n.data.slice(0, 100));
		// Nothing can isolate a part of these.
		if (p.closest("option, title")) continue;
		const e = isolates(p);
		if (!of.has(e)) of.set(e, []);
		of.get(e).push(n.data);
	}
	for (const e of document.querySelectorAll("[title], [aria-label], [placeholder]"))
		for (const a of ["title", "aria-label", "placeholder"])
			if (hidden.test(e.getAttribute(a) || "")) found.push("not to be seen in " + a + ": " + e.getAttribute(a).slice(0, 100));
	const theirs = (t) => /[\u0590-\u05ff]/.test(t), words = (t) => /[A-Za-z0-9]/.test(t);
	for (const [e, list] of of)
		if (list.some(theirs) && list.some((t) => !theirs(t) && words(t))) found.push("not isolated in <" + e.tagName.toLowerCase() + ">: " + list.join("|").slice(0, 300));
	return found.slice(0, 8).join("\n");
})()`

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

	// The next rows are gone to from the keyboard, and read on from their beginning;
	// on a telephone their cells name their columns too.
	b.Look(chromium.Narrow, false)
	b.Visit(w.srv.URL + "/receipts")
	b.Mark()
	b.Run(chromedp.Focus(`.pager a[rel="next"]`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	b.Until(`location.search.includes("cursor=") && document.activeElement.id === "main"`)
	if label := b.Ask(`getComputedStyle(document.querySelector("#live td"), "::before").content`); !b.Marked() || label != `"When"` {
		t.Errorf("the next rows loaded the page anew (%t), or name their column %s", !b.Marked(), label)
	}
	b.Look(chromium.Wide, false)

	// What ends something is behind a second button, which Enter opens and presses.
	b.Visit(w.srv.URL + "/settings/ssh-keys")
	b.Run(chromedp.Focus(`.sure > summary`, chromedp.ByQuery), chromedp.KeyEvent(kb.Enter))
	b.See(`.sure[open] button`)
	b.Run(chromedp.KeyEvent(kb.Tab))
	b.Leave(chromedp.KeyEvent(kb.Enter))
	b.See(".notice")

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
