package gitcmd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Ref is a ref and the object it points at. Symbolic refs are resolved.
type Ref struct {
	Name string
	OID  OID
}

// RefUpdate asks for one ref to be moved.
type RefUpdate struct {
	// Name is a full ref name, like refs/heads/main.
	Name string
	// Old is what the ref must point at: empty for anything, ZeroOID for a ref
	// that must not exist.
	Old OID
	// New is what it will point at; ZeroOID deletes the ref.
	New OID
}

// maxRefLine bounds a line of for-each-ref; file systems keep names far below.
const maxRefLine = 64 << 10

// Refs lists the refs that lie under one of the prefixes ("refs/notes/", or a
// full ref name), or all refs, in the order of their names. Refs that do not
// resolve are left out.
func (r *Repo) Refs(ctx context.Context, prefixes ...string) ([]Ref, error) {
	args := []string{"for-each-ref", "--format=%(objectname)%00%(refname)"}
	for _, prefix := range prefixes {
		if !strings.HasPrefix(prefix, "refs/") || strings.ContainsAny(prefix, "*?[\\") {
			return nil, fmt.Errorf("listing refs: %q is not the beginning of a ref name", prefix)
		}
		args = append(args, prefix)
	}
	var refs []Ref
	err := r.Command(ctx, args...).Stream(func(out io.Reader) (err error) {
		refs, err = readRefs(out)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing refs of %s: %w", r.dir, err)
	}
	return refs, nil
}

func readRefs(out io.Reader) ([]Ref, error) {
	var refs []Ref
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, maxRefLine)
	for lines.Scan() {
		id, name, ok := strings.Cut(lines.Text(), "\x00")
		if !ok {
			return nil, fmt.Errorf("unexpected line %.100q", lines.Text())
		}
		oid, err := ParseOID(id)
		if err != nil {
			return nil, err
		}
		refs = append(refs, Ref{Name: name, OID: oid})
	}
	return refs, lines.Err()
}

// UpdateRefs applies all updates in one ref transaction or none of them. The
// error is ErrRefMoved when a ref is not where Old says, ErrRefLocked when
// a lock file is in the way and ErrMissingObject when New does not exist.
func (r *Repo) UpdateRefs(ctx context.Context, updates []RefUpdate) error {
	if len(updates) == 0 {
		return nil
	}
	var stdin strings.Builder
	for _, u := range updates {
		instruction, err := u.instruction()
		if err != nil {
			return fmt.Errorf("updating refs of %s: %w", r.dir, err)
		}
		stdin.WriteString(instruction)
	}
	c := r.Command(ctx, "update-ref", "--stdin", "-z")
	c.Stdin = strings.NewReader(stdin.String())
	if err := c.Run(); err != nil {
		return fmt.Errorf("updating refs of %s: %w", r.dir, refError(err))
	}
	return nil
}

// instruction is u in the format of git-update-ref(1), option -z. Null ids
// are written as verbs, so their length never has to match the repository.
func (u RefUpdate) instruction() (string, error) {
	if !strings.HasPrefix(u.Name, "refs/") || strings.Contains(u.Name, "\x00") {
		return "", fmt.Errorf("%q is not a full ref name", u.Name)
	}
	for _, oid := range []OID{u.Old, u.New} {
		if _, err := ParseOID(string(oid)); err != nil && oid != "" {
			return "", fmt.Errorf("ref %s: %w", u.Name, err)
		}
	}
	mustNotExist := u.Old != "" && u.Old.IsZero()
	switch {
	case u.New == "":
		return "", fmt.Errorf("ref %s: the new value is not given", u.Name)
	case mustNotExist && u.New.IsZero():
		return "verify " + u.Name + "\x00\x00", nil
	case mustNotExist:
		return "create " + u.Name + "\x00" + string(u.New) + "\x00", nil
	case u.New.IsZero():
		return "delete " + u.Name + "\x00" + string(u.Old) + "\x00", nil
	}
	return "update " + u.Name + "\x00" + string(u.New) + "\x00" + string(u.Old) + "\x00", nil
}

var (
	refMoved = lazily(`but expected|reference already exists|unable to resolve reference|` +
		`reference is missing`)
	refLocked = lazily(`Unable to create '.*\.lock': File exists`)
)

func refError(err error) error {
	var failed *Error
	if !errors.As(err, &failed) || failed.ExitCode <= 0 {
		return err
	}
	switch {
	case refLocked().MatchString(failed.Stderr):
		return fmt.Errorf("%w: %w", ErrRefLocked, err)
	case refMoved().MatchString(failed.Stderr):
		return fmt.Errorf("%w: %w", ErrRefMoved, err)
	}
	return err
}

// IsAncestor reports whether commit a is b or can be reached from it. A
// missing object, also one in between, is ErrMissingObject and not a "no". In
// a shallow repository the answer is that of the history that is there.
func (r *Repo) IsAncestor(ctx context.Context, a, b OID) (bool, error) {
	for _, oid := range []OID{a, b} {
		if _, err := ParseOID(string(oid)); err != nil {
			return false, fmt.Errorf("comparing commits: %w", err)
		}
	}
	err := r.Command(ctx, "merge-base", "--is-ancestor", string(a), string(b)).Run()
	var failed *Error
	switch {
	case err == nil:
		return true, nil
	case errors.As(err, &failed) && failed.ExitCode == 1 && !errors.Is(err, ErrMissingObject):
		return false, nil
	}
	return false, fmt.Errorf("comparing commits %s and %s: %w", a, b, err)
}

// HasCommit reports whether the commit oid itself is in the repository; an
// object of another type is not a commit.
func (r *Repo) HasCommit(ctx context.Context, oid OID) (bool, error) {
	if _, err := ParseOID(string(oid)); err != nil {
		return false, fmt.Errorf("looking for a commit: %w", err)
	}
	c := r.Command(ctx, "cat-file", "--batch-check=%(objecttype)")
	c.Stdin = strings.NewReader(string(oid) + "\n")
	out, err := c.Output(1000)
	if errors.Is(err, ErrMissingObject) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("looking for commit %s: %w", oid, err)
	}
	return string(out) == "commit\n", nil
}

// MergeBase returns a best common ancestor of two commits, "" if they have
// none.
func (r *Repo) MergeBase(ctx context.Context, a, b OID) (OID, error) {
	for _, oid := range []OID{a, b} {
		if _, err := ParseOID(string(oid)); err != nil {
			return "", fmt.Errorf("looking for a merge base: %w", err)
		}
	}
	out, err := r.Command(ctx, "merge-base", string(a), string(b)).Output(1000)
	var failed *Error
	switch {
	case err == nil:
		return ParseOID(strings.TrimSpace(string(out)))
	case errors.As(err, &failed) && failed.ExitCode == 1 && !errors.Is(err, ErrMissingObject):
		return "", nil
	}
	return "", fmt.Errorf("looking for a merge base of %s and %s: %w", a, b, err)
}
