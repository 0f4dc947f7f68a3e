package gitcmd_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
)

const megabyte = 1 << 20

// blobs makes n blobs of about 150 bytes and returns their ids.
func blobs(t *testing.T, f *gittest.Fixture, n int) []gitcmd.OID {
	t.Helper()
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("%06d", i)] = fmt.Sprintf("blob %d\n%s\n", i, strings.Repeat("x", i%300))
	}
	tip := f.Commit(gittest.Commit{Files: files})
	var oids []gitcmd.OID
	err := f.Repo.Tree(t.Context(), tip, func(e gitcmd.TreeEntry) error {
		oids = append(oids, e.OID)
		return nil
	})
	if err != nil || len(oids) != n {
		t.Fatalf("made %d blobs of %d: %v", len(oids), n, err)
	}
	return oids
}

func TestBatchRead(t *testing.T) {
	t.Parallel()
	for _, opts := range [][]gittest.Option{nil, {gittest.SHA256()}} {
		f := gittest.New(t, opts...)
		contents := []string{"hello\n", "", "no newline", "nul \x00 and \xff\n\n", strings.Repeat("big", 100000)}
		b := f.Repo.NewBatchReader(t.Context())
		for _, content := range contents {
			oid := f.Object("blob", content)
			o, err := b.Read(oid, megabyte)
			if err != nil || o.Type != "blob" || o.Size != int64(len(content)) || string(o.Data) != content || o.OID != oid {
				t.Errorf("Read of %.20q = %s %d %.20q, %v", content, o.Type, o.Size, o.Data, err)
			}
		}
		if err := errors.Join(b.Close(), b.Close()); err != nil {
			t.Errorf("closing twice: %v", err)
		}
		if _, err := b.Read(f.Object("blob", "x"), megabyte); err == nil {
			t.Error("Read after Close is no error")
		}
	}
}

func TestBatchReadKeepsItsPlace(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	big, small := f.Object("blob", strings.Repeat("x", 3*megabyte)), f.Object("blob", "small")
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	for range 2 {
		if o, err := b.Read(big, megabyte); err != nil || o.Data != nil || o.Size != 3*megabyte {
			t.Errorf("Read above the limit = %d bytes of %d, %v", len(o.Data), o.Size, err)
		}
		if o, err := b.Read(absent, megabyte); err != nil || o.Type != gitcmd.Missing || o.OID != absent {
			t.Errorf("Read of an absent object = %+v, %v", o, err)
		}
		if _, err := b.Read("HEAD\n"+absent, megabyte); err == nil {
			t.Error("Read accepted a revision")
		}
		if o, err := b.Read(small, 5); err != nil || string(o.Data) != "small" {
			t.Errorf("Read at the limit = %q, %v", o.Data, err)
		}
	}
}

func TestBatchReadOfACorruptObject(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	good, bad := f.Object("blob", "good"), f.Object("blob", "bad")
	f.Corrupt(bad)
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	o, err := b.Read(bad, megabyte)
	if !errors.Is(err, gitcmd.ErrMissingObject) && o.Type != gitcmd.Missing {
		t.Errorf("Read of a corrupt object = %+v, %v; want it to be missing", o, err)
	}
	if o, err := b.Read(good, megabyte); err != nil || string(o.Data) != "good" {
		t.Errorf("Read after a corrupt object = %q, %v", o.Data, err)
	}
}

func TestReadMany(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	oids := blobs(t, f, 5000)
	oids[17], oids[4999] = absent, absent
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	var got []gitcmd.OID
	missing := 0
	err := b.ReadMany(t.Context(), slices.Values(oids), megabyte, func(o gitcmd.Object) error {
		got = append(got, o.OID)
		switch {
		case o.Type == gitcmd.Missing:
			missing++
		case int64(len(o.Data)) != o.Size || !strings.HasPrefix(string(o.Data), "blob "):
			t.Errorf("object %s holds %.20q", o.OID, o.Data)
		}
		return nil
	})
	if err != nil || !slices.Equal(got, oids) || missing != 2 {
		t.Errorf("ReadMany gave %d objects, %d missing, %v", len(got), missing, err)
	}
	if err := b.ReadMany(t.Context(), slices.Values([]gitcmd.OID(nil)), 0, nil); err != nil {
		t.Errorf("ReadMany of nothing: %v", err)
	}
}

func TestReadManyThatStopsEarly(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	oids := blobs(t, f, 5000)
	enough := errors.New("enough")
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	for _, stopAfter := range []int{1, 59, 61, 1000, 5000} {
		n := 0
		err := b.ReadMany(t.Context(), slices.Values(oids), megabyte, func(gitcmd.Object) error {
			if n++; n == stopAfter {
				return enough
			}
			return nil
		})
		if err != enough || n != stopAfter {
			t.Errorf("stopping after %d: %v after %d", stopAfter, err, n)
		}
		if o, err := b.Read(oids[stopAfter-1], megabyte); err != nil || o.OID != oids[stopAfter-1] || o.Data == nil {
			t.Errorf("Read after stopping early = %+v, %v", o, err)
		}
	}
}

func TestReadManyWithABadID(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	oids := blobs(t, f, 100)
	oids[70] = "refs/heads/main"
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	n := 0
	err := b.ReadMany(t.Context(), slices.Values(oids), megabyte, func(gitcmd.Object) error { n++; return nil })
	if err == nil || n > 70 {
		t.Errorf("ReadMany with a ref among the ids: %v after %d", err, n)
	}
	if o, err := b.Read(oids[0], megabyte); err != nil || o.Data == nil {
		t.Errorf("Read afterwards = %+v, %v", o, err)
	}
}

func TestReadManyCancelled(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	oids := blobs(t, f, 5000)
	b := f.Repo.NewBatchReader(t.Context())
	defer b.Close()
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := b.ReadMany(ctx, slices.Values(oids), megabyte, func(gitcmd.Object) error {
		if n++; n == 10 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ReadMany with a cancelled context: %v after %d objects", err, n)
	}
	if o, err := b.Read(oids[0], megabyte); err != nil || o.Data == nil {
		t.Errorf("Read after a cancelled ReadMany = %+v, %v", o, err)
	}
}

func TestBatchReaderEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	oid := f.Object("blob", "x")
	ctx, cancel := context.WithCancel(t.Context())
	b := f.Repo.NewBatchReader(ctx)
	if _, err := b.Read(oid, megabyte); err != nil {
		t.Fatal(err)
	}
	cancel()
	for err := error(nil); !errors.Is(err, context.Canceled); {
		// The child may answer once more before the signal reaches it.
		if _, err = b.Read(oid, megabyte); err != nil && !errors.Is(err, context.Canceled) {
			t.Fatalf("Read after the context's end: %v, want context.Canceled", err)
		}
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}
