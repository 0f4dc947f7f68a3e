// Command screenshots takes the pictures of the dashboard that the
// documentation shows. It runs the demo as anybody would, signs in with the
// login that it prints, and looks at the pages in Chromium.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// shot is a picture of a page.
type shot struct {
	name, path string
	// follow is a CSS selector of a link on the page that leads to the one that is
	// shown, empty for the page itself.
	follow string
	phone  bool
	dark   bool
}

var shots = []shot{
	{name: "overview", path: "/"},
	{name: "overview-dark", path: "/", dark: true},
	{name: "overview-phone", path: "/", phone: true},
	{name: "receipts", path: "/receipts"},
	{name: "receipts-phone-dark", path: "/receipts", phone: true, dark: true},
	{name: "enforcement", path: "/enforcement"},
	{name: "decision", path: "/enforcement?outcome=refuse", follow: `main a[href^="/decisions/"]`},
	{name: "commit", path: "/commits?repo=shop/payments-api&class=ai", follow: `main a[href*="/commits/"]`},
	{name: "coverage-dark", path: "/coverage", dark: true},
	{name: "policy", path: "/policies", follow: `main a[href^="/policies/"]:not([href*="/new"])`},
	{name: "repository", path: "/repositories", follow: `main tbody tr:nth-child(5) a`},
	{name: "reports", path: "/reports"},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	program := flag.String("program", "bin/blamepromptd", "the daemon's program")
	out := flag.String("out", "docs/screenshots", "where the pictures go")
	extra := flag.String("extra", "", "further paths to take pictures of in all looks, separated by blanks")
	url := flag.String("url", "", "a demo that runs already, with -email and -password")
	var who login
	flag.StringVar(&who.Admin, "email", "", "who signs in to -url")
	flag.StringVar(&who.Password, "password", "", "the password at -url")
	flag.Parse()
	if err := run(ctx, *program, *out, *url, who, append(shots, all(*extra)...)); err != nil {
		fmt.Fprintf(os.Stderr, "screenshots: %v\n", err)
		os.Exit(1)
	}
}

// all are pictures of paths in every look.
func all(paths string) []shot {
	var out []shot
	for i, path := range strings.Fields(paths) {
		for look := range 4 {
			out = append(out, shot{name: fmt.Sprintf("extra-%02d-%d", i, look), path: path, phone: look > 1, dark: look%2 > 0})
		}
	}
	return out
}

// login is what the demo prints of itself.
type login struct{ Admin, Password string }

type greeting struct {
	API  string
	Demo login
}

func run(ctx context.Context, program, out, url string, who login, shots []shot) (err error) {
	if url == "" {
		demo, hello, begun := begin(ctx, program)
		if begun != nil {
			return begun
		}
		defer func() { err = errors.Join(err, end(demo)) }()
		url, who = hello.API, hello.Demo
	}
	return takeAll(ctx, out, url, who, shots)
}

// takeAll signs in and takes the pictures.
func takeAll(ctx context.Context, out, url string, who login, shots []shot) error {
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.NoSandbox, chromedp.WSURLReadTimeout(time.Minute))
	allocator, cancel := chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	browser, cancel := chromedp.NewContext(allocator)
	defer cancel()
	err := chromedp.Run(browser, chromedp.Navigate(url+"/login"), chromedp.WaitVisible("#password"), chromedp.SendKeys("#email", who.Admin),
		chromedp.SendKeys("#password", who.Password), chromedp.Submit("#password"), chromedp.WaitVisible("h1"))
	if err != nil {
		return fmt.Errorf("signing in: %w", err)
	}
	for _, s := range shots {
		picture, err := s.take(browser, url)
		if err != nil {
			return fmt.Errorf("taking %s: %w", s.name, err)
		}
		if err := os.WriteFile(filepath.Join(out, s.name+".png"), picture, 0o644); err != nil {
			return err
		}
		fmt.Printf("%-24s %4d KB\n", s.name, len(picture)>>10)
	}
	return nil
}

// begin starts the demo and waits for what it prints when it is ready.
func begin(ctx context.Context, program string) (*exec.Cmd, greeting, error) {
	var hello greeting
	demo := exec.CommandContext(ctx, program, "demo", "--json")
	demo.Cancel = func() error { return demo.Process.Signal(syscall.SIGINT) }
	demo.Stderr = os.Stderr
	said, err := demo.StdoutPipe()
	if err != nil {
		return nil, hello, err
	}
	if err := demo.Start(); err != nil {
		return nil, hello, fmt.Errorf("starting the demo: %w", err)
	}
	if err := json.NewDecoder(said).Decode(&hello); err != nil {
		return nil, hello, errors.Join(fmt.Errorf("reading what the demo says: %w", err), end(demo))
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
	return demo, hello, nil
}

// end stops the demo, which removes what it made.
func end(demo *exec.Cmd) error {
	if err := demo.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return demo.Wait()
}

func (s shot) take(ctx context.Context, url string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	width, height, scheme := int64(1280), int64(860), "light"
	if s.phone {
		width, height = 390, 844
	}
	if s.dark {
		scheme = "dark"
	}
	steps := []chromedp.Action{
		emulation.SetDeviceMetricsOverride(width, height, 1, s.phone),
		emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}),
		chromedp.Navigate(url + s.path), chromedp.WaitVisible("h1"),
	}
	if s.follow != "" {
		var target string
		steps = append(steps, chromedp.Evaluate(fmt.Sprintf("document.querySelector(%q).href", s.follow), &target),
			chromedp.ActionFunc(func(ctx context.Context) error { return chromedp.Navigate(target).Do(ctx) }), chromedp.WaitVisible("h1"))
	}
	var raw []byte
	steps = append(steps, chromedp.ActionFunc(func(ctx context.Context) (err error) {
		raw, err = page.CaptureScreenshot().WithFormat(page.CaptureScreenshotFormatPng).Do(ctx)
		return err
	}))
	if err := chromedp.Run(ctx, steps...); err != nil {
		return nil, err
	}
	return smaller(raw)
}

// smaller encodes a picture with its 256 most frequent colours, which is what
// pages of text need, and with more patience than the browser has.
func smaller(raw []byte) ([]byte, error) {
	picture, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	few := image.NewPaletted(picture.Bounds(), frequent(picture))
	nearest := map[color.Color]uint8{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			c := picture.At(x, y)
			at, known := nearest[c]
			if !known {
				at = uint8(few.Palette.Index(c))
				nearest[c] = at
			}
			few.SetColorIndex(x, y, at)
		}
	}
	var out bytes.Buffer
	err = (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, few)
	return out.Bytes(), err
}

// frequent are the 256 most frequent colours of a picture.
func frequent(picture image.Image) color.Palette {
	counts := map[color.Color]int{}
	for y := range picture.Bounds().Dy() {
		for x := range picture.Bounds().Dx() {
			counts[picture.At(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(counts), func(a, b color.Color) int { return counts[b] - counts[a] })
	return all[:min(len(all), 256)]
}
