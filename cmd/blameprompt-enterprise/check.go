package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// checkFlags say which push to judge.
type checkFlags struct {
	base, commits, branch string
	remote, repo          string
	prePush, failOpen     bool
	// policies judge instead of those in force.
	policies []policyDocument
}

const checkHelp = `Judge the commits that a push would bring by the organisation's policies, with
the receipts in the local notes (refs/notes/blameprompt, refs/notes/ai), and
print what the git server would say. Nothing is recorded and nothing is pushed.

New is what HEAD reaches and no branch of the remote does, as far as the last
fetch knows: what a push to the upstream of the branch would bring, or to a
branch of the same name where it has none. --base judges what HEAD has beyond
another commit, which is what CI jobs want, where all is pushed already; --range
names both ends.

As git's pre-push hook:

    #!/bin/sh
    exec ` + program + ` check --pre-push --fail-open "$@"

With --pre-push the push comes from the hook's arguments and input. It does
nothing unless enforce_policies = true in the configuration.

Exit codes: 0 allowed, also with warnings; 1 refused; 2 not judged, which
--fail-open makes 0 with a warning where the server could not be asked.`

func newCheck(a *app) *cobra.Command {
	var f checkFlags
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Judge local commits by the policies before pushing them",
		Long:  checkHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			// A pre-push hook gets the remote's name and address.
			if f.prePush {
				return exactly("REMOTE", "URL")(cmd, args)
			}
			return exactly()(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			err := a.check(cmd.Context(), f, args)
			if f.failOpen && (errors.Is(err, errUnreachable) || statusOf(err) >= http.StatusInternalServerError) {
				fmt.Fprintf(a.stderr, "%s: this push was not judged: %v\n", program, err)
				return nil
			}
			return err
		},
	}
	flags := cmd.Flags()
	f.addRange(flags)
	flags.BoolVar(&f.prePush, "pre-push", false, "Be git's pre-push hook")
	flags.BoolVar(&f.failOpen, "fail-open", false, "Warn and allow when the server cannot be asked")
	return cmd
}

// addRange adds the flags that say which commits are judged.
func (f *checkFlags) addRange(flags *pflag.FlagSet) {
	flags.StringVar(&f.base, "base", "", "Judge what HEAD has beyond this commit")
	flags.StringVar(&f.commits, "range", "", "Judge the commits A..B")
	flags.StringVar(&f.branch, "branch", "", "Branch that would be pushed to (default: the upstream, or the branch's name)")
	flags.StringVar(&f.remote, "remote", "", "Remote that would be pushed to (default: as git push chooses)")
	flags.StringVar(&f.repo, "repo", "", "Name of the repository at the server (default: by the remote's address)")
}

func (f checkFlags) check() error {
	switch {
	case f.base != "" && f.commits != "":
		return errors.New("--base and --range cannot be used together")
	case f.prePush && (f.base != "" || f.commits != "" || f.branch != "" || f.remote != ""):
		return errors.New("--pre-push takes the push from git: leave --base, --range, --branch and --remote out")
	}
	return nil
}

// plan is a push that has not happened.
type plan struct {
	remote string
	// address is the remote's, which the repository is known by.
	address string
	updates []hooks.Update
	known   []gitcmd.OID
}

func (a *app) check(ctx context.Context, f checkFlags, args []string) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	if off := a.checkIsOff(cfg, f); off != "" {
		return a.allow(f, off)
	}
	c, err := a.checkout(ctx)
	if err != nil {
		return err
	}
	var p plan
	if f.prePush {
		p, err = c.planPushed(ctx, a.stdin, args[0], args[1])
	} else {
		p, err = c.plan(ctx, f)
	}
	if err != nil {
		return err
	}
	return a.judge(ctx, cfg, c, f, p)
}

// checkIsOff says why there is nothing to check.
func (a *app) checkIsOff(cfg config, f checkFlags) string {
	switch {
	case f.policies != nil:
		return ""
	case !cfg.enabled():
		return fmt.Sprintf("Nothing is checked: %s says enabled = false.", cfg.file)
	case f.prePush && !cfg.EnforcePolicies:
		return "Nothing is checked: the configuration does not say enforce_policies = true."
	}
	return ""
}

// plan is the push that the flags describe.
func (c *checkout) plan(ctx context.Context, f checkFlags) (plan, error) {
	if c.head == "" {
		return plan{}, errors.New("there is no commit to check yet")
	}
	p := plan{remote: cmp.Or(f.remote, c.remote())}
	p.address = c.remoteURL(p.remote)
	ref, err := c.target(p.remote, f)
	if err != nil {
		return plan{}, err
	}
	update := hooks.Update{New: c.head, Ref: ref}
	p.known, update.Old = c.known(p.remote, ref)
	if err := c.narrow(ctx, f, &p, &update); err != nil {
		return plan{}, err
	}
	update.Old = cmp.Or(update.Old, c.null())
	p.updates = []hooks.Update{update}
	return p, nil
}

// target is the full name of the branch that would be pushed to.
func (c *checkout) target(remote string, f checkFlags) (string, error) {
	switch {
	case strings.HasPrefix(f.branch, "refs/"):
		return f.branch, nil
	case f.branch != "":
		return "refs/heads/" + f.branch, nil
	case c.upstream.remote == remote && c.upstream.ref != "":
		return c.upstream.ref, nil
	case c.branch != "":
		return c.branch, nil
	}
	if ref := c.defaultBranch(remote); ref != "" {
		return ref, nil
	}
	return "", errors.New("no branch is checked out: name the one that would be pushed to with --branch")
}

// narrow takes --base and --range in place of what the remote has.
func (c *checkout) narrow(ctx context.Context, f checkFlags, p *plan, update *hooks.Update) (err error) {
	base, tip := f.base, ""
	if f.commits != "" {
		var found bool
		base, tip, found = strings.Cut(f.commits, "..")
		if !found || base == "" || strings.HasPrefix(tip, ".") {
			return fmt.Errorf("--range wants A..B, not %q", f.commits)
		}
	}
	if tip != "" {
		if update.New, err = c.commit(ctx, tip); err != nil {
			return err
		}
	}
	if base == "" {
		return nil
	}
	if update.Old, err = c.commit(ctx, base); err != nil {
		return err
	}
	p.known = []gitcmd.OID{update.Old}
	return nil
}

// judge asks the server and says what it says.
func (a *app) judge(ctx context.Context, cfg config, c *checkout, f checkFlags, p plan) error {
	if p.trivial() {
		return a.allow(f, "Nothing to check: the push brings no commits.")
	}
	server, err := a.server(cfg)
	if err != nil {
		return err
	}
	client, err := a.newClient(server)
	if err != nil {
		return err
	}
	naming := client.nameRepo(ctx, cmp.Or(f.repo, cfg.Repo), p.address)
	env := hooks.Environment{Forge: hooks.Git, Via: hooks.Pushed, Email: c.email()}
	pushed, err := hooks.Preview(ctx, c.repo, p.updates, p.known, env, hooks.Limits{})
	if errors.Is(err, hooks.ErrIncomplete) {
		return fmt.Errorf("%w: run \"git fetch --unshallow\", or fetch without --filter, and check again", hooks.ErrIncomplete)
	}
	if err != nil {
		return err
	}
	if len(pushed.Commits) == 0 && !f.prePush {
		return a.allow(f, p.nothingNew(f))
	}
	if pushed.Repo, err = naming.name(p.address); err != nil {
		return err
	}
	answer, raw, err := client.evaluate(ctx, pushed, f.policies)
	if err != nil {
		return err
	}
	return a.printVerdict(f, answer, raw, len(pushed.Commits))
}

// trivial reports whether nothing that is judged would be pushed.
func (p plan) trivial() bool {
	for _, u := range p.updates {
		if !u.New.IsZero() && !strings.HasPrefix(u.Ref, "refs/notes/") {
			return false
		}
	}
	return true
}

// nothingNew says that the push brings no commits, and why that may be.
func (p plan) nothingNew(f checkFlags) string {
	if f.base != "" || f.commits != "" {
		return fmt.Sprintf("Nothing to check: there are no commits beyond %.12s.", p.updates[0].Old)
	}
	return fmt.Sprintf("Nothing to check: %s has every commit. In a CI job, name what to compare with: --base %s/main",
		p.remote, p.remote)
}

// quiet is what a hook would be told: that the server waits for receipts is no
// news where no commit that lacks them shows an agent's hand.
func quiet(p hooks.Push) bool {
	noted := map[gitcmd.OID]bool{}
	for i := range p.Notes {
		noted[p.Notes[i].Commit] = true
	}
	return !slices.ContainsFunc(p.Commits, func(c hooks.Commit) bool {
		return !noted[c.OID] && !c.Bot && len(c.Marks) > 0
	})
}

// allow says why a push is allowed that the server was not asked about. Like
// the server's hook, ours has nothing to say then.
func (a *app) allow(f checkFlags, text string) error {
	switch {
	case a.json:
		return a.printJSON(push.Verdict{Outcome: push.Accept, Findings: []push.Finding{}, Policies: []push.Judged{}})
	case !f.prePush:
		fmt.Fprintln(a.stdout, text)
	}
	return nil
}

// email is the address of whoever pushes, as git has it for commits.
func (c *checkout) email() string {
	committer, _ := c.app.lookup("GIT_COMMITTER_EMAIL")
	email, _ := c.app.lookup("EMAIL")
	return cmp.Or(committer, c.setting("user.email"), email)
}

// evaluate asks for a verdict that is not recorded, by the policies in force or
// by others.
func (c *client) evaluate(ctx context.Context, p hooks.Push, policies []policyDocument) (hooks.Answer, json.RawMessage, error) {
	question := struct {
		Repo     string            `json:"repo"`
		Push     hooks.Push        `json:"push"`
		Policies []json.RawMessage `json:"policies,omitempty"`
	}{Repo: p.Repo, Push: p}
	for _, document := range policies {
		question.Policies = append(question.Policies, document.JSON)
	}
	body, err := json.Marshal(question)
	if err != nil {
		return hooks.Answer{}, nil, fmt.Errorf("writing the push: %w", err)
	}
	answer := hooks.Answer{Version: hooks.AnswerVersion, Quiet: quiet(p)}
	raw, err := c.json(ctx, call{method: http.MethodPost, path: "/api/v1/policies/evaluate", body: body}, &answer.Verdict)
	if err != nil {
		return hooks.Answer{}, nil, err
	}
	if _, known := outcomeColours[answer.Verdict.Outcome]; !known {
		return hooks.Answer{}, nil, fmt.Errorf("%s gives the verdict %.40q, which is none", c.url, answer.Verdict.Outcome)
	}
	return answer, raw, nil
}

// printVerdict says what the hook would, and at a shell also that nothing is
// in the way, where the hook is silent.
func (a *app) printVerdict(f checkFlags, answer hooks.Answer, raw json.RawMessage, commits int) error {
	text := answer.Text(hooks.Git)
	if text == "" && !f.prePush {
		text = fmt.Sprintf("BlamePrompt: this push would be accepted (%s).\n", count(commits, "commit"))
	}
	if a.json {
		if err := a.printAnswer(raw); err != nil {
			return err
		}
	} else if headline, rest, ok := strings.Cut(text, "\n"); ok {
		out, seen := a.stdout, a.shown
		if f.prePush {
			// The output of git push is for programs.
			out, seen = a.stderr, a.watched
		}
		fmt.Fprint(out, a.paint(headline, outcomeColours[answer.Verdict.Outcome], seen)+"\n"+rest)
	}
	if answer.Refused() {
		return errNo
	}
	return nil
}

var outcomeColours = map[push.Outcome]colour{
	push.Accept: green, push.Warn: yellow, push.Pending: yellow, push.Refuse: red,
}
