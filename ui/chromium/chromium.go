// Package chromium is a browser for tests of pages: Debian's Chromium, driven
// over its own protocol. It owns the process, hears every complaint of it, and
// looks at pages by the rules of axe-core. No program imports it.
//
// Promises: a test in which nobody looks at a page is skipped, not passed, where no
// Chromium is installed; nothing waits for a time, but for what is to be seen; a
// wait in vain says where the browser is and what it shows.
package chromium

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	cdppage "github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
)

// axe finds what keeps people with disabilities out; see ../style/README.md.
//
//go:embed axe.js
var axe string

// Screenshots is the environment variable that names a directory for pictures
// of the pages that tests visit.
const Screenshots = "BLAMEPROMPT_TEST_SCREENSHOTS"

const (
	// patience is how long one wait takes at most, and life a whole test.
	patience = 2 * time.Minute
	life     = 15 * time.Minute
	poll     = 20 * time.Millisecond
)

// Wide and Narrow are the widths that pages are looked at in: a desk's and a
// telephone's.
const (
	Wide   = 1280
	Narrow = 390
	height = 900
)

// Browser is somebody's browser, with one page and cookies of its own.
type Browser struct {
	t   testing.TB
	ctx context.Context
	// wide is the width of the window.
	wide int64
	mu   sync.Mutex
	// complaints are what the browser said of pages: errors of scripts, what the
	// policy of content refused, what could not be loaded.
	complaints []string
}

// New starts a browser that ends with the test; the test is skipped where none is
// installed.
func New(t testing.TB) *Browser {
	t.Helper()
	path := find()
	if path == "" {
		t.Skip("there is no Chromium here (Debian: apt-get install chromium), so no page is looked at in a browser")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-background-networking", true), chromedp.WSURLReadTimeout(patience))
	allocator, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	return open(t, allocator)
}

func find() string {
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

// Another is another person's browser: the same process, and no cookie of the
// first.
func (b *Browser) Another() *Browser {
	b.t.Helper()
	var page target.ID
	b.Run(chromedp.ActionFunc(func(ctx context.Context) error {
		ctx = cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Browser)
		person, err := target.CreateBrowserContext().WithDisposeOnDetach(true).Do(ctx)
		if err == nil {
			// Chromium has no window of that person yet that could get another page.
			page, err = target.CreateTarget("about:blank").WithBrowserContextID(person).WithNewWindow(true).Do(ctx)
		}
		return err
	}))
	return open(b.t, b.ctx, chromedp.WithTargetID(page))
}

func open(t testing.TB, parent context.Context, options ...chromedp.ContextOption) *Browser {
	t.Helper()
	ctx, cancel := chromedp.NewContext(parent, options...)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, life)
	t.Cleanup(cancel)
	b := &Browser{t: t, ctx: ctx}
	chromedp.ListenTarget(ctx, b.listen)
	// The first run begins the process, which lives as long as its context.
	if err := chromedp.Run(ctx, log.Enable()); err != nil {
		t.Fatalf("starting Chromium: %v", err)
	}
	b.Look(Wide, false)
	return b
}

func (b *Browser) listen(event any) {
	text := ""
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text = e.ExceptionDetails.Error()
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.APITypeError || e.Type == runtime.APITypeWarning || e.Type == runtime.APITypeAssert {
			text = "console: " + arguments(e.Args)
		}
		if abandoned.MatchString(text) {
			text = ""
		}
	case *log.EventEntryAdded:
		if e.Entry.Level == log.LevelError || e.Entry.Level == log.LevelWarning {
			text = e.Entry.Text + " " + e.Entry.URL
		}
	case *cdppage.EventJavascriptDialogOpening:
		text = "a dialog: " + e.Message
	}
	if text != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, text)
		b.mu.Unlock()
	}
}

// abandoned is what htmx says of a request that a newer one took the place of; of
// one that failed it says more.
var abandoned = regexp.MustCompile(`^console: "htmx:(afterRequest|sendAbort), `)

func arguments(args []*runtime.RemoteObject) string {
	var words []string
	for _, arg := range args {
		words = append(words, string(arg.Value)+arg.Description)
	}
	return strings.Join(words, " ")
}

// Run does the actions and fails the test if one cannot be done.
func (b *Browser) Run(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	b.must(chromedp.Run(ctx, actions...))
}

func (b *Browser) must(err error) {
	b.t.Helper()
	if err == nil {
		return
	}
	if dir := os.Getenv(Screenshots); dir != "" {
		b.Picture("failed-" + strings.ReplaceAll(b.t.Name(), "/", "-"))
	}
	b.t.Fatalf("in Chromium: %v\nat %s", err, b.where())
}

// where is the address and the text of the page, for who reads of a failure.
func (b *Browser) where() string {
	var text string
	ctx, cancel := context.WithTimeout(b.ctx, 10*time.Second)
	defer cancel()
	err := chromedp.Run(ctx, chromedp.Evaluate(`location.href + "\n" + (document.querySelector("main") || document.body).innerText.slice(0, 2000)`, &text))
	return strings.TrimSpace(fmt.Sprint(text, " ", errors.Join(err)))
}

// Visit goes to an address and wants the page to be there.
func (b *Browser) Visit(address string) {
	b.t.Helper()
	b.Leave(chromedp.Navigate(address))
}

// Click presses what a selector names and waits for the page that it leads to.
func (b *Browser) Click(selector string) {
	b.t.Helper()
	b.Leave(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Leave does what leads to another page, waits until that is loaded, and wants
// it to be a page and no error.
func (b *Browser) Leave(actions ...chromedp.Action) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	response, err := chromedp.RunResponse(ctx, actions...)
	b.must(err)
	if response != nil && response.Status >= 400 {
		b.t.Fatalf("%s: status %d\nat %s", response.URL, response.Status, b.where())
	}
}

// Fill puts a text into a field that is visible, in the place of what it held.
func (b *Browser) Fill(selector, text string) {
	b.t.Helper()
	var found bool
	b.Run(chromedp.WaitVisible(selector, chromedp.ByQuery),
		chromedp.Evaluate(fmt.Sprintf(`((e) => { e.focus(); if (e.select) e.select(); return true })(document.querySelector(%q))`, selector), &found),
		chromedp.KeyEvent("\b"), chromedp.SendKeys(selector, text, chromedp.ByQuery))
}

// Press presses what does not lead to another page.
func (b *Browser) Press(selector string) {
	b.t.Helper()
	b.Run(chromedp.Click(selector, chromedp.ByQuery, chromedp.NodeVisible))
}

// Tick ticks a box. What is above it may grow between looking where it is and
// pressing there, so that it is pressed until it is ticked.
func (b *Browser) Tick(selector string) {
	b.t.Helper()
	ticked := fmt.Sprintf(`document.querySelector(%q).checked`, selector)
	for tries := 0; b.Ask(ticked) != "true"; tries++ {
		if tries == 5 {
			b.t.Fatalf("%s cannot be ticked\nat %s", selector, b.where())
		}
		b.Press(selector)
	}
}

// Choose takes one of the choices of a field.
func (b *Browser) Choose(selector, value string) {
	b.t.Helper()
	b.Run(b.Choosing(selector, value))
}

// Choosing is the act of Choose, for a choice that leads to another page.
func (b *Browser) Choosing(selector, value string) chromedp.Action {
	return chromedp.ActionFunc(func(ctx context.Context) error {
		var got string
		err := chromedp.Evaluate(fmt.Sprintf(`((e) => { e.value = %q; e.dispatchEvent(new Event("change", {bubbles: true})); return e.value })(document.querySelector(%q))`,
			value, selector), &got).Do(ctx)
		if err == nil && got != value {
			err = fmt.Errorf("%s has no choice %q", selector, value)
		}
		return err
	})
}

// Menu follows the menu's entry of a path, which is behind a button where the
// window is narrow.
func (b *Browser) Menu(path string) {
	b.t.Helper()
	b.Click(b.menu() + fmt.Sprintf(` a[href=%q]`, path))
	if at := b.Ask(`location.pathname`); at != path {
		b.t.Fatalf("the menu's entry of %s leads to %s", path, at)
	}
}

// Theme presses the menu's switch of colours.
func (b *Browser) Theme(name string) {
	b.t.Helper()
	b.Click(b.menu() + fmt.Sprintf(` button[name="theme"][value=%q]`, name))
}

// menu opens the menu and says where it is.
func (b *Browser) menu() string {
	b.t.Helper()
	if b.wide > Narrow {
		return ".fixed-menu"
	}
	b.Run(chromedp.Click("#drawer > summary", chromedp.ByQuery, chromedp.NodeVisible))
	b.See("#drawer[open] nav")
	return "#drawer"
}

// Until waits until a condition, in the language of pages, holds.
func (b *Browser) Until(condition string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		var holds bool
		// Meanwhile the page may be left, so that an error is no answer.
		if err := chromedp.Run(ctx, chromedp.Evaluate("Boolean("+condition+")", &holds)); err == nil && holds {
			return
		}
		select {
		case <-ctx.Done():
			b.must(fmt.Errorf("waited %s in vain for %s", patience, condition))
		case <-tick.C:
		}
	}
}

// See waits until something that a selector names is to be seen.
func (b *Browser) See(selector string) {
	b.t.Helper()
	b.Until(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.checkVisibility())`, selector))
}

// Ask is the value of an expression in the page.
func (b *Browser) Ask(expression string) string {
	b.t.Helper()
	var text string
	b.Run(chromedp.Evaluate("String("+expression+")", &text))
	return text
}

// Mark marks the document; Marked reports whether it is still the same one.
func (b *Browser) Mark()        { b.t.Helper(); b.Ask(`window.sameDocument = true`) }
func (b *Browser) Marked() bool { b.t.Helper(); return b.Ask(`window.sameDocument === true`) == "true" }

// Quiet fails the test if the browser complained since the last call.
func (b *Browser) Quiet(where string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		b.t.Errorf("%s: Chromium complains: %s", where, complaint)
	}
	b.complaints = nil
}

// Look sets the width of the window and the colours that the system asks for.
func (b *Browser) Look(width int64, dark bool) {
	b.t.Helper()
	b.wide = width
	scheme := "light"
	if dark {
		scheme = "dark"
	}
	b.Run(emulation.SetDeviceMetricsOverride(width, height, 1, width <= Narrow),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}))
}

// violation is a rule of axe that a page breaks.
type violation struct {
	ID, Help string
	Nodes    []struct{ HTML, FailureSummary string }
}

// Accessible fails the test for what axe finds by the rules of WCAG 2.2 AA.
func (b *Browser) Accessible(where string) {
	b.t.Helper()
	var loaded bool
	var text string
	b.Run(chromedp.Evaluate("window.axe !== undefined", &loaded))
	if !loaded {
		b.Run(chromedp.Evaluate(axe+"; true", &loaded))
	}
	b.Run(chromedp.Evaluate(`axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"], resultTypes: ["violations"]}).then(r => JSON.stringify(r.violations))`,
		&text, func(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }))
	var found []violation
	if err := json.Unmarshal([]byte(text), &found); err != nil {
		b.t.Fatal(err)
	}
	for _, v := range found {
		for i, node := range v.Nodes {
			if i < 3 {
				b.t.Errorf("%s: %s (%s): %.300s\n%s", where, v.Help, v.ID, node.HTML, node.FailureSummary)
			}
		}
	}
}

// Fits fails the test if the page is wider than the window.
func (b *Browser) Fits(where string) {
	b.t.Helper()
	wide := b.Ask(`(() => { const w = document.documentElement.clientWidth;
		if (document.documentElement.scrollWidth <= w) return "";
		return [...document.querySelectorAll("body *")].filter(e => e.getBoundingClientRect().right > w + 1 && !e.closest(".scroll")).slice(0, 3).map(e => e.outerHTML.slice(0, 200)).join("\n") || "something" })()`)
	if wide != "" {
		b.t.Errorf("%s: the page is wider than the window because of %s", where, wide)
	}
}

// Picture keeps what is to be seen, if somebody asked for pictures.
func (b *Browser) Picture(name string) {
	b.t.Helper()
	dir := os.Getenv(Screenshots)
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	var png []byte
	err := chromedp.Run(ctx, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		png, err = cdppage.CaptureScreenshot().WithFormat(cdppage.CaptureScreenshotFormatPng).Do(ctx)
		return err
	}))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, name+".png"), png, 0o644)
	}
	if err != nil {
		b.t.Errorf("taking the picture %s: %v", name, err)
	}
}
