package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/puddle/v2"
)

// What a caller can act on. Every error of this package is one of these, an
// *InvalidError, a context error, or a fault of the program.
var (
	// ErrNotFound: no such row in this organisation.
	ErrNotFound = errors.New("not found")
	// ErrConflict: a row with this name or key exists already.
	ErrConflict = errors.New("exists already")
	// ErrUnavailable: the database cannot be reached or is shutting down; a
	// later try may succeed.
	ErrUnavailable = errors.New("the database is unavailable")
	// ErrMoved: what was read has changed since, or another transaction stood in
	// the way of this one, which then has no effect; read again and retry.
	ErrMoved = errors.New("changed meanwhile")
)

// InvalidError says which field of the input cannot be stored and why.
type InvalidError struct {
	Field   string
	Problem string
}

func (e *InvalidError) Error() string { return e.Field + ": " + e.Problem }

// translate turns a driver error into one of this package, by code and never
// by text, and says once what was being done. It returns nil for nil.
func translate(err error, op string, args ...any) error {
	if err == nil {
		return nil
	}
	op = fmt.Sprintf(op, args...)
	if sentinel := classify(err); sentinel != nil {
		return fmt.Errorf("%s: %w (%w)", op, sentinel, err)
	}
	return fmt.Errorf("%s: %w", op, err)
}

func classify(err error) error {
	var pg *pgconn.PgError
	var connect *pgconn.ConnectError
	var network *net.OpError
	switch {
	case errors.Is(err, ErrNotFound), errors.Is(err, ErrConflict), errors.Is(err, ErrUnavailable),
		errors.Is(err, context.Canceled):
		return nil
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotFound
	case errors.As(err, &pg):
		return classifyCode(pg.Code)
	case errors.As(err, &connect), errors.As(err, &network), errors.Is(err, puddle.ErrClosedPool),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err):
		return ErrUnavailable
	case errors.Is(err, context.DeadlineExceeded):
		return nil
	}
	return nil
}

// classifyCode maps SQLSTATE codes (PostgreSQL manual, appendix A).
func classifyCode(code string) error {
	switch {
	case code == "23505":
		return ErrConflict
	case code == "40001", code == "40P01":
		return ErrMoved
	case strings.HasPrefix(code, "08"), strings.HasPrefix(code, "57P"), code == "53300":
		return ErrUnavailable
	}
	return nil
}

// maskDSN keeps a password of the DSN out of the parse error.
func maskDSN(err error, dsn string) error {
	if u, rest, ok := strings.Cut(dsn, "@"); ok && strings.Contains(u, "://") {
		return fmt.Errorf("%s", strings.ReplaceAll(err.Error(), dsn, "…@"+rest))
	}
	return err
}
