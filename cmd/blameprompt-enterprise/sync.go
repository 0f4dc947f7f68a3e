package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// syncFlags say what to bring where.
type syncFlags struct {
	remote, repo            string
	all, dryRun, postCommit bool
}

const syncHelp = `Bring the receipts of the local notes (the tips of refs/notes/blameprompt and
refs/notes/ai) to the server: those that it does not have. A repository that
the server fetches by itself needs no sync.

What was brought is remembered in .git/` + stateDir + `/, so that a sync
that was ended goes on where it was. Where the server cannot be reached nothing
is lost: the next one brings it. A receipt that comes twice is stored once.

As git's post-commit hook, behind the line that attaches receipts:

    ` + program + ` sync --post-commit >/dev/null 2>&1 &

With --post-commit it does nothing unless sync_on_commit = true in the
configuration, and an unreachable server is no error.

Exit codes: 0 all is there; 1 all is there but what is listed, which the server
or git could not read; 2 not everything could be brought.`

func newSync(a *app) *cobra.Command {
	var f syncFlags
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "Bring local receipts to the server",
		Long:  syncHelp,
		Args:  exactly(),
		RunE:  func(cmd *cobra.Command, _ []string) error { return a.sync(cmd.Context(), f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&f.remote, "remote", "", "Remote by whose address the server knows the repository")
	flags.StringVar(&f.repo, "repo", "", "Name of the repository at the server (default: by the remote's address)")
	flags.BoolVar(&f.all, "all", false, "Bring everything again, whatever was brought before")
	flags.BoolVar(&f.dryRun, "dry-run", false, "Only say what would be brought")
	flags.BoolVar(&f.postCommit, "post-commit", false, "Be quiet, and obey sync_on_commit")
	return cmd
}

// synced is what a sync did.
type synced struct {
	Repo string `json:"repo"`
	// Notes were sent, of Pending that were to be.
	Notes   int `json:"notes"`
	Pending int `json:"pending"`
	// New and Known count receipts of BlamePrompt notes; Uploaded and Equal count
	// notes of git-ai.
	New      int          `json:"receipts_new"`
	Known    int          `json:"receipts_known"`
	Uploaded int          `json:"git_ai_notes_new"`
	Equal    int          `json:"git_ai_notes_known"`
	Rejected []syncReject `json:"rejected,omitempty"`
}

// syncReject is a note that was not taken.
type syncReject struct {
	Ref    string     `json:"ref"`
	Commit gitcmd.OID `json:"commit"`
	Error  string     `json:"error"`
}

// syncer is a sync that goes on.
type syncer struct {
	client *client
	repo   *gitcmd.Repo
	name   string
	// tips are those of the notes refs.
	tips  map[string]gitcmd.OID
	state *syncState
	bar   *progress
	done  synced
}

func (a *app) sync(ctx context.Context, f syncFlags) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	switch {
	case f.postCommit && (!cfg.enabled() || !cfg.SyncOnCommit):
		return nil
	case !cfg.enabled():
		fmt.Fprintf(a.stdout, "Nothing is brought: %s says enabled = false.\n", cfg.file)
		return nil
	}
	err = a.syncLocked(ctx, cfg, f)
	if f.postCommit && (errors.Is(err, errUnreachable) || errors.Is(err, errLocked)) {
		return nil
	}
	return err
}

// syncLocked is sync with the state of the repository to itself.
func (a *app) syncLocked(ctx context.Context, cfg config, f syncFlags) error {
	c, err := a.checkout(ctx)
	if err != nil {
		return err
	}
	server, err := a.server(cfg)
	if err != nil {
		return err
	}
	client, err := a.newClient(server)
	if err != nil {
		return err
	}
	address := c.remoteURL(cmp.Or(f.remote, c.remote()))
	given := cmp.Or(f.repo, cfg.Repo)
	if given == "" && address == "" {
		return errNoName
	}
	tips, err := c.repo.Tips(ctx, syncedRefs...)
	if err != nil {
		return err
	}
	state, err := openState(c.repo.Dir(), server, cmp.Or(given, address), f.all)
	if err != nil {
		return err
	}
	defer state.close()
	s := &syncer{client: client, repo: c.repo, tips: tips, state: state, bar: &progress{}, name: given}
	began := time.Now()
	err = s.run(ctx, a, address, f.dryRun)
	s.bar.end()
	if err != nil {
		return err
	}
	return a.printSynced(s, f, time.Since(began))
}

// run finds what is to be brought and brings it.
func (s *syncer) run(ctx context.Context, a *app, address string, dryRun bool) error {
	at, unreached := s.ask(ctx, address)
	if unreached != nil && !errors.Is(unreached, errUnreachable) {
		return unreached
	}
	s.done.Repo = s.name
	var work []localNote
	for _, ref := range syncedRefs {
		found, err := s.pending(ctx, ref, s.tips[ref], at.tips[ref])
		if err != nil {
			return err
		}
		work = append(work, found...)
	}
	s.done.Pending = len(work)
	switch {
	case unreached != nil:
		return fmt.Errorf("%w\n%s; run sync again when it is back", unreached, waiting(len(work)))
	case dryRun:
		return nil
	}
	s.bar = a.newProgress("notes", len(work))
	if err := s.send(ctx, work); err != nil {
		return fmt.Errorf("%w\n%d of %s brought; run sync again for the rest", err, s.done.Notes, count(len(work), "note"))
	}
	return s.state.finish(s.tips, s.name)
}

func waiting(n int) string {
	switch n {
	case 0:
		return "As far as is known here, the server has everything"
	case 1:
		return "1 note waits"
	}
	return fmt.Sprintf("%d notes wait", n)
}

// syncedRefs are the notes refs in the order in which they are brought.
var syncedRefs = []string{"refs/notes/blameprompt", "refs/notes/ai"}

// ask finds the repository at the server. One that the server does not know,
// though something was brought before, has been set up anew and forgotten.
func (s *syncer) ask(ctx context.Context, address string) (located, error) {
	at, err := s.client.locate(ctx, s.name, address, cmp.Or(s.state.Repo, repoOf(address)))
	s.name = at.name
	if err == nil && !at.known && !at.hidden {
		err = s.state.forget()
	}
	return at, err
}

// printSynced says what was done.
func (a *app) printSynced(s *syncer, f syncFlags, took time.Duration) error {
	done := s.done
	switch {
	case a.json:
		if err := a.printJSON(done); err != nil {
			return err
		}
	case f.dryRun:
		fmt.Fprintf(a.stdout, "%s: %s would be brought.\n", plain(done.Repo), count(done.Pending, "note"))
	case f.postCommit:
	case len(s.tips) == 0:
		fmt.Fprintf(a.stdout, "There are no receipts here: nothing is in %s.\n", strings.Join(syncedRefs, " and "))
	case done.Pending == 0:
		fmt.Fprintf(a.stdout, "%s: the server has everything.\n", plain(done.Repo))
	default:
		fmt.Fprintf(a.stdout, "%s: %s brought in %s: %s\n", plain(done.Repo), count(done.Notes, "note"),
			took.Round(100*time.Millisecond), done.sums())
	}
	if len(done.Rejected) == 0 {
		return nil
	}
	for i, r := range done.Rejected {
		if i == maxRejected {
			fmt.Fprintf(a.stderr, "%s: and %d more\n", program, len(done.Rejected)-i)
			break
		}
		fmt.Fprintf(a.stderr, "%s: the note of %.12s in %s was not taken: %s\n", program, r.Commit, r.Ref, plain(r.Error))
	}
	return errNo
}

// maxRejected bounds the lines about notes that were not taken.
const maxRejected = 20

func (s synced) sums() string {
	text := fmt.Sprintf("%s new, %d known", count(s.New, "receipt"), s.Known)
	if s.Uploaded+s.Equal > 0 {
		text += fmt.Sprintf("; git-ai: %s new, %d known", count(s.Uploaded, "note"), s.Equal)
	}
	if len(s.Rejected) > 0 {
		text += fmt.Sprintf("; %d not taken", len(s.Rejected))
	}
	return text + "."
}
