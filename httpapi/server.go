package httpapi

import (
	"context"
	_ "embed"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/uuid"
	"github.com/gorilla/mux"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"golang.org/x/sync/semaphore"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Intake takes in what is posted. *ingest.Ingester is one.
type Intake interface {
	// PostReceipts takes in a body of receipts.
	PostReceipts(ctx context.Context, by access.Principal, repo, commit string, body []byte) (ingest.Posted, error)
	// UploadNotes stores notes byte for byte and returns how many it took.
	UploadNotes(ctx context.Context, by access.Principal, entries []ingest.Upload) (int, error)
}

// Fetches queues fetches of repositories. *queue.Queue is one.
type Fetches interface {
	// DemandFetch demands a fetch in the caller's transaction.
	DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, d queue.Demand) error
}

// Config is what the API works with.
type Config struct {
	DB      *store.DB
	Intake  Intake
	Fetches Fetches
	Remotes connect.Remotes
	// Tasks is poked where a change makes work; nil leaves that to regular runs.
	Tasks Tasks
	// ReportDir is the directory of the files of reports.
	ReportDir string
	// Enforcer judges pushes; nil means that nobody does.
	Enforcer Enforcer
	// Connections connects to forges; nil means that none can be connected.
	Connections Connections
	// Endpoints is where endpoints are added and changed.
	Endpoints Endpoints
	Log       zerolog.Logger
	// PublicURL is how clients reach this server, without a slash at its end.
	PublicURL string
	Version   string
	// Auth is how strict authentication is; its Keys are the DB's if nil.
	Auth auth.Config
	// Metrics takes the metrics of the API; nil means a registry of its own.
	Metrics *prometheus.Registry
	// TrustedProxies may say where a request comes from.
	TrustedProxies []netip.Prefix
	// Fallback answers paths that are not the API's; nil answers 404.
	Fallback http.Handler
}

//go:embed openapi.yaml
var specYAML []byte

// Spec returns openapi.yaml as it is served.
func Spec() (*openapi3.T, error) {
	spec, err := openapi3.NewLoader().LoadFromData(specYAML)
	if err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	return spec, nil
}

// maxBodies bounds the memory that large bodies may take at once, in bytes.
const maxBodies = 256 << 20

// server implements the operations of openapi.yaml.
type server struct {
	cfg     Config
	guard   *auth.Guard
	ops     operations
	metrics *metrics
	bodies  *semaphore.Weighted
	// backtests lets one run at a time.
	backtests *semaphore.Weighted
	// orgIDs are those of organisations by name that hooks have named.
	orgIDs sync.Map
}

var _ StrictServerInterface = (*server)(nil)

// API is the handler of all of the API.
type API struct {
	http.Handler
	// hooks is what NewHookServer serves.
	hooks http.Handler
}

// New returns the API. It fails if openapi.yaml and the table of permissions
// do not agree.
func New(cfg Config) (*API, error) {
	spec, err := Spec()
	if err != nil {
		return nil, err
	}
	ops, err := readOperations(spec)
	if err != nil {
		return nil, fmt.Errorf("reading openapi.yaml: %w", err)
	}
	if cfg.Auth.Keys == nil {
		cfg.Auth.Keys = cfg.DB
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	m, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, fmt.Errorf("registering metrics: %w", err)
	}
	s := &server{cfg: cfg, guard: auth.New(cfg.Auth), ops: ops, metrics: m, bodies: semaphore.NewWeighted(maxBodies),
		backtests: semaphore.NewWeighted(1)}
	options, router := respond.Options{Log: cfg.Log, Observe: m.observe}, s.router()
	return &API{
		Handler: behind(cfg.TrustedProxies, respond.Wrap(options, tidy(router))),
		hooks:   respond.Wrap(options, tidy(s.onlyHooks(router))),
	}, nil
}

// NewServer returns an HTTP server with timeouts that no slow client can
// stretch: headers within 10 s, a request within 5 minutes, an answer within
// 20, which is what the longest CSV may take.
func NewServer(addr string, h http.Handler) *http.Server {
	return &http.Server{Addr: addr, Handler: h, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 5 * time.Minute,
		WriteTimeout: 20 * time.Minute, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10}
}

func (s *server) router() *mux.Router {
	router := mux.NewRouter().UseEncodedPath().SkipClean(true)
	router.Use(s.admit)
	router.NotFoundHandler = http.HandlerFunc(s.notFound)
	router.MethodNotAllowedHandler = http.HandlerFunc(s.methodNotAllowed)
	handler := NewStrictHandlerWithOptions(s, []StrictMiddlewareFunc{withRequest}, StrictHTTPServerOptions{
		RequestErrorHandlerFunc:  unreadable,
		ResponseErrorHandlerFunc: respond.Error,
	})
	HandlerWithOptions(handler, GorillaServerOptions{BaseRouter: router, ErrorHandlerFunc: unreadable})
	return router
}

// unreadable answers what passed the checks against openapi.yaml and still
// cannot be bound; its text stays in the log.
func unreadable(w http.ResponseWriter, r *http.Request, err error) {
	respond.Error(w, r, fmt.Errorf("%w (%w)", respond.InvalidField("body", "cannot be read as the operation describes it"), err))
}

// notFound leaves what is not the API's to the fallback.
func (s *server) notFound(w http.ResponseWriter, r *http.Request) {
	_, local := r.Context().Value(peerKey{}).(peer)
	if s.cfg.Fallback != nil && !local && !ours(r.URL.Path) {
		s.cfg.Fallback.ServeHTTP(w, r)
		return
	}
	respond.Error(w, r, &respond.Problem{Status: http.StatusNotFound, Code: "no_such_path",
		Detail: "There is nothing at this path. /api/openapi.yaml lists what there is."})
}

func ours(path string) bool {
	for _, prefix := range []string{"/api", "/hooks", "/worker"} {
		if path == prefix || strings.HasPrefix(path, prefix+"/") {
			return true
		}
	}
	return false
}

func (s *server) methodNotAllowed(w http.ResponseWriter, r *http.Request) {
	allowed := s.ops.methods(r.URL.EscapedPath())
	w.Header().Set("Allow", strings.Join(allowed, ", "))
	respond.Error(w, r, &respond.Problem{Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
		Detail: "This path knows " + strings.Join(allowed, ", ") + "."})
}

// tidy forgives what clients are known to do: a slash too many in front (the
// stock client joins its address and the path), one at the end of the notes
// backend's paths, and HEAD, which is GET without the body.
func tidy(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := "/" + strings.TrimLeft(r.URL.EscapedPath(), "/")
		if strings.HasPrefix(path, "/worker/") {
			path = strings.TrimRight(path, "/")
		}
		decoded, err := url.PathUnescape(path)
		if err != nil {
			respond.Error(w, r, respond.InvalidField("path", "must be percent-encoded"))
			return
		}
		method := r.Method
		if method == http.MethodHead {
			method = http.MethodGet
		}
		tidied := r.Clone(r.Context())
		tidied.Method, tidied.URL.Path, tidied.URL.RawPath = method, decoded, path
		next.ServeHTTP(w, tidied)
	})
}

type requestKey struct{}

// withRequest lets an operation see the headers of its request, for those that
// OpenAPI cannot describe: the ones a webhook is signed with, and Accept.
func withRequest(f StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(ctx context.Context, w http.ResponseWriter, r *http.Request, request any) (any, error) {
		return f(context.WithValue(ctx, requestKey{}, r), w, r, request)
	}
}

func requestOf(ctx context.Context) *http.Request {
	r, _ := ctx.Value(requestKey{}).(*http.Request)
	return r
}

// principal is who asks; admit has made sure that there is one.
func principal(ctx context.Context) access.Principal {
	p, _ := auth.PrincipalOf(ctx)
	return p
}
