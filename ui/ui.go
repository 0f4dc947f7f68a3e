// Package ui serves the pages for people.
//
// It owns what a browser shows below the paths that are not the API's: one list
// of routes (routes.go), each with the action that whoever asks must be allowed
// (access.Allow), and one file per screen.
//
// Promises: a page is shown to nobody who may not see it, and what it changes
// is asked for by this site; a page loads nothing from another host, runs no
// script and cannot be framed; it is rendered whole before its first header.
package ui

import (
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/style.css
var style []byte

// Config is what the pages work with.
type Config struct {
	DB *store.DB
	// Accounts let people in.
	Accounts *auth.Accounts
	// PublicURL is how people reach this server, without a slash at its end.
	PublicURL string
	Version   string
}

// pages are the templates by the name of their page.
type pages struct {
	cfg       Config
	templates *template.Template
}

// frame is what is shown around every page.
type frame struct {
	Title              string
	PublicURL, Version string
	// Who is signed in; nil for nobody.
	Who *access.Principal
}

// frame is the frame of a page that answers a request.
func (p *pages) frame(r *http.Request, title string) frame {
	f := frame{Title: title, PublicURL: p.cfg.PublicURL, Version: p.cfg.Version}
	if who, ok := auth.PrincipalOf(r.Context()); ok {
		f.Who = &who
	}
	return f
}

// functions are what templates may call.
var functions = template.FuncMap{
	// utc is a time for people; nothing for none.
	"utc": func(at any) string {
		switch t := at.(type) {
		case time.Time:
			return t.UTC().Format("2006-01-02 15:04")
		case *time.Time:
			if t != nil {
				return t.UTC().Format("2006-01-02 15:04")
			}
		}
		return ""
	},
}

// New returns the handler of all pages. It fails if a template does not parse.
func New(cfg Config) (http.Handler, error) {
	templates, err := template.New("").Funcs(functions).ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the page templates: %w", err)
	}
	p := &pages{cfg: cfg, templates: templates}
	return p.router(), nil
}

func (p *pages) router() *mux.Router {
	router := mux.NewRouter()
	for _, rt := range routes() {
		router.Handle(rt.path, p.handler(rt)).Methods(rt.method)
	}
	router.NotFoundHandler = http.HandlerFunc(p.notFound)
	router.MethodNotAllowedHandler = router.NotFoundHandler
	return router
}

// decisionPage is what templates/decision.html shows.
type decisionPage struct {
	frame
	ID string
}

// decision tells whoever follows the link of a decision what to do next. The
// decision itself is for people with a key: whether it exists is not told.
func (p *pages) decision(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return store.ErrNotFound
	}
	return p.show(w, http.StatusOK, "decision.html", decisionPage{p.frame(r, "Decision on a push"), id.String()})
}

func (p *pages) serveStyle(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, err := w.Write(style)
	return err
}
