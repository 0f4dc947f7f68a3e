package ui

import (
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Register is the form of a repository, or of a connection to a forge.
type Register struct {
	Base
	Lead, Action string
	Fields       []Input
	Boxes        []Box
}

// Box is a choice of yes or no.
type Box struct {
	Name, Label string
	Ticked      bool
}

func (p *pages) newRepository(w http.ResponseWriter, r *http.Request) error {
	return p.showRegister(w, r, repoForm(), nil)
}

func repoForm() *Register {
	return &Register{Action: "/repositories", Lead: "Its notes are fetched at once, and then whenever an event or the sweep says so.",
		Fields: []Input{
			{ID: "name", Name: "name", Label: "Name", Required: true, Example: "payments/web", Hint: "What receipts and policies call it."},
			{ID: "url", Name: "url", Label: "Address", Example: "https://git.example.com/payments/web.git",
				Hint: "https or ssh. Leave it empty for a repository that the gateway hosts."},
			{ID: "user", Name: "user", Label: "User name for fetching"},
			{ID: "secret", Name: "secret", Label: "Password or token for fetching", Type: "password", Hint: "It is stored encrypted."},
			{ID: "gateway", Name: "gateway", Label: "SSH gateway", Options: []Option{{"off", "off"}, {"hosted", "hosted: the gateway keeps it"}, {"forwarding", "forwarding: pushes go on to the address"}}},
			{ID: "refs", Name: "refs", Label: "Notes refs", Rows: 2, Hint: "One a line; empty means refs/notes/blameprompt and refs/notes/ai."},
		},
		Boxes: []Box{{Name: "notes_only", Label: "Fetch the notes alone, not the branches"}},
	}
}

// showRegister shows the form with what it was filled in with, but for secrets.
func (p *pages) showRegister(w http.ResponseWriter, r *http.Request, page *Register, refused []Fault) error {
	title := "Add a repository"
	if page.Action != "/repositories" {
		title = "Connect an organisation"
	}
	base, err := p.newBase(r, "/repositories", title)
	if err != nil {
		return err
	}
	base.Problems = refused
	page.Base = base
	for i := range page.Fields {
		f := &page.Fields[i]
		if f.Type == "" {
			f.Type = "text"
		}
		if f.Type != "password" && r.PostForm.Has(f.Name) {
			f.Value = r.PostForm.Get(f.Name)
		}
		f.Problem = problemOf(refused, f.Name)
	}
	for i := range page.Boxes {
		if r.Method == http.MethodPost {
			page.Boxes[i].Ticked = r.PostForm.Has(page.Boxes[i].Name)
		}
	}
	return p.show(w, r, statusFor(refused), "register", page)
}

// addRepository registers a repository and has it fetched.
func (p *pages) addRepository(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	in := connect.Registration{Name: f.wanted("name", 300), URL: f.text("url", 2000), User: f.text("user", 500), Secret: f.text("secret", 5000),
		NotesRefs: f.lines("refs", 5000), NotesOnly: f.on("notes_only"),
		Gateway: store.Gateway(f.choice("gateway", string(store.GatewayOff), string(store.GatewayHosted), string(store.GatewayForwarding)))}
	err := f.err()
	var fresh store.NewRepo
	if err == nil {
		fresh, err = in.Resolve(r.Context(), p.cfg.Remotes)
	}
	var row store.Repo
	if err == nil {
		row, err = p.cfg.DB.CreateRepo(r.Context(), whoOf(r), fresh)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showRegister(w, r, repoForm(), faults)
	}
	if err != nil {
		return err
	}
	err = p.cfg.DB.InTx(r.Context(), func(tx *store.Tx) error {
		return p.cfg.Fetches.DemandFetch(r.Context(), tx, row.OrgID, row.ID, queue.Asked)
	})
	if err != nil {
		return err
	}
	return done(w, r, "/repositories/"+row.ID.String(), "added")
}

func (p *pages) newConnection(w http.ResponseWriter, r *http.Request) error {
	return p.showRegister(w, r, connectionForm(), nil)
}

func connectionForm() *Register {
	return &Register{Action: "/connections", Lead: "What the forge lists for the owner is registered, and from then on what is new there.",
		Fields: []Input{
			{ID: "forge", Name: "forge", Label: "Forge", Options: []Option{{"github", "GitHub"}, {"gitlab", "GitLab"}, {"gitea", "Gitea or Forgejo"}, {"bitbucket", "Bitbucket"}}},
			{ID: "owner", Name: "owner", Label: "Owner", Required: true, Hint: "The organisation, group, workspace or user at the forge."},
			{ID: "api_url", Name: "api_url", Label: "Address of the forge", Example: "https://git.example.com", Hint: "Empty means the public one."},
			{ID: "token", Name: "token", Label: "Token", Type: "password", Hint: "Of an account that may list and fetch the repositories, post commit statuses and, if webhooks are set up, manage them. It is stored encrypted."},
			{ID: "include", Name: "include", Label: "Only repositories", Rows: 2, Example: "platform/*", Hint: "One pattern a line; nothing means all."},
			{ID: "exclude", Name: "exclude", Label: "But not", Rows: 2},
		},
		Boxes: []Box{{Name: "webhooks", Label: "Set up webhooks at the forge", Ticked: true}, {Name: "forks", Label: "Forks too", Ticked: true},
			{Name: "archived", Label: "Archived ones too"}, {Name: "ssh", Label: "Fetch over ssh"}},
	}
}

var errNoForges = &respond.Problem{Status: http.StatusConflict, Code: "no_forges", Detail: "This server does not connect to forges."}

// addConnection connects to a forge, which tries the token.
func (p *pages) addConnection(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	in := connect.Request{Forge: forge.Name(f.wanted("forge", 50)), APIURL: f.text("api_url", 2000), Owner: f.wanted("owner", 300),
		Token: forge.Secret(f.text("token", 5000)),
		Selection: store.Selection{Include: f.lines("include", 10000), Exclude: f.lines("exclude", 10000), Archived: f.on("archived"),
			Forks: f.on("forks"), SSH: f.on("ssh"), Webhooks: f.on("webhooks")}}
	err := f.err()
	if err == nil && p.cfg.Connections == nil {
		err = errNoForges
	}
	if err == nil {
		_, _, err = p.cfg.Connections.Connect(r.Context(), whoOf(r), in)
	}
	if faults, ok := forgeFaults(err); ok {
		return p.showRegister(w, r, connectionForm(), faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/repositories", "connected")
}

// forgeFaults lays what a forge refused to the field that it is about.
func forgeFaults(err error) ([]Fault, bool) {
	if err == nil {
		return nil, false
	}
	var call *forge.CallError
	if !errors.As(err, &call) {
		return faultsOf(err)
	}
	field := ""
	switch {
	case errors.Is(err, forge.ErrToken), errors.Is(err, forge.ErrForbidden):
		field = "token"
	case errors.Is(err, forge.ErrMissing):
		field = "owner"
	case errors.Is(err, forge.ErrAddress):
		field = "api_url"
	}
	return []Fault{{field, call.Error()}}, true
}

// disconnect ends a connection; its repositories stay.
func (p *pages) disconnect(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return store.ErrNotFound
	}
	if _, err := p.cfg.DB.Disconnect(r.Context(), whoOf(r), id, false); err != nil {
		return err
	}
	return done(w, r, "/repositories", "disconnected")
}
