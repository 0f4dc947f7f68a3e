package live

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines"
)

func built(t *testing.T, f *gittest.Fixture, tip gitcmd.OID, o Options) memory {
	t.Helper()
	m := memory{}
	if err := Build(t.Context(), f.Repo, tip, o, m.put); err != nil {
		t.Fatal(err)
	}
	return m
}

// updated brings the map to another tip, holds it against a new one of that tip,
// and returns the paths that were read.
func (m memory) updated(t *testing.T, f *gittest.Fixture, old, tip gitcmd.OID, o Options) []string {
	t.Helper()
	var given []string
	err := Update(t.Context(), f.Repo, old, tip, m.stored, o, func(file *File) error {
		given = append(given, file.Path)
		return m.put(file)
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(built(t, f, tip, o), m); diff != "" {
		t.Errorf("the updated map is not that of the tip:\n%s", diff)
	}
	if !slices.IsSorted(given) {
		t.Errorf("not in order: %q", given)
	}
	return given
}

const (
	five  = "1\n2\n3\n4\n5\n"
	fives = "1\n2\nthree\n4\n5\n"
)

func at(parents ...int) []gitcmd.OID {
	var out []gitcmd.OID
	for _, p := range parents {
		out = append(out, gittest.Nth(p))
	}
	return out
}

func only(path, content string) map[string]string { return map[string]string{path: content} }

// TestUpdateReadsWhatMayDiffer has histories in which a file has the same
// content at both tips and other origins, and such in which it has not.
func TestUpdateReadsWhatMayDiffer(t *testing.T) {
	t.Parallel()
	first := gittest.Commit{Files: map[string]string{"a": five, "b": five, "c/d": "x\n"}}
	for name, c := range map[string]struct {
		commits  []gittest.Commit
		old, tip int
		want     []string
	}{
		"edit":        {[]gittest.Commit{first, {Files: only("a", fives)}}, 0, 1, []string{"a"}},
		"same tip":    {[]gittest.Commit{first}, 0, 0, nil},
		"mode":        {[]gittest.Commit{first, {Files: only("a", five), Modes: only("a", "100755")}}, 0, 1, nil},
		"type":        {[]gittest.Commit{first, {Files: only("a", five), Modes: only("a", "120000")}}, 0, 1, []string{"a"}},
		"type back":   {[]gittest.Commit{first, {Files: only("a", five), Modes: only("a", "120000")}, {Files: only("a", five)}}, 0, 2, []string{"a"}},
		"removed":     {[]gittest.Commit{first, {Remove: []string{"a"}}}, 0, 1, []string{"a"}},
		"renamed":     {[]gittest.Commit{first, {Remove: []string{"a"}, Files: only("z", fives)}}, 0, 1, []string{"a", "z"}},
		"revert":      {[]gittest.Commit{first, {Files: only("a", fives)}, {Files: only("a", five)}}, 0, 2, []string{"a"}},
		"come, gone":  {[]gittest.Commit{first, {Files: only("z", five)}, {Remove: []string{"z"}}}, 0, 2, nil},
		"gone, back":  {[]gittest.Commit{first, {Remove: []string{"a"}}, {Files: only("a", five)}}, 0, 2, []string{"a"}},
		"rewind":      {[]gittest.Commit{first, {Files: only("a", fives)}, {Files: only("b", fives)}}, 2, 0, []string{"a", "b"}},
		"another one": {[]gittest.Commit{first, {Root: true, Files: map[string]string{"a": five, "z": "x\n"}}}, 0, 1, []string{"a", "b", "c/d", "z"}},
		"folder": {[]gittest.Commit{first, {Remove: []string{"a"}, Files: only("a/b", five)}}, 0, 1,
			[]string{"a", "a/b"}},
		"merge of an old branch": {[]gittest.Commit{
			first, {Files: only("b", fives)}, {Parents: at(0), Files: only("a", fives)}, {Parents: at(1, 2), Files: only("a", fives)},
		}, 1, 3, []string{"a"}},
		// The branch has what the old tip has, from a commit of its own.
		"same change on both sides, branch first": {[]gittest.Commit{
			first, {Files: only("a", fives)}, {Parents: at(0), Files: only("a", fives)}, {Parents: at(2, 1)},
		}, 1, 3, []string{"a"}},
		"same change on both sides, old tip first": {[]gittest.Commit{
			first, {Files: only("a", fives)}, {Parents: at(0), Files: only("a", fives)}, {Parents: at(1, 2)},
		}, 1, 3, nil},
		"old tip merged into a branch": {[]gittest.Commit{
			first, {Files: only("b", fives)}, {Parents: at(0), Files: only("a", fives)}, {Parents: at(2, 1), Files: only("b", fives)},
		}, 1, 3, []string{"a"}},
		// The old tip has the content of the first commit by its own revert.
		"old tip reverted, merged into a branch": {[]gittest.Commit{
			first, {Files: only("a", fives)}, {Files: only("a", five)}, {Parents: at(0), Files: only("b", fives)}, {Parents: at(3, 2)},
		}, 2, 4, []string{"a", "b"}},
		"old tip reverted, content from an old branch": {[]gittest.Commit{
			first, {Files: only("a", fives)}, {Files: only("a", five)}, {Parents: at(0), Files: only("b", fives)},
			{Parents: at(2), Files: only("a", "other\n")}, {Parents: at(4, 3), Files: map[string]string{"a": five, "b": fives}},
		}, 2, 5, []string{"a", "b"}},
		// The branch began on another one, which the old tip has merged.
		"branch of a merged branch": {[]gittest.Commit{
			first, {Files: only("c/d", "y\n")}, {Parents: at(0), Files: only("b", fives)}, {Parents: at(1, 2), Files: only("b", fives)},
			{Parents: at(2), Files: only("a", fives)}, {Parents: at(3, 4), Files: only("a", fives)},
		}, 3, 5, []string{"a"}},
		"into a branch of a merged branch": {[]gittest.Commit{
			first, {Files: only("c/d", "y\n")}, {Parents: at(0), Files: only("b", fives)}, {Parents: at(1, 2), Files: only("b", fives)},
			{Parents: at(2), Files: only("a", fives)}, {Parents: at(4, 3), Files: map[string]string{"a": fives, "c/d": "y\n"}},
		}, 3, 5, []string{"a", "b"}},
		"lines of an old branch": {[]gittest.Commit{
			first, {Files: only("a", "new\n"+five)}, {Parents: at(0), Files: only("a", five+"6\n")},
			{Parents: at(2, 1), Files: only("a", "new\n"+five+"6\n")},
		}, 1, 3, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := gittest.New(t)
			ids := f.Import(c.commits)
			m := built(t, f, ids[c.old], Options{})
			got := m.updated(t, f, ids[c.old], ids[c.tip], Options{})
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("read:\n%s", diff)
			}
			for path, file := range m {
				if file.Kind == KindText && !slices.Equal(expand(file), blamed(t, f, ids[c.tip], path)) {
					t.Errorf("%q: %v", path, file.Runs)
				}
			}
		})
	}
}

// TestUpdateWhereTheOldMapHasNoLines: what moves in from where nothing is
// followed is followed through all its history.
func TestUpdateWhereTheOldMapHasNoLines(t *testing.T) {
	t.Parallel()
	o := Options{MaxLines: 6, Exclude: func(path string, _ bool) lines.Reason {
		if strings.HasPrefix(path, "vendor/") {
			return lines.ReasonVendored
		}
		return ""
	}}
	large := five + "6\n7\n"
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"vendor/a": five, "b": large, "c": "\x00" + five}},
		{Files: map[string]string{"vendor/a": fives}},
		{Remove: []string{"vendor/a"}, Files: map[string]string{"a": fives, "b": five, "c": five}},
		{Remove: []string{"a"}, Files: map[string]string{"vendor/a": fives, "b": large, "c": "\x00" + five}},
	})
	m := built(t, f, ids[1], o)
	m.updated(t, f, ids[1], ids[2], o)
	for _, path := range []string{"a", "b", "c"} {
		if got, want := expand(m[path]), blamed(t, f, ids[2], path); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	m.updated(t, f, ids[2], ids[3], o)
	if m["vendor/a"].Kind != KindExcluded || m["b"].Kind != KindTooLarge || m["c"].Kind != KindBinary {
		t.Errorf("%s, %s, %s", m["vendor/a"].Kind, m["b"].Kind, m["c"].Kind)
	}
}

// TestUpdateInBatches changes more files than are read at once.
func TestUpdateInBatches(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	files := []map[string]string{{}, {}}
	for i := range batchFiles + 10 {
		path := strings.Repeat("f", i%7+1) + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
		files[0][path], files[1][path] = five, fives
	}
	ids := f.Import([]gittest.Commit{{Files: files[0]}, {Files: files[1]}})
	m := built(t, f, ids[0], Options{})
	var progress []int
	given := m.updated(t, f, ids[0], ids[1], Options{Progress: func(done, total int) {
		progress = append(progress, done)
		if total != len(files[0]) {
			t.Errorf("%d of %d", done, total)
		}
	}})
	if len(given) != len(files[0]) || len(progress) != 2*len(given) {
		t.Errorf("%d files read, %d told, want %d", len(given), len(progress), len(files[0]))
	}
}

func TestUpdateFails(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{{Files: only("a", five)}, {Files: only("a", fives)}, {Files: only("a", five)}})
	m := built(t, f, ids[0], Options{})
	stop := errors.New("stop")
	none := func(*File) error { return nil }
	if err := Update(t.Context(), f.Repo, ids[0], ids[1], m.stored, Options{}, func(*File) error { return stop }); err != stop {
		t.Errorf("error of fn: %v", err)
	}
	broken := func(context.Context, []string) (map[string]*File, error) { return nil, stop }
	for _, tip := range ids[1:] {
		if err := Update(t.Context(), f.Repo, ids[0], tip, broken, Options{}, none); err != stop {
			t.Errorf("error of stored: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Update(ctx, f.Repo, ids[0], ids[1], m.stored, Options{}, none); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	absent := gitcmd.OID(strings.Repeat("1", 40))
	for _, c := range [][2]gitcmd.OID{{absent, ids[1]}, {ids[1], absent}} {
		if err := Update(t.Context(), f.Repo, c[0], c[1], m.stored, Options{}, none); !errors.Is(err, gitcmd.ErrMissingObject) {
			t.Errorf("without a tip: %v", err)
		}
	}
}

// TestUpdateAcrossMissingHistory: where a commit of the range is lost, nothing
// of the old map can be trusted, and only what git says without it is told.
func TestUpdateAcrossMissingHistory(t *testing.T) {
	t.Parallel()
	f := gittest.New(t)
	ids := f.Import([]gittest.Commit{
		{Files: map[string]string{"a": five, "b": five, "c": "c\n"}},
		{Files: only("a", fives)}, {Files: only("a", "x\n"+fives)}, {Files: only("b", fives)}, {Files: only("b", fives+"6\n")},
	})
	m := built(t, f, ids[0], Options{})
	f.Lose(ids[1])
	given := map[string]*File{}
	err := Update(t.Context(), f.Repo, ids[0], ids[4], m.stored, Options{}, func(file *File) error {
		given[file.Path] = file
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range slices.Sorted(maps.Keys(given)) {
		if file := given[path]; file.Kind != KindUnreadable || file.Finding.Code != codeMissing {
			t.Errorf("%s: %+v", path, file)
		}
	}
	if len(given) != 3 {
		t.Errorf("%d files, want all", len(given))
	}
}
