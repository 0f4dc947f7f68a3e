package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// maxSocketPath is what the kernel takes (unix(7)), less what a new socket's
// name is longer for a moment.
const maxSocketPath = 107 - len(newSuffix)

const newSuffix = ".new"

// errSocketTaken: another process listens on the socket.
var errSocketTaken = errors.New("another process listens there")

// hookSocket is the Unix socket on which the hooks of this machine ask.
type hookSocket struct {
	net.Listener
	path string
	// made is the socket's file, to tell it from one that came after it.
	made os.FileInfo
}

// listenHooks opens the socket of the hooks, in place of one that a dead
// daemon left. The socket gets its name when nobody but those who may can
// connect to it. It returns nil if the configuration wants none.
func listenHooks(cfg *Config) (*hookSocket, error) {
	path := cfg.hookSocket()
	if path == "" {
		return nil, nil
	}
	s, err := openHookSocket(path, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening hook_socket %s (set %sHOOK_SOCKET for another one, or off for none): %w", path, envPrefix, err)
	}
	return s, nil
}

func openHookSocket(path string, cfg *Config) (*hookSocket, error) {
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("the path has %d bytes, more than %d", len(path), maxSocketPath)
	}
	if err := checkStale(path); err != nil {
		return nil, err
	}
	fresh := path + newSuffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: fresh, Net: "unix"})
	if err != nil {
		return nil, err
	}
	listener.SetUnlinkOnClose(false)
	s := &hookSocket{Listener: listener, path: path}
	if err := s.publish(fresh, cfg); err != nil {
		return nil, errors.Join(err, listener.Close(), os.Remove(fresh))
	}
	return s, nil
}

// publish gives the socket its rights and then its name.
func (s *hookSocket) publish(fresh string, cfg *Config) error {
	mode, err := socketMode(cfg.HookSocketMode)
	if err != nil {
		return err
	}
	if cfg.HookSocketGroup != "" {
		group, err := groupID(cfg.HookSocketGroup)
		if err != nil {
			return err
		}
		if err := os.Chown(fresh, -1, group); err != nil {
			return err
		}
	}
	if err := os.Chmod(fresh, mode); err != nil {
		return err
	}
	if s.made, err = os.Lstat(fresh); err != nil {
		return err
	}
	return os.Rename(fresh, s.path)
}

// checkStale wants nothing at path, or a socket on which nobody listens.
func checkStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("there is a file that is no socket")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		return errors.Join(errSocketTaken, conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil
	}
	return err
}

// Close ends the listening and takes the socket away, unless it is another
// daemon's by now.
func (s *hookSocket) Close() error {
	err := s.Listener.Close()
	if now, statErr := os.Lstat(s.path); statErr == nil && os.SameFile(now, s.made) {
		err = errors.Join(err, os.Remove(s.path))
	}
	return err
}

// socketMode reads permissions in octal.
func socketMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(text, 8, 32)
	if err != nil || mode > 0o777 {
		return 0, fmt.Errorf("%q are no permissions such as 0660", text)
	}
	return fs.FileMode(mode), nil
}

// groupID finds a group by name or number.
func groupID(name string) (int, error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), nil
	}
	group, err := user.LookupGroup(name)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(group.Gid)
}
