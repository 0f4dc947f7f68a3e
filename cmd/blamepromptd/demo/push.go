package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// push is what somebody pushes at once.
type push struct {
	// tip goes to ref; nil deletes the ref.
	tip   *commit
	ref   string
	force bool
	// notes are pushed beside it, if there are any.
	notes *noteCommit
	// options are push options.
	options []string
	// refused says that the push is to be refused: it is a mistake of the story if
	// it is not.
	refused bool
}

func (p push) refspecs() []string {
	var out []string
	switch {
	case p.ref == "":
	case p.tip == nil:
		out = append(out, ":"+p.ref)
	case p.force:
		out = append(out, "+"+p.tip.oid+":"+p.ref)
	default:
		out = append(out, p.tip.oid+":"+p.ref)
	}
	if p.notes != nil {
		out = append(out, p.notes.oid+":"+p.notes.ref)
	}
	return out
}

// push pushes as a person, with the git program and over SSH.
func (w *world) push(who *person, to *project, p push) error {
	said, err := w.transmit(who, to, p)
	w.pushes++
	var failed *gitcmd.Error
	refused := errors.As(err, &failed) && strings.Contains(failed.Stderr, "[remote rejected]")
	if refused {
		w.refusals++
	}
	switch {
	case err != nil && !refused:
		return fmt.Errorf("pushing to %s: %w", to.name, err)
	case refused != p.refused:
		return fmt.Errorf("a push of %s to %s at %s: refused is %t, which the story does not know: %s",
			who.email, to.name, p.ref, refused, said)
	}
	return nil
}

// pushNotes pushes notes behind their branch and has them taken in.
func (w *world) pushNotes(who *person, to *project, notes *noteCommit) error {
	if err := w.push(who, to, push{notes: notes}); err != nil {
		return err
	}
	return w.sync(to)
}

// transmit runs git push, whose transport is a session of the person's SSH
// connection: git speaks through two pipes (git-remote-fd(1)). It returns what
// the other side said.
func (w *world) transmit(who *person, to *project, p push) (said string, err error) {
	session, err := w.session(who)
	if err != nil {
		return "", err
	}
	defer session.Close()
	theirs, err := session.StdoutPipe()
	if err != nil {
		return "", err
	}
	ours, err := session.StdinPipe()
	if err != nil {
		return "", err
	}
	if err := session.Start("git-receive-pack '" + strings.ReplaceAll(to.name, "'", `'\''`) + "'"); err != nil {
		return "", err
	}
	gitReads, toGit, err := os.Pipe()
	if err != nil {
		return "", err
	}
	fromGit, gitWrites, err := os.Pipe()
	if err != nil {
		return "", errors.Join(err, toGit.Close(), gitReads.Close())
	}
	var copying sync.WaitGroup
	copying.Go(func() { passOn(toGit, theirs) })
	copying.Go(func() { passOn(ours, fromGit) })
	said, err = w.git(to, p, gitReads, gitWrites)
	err = errors.Join(err, gitReads.Close(), gitWrites.Close())
	copying.Wait()
	return said, errors.Join(err, fromGit.Close())
}

// passOn copies until one side hangs up, which ends the other too: whether the
// push arrived is git's to say.
func passOn(to io.WriteCloser, from io.Reader) {
	_, _ = io.Copy(to, from)
	_ = to.Close()
}

// pushTimeout ends a push that waits for something: one that brings nothing would
// wait for the other side to hang up.
const pushTimeout = time.Minute

// git runs the program with the pipes as descriptors 3 and 4.
func (w *world) git(to *project, p push, reads, writes *os.File) (said string, err error) {
	args := []string{"push", "--atomic"}
	for _, option := range p.options {
		args = append(args, "--push-option="+option)
	}
	ctx, cancel := context.WithTimeout(w.ctx, pushTimeout)
	defer cancel()
	command := to.work.Holding(reads, writes).Command(ctx, append(append(args, "fd::3,4"), p.refspecs()...)...)
	command.Protocols = []string{"fd"}
	var words strings.Builder
	command.OnStderr = func(line string) { words.WriteString(line + "\n") }
	err = command.Run()
	return words.String(), err
}

// session opens one on the person's connection, which is made with the first.
func (w *world) session(who *person) (*gossh.Session, error) {
	client := w.clients[who]
	if client == nil {
		var err error
		client, err = gossh.Dial("tcp", w.address, &gossh.ClientConfig{User: "git", Auth: []gossh.AuthMethod{gossh.PublicKeys(who.signer)},
			HostKeyCallback: gossh.FixedHostKey(w.host)})
		if err != nil {
			return nil, fmt.Errorf("connecting as %s: %w", who.email, err)
		}
		w.clients[who] = client
	}
	return client.NewSession()
}

// authorized is the line of a .pub file.
func authorized(signer gossh.Signer) string {
	return strings.TrimSpace(string(gossh.MarshalAuthorizedKey(signer.PublicKey())))
}
