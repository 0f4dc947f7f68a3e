package pglocal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is who runs PostgreSQL's programs.
type account struct {
	name     string
	uid, gid int
	// other is true when that is not the daemon's own account.
	other bool
	// daemon is the name of the daemon's own account.
	daemon string
}

// findAccount chooses the account. Under root name may be empty; else it must
// be the daemon's own.
func findAccount(name string) (account, error) {
	own, err := user.LookupId(strconv.Itoa(os.Geteuid()))
	if err != nil {
		return account{}, fmt.Errorf(
			"looking up the daemon's own user id %d, which PostgreSQL needs a name for: %w", os.Geteuid(), err)
	}
	if os.Geteuid() != 0 {
		if name != "" && name != own.Username {
			return account{}, fmt.Errorf("running PostgreSQL as %s: only root may choose; this is %s", name, own.Username)
		}
		return toAccount(own, own)
	}
	run, err := lookupFirst(name)
	if err != nil {
		return account{}, err
	}
	if run.Uid == "0" {
		return account{}, fmt.Errorf("running PostgreSQL as %s: PostgreSQL refuses to run as root", run.Username)
	}
	return toAccount(run, own)
}

func lookupFirst(name string) (*user.User, error) {
	if name != "" {
		return user.Lookup(name)
	}
	if u, err := user.Lookup("postgres"); err == nil {
		return u, nil
	}
	return user.Lookup("nobody")
}

func toAccount(run, own *user.User) (account, error) {
	uid, err := strconv.Atoi(run.Uid)
	if err != nil {
		return account{}, fmt.Errorf("reading the user id of %s: %w", run.Username, err)
	}
	gid, err := strconv.Atoi(run.Gid)
	if err != nil {
		return account{}, fmt.Errorf("reading the group id of %s: %w", run.Username, err)
	}
	return account{
		name: run.Username, uid: uid, gid: gid,
		other: uid != os.Geteuid(), daemon: own.Username,
	}, nil
}

// attr starts a child in a process group of its own, so that a terminal's
// Ctrl-C does not reach it, as the account, and has the kernel send it death
// when the thread that started it ends.
func (a account) attr(death syscall.Signal) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setpgid: true, Pdeathsig: death}
	if a.other {
		attr.Credential = &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}
	}
	return attr
}

// give hands a file system entry of the daemon's to the account.
func (a account) give(path string) error {
	if !a.other {
		return nil
	}
	return os.Lchown(path, a.uid, a.gid)
}

func (a account) owns(info fs.FileInfo) bool {
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == a.uid
}

// checkEnter makes sure that the account may enter dir, or the part of it that
// exists, and names the directory on the way that it may not.
func (a account) checkEnter(dir string) error {
	if !a.other {
		return nil
	}
	var chain []string
	for at := dir; ; at = filepath.Dir(at) {
		chain = append([]string{at}, chain...)
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, at := range chain {
		err := a.enter(at)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: PostgreSQL runs as %s, who may not enter %s; "+
				"run \"chmod o+x %s\", or choose another data directory (BLAMEPROMPT_DATA_DIR): %w",
				ErrUnreachable, a.name, at, at, err)
		}
	}
	return nil
}

// enter asks the kernel, by changing into dir as the account: access lists and
// security modules count as much as the mode bits.
func (a account) enter(dir string) error {
	cmd := exec.Command("/bin/true")
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(a.uid), Gid: uint32(a.gid)}}
	return cmd.Run()
}
