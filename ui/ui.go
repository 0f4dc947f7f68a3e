// Package ui serves the pages for people.
//
// It owns what a browser shows below the paths that are not the API's: one list
// of routes (routes.go), each with the action that whoever asks must be allowed
// (access.Allow), one file per screen, their templates and their assets. What a
// page shows it reads from the store; what a form does, the API can do too.
//
// Promises: a page is shown to nobody who may not see it, and what it changes
// is asked for by this site, with a POST; a page loads nothing from another host,
// cannot be framed, and runs no script but ours, which it does not need to be
// read; text of people and clients is escaped by html/template, and what is not
// to be seen in it is made visible; a page is rendered whole before its first
// header and stays below 100 KB.
package ui

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/gorilla/mux"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Enforcer judges pushes that are tried, and again what waits.
// *enforce.Enforcer is one.
type Enforcer interface {
	Evaluate(ctx context.Context, by access.Principal, in enforce.EvaluateInput) (push.Verdict, error)
	Reconsider(ctx context.Context, org, repo uuid.UUID, event string) error
	Backtest(ctx context.Context, org uuid.UUID, set *policy.Set, from, to time.Time) (backtest.Result, error)
}

// Fetches queues fetches of repositories. *queue.Queue is one.
type Fetches interface {
	DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, d queue.Demand) error
}

// Tasks has background work start soon. *queue.Queue is one.
type Tasks interface {
	Poke(ctx context.Context, tx *store.Tx, name string) error
}

// Connections connects organisations to forges. *connect.Connector is one.
type Connections interface {
	Connect(ctx context.Context, by access.Principal, in connect.Request) (row store.Connection, created bool, err error)
}

// Config is what the pages work with.
type Config struct {
	DB *store.DB
	// Accounts let people in.
	Accounts *auth.Accounts
	// Enforcer judges pushes; nil means that nobody does.
	Enforcer Enforcer
	Fetches  Fetches
	// Tasks are told of what they have to do; nil leaves it to their regular runs.
	Tasks   Tasks
	Remotes connect.Remotes
	// Connections connects to forges; nil means that none can be connected.
	Connections Connections
	// Endpoints is where endpoints are added and changed.
	Endpoints EndpointDesk
	// Reports is where reports are asked for.
	Reports *compliance.Desk
	Log     zerolog.Logger
	// MirrorRoot is the directory of the mirrors, which changes are shown from; empty
	// shows none.
	MirrorRoot string
	// PublicURL is how people reach this server, without a slash at its end.
	PublicURL string
	Version   string
	// Spec is the API's OpenAPI file, which the reference is made of; nil makes none.
	Spec *openapi3.T
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// pages is everything behind the routes.
type pages struct {
	cfg     Config
	screens map[string]*screen
	assets  assets
	// reference is what the pages on the API show.
	reference *reference
	// trials lets one backtest run at a time.
	trials chan struct{}
}

// New returns the handler of all pages. It fails if a template does not parse.
func New(cfg Config) (http.Handler, error) {
	p, err := newPages(cfg)
	if err != nil {
		return nil, err
	}
	return p.router(), nil
}

func newPages(cfg Config) (*pages, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &pages{cfg: cfg, trials: make(chan struct{}, 1), reference: newReference(cfg.Spec, cfg.PublicURL)}
	var err error
	if p.assets, err = readAssets(); err != nil {
		return nil, fmt.Errorf("reading the assets: %w", err)
	}
	if p.screens, err = readScreens(p.assets); err != nil {
		return nil, fmt.Errorf("reading the page templates: %w", err)
	}
	return p, nil
}

func (p *pages) router() *mux.Router {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	for _, rt := range routes() {
		router.Handle(rt.path, p.handler(rt)).Methods(rt.method)
	}
	router.NotFoundHandler = p.handler(route{action: access.Public, serve: (*pages).notFound})
	router.MethodNotAllowedHandler = router.NotFoundHandler
	return router
}
