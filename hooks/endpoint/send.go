package endpoint

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/store"
)

const (
	// workers is the number of endpoints that are sent to at a time, one message
	// each.
	workers = 16
	// claimFor is how long a worker has an endpoint to itself, beside the time that
	// an attempt may take; claimMargin lies between the last moment of an attempt and
	// the end of the claim.
	claimFor    = 20 * time.Second
	claimMargin = 15 * time.Second
	// lookEvery is the pause between two looks for endpoints while others are being
	// sent to.
	lookEvery = 500 * time.Millisecond
	// runFor is how long a run takes up more; then its task is run anew.
	runFor = 2 * time.Minute
	// recordTimeout bounds the writing of what became of an attempt.
	recordTimeout = 10 * time.Second
	// defaultTimeout bounds an attempt.
	defaultTimeout = 10 * time.Second
)

// Config says what a Sender works with.
type Config struct {
	DB    *store.DB
	Rules Rules
	// CAFile holds PEM certificates to trust instead of the system's.
	CAFile string
	// UserAgent names the program to receivers; empty means "blamepromptd".
	UserAgent string
	// Timeout bounds an attempt; 0 means 10 seconds.
	Timeout time.Duration
	// Pauses are those between the attempts of a message, which is given up behind
	// the last one; nil means Pauses of this package.
	Pauses []time.Duration
	Log    zerolog.Logger
}

// Sender sends messages. It is safe for concurrent use, and several may share a
// database.
type Sender struct {
	cfg  Config
	http *http.Client
}

// NewSender prepares a sender. It connects to nobody yet.
func NewSender(cfg Config) (*Sender, error) {
	if cfg.UserAgent == "" {
		cfg.UserAgent = "blamepromptd"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = defaultTimeout
	}
	if cfg.Pauses == nil {
		cfg.Pauses = Pauses
	}
	transport, err := forge.Transport(forge.ClientConfig{CheckAddress: cfg.Rules.CheckAddress, CAFile: cfg.CAFile})
	if err != nil {
		return nil, err
	}
	transport.DisableCompression = true
	transport.MaxResponseHeaderBytes = maxHeader
	return &Sender{cfg: cfg, http: &http.Client{Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}, nil
}

// Send sends what is to be sent now, and what comes meanwhile, until there is
// nothing left. It is the work of Task.
func (s *Sender) Send(ctx context.Context) error {
	var errs []error
	ended, busy := make(chan error), 0
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for until := time.Now().Add(runFor); ; {
		if busy < workers && len(errs) == 0 && ctx.Err() == nil && time.Now().Before(until) {
			claimed, err := s.claim(ctx, workers-busy)
			if err != nil {
				errs = append(errs, err)
			}
			for _, job := range claimed {
				busy++
				go func() { ended <- s.serve(ctx, job) }()
			}
		}
		if busy == 0 {
			return errors.Join(append(errs, ctx.Err())...)
		}
		select {
		case err := <-ended:
			busy--
			if err != nil {
				errs = append(errs, err)
			}
		case <-look.C:
		}
	}
}

// job is an endpoint that is being sent to, until the end of the claim.
type job struct {
	*store.ClaimedEndpoint
	end time.Time
}

func (s *Sender) claim(ctx context.Context, limit int) ([]job, error) {
	// By the local clock, and begun before the claim: so it ends before it.
	claim := claimFor + s.cfg.Timeout
	end := time.Now().Add(claim - claimMargin)
	claimed, closed, err := s.cfg.DB.ClaimEndpoints(ctx, limit, claim)
	if err != nil {
		return nil, err
	}
	for _, err := range closed {
		s.cfg.Log.Error().Err(err).Msg("an endpoint cannot be sent to: give it its URL anew, and another secret")
	}
	jobs := make([]job, len(claimed))
	for i := range claimed {
		jobs[i] = job{&claimed[i], end}
	}
	return jobs, nil
}

// serve sends an endpoint's messages one behind the other, until none is left, one
// fails or the claim ends. Its error is the database's.
func (s *Sender) serve(ctx context.Context, j job) error {
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
		defer cancel()
		if err := s.cfg.DB.ReleaseEndpoint(end, j.ClaimedEndpoint); err != nil {
			s.cfg.Log.Warn().Err(err).Str("endpoint", j.ID.String()).Msg("a claim was not released; it ends by itself")
		}
	}()
	for ctx.Err() == nil && time.Now().Add(s.cfg.Timeout).Before(j.end) {
		m, err := s.cfg.DB.DueMessage(ctx, j.ClaimedEndpoint)
		if err != nil || m == nil {
			return err
		}
		if sent, err := s.send(ctx, j, m); err != nil || !sent {
			return err
		}
	}
	return nil
}

// send tries to send a message, and records how that went.
func (s *Sender) send(ctx context.Context, j job, m *store.DueMessage) (sent bool, err error) {
	a, err := s.attempt(ctx, j, m)
	if err != nil {
		return false, err
	}
	if !a.taken() && ctx.Err() != nil {
		// Stopped on the way: it is not known whether the receiver took it.
		return false, ctx.Err()
	}
	outcome := a.outcome(m.Tries, j.Failures, s.cfg.Pauses)
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	off, err := s.cfg.DB.RecordAttempt(record, j.ClaimedEndpoint, m.ID, outcome)
	if err != nil {
		return false, fmt.Errorf("message %s: %w", m.ID, err)
	}
	if !outcome.Sent {
		log := s.cfg.Log.Warn().Str("endpoint", j.ID.String()).Str("origin", j.Origin).Str("message", m.ID.String()).Int("status", a.Status)
		log.Str("error", a.Error).Int("try", m.Tries+1).Bool("given_up", outcome.GiveUp).Bool("switched_off", off).Msg("sending a message failed")
	}
	return outcome.Sent, nil
}
