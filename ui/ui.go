// Package ui serves the pages for people.
//
// It owns what a browser shows below the paths that are not the API's. So far
// that is one page, to which the links in refusals and commit statuses lead.
//
// Promises: a page shows nothing that needs a key or an account; it loads
// nothing from another host, runs no script and cannot be framed.
package ui

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/gorilla/mux"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed static/style.css
var style []byte

// Config is what the pages show.
type Config struct {
	// PublicURL is how people reach this server, without a slash at its end.
	PublicURL string
	Version   string
}

// pages are the templates by the name of their page.
type pages struct {
	cfg       Config
	templates *template.Template
}

// decisionPage is what templates/decision.html shows.
type decisionPage struct {
	Config
	ID string
}

// messagePage is what templates/message.html shows.
type messagePage struct {
	Config
	Title, Text string
}

// New returns the handler of all pages. It fails if a template does not parse.
func New(cfg Config) (http.Handler, error) {
	templates, err := template.ParseFS(templateFiles, "templates/*.html")
	if err != nil {
		return nil, fmt.Errorf("reading the page templates: %w", err)
	}
	p := &pages{cfg: cfg, templates: templates}
	router := mux.NewRouter()
	router.HandleFunc("/decisions/{id}", p.decision).Methods(http.MethodGet)
	router.HandleFunc("/static/style.css", serveStyle).Methods(http.MethodGet)
	router.NotFoundHandler = http.HandlerFunc(p.notFound)
	router.MethodNotAllowedHandler = router.NotFoundHandler
	return router, nil
}

// decision tells whoever follows the link of a decision what to do next. The
// decision itself is for people with a key: whether it exists is not told.
func (p *pages) decision(w http.ResponseWriter, r *http.Request) {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		p.notFound(w, r)
		return
	}
	p.show(w, http.StatusOK, "decision.html", decisionPage{p.cfg, id.String()})
}

func (p *pages) notFound(w http.ResponseWriter, _ *http.Request) {
	p.show(w, http.StatusNotFound, "message.html", messagePage{p.cfg, "There is nothing here",
		"The address may be cut off. Links to decisions end in an id of 36 characters."})
}

// show renders a page before the first header is written.
func (p *pages) show(w http.ResponseWriter, status int, name string, page any) {
	var body bytes.Buffer
	if err := p.templates.ExecuteTemplate(&body, name, page); err != nil {
		http.Error(w, "The page could not be made.", http.StatusInternalServerError)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy", strings.Join([]string{
		"default-src 'none'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"}, "; "))
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	// A client that is gone cannot be told.
	_, _ = w.Write(body.Bytes())
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(style)
}
