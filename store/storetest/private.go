package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/jackc/pgx/v5"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store/pglocal"
)

// PrivateServer is a server that lives at most as long as the process that
// started it.
type PrivateServer struct {
	// URL is what EnvURL takes. Its role may create databases and, like the
	// daemon's, is no superuser.
	URL string

	cluster *pglocal.Cluster
	reaper  *exec.Cmd
	// hold is the end of a pipe that the kernel closes with this process.
	hold io.Closer
}

// StartServer starts a server without durability in a temporary directory.
// Should the process end without Stop, the server ends and its directory goes
// all the same.
func StartServer(ctx context.Context) (*PrivateServer, error) {
	dir, err := os.MkdirTemp("", "blameprompt-test-")
	if err != nil {
		return nil, fmt.Errorf("starting a test server: %w", err)
	}
	// PostgreSQL's account must be able to pass when the tests run as root.
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, fmt.Errorf("starting a test server: %w", err)
	}
	s := &PrivateServer{}
	if err := s.startReaper(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a test server: %w", err), os.RemoveAll(dir))
	}
	if err := s.start(ctx, dir); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a test server: %w", err), s.Stop(ctx))
	}
	return s, nil
}

// Stop ends the server and removes its directory.
func (s *PrivateServer) Stop(ctx context.Context) error {
	var err error
	if s.cluster != nil {
		err = s.cluster.Stop(ctx)
	}
	return errors.Join(err, s.hold.Close(), s.reaper.Wait())
}

func (s *PrivateServer) start(ctx context.Context, dir string) (err error) {
	s.cluster, err = pglocal.Start(ctx, pglocal.Config{
		Dir:      filepath.Join(dir, "pg"),
		Volatile: true,
		Settings: map[string]string{"max_connections": "300", "shared_buffers": "128MB", "autovacuum": "off"},
		Log:      zerolog.Nop(),
	})
	if err != nil {
		return err
	}
	s.URL = s.cluster.DSN(pglocal.Database)
	return allowCreate(ctx, s.cluster.AdminDSN("postgres"))
}

func allowCreate(ctx context.Context, dsn string) error {
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, "ALTER ROLE "+quote(pglocal.Role)+" CREATEDB")
	return errors.Join(err, conn.Close(ctx))
}

// reap waits for the end of its input, which comes with the end of the
// process that holds the other end, lets PostgreSQL finish and removes the
// directory. A test binary is told neither of its own end nor of a signal that
// kills it, so somebody else must do this.
const reap = `cat >/dev/null
n=0
while [ -e "$1/pg/data/postmaster.pid" ] && [ "$n" -lt 100 ]; do sleep 0.1; n=$((n + 1)); done
rm -rf -- "$1"`

func (s *PrivateServer) startReaper(dir string) error {
	s.reaper = exec.Command("/bin/sh", "-c", reap, "sh", dir)
	s.reaper.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	hold, err := s.reaper.StdinPipe()
	if err != nil {
		return err
	}
	s.hold = hold
	return s.reaper.Start()
}
