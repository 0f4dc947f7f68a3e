package httpapi

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/blameprompt/enterprise/httpapi/respond"
)

// metrics of the API. Labels have few values: routes are templates, methods
// the known ones, statuses classes.
type metrics struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	refusals *prometheus.CounterVec
}

func newMetrics(registry *prometheus.Registry) (*metrics, error) {
	m := &metrics{
		registry: registry,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "blameprompt_http_requests_total",
			Help: "Answered requests."}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "blameprompt_http_request_seconds",
			Help:    "Time from the request's header to the end of the answer.",
			Buckets: []float64{.001, .0025, .005, .01, .03, .1, .3, 1, 3, 10, 60}}, []string{"route", "method"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "blameprompt_http_refusals_total",
			Help: "Requests that were refused before their operation, by why."}, []string{"code"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.refusals} {
		if err := registry.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "other"
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPatch, http.MethodPut, http.MethodDelete:
	default:
		method = "other"
	}
	m.requests.WithLabelValues(route, method, strconv.Itoa(status/100)+"xx").Inc()
	m.seconds.WithLabelValues(route, method).Observe(took.Seconds())
}

// refuse counts problems, whose codes are few.
func (m *metrics) refuse(err error) {
	var p *respond.Problem
	if errors.As(err, &p) {
		m.refusals.WithLabelValues(p.Code).Inc()
	}
}

// GetMetrics implements the operation.
func (s *server) GetMetrics(ctx context.Context, _ GetMetricsRequestObject) (GetMetricsResponseObject, error) {
	handler := promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
	return answerFunc(func(w http.ResponseWriter) error {
		handler.ServeHTTP(w, requestOf(ctx))
		return nil
	}), nil
}
