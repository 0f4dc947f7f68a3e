package storetest

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/migrations"
	"github.com/blameprompt/enterprise/store"
)

const (
	testPrefix     = "bp_test_"
	templatePrefix = "bp_template_"
	// Classes of the advisory locks, which all runs take in the same database:
	// one key per living run, one per template. "bpru", "bpte" in ASCII.
	runLock      = 0x62707275
	templateLock = 0x62707465
)

// server is the PostgreSQL server as this process sees it.
type server struct {
	url   *url.URL
	admin *pgxpool.Pool
	// run names this process on the server. keeper holds its lock: as long as
	// it is held nobody else drops the run's databases.
	run    int32
	keeper *pgx.Conn
	// private is the server's life, unless somebody else started it.
	private *PrivateServer
	// strategy is how CREATE DATABASE copies, for servers that let one choose.
	strategy string

	mu   sync.Mutex
	made string
}

// theServer is one per process, made when first asked for: starting one takes
// a second, and go test gives no hook that all packages share.
var theServer = sync.OnceValues(openServer)

func openServer() (*server, error) {
	ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
	defer cancel()
	if dsn := os.Getenv(EnvURL); dsn != "" {
		return connectServer(ctx, dsn)
	}
	private, err := StartServer(ctx)
	if err != nil {
		return nil, err
	}
	s, err := connectServer(ctx, private.URL)
	if err != nil {
		return nil, errors.Join(err, private.Stop(ctx))
	}
	s.private = private
	return s, nil
}

func connectServer(ctx context.Context, dsn string) (*server, error) {
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme == "" {
		return nil, fmt.Errorf("reading %s: it must be a postgres:// URL", EnvURL)
	}
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", EnvURL, err)
	}
	config.MaxConns = 2
	s := &server{url: u, run: rand.Int32()}
	if s.admin, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return nil, err
	}
	if s.keeper, err = pgx.Connect(ctx, dsn); err != nil {
		return nil, fmt.Errorf("connecting to the test server: %w", err)
	}
	if _, err = s.keeper.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", runLock, s.run); err != nil {
		return nil, fmt.Errorf("registering the run: %w", err)
	}
	if err := s.chooseStrategy(ctx); err != nil {
		return nil, err
	}
	return s, s.dropDead(ctx)
}

// chooseStrategy prefers copying files where one may choose (from version 15
// on): it takes two checkpoints, which cost nothing on a server that does not
// sync, and less than logging every page of the template.
func (s *server) chooseStrategy(ctx context.Context) error {
	var version int
	err := s.admin.QueryRow(ctx, "SELECT current_setting('server_version_num')::int").Scan(&version)
	if version >= 150000 {
		s.strategy = " STRATEGY FILE_COPY"
	}
	return err
}

// dropDead drops the databases of runs that hold their lock no more.
func (s *server) dropDead(ctx context.Context) error {
	names, err := s.databases(ctx, testPrefix)
	if err != nil {
		return err
	}
	for _, name := range names {
		run, ok := runOf(name)
		if !ok || run == s.run {
			continue
		}
		if err := s.dropIfDead(ctx, name, run); err != nil {
			return err
		}
	}
	return nil
}

// runOf reads the run out of a database's name.
func runOf(name string) (int32, bool) {
	text, _, ok := strings.Cut(strings.TrimPrefix(name, testPrefix), "_")
	run, err := strconv.ParseInt(text, 10, 32)
	return int32(run), ok && err == nil
}

func (s *server) dropIfDead(ctx context.Context, name string, run int32) error {
	return s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		var dead bool
		err := conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, $2)", runLock, run).Scan(&dead)
		if err != nil || !dead {
			return err
		}
		err = s.dropDatabase(ctx, name)
		_, unlockErr := conn.Exec(ctx, "SELECT pg_advisory_unlock($1, $2)", runLock, run)
		return errors.Join(err, unlockErr)
	})
}

func (s *server) databases(ctx context.Context, prefix string) ([]string, error) {
	rows, err := s.admin.Query(ctx, "SELECT datname FROM pg_database WHERE starts_with(datname, $1)", prefix)
	if err != nil {
		return nil, fmt.Errorf("listing the test databases: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowTo[string])
}

func (s *server) createDatabase(ctx context.Context, name, template string) error {
	_, err := s.admin.Exec(ctx, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+s.strategy)
	return err
}

func (s *server) dropDatabase(ctx context.Context, name string) error {
	_, err := s.admin.Exec(ctx, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)")
	return err
}

// template is the name of the database to copy, which is made if no run of
// the same migrations has made it before.
func (s *server) template(ctx context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.made != "" {
		return s.made, nil
	}
	sum, err := schemaHash()
	if err != nil {
		return "", err
	}
	name := templatePrefix + hex.EncodeToString(sum[:8])
	if err := s.ensureTemplate(ctx, name); err != nil {
		return "", err
	}
	s.made = name
	return name, nil
}

// ensureTemplate makes the template once under a lock. The mark that makes it
// a template comes last: a database without it is half-made and made anew.
func (s *server) ensureTemplate(ctx context.Context, name string) error {
	return s.admin.AcquireFunc(ctx, func(conn *pgxpool.Conn) (err error) {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, 0)", templateLock); err != nil {
			return fmt.Errorf("locking the template: %w", err)
		}
		defer func() {
			_, unlockErr := conn.Exec(ctx, "SELECT pg_advisory_unlock($1, 0)", templateLock)
			err = errors.Join(err, unlockErr)
		}()
		var complete bool
		err = conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1 AND datistemplate)", name).
			Scan(&complete)
		if err != nil || complete {
			return err
		}
		return s.makeTemplate(ctx, name)
	})
}

func (s *server) makeTemplate(ctx context.Context, name string) error {
	if err := s.dropDatabase(ctx, name); err != nil {
		return err
	}
	if err := s.createDatabase(ctx, name, "template1"); err != nil {
		return err
	}
	if err := store.Migrate(ctx, withDatabase(s.url, name), zerolog.Nop()); err != nil {
		return err
	}
	_, err := s.admin.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false")
	return err
}

// schemaHash is over everything that store.Migrate applies.
func schemaHash() ([sha256.Size]byte, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.FS, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		text, err := fs.ReadFile(migrations.FS, path)
		fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err
	})
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	queue, err := rivermigrate.New(riverpgxv5.New(nil), nil)
	if err != nil {
		return [sha256.Size]byte{}, err
	}
	for _, m := range queue.AllVersions() {
		fmt.Fprintf(h, "river %d\n%s", m.Version, m.SQLUp)
	}
	return [sha256.Size]byte(h.Sum(nil)), nil
}
