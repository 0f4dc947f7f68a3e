package ui

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"

	"github.com/blameprompt/enterprise/policy/access"
)

// axe finds what keeps people with disabilities out; see testdata/README.md.
//
//go:embed testdata/axe.js
var axe string

// screenshots is the environment variable that names a directory for pictures
// of the pages that the browser tests visit.
const screenshots = "BLAMEPROMPT_TEST_SCREENSHOTS"

// chromium is a browser of flesh and blood; the test is skipped where none is
// installed.
type chromium struct {
	t   testing.TB
	ctx context.Context
	mu  sync.Mutex
	// complaints are what the browser said of pages: errors of scripts, what the
	// policy of content refused, what could not be loaded.
	complaints []string
}

func newChromium(t testing.TB) *chromium {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			path = found
			break
		}
	}
	if path == "" {
		t.Skip("there is no Chromium here (Debian: apt-get install chromium), so no page is looked at in a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(time.Minute))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 8*time.Minute)
	t.Cleanup(cancel)
	c := &chromium{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, c.listen)
	c.run(log.Enable())
	return c
}

func (c *chromium) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	}
	if text != "" {
		c.mu.Lock()
		c.complaints = append(c.complaints, text)
		c.mu.Unlock()
	}
}

func (c *chromium) run(actions ...chromedp.Action) {
	c.t.Helper()
	if err := chromedp.Run(c.ctx, actions...); err != nil {
		c.t.Fatalf("in Chromium: %v", err)
	}
}

// quiet fails the test if the browser complained since the last call.
func (c *chromium) quiet(where string) {
	c.t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, complaint := range c.complaints {
		c.t.Errorf("%s: Chromium complains: %s", where, complaint)
	}
	c.complaints = nil
}

// look sets the size of the window and the colours.
func (c *chromium) look(width, height int64, dark bool) {
	c.t.Helper()
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	c.run(emulation.SetDeviceMetricsOverride(width, height, 1, width < 500),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// violation is a rule of axe that a page breaks.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// accessible fails the test for what axe finds by the rules of WCAG 2.2 AA.
func (c *chromium) accessible(where string) {
	c.t.Helper()
	var loaded bool
	var text string
	c.run(chromedp.Evaluate(axe+"; true", &loaded),
		chromedp.Evaluate(`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then(r => JSON.stringify(r.violations))`, &text,
			func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var found []violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		c.t.Fatal(err)
	}
	for _, v := range found {
		for i, node := range v.Nodes {
			if i < 3 {
				c.t.Errorf("%s: %s (%s): %.300s\n%s", where, v.Help, v.ID, node.HTML, node.FailureSummary)
			}
		}
	}
}

// fits fails the test if the page is wider than the window.
func (c *chromium) fits(where string) {
	c.t.Helper()
	var wide string
	c.run(chromedp.Evaluate(`(() => { const w = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= w) return "";
		return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll")).slice(0, 3).map(e => e.outerHTML.slice(0, 200)).join("\n") || "something" })()`, &wide))
	if wide != "" {
		c.t.Errorf("%s: the page is wider than the window because of %s", where, wide)
	}
}

func (c *chromium) picture(name string) {
	c.t.Helper()
	dir := os.Getenv(screenshots)
	if dir == "" {
		return
	}
	var png []byte
	c.run(chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = cdppage.CaptureScreenshot().WithFormat(cdppage.CaptureScreenshotFormatPng).Do(ctx)
		return err
	}))
	if err := os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

// login signs in as a person of the organisation.
func (c *chromium) login(w *world, email string) {
	c.t.Helper()
	c.run(chromedp.Navigate(w.srv.URL+"/login"), chromedp.WaitVisible("#password"), chromedp.SendKeys("#org", w.org.Name),
		chromedp.SendKeys("#email", email), chromedp.SendKeys("#password", password), chromedp.Submit("#password"),
		chromedp.WaitVisible(".fixed-menu", chromedp.ByQuery))
}

// Every page is looked at in both widths and both colours.
func TestPagesInABrowser(t *testing.T) {
	c := newChromium(t)
	w := furnished(t)
	w.person(w.org, "ada@example.com", access.RoleAdmin)
	c.look(1280, 900, false)
	c.run(chromedp.Navigate(w.srv.URL+"/login"), chromedp.WaitVisible("#password"))
	c.accessible("/login")
	c.picture("login")
	c.login(w, "ada@example.com")
	for name, path := range w.sights() {
		c.run(chromedp.Navigate(w.srv.URL+path), chromedp.WaitVisible("h1"))
		for _, l := range looks {
			c.look(l.width, 900, l.dark)
			where := fmt.Sprintf("%s-%d-%s", name, l.width, map[bool]string{true: "dark", false: "light"}[l.dark])
			c.fits(where)
			c.accessible(where)
			c.quiet(where)
			c.picture(where)
		}
	}
}

// looks are how a page is looked at.
var looks = []struct {
	width int64
	dark  bool
}{{1280, false}, {1280, true}, {390, true}, {390, false}}

// An administrator works with the mouse and the keyboard: searches, follows
// decisions as they come, waives one, makes a policy and switches the colours.
func TestAnAdministratorAtWork(t *testing.T) {
	c := newChromium(t)
	w := furnished(t)
	w.person(w.org, "ada@example.com", access.RoleAdmin)
	c.look(1280, 900, false)
	c.login(w, "ada@example.com")

	// A search replaces the list and the address, without loading the page.
	c.run(chromedp.KeyEvent("g"), chromedp.KeyEvent("r"), chromedp.WaitVisible("#q"), chromedp.Evaluate(`window.sameDocument = true`, nil),
		chromedp.SendKeys("#q", "no such text"), chromedp.WaitVisible("#live .empty"))
	var same bool
	var address string
	c.run(chromedp.Evaluate(`window.sameDocument === true`, &same), chromedp.Location(&address))
	if !same || !strings.Contains(address, "/receipts?q=no") || strings.Contains(address, "repo=&") {
		t.Errorf("the search loaded the page anew (%t) or left the address as %s", !same, address)
	}

	// A decision that is made meanwhile appears by itself.
	c.run(chromedp.KeyEvent(kb.Escape), chromedp.KeyEvent("g"), chromedp.KeyEvent("e"), chromedp.WaitVisible("#live table"))
	id := w.refusal("fresh@example.com")
	c.run(chromedp.WaitVisible(`a[href="/decisions/`+id+`"]`, chromedp.ByQuery), chromedp.Click(`a[href="/decisions/`+id+`"]`, chromedp.ByQuery),
		chromedp.WaitVisible("#reason"), chromedp.SendKeys("#reason", "agreed with the team"), chromedp.Submit("#reason"),
		chromedp.WaitVisible(".notice"))
	if n := w.column(`SELECT count(*)::text FROM waivers`); n != "1" {
		t.Errorf("%s waivers", n)
	}

	// A form that is filled in is checked while it is, and saved by its button.
	c.run(chromedp.Navigate(w.srv.URL+"/policies/new?rule=max_cost_per_day"), chromedp.WaitVisible("#name"), chromedp.SendKeys("#name", "Daily limit"),
		chromedp.Evaluate(emptied, nil), chromedp.SendKeys(`[name="rule.max_cost_per_day"]`, "a lot"), chromedp.WaitVisible("#live .refused"),
		chromedp.Evaluate(emptied, nil), chromedp.SendKeys(`[name="rule.max_cost_per_day"]`, "50"), chromedp.WaitVisible("#live .notice"),
		chromedp.Click(`button[value="save"]`), chromedp.WaitVisible(`a[href$="/edit"]`))

	// The switch of colours stays for the next page.
	var theme string
	c.run(chromedp.Click(`.fixed-menu button[value="dark"]`), chromedp.WaitVisible(`html[data-theme="dark"]`), chromedp.Navigate(w.srv.URL+"/"),
		chromedp.WaitVisible("h1"), chromedp.Evaluate(`document.documentElement.dataset.theme`, &theme))
	if theme != "dark" {
		t.Errorf("the theme of the next page is %q", theme)
	}
	c.quiet("at work")
}

// emptied takes the default out of a field.
const emptied = `document.getElementsByName("rule.max_cost_per_day")[0].value = ""`

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
	}
}
