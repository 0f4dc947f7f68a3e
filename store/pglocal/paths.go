package pglocal

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"github.com/rs/zerolog"
)

// paths names what lies in the cluster's directory. The directory, the log and
// the managed configuration belong to the daemon; data and run to the account
// that runs PostgreSQL. Under root whatever is read or written inside those two
// goes through os.Root, so that a link planted there leads nowhere else.
type paths struct {
	root string
	data string
	run  string
	logs string
	// lock is held by the daemon, server by PostgreSQL's processes as well.
	lock   string
	server string
	conf   string
	hba    string
	ident  string
}

const (
	port       = "5432"
	socketName = ".s.PGSQL." + port
	// maxSocketPath is sun_path of unix(7) without its final NUL.
	maxSocketPath = 107
	confName      = "blameprompt.conf"
)

func newPaths(dir string) (paths, error) {
	if dir == "" || strings.ContainsFunc(dir, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return paths{}, fmt.Errorf("reading the cluster's directory %q: it is empty or holds control characters", dir)
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return paths{}, err
	}
	return paths{
		root:   root,
		data:   filepath.Join(root, "data"),
		run:    filepath.Join(root, "run"),
		logs:   filepath.Join(root, "log"),
		lock:   filepath.Join(root, "lock"),
		server: filepath.Join(root, "server.lock"),
		conf:   filepath.Join(root, confName),
		hba:    filepath.Join(root, "pg_hba.conf"),
		ident:  filepath.Join(root, "pg_ident.conf"),
	}, nil
}

// create makes the directory, and its parents, enterable for the account but
// listable only for the daemon.
func (p paths) create(owner account) error {
	if err := owner.checkEnter(filepath.Dir(p.root)); err != nil {
		return err
	}
	mode := fs.FileMode(0o700)
	if owner.other {
		mode = 0o711
	}
	if err := mkdirAll(p.root, mode); err != nil {
		return fmt.Errorf("creating the cluster's directory: %w", err)
	}
	if err := os.Chmod(p.root, mode); err != nil {
		return fmt.Errorf("restricting the cluster's directory: %w", err)
	}
	return mkdirAll(p.logs, 0o700)
}

// mkdirAll is os.MkdirAll whose mode no umask narrows.
func mkdirAll(dir string, mode fs.FileMode) error {
	err := os.Mkdir(dir, mode)
	if errors.Is(err, fs.ErrNotExist) {
		if err := mkdirAll(filepath.Dir(dir), mode); err != nil {
			return err
		}
		err = os.Mkdir(dir, mode)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Chmod(dir, mode)
}

// clusterMajor is the major version that made the cluster, 0 if there is none
// yet.
func (p paths) clusterMajor(owner account) (int, error) {
	info, err := os.Lstat(p.data)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("looking at the cluster: %w", err)
	}
	if !info.IsDir() {
		return 0, fmt.Errorf("looking at the cluster: %s is not a directory", p.data)
	}
	if !owner.owns(info) {
		return 0, fmt.Errorf("looking at the cluster: %s belongs to another account than %s, who would run it here; "+
			"start the daemon as before, or run \"chown -R %s %s %s\"", p.data, owner.name, owner.name, p.data, p.run)
	}
	return readMajor(p.data)
}

func readMajor(data string) (int, error) {
	entries, err := os.ReadDir(data)
	if err != nil {
		return 0, fmt.Errorf("looking at the cluster: %w", err)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	root, err := os.OpenRoot(data)
	if err != nil {
		return 0, fmt.Errorf("looking at the cluster: %w", err)
	}
	defer root.Close()
	text, err := root.ReadFile("PG_VERSION")
	if err != nil {
		return 0, fmt.Errorf("reading the cluster's version (does %s hold something else? then move it away): %w", data, err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, fmt.Errorf("reading the cluster's version: %w", err)
	}
	return major, nil
}

// socketPlain is what needs no quoting in PostgreSQL's list of directories nor
// in its clients' lists of hosts.
var socketPlain = regexp.MustCompile(`^/[A-Za-z0-9 ._/+@=:~-]*$`)

func fitsSocket(dir string) bool {
	return len(dir)+1+len(socketName) <= maxSocketPath && socketPlain.MatchString(dir)
}

// socketDir makes the directory of the socket: run, or where its path is too
// long or too odd for a socket, a private one in the system's place for such.
func (p paths) socketDir(owner account, log zerolog.Logger) (string, error) {
	if fitsSocket(p.run) {
		return p.run, makePrivate(p.run, owner)
	}
	sum := sha256.Sum256([]byte(p.root))
	name := "blameprompt-" + hex.EncodeToString(sum[:8])
	var failed error
	for _, parent := range socketParents(owner) {
		dir := filepath.Join(parent, name)
		err := owner.checkEnter(parent)
		if err == nil {
			err = makePrivate(dir, owner)
		}
		if err == nil {
			log.Info().Str("socket_dir", dir).Msg("the data directory's path does not suit a Unix socket; using another")
			return dir, nil
		}
		failed = errors.Join(failed, err)
	}
	return "", fmt.Errorf("finding a place for the Unix socket (%s is too long or has odd characters; "+
		"choose a shorter data directory): %w", p.run, failed)
}

func socketParents(owner account) []string {
	var parents []string
	runtime := os.Getenv("XDG_RUNTIME_DIR")
	for _, dir := range []string{runtime, os.TempDir()} {
		personal := dir == runtime
		if personal && owner.other || !filepath.IsAbs(dir) || !fitsSocket(filepath.Join(dir, "blameprompt-0123456789abcdef")) {
			continue
		}
		parents = append(parents, dir)
	}
	return parents
}

// makePrivate makes dir with mode 0700 for the account, or accepts one that is
// so already; in a shared directory somebody else may have got there first.
func makePrivate(dir string, owner account) error {
	err := os.Mkdir(dir, 0o700)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("making the socket's directory: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("looking at the socket's directory: %w", err)
	}
	self := account{uid: os.Geteuid()}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !(owner.owns(info) || self.owns(info)) {
		return fmt.Errorf("looking at the socket's directory: %s is not a directory of mode 0700 of %s; remove it",
			dir, owner.name)
	}
	if err := owner.give(dir); err != nil {
		return fmt.Errorf("handing over the socket's directory: %w", err)
	}
	return nil
}
