package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/objfile"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// objectWriter writes loose objects into a repository of the format sha1
// without starting a child for each: a merge of notes makes a handful.
type objectWriter struct{ dir string }

func newObjectWriter(repo *gitcmd.Repo) objectWriter {
	return objectWriter{dir: filepath.Join(repo.Dir(), "objects")}
}

// write makes an object be there, and durable, and returns its id.
func (w objectWriter) write(kind plumbing.ObjectType, content []byte) (gitcmd.OID, error) {
	oid := gitcmd.OID(plumbing.ComputeHash(kind, content).String())
	path := filepath.Join(w.dir, string(oid[:2]), string(oid[2:]))
	if _, err := os.Stat(path); err == nil {
		return oid, nil
	}
	if err := w.create(path, kind, content); err != nil {
		return "", fmt.Errorf("writing %s %s: %w", kind, oid, err)
	}
	return oid, nil
}

// create writes the file beside its place and then moves it there, so that
// nobody reads a half.
func (w objectWriter) create(path string, kind plumbing.ObjectType, content []byte) (err error) {
	if err := os.Mkdir(filepath.Dir(path), 0o777); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	// git gc removes files of this name that were left behind.
	file, err := os.CreateTemp(filepath.Dir(path), "tmp_obj_*")
	if err != nil {
		return err
	}
	object := objfile.NewWriter(file)
	err = object.WriteHeader(kind, int64(len(content)))
	if err == nil {
		_, err = object.Write(content)
	}
	err = errors.Join(err, object.Close(), file.Chmod(0o444), file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(file.Name()))
	}
	return err
}
