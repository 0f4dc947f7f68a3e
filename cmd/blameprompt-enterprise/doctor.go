package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// The differences of clocks from which doctor warns and fails.
const (
	wantClock = 30 * time.Second
	needClock = 5 * time.Minute
)

// health is the outcome of a check.
type health string

const (
	good health = "ok"
	warn health = "warn"
	fail health = "fail"
)

var healthColours = map[health]colour{good: green, warn: yellow, fail: red}

// finding is a line of doctor's answer.
type finding struct {
	Check   string `json:"check"`
	Verdict health `json:"verdict"`
	Text    string `json:"text"`
	// Mend says what to do; empty when all is well.
	Mend string `json:"mend,omitempty"`
}

func newDoctor(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Check configuration, key, server and repository, and say how to mend what is wrong",
		Long: "Check configuration, key, server and repository, and say how to mend what is wrong. Each line is ok,\n" +
			"warn or fail; the exit code is 1 when one of them is fail.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context()) },
	}
}

func (a *app) doctor(ctx context.Context) error {
	d := &doctor{app: a}
	d.examine(ctx)
	if a.json {
		if err := a.printJSON(d.found); err != nil {
			return err
		}
	} else if err := d.print(); err != nil {
		return err
	}
	for _, f := range d.found {
		if f.Verdict == fail {
			return errNo
		}
	}
	return nil
}

// doctor is an examination.
type doctor struct {
	app    *app
	found  []finding
	client *client
	cfg    config
	// repo is the checkout, nil outside of one.
	repo *checkout
}

func (d *doctor) say(check string, verdict health, text, mend string) {
	d.found = append(d.found, finding{check, verdict, text, mend})
}

func (d *doctor) print() error {
	w := tabwriter.NewWriter(d.app.stdout, 0, 0, 2, ' ', 0)
	for _, f := range d.found {
		text := plain(f.Text)
		if f.Mend != "" {
			text += ": " + plain(f.Mend)
		}
		// The codes of all colours are of one length, so that columns stay aligned.
		fmt.Fprintf(w, "%s\t%s\t%s\n", d.app.paint(string(f.Verdict), healthColours[f.Verdict], d.app.shown), f.Check, text)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("printing: %w", err)
	}
	return nil
}

// examine runs the checks in the order in which one builds on another.
func (d *doctor) examine(ctx context.Context) {
	d.checkGit(ctx)
	if d.checkConfig() && d.checkServer(ctx) {
		d.checkKey(ctx)
	}
	d.checkRepo(ctx)
}

func (d *doctor) checkGit(ctx context.Context) {
	version, err := gitcmd.Version(ctx)
	if err == nil {
		err = gitcmd.Require(ctx)
	}
	if err != nil {
		d.say("git", fail, err.Error(), "install a newer git")
		return
	}
	d.say("git", good, "git "+version, "")
}

// checkConfig wants to know whom to ask as whom.
func (d *doctor) checkConfig() bool {
	cfg, err := d.app.config()
	if err != nil {
		d.say("configuration", fail, err.Error(), "mend the file")
		return false
	}
	d.cfg = cfg
	where := cmp.Or(cfg.file, "no file has a table [enterprise]; the environment decides")
	if cfg.file != "" && !cfg.enabled() {
		d.say("configuration", warn, where, "it says enabled = false, so that sync and check do nothing")
	} else {
		d.say("configuration", good, where, "")
	}
	known, err := d.app.readCredentials()
	if err != nil {
		d.say("key", fail, err.Error(), "")
	}
	s, err := d.app.serverURL(cfg, known)
	if err != nil {
		d.say("server", fail, err.Error(), "")
		return false
	}
	// The server itself can be looked at without a key.
	if s.key, s.keyFrom, err = d.app.key(cfg, known, s.url.String()); err != nil {
		s.key = ""
		d.say("key", fail, err.Error(), "an administrator makes one: blamepromptd key create")
	}
	if d.client, err = d.app.newClient(s); err != nil {
		d.say("server", fail, err.Error(), "mend --ca-file or "+envCAFile)
		return false
	}
	return true
}

// checkServer asks the server for its version and its clock.
func (d *doctor) checkServer(ctx context.Context) bool {
	var answer struct {
		Status  string `json:"status"`
		Version string `json:"version"`
	}
	asked := time.Now()
	var date time.Time
	var text []byte
	err := d.client.do(ctx, call{method: http.MethodGet, path: "/healthz", anonymous: true}, func(resp *http.Response) (err error) {
		date, _ = http.ParseTime(resp.Header.Get("Date"))
		text, err = d.client.read(ctx, resp)
		return err
	})
	if err == nil && (json.Unmarshal(text, &answer) != nil || answer.Status == "") {
		err = fmt.Errorf("%s answers as a BlamePrompt server would not", d.client.url)
	}
	if err != nil {
		d.say("server", fail, err.Error(), "see "+envURL+" and api_url")
		return false
	}
	where := fmt.Sprintf("%s (%s), version %s", d.client.url, d.client.urlFrom, answer.Version)
	if d.client.url.Scheme == "http" && !isLoopback(d.client.url.Hostname()) {
		d.say("server", warn, where, "keys and receipts travel readably; use https")
	} else {
		d.say("server", good, where, "")
	}
	d.checkClock(asked, date)
	return true
}

func isLoopback(host string) bool {
	return host == "localhost" || host == "::1" || strings.HasPrefix(host, "127.")
}

// checkClock compares with the server's, which is given in whole seconds.
func (d *doctor) checkClock(asked, date time.Time) {
	if date.IsZero() {
		return
	}
	took := time.Since(asked)
	apart := date.Sub(asked.Add(took / 2)).Abs()
	text := fmt.Sprintf("%s apart from the server's", apart.Truncate(time.Second))
	const mend = "let both machines keep time (systemd-timesyncd, chrony): receipts carry this machine's times"
	switch slack := took + time.Second; {
	case apart > needClock+slack:
		d.say("clock", fail, text, mend)
	case apart > wantClock+slack:
		d.say("clock", warn, text, mend)
	default:
		d.say("clock", good, text, "")
	}
}

// checkKey asks what the key may do.
func (d *doctor) checkKey(ctx context.Context) {
	if d.client.key == "" {
		return
	}
	name, err := d.client.me(ctx)
	if err != nil {
		d.say("key", fail, err.Error(), "ask an administrator for another one")
		return
	}
	var org struct {
		Name string `json:"name"`
	}
	text := fmt.Sprintf("%s (%s)", name, d.client.keyFrom)
	switch _, err := d.client.get(ctx, &org, nil, "api", "v1", "org"); {
	case statusOf(err) == http.StatusForbidden:
		d.say("key", warn, text+" may not read", "sync can do its work; the other commands need a key of the scope read")
	case err != nil:
		d.say("key", fail, err.Error(), "")
	default:
		d.say("key", good, text+", organisation "+org.Name, "")
	}
}

// checkRepo looks at the repository of the working directory, if it is in one.
func (d *doctor) checkRepo(ctx context.Context) {
	c, err := d.app.checkout(ctx)
	if errors.Is(err, errNoCheckout) {
		d.say("repository", warn, "the working directory is in none", "sync and check need one")
		return
	}
	if err != nil {
		d.say("repository", fail, err.Error(), "")
		return
	}
	d.repo = c
	d.checkNotes(ctx)
	d.checkRemote(ctx)
}

func (d *doctor) checkNotes(ctx context.Context) {
	tips, err := d.repo.repo.Tips(ctx, syncedRefs...)
	if err != nil {
		d.say("notes", fail, err.Error(), "")
		return
	}
	if len(tips) == 0 {
		d.say("notes", warn, "there are no receipts here ("+strings.Join(syncedRefs, ", ")+")",
			"they are made by the AI tools' hooks, and come from others with: git fetch origin 'refs/notes/*:refs/notes/*'")
		return
	}
	var names []string
	for _, ref := range syncedRefs {
		if tip, ok := tips[ref]; ok {
			names = append(names, fmt.Sprintf("%s at %.12s", ref, tip))
		}
	}
	d.say("notes", good, strings.Join(names, ", "), "")
}

// checkRemote wants the server to know the repository.
func (d *doctor) checkRemote(ctx context.Context) {
	remote := d.repo.remote()
	address := d.repo.remoteURL(remote)
	given := d.cfg.Repo
	switch {
	case address == "" && given == "":
		d.say("remote", warn, "there is no remote "+remote, "name the repository with --repo, or as repo in the configuration")
		return
	case d.client == nil || d.client.key == "":
		return
	}
	switch at, err := d.client.locate(ctx, given, address, repoOf(address)); {
	case err != nil:
		d.say("remote", fail, err.Error(), "")
	case at.hidden:
		d.say("remote", good, "the key may not ask what the server knows; here it is called "+at.name, "")
	case !at.known:
		d.say("remote", warn, "the server has no repository "+at.name+" and none with the remote "+withoutUser(address),
			"an administrator adds it (blamepromptd repo add), or \"sync\" brings the receipts")
	default:
		d.say("remote", good, "the server knows it as "+at.name, "")
	}
}
