// Package demo makes an organisation up, so that people can look at the
// dashboard, and tests and reports have something to work on: repositories with
// ninety days of commits, people who push them, and everything that follows.
//
// It owns the story: who works on what, by hand and with which tools, and what
// goes wrong. It owns nothing of what is computed from it. Commits and notes are
// made by git fast-import; they are pushed by git, over SSH, through a gateway of
// its own, and judged by the policies in force. Notes are taken in, lines
// classified and live lines followed by what the daemon does that with. The one
// thing that is made to look different than it was is time: see backdate.
//
// Promises: the same seed and moment give the same commits, notes, receipts and
// outcomes of pushes, byte for byte; ids that the database draws differ. Every
// kind of text that somebody outside can bring holds markup, letters that run
// from right to left, and control characters where they are allowed.
package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Config says what to make and where.
type Config struct {
	DB *store.DB
	// MirrorRoot and GatewayRoot are the directories of mirrors and of the gateway's
	// repositories, absolute; those of the daemon that is to show them.
	MirrorRoot, GatewayRoot string
	// ReportDir is the directory of reports; empty makes none.
	ReportDir string
	// HookProgram is the path of blameprompt-hook.
	HookProgram string
	// WorkDir is an empty directory for what is needed meanwhile.
	WorkDir string
	// Org is the organisation's name, which must not be there yet; empty is
	// "default".
	Org string
	// Now is the moment at which the story ends: not later than the clock.
	Now time.Time
	// Seed chooses the story.
	Seed uint64
	// Password is that of all who can sign in; empty for nobody.
	Password string
	// Progress is told how much of the story has happened; nil tells nobody.
	Progress func(done, total int)
	Log      zerolog.Logger
}

// Result is what was made.
type Result struct {
	Org store.Org
	// Admin, Member and Viewer are the addresses of one person of each role.
	Admin, Member, Viewer string
	// Pushes is how many pushes were made, Refused how many of them were refused.
	Pushes, Refused int
}

// Build makes the organisation. When it returns everything that the daemon's
// tasks would do is done, up to cfg.Now.
func Build(ctx context.Context, cfg Config) (result Result, err error) {
	if cfg.Org == "" {
		cfg.Org = "default"
	}
	if cfg.Now.IsZero() || cfg.Now.After(time.Now()) {
		return Result{}, errors.New("making a demo: it must end at a moment that is over")
	}
	s := newStory(cfg)
	s.tell()
	w, err := newWorld(ctx, cfg, s)
	if err != nil {
		return Result{}, fmt.Errorf("making a demo: %w", err)
	}
	defer func() { err = errors.Join(err, w.close()) }()
	if err := w.live(); err != nil {
		return Result{}, fmt.Errorf("making a demo: %w", err)
	}
	return w.result(), nil
}

// live lets everything happen in its order.
func (w *world) live() error {
	if err := w.settle(); err != nil {
		return err
	}
	if err := w.importAll(); err != nil {
		return err
	}
	for i, one := range w.story.steps {
		if err := w.enter(one.at); err != nil {
			return err
		}
		if err := one.do(w); err != nil {
			return fmt.Errorf("at %s: %w", one.at.Format(time.DateTime), err)
		}
		if w.cfg.Progress != nil {
			w.cfg.Progress(i+1, len(w.story.steps))
		}
	}
	if err := w.enter(w.story.last); err != nil {
		return err
	}
	return w.finish()
}

// settle makes the organisation, its people, teams and repositories.
func (w *world) settle() (err error) {
	if err := w.enter(w.story.first); err != nil {
		return err
	}
	if w.org, err = w.cfg.DB.CreateOrg(w.ctx, w.cfg.Org, "Europe/Berlin"); err != nil {
		return err
	}
	title := "Acme Commerce"
	if w.org, err = w.cfg.DB.UpdateOrg(w.ctx, w.cli(), store.OrgChange{Title: &title}); err != nil {
		return err
	}
	for _, p := range append(w.story.people, w.story.bot) {
		if err := w.welcome(p); err != nil {
			return fmt.Errorf("adding %s: %w", p.email, err)
		}
	}
	if err := errors.Join(w.letIn(), w.teams()); err != nil {
		return err
	}
	for _, p := range w.story.projects {
		if err := w.register(p); err != nil {
			return fmt.Errorf("making repository %s: %w", p.name, err)
		}
	}
	return nil
}

// welcome makes a user with a key for the gateway.
func (w *world) welcome(p *person) (err error) {
	if p.user, err = w.cfg.DB.CreateUser(w.ctx, w.cli(), store.NewUser{Email: p.email, Name: p.name, Role: p.role}); err != nil {
		return err
	}
	if err := p.key(w.cfg.Seed); err != nil {
		return err
	}
	key := store.NewSSHKey{UserID: p.user.ID, Line: authorized(p.signer), Name: "laptop of " + p.name}
	if _, err := w.cfg.DB.AddSSHKey(w.ctx, w.cli(), key); err != nil {
		return err
	}
	if p.role == access.RoleViewer {
		return nil
	}
	_, err = w.cfg.DB.SetGrant(w.ctx, w.cli(), store.NewGrant{Subject: store.SubjectUser, SubjectID: p.user.ID, Permission: access.WriteRepo, Override: p.override})
	return err
}

// letIn gives everybody who may see the dashboard the password.
func (w *world) letIn() error {
	if w.cfg.Password == "" {
		return nil
	}
	hash, err := auth.NewPasswords(auth.Cost{}).Hash(w.ctx, w.cfg.Password)
	if err != nil {
		return err
	}
	for _, p := range w.story.people {
		if err := w.cfg.DB.ChangePassword(w.ctx, w.as(p), hash); err != nil {
			return fmt.Errorf("giving %s a password: %w", p.email, err)
		}
	}
	return nil
}

func (w *world) teams() error {
	teams := map[string]store.Team{}
	for _, p := range w.story.people {
		team, known := teams[p.team]
		if !known {
			var err error
			if team, err = w.cfg.DB.CreateTeam(w.ctx, w.cli(), p.team); err != nil {
				return err
			}
			teams[p.team] = team
		}
		role := access.RoleMember
		if p.captain {
			role = access.RoleAdmin
		}
		if _, err := w.cfg.DB.SetTeamMember(w.ctx, w.cli(), team.ID, p.email, role); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) register(p *project) (err error) {
	if p.repo, err = w.cfg.DB.CreateRepo(w.ctx, w.cli(), store.NewRepo{Name: p.name, Gateway: store.GatewayHosted}); err != nil {
		return err
	}
	p.repo, err = w.cfg.DB.UpdateRepo(w.ctx, w.cli(), p.repo.ID, p.settings)
	return err
}

// finish does what the daemon's tasks do in the end.
func (w *world) finish() error {
	if err := w.catchUp(); err != nil {
		return err
	}
	db := w.cfg.DB
	for _, work := range []func(context.Context) error{db.FindBots, db.CheckClaims, db.Reprice, w.enforcer.Due} {
		if err := work(w.ctx); err != nil {
			return err
		}
	}
	if err := w.backdate(); err != nil {
		return err
	}
	if err := db.Chain(w.ctx); err != nil {
		return err
	}
	_, err := db.Pool().Exec(w.ctx, "ANALYZE")
	return err
}

func (w *world) result() Result {
	r := Result{Org: w.org, Pushes: w.pushes, Refused: w.refusals}
	for _, p := range w.story.people {
		for role, email := range map[access.Role]*string{access.RoleAdmin: &r.Admin, access.RoleMember: &r.Member, access.RoleViewer: &r.Viewer} {
			if p.role == role && *email == "" {
				*email = p.email
			}
		}
	}
	return r
}
