package gitcmd_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

func TestServeTalksAndDoesNotWaitForMoreInput(t *testing.T) {
	t.Parallel()
	repo, err := gitcmd.Init(t.Context(), t.TempDir(), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	// The other side never ends: its writer stays open.
	in, ask := io.Pipe()
	defer ask.Close()
	var first string
	err = repo.Command(t.Context(), "cat-file", "--batch-check").Serve(in, func(out io.Reader) error {
		if _, err := io.WriteString(ask, strings.Repeat("0", 39)+"1\n"); err != nil {
			return err
		}
		first, err = bufio.NewReader(out).ReadString('\n')
		return errors.Join(err, errEnough)
	})
	if !errors.Is(err, errEnough) || !strings.HasSuffix(first, " missing\n") {
		t.Errorf("answered %q, %v", first, err)
	}
	var failed *gitcmd.Error
	err = repo.Command(t.Context(), "cat-file", "-t", "HEAD").Serve(in, func(out io.Reader) error {
		_, err := io.Copy(io.Discard, out)
		return err
	})
	if !errors.As(err, &failed) || failed.ExitCode != 128 {
		t.Errorf("a child that fails at once: %v", err)
	}
}

var errEnough = errors.New("enough")

func TestServeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	repo, err := gitcmd.Init(t.Context(), t.TempDir(), "sha1")
	if err != nil {
		t.Fatal(err)
	}
	in, silent, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	defer in.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = repo.Command(ctx, "cat-file", "--batch").Serve(in, func(out io.Reader) error {
		_, err := io.Copy(io.Discard, out)
		return err
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ended with %v", err)
	}
}

func TestMergeBase(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	g := gittest.New(t)
	root := g.Commit(gittest.Commit{Ref: "refs/heads/root"})
	left := g.Commit(gittest.Commit{Ref: "refs/heads/left", Parents: []gitcmd.OID{root}})
	right := g.Commit(gittest.Commit{Ref: "refs/heads/right", Parents: []gitcmd.OID{root}, Message: "right"})
	alone := g.Commit(gittest.Commit{Ref: "refs/heads/alone", Root: true})
	for _, c := range []struct{ a, b, want gitcmd.OID }{
		{left, right, root}, {root, left, root}, {left, left, left}, {left, alone, ""},
	} {
		if got, err := g.Repo.MergeBase(ctx, c.a, c.b); err != nil || got != c.want {
			t.Errorf("merge base of %s and %s: %q, %v, want %q", c.a, c.b, got, err, c.want)
		}
	}
	missing := gitcmd.OID(strings.Repeat("1", 40))
	if _, err := g.Repo.MergeBase(ctx, left, missing); !errors.Is(err, gitcmd.ErrMissingObject) {
		t.Errorf("with a missing commit: %v", err)
	}
	if _, err := g.Repo.MergeBase(ctx, "HEAD", left); err == nil {
		t.Error("a name was taken for an id")
	}
}
