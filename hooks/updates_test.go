package hooks

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

var (
	zero  = strings.Repeat("0", 40)
	some  = strings.Repeat("a", 40)
	other = strings.Repeat("b", 40)
	long  = strings.Repeat("c", 64)
)

func TestReadUpdates(t *testing.T) {
	t.Parallel()
	in := zero + " " + some + " refs/heads/main\n" + some + " " + other + " refs/heads/\xc3\xbc/\xff\n" +
		some + " " + zero + " refs/tags/v1.0\n"
	want := []Update{
		{Old: gitcmd.OID(zero), New: gitcmd.OID(some), Ref: "refs/heads/main"},
		{Old: gitcmd.OID(some), New: gitcmd.OID(other), Ref: "refs/heads/\xc3\xbc/\xff"},
		{Old: gitcmd.OID(some), New: gitcmd.OID(zero), Ref: "refs/tags/v1.0"},
	}
	got, err := ReadUpdates(strings.NewReader(in))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
	if got, err := ReadUpdates(strings.NewReader("")); err != nil || got != nil {
		t.Errorf("no input: got %v, %v", got, err)
	}
}

func TestReadUpdatesRefuses(t *testing.T) {
	t.Parallel()
	ok := zero + " " + some + " refs/heads/main\n"
	line := func(ref string) string { return zero + " " + some + " " + ref + "\n" }
	tests := map[string]struct{ in, says string }{
		"no newline":        {strings.TrimSuffix(ok, "\n"), "line 1: it does not end in a newline"},
		"blank line":        {ok + "\n", "line 2: "},
		"two fields":        {zero + " " + some + "\n", "is not an old id"},
		"four fields":       {zero + " " + some + " refs/heads/a b\n", "is not an old id"},
		"two blanks":        {zero + "  " + some + " refs/heads/a\n", "is not an old id"},
		"tab":               {zero + "\t" + some + "\trefs/heads/a\n", "is not an old id"},
		"carriage return":   {zero + " " + some + " refs/heads/a\r\n", "not the name of a ref"},
		"short id":          {"00 " + some + " refs/heads/a\n", "instead of 40 or 64"},
		"capital id":        {zero + " " + strings.ToUpper(some) + " refs/heads/a\n", "not lower-case"},
		"mixed ids":         {zero + " " + long + " refs/heads/a\n", "40 and 64 digits"},
		"mixed lines":       {ok + long + " " + strings.Repeat("0", 64) + " refs/heads/b\n", "line 2: ids have 64 digits"},
		"both null":         {zero + " " + zero + " refs/heads/a\n", "both ids are null"},
		"twice":             {ok + ok, "updated twice"},
		"NUL":               {line("refs/heads/a\x00b"), "not the name"},
		"escape":            {line("refs/heads/a\x1b[31m"), "not the name"},
		"not in refs":       {line("heads/main"), "not the name"},
		"HEAD":              {line("HEAD"), "not the name"},
		"only refs":         {line("refs/"), "not the name"},
		"dots":              {line("refs/heads/a..b"), "not the name"},
		"hidden":            {line("refs/heads/.a"), "not the name"},
		"lock":              {line("refs/heads/a.lock/b"), "not the name"},
		"final dot":         {line("refs/heads/a."), "not the name"},
		"reflog":            {line("refs/heads/a@{1}"), "not the name"},
		"glob":              {line("refs/heads/*"), "not the name"},
		"empty component":   {line("refs//heads"), "not the name"},
		"too long a name":   {line("refs/" + strings.Repeat("a", maxRefName)), "not the name"},
		"too long a line":   {line("refs/" + strings.Repeat("a", 2*maxUpdateLine)), "longer than"},
		"option":            {"--all " + some + " refs/heads/a\n", "instead of 40"},
		"too many":          {manyUpdates(MaxUpdates + 1), "more than 10000"},
		"bad one among all": {manyUpdates(9) + "x\n", "line 10: "},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ReadUpdates(strings.NewReader(tt.in))
			if !errors.Is(err, ErrUpdates) || !strings.Contains(err.Error(), tt.says) || got != nil {
				t.Errorf("got %v, %v", got, err)
			}
			if err != nil && len(err.Error()) > 1000 {
				t.Errorf("error has %d bytes", len(err.Error()))
			}
		})
	}
	if got, err := ReadUpdates(strings.NewReader(manyUpdates(MaxUpdates))); err != nil || len(got) != MaxUpdates {
		t.Errorf("%d updates: %d, %v", MaxUpdates, len(got), err)
	}
}

func manyUpdates(n int) string {
	var in strings.Builder
	for i := range n {
		fmt.Fprintf(&in, "%s %s refs/heads/b%d\n", zero, some, i)
	}
	return in.String()
}

type brokenReader struct{ err error }

func (b brokenReader) Read([]byte) (int, error) { return 0, b.err }

func TestReadUpdatesReportsItsReader(t *testing.T) {
	t.Parallel()
	broken := errors.New("pipe broke")
	if _, err := ReadUpdates(brokenReader{broken}); !errors.Is(err, broken) || !errors.Is(err, ErrUpdates) {
		t.Errorf("got %v", err)
	}
}

func FuzzReadUpdates(f *testing.F) {
	f.Add([]byte(zero + " " + some + " refs/heads/main\n"))
	f.Add([]byte(zero + " " + some + " refs/heads/main\n" + some + " " + zero + " refs/notes/x\n"))
	f.Add([]byte(long + " " + long + " refs/heads/\xff\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		updates, err := ReadUpdates(strings.NewReader(string(in)))
		if err != nil {
			if !errors.Is(err, ErrUpdates) {
				t.Errorf("error is %v", err)
			}
			return
		}
		var back strings.Builder
		for _, u := range updates {
			fmt.Fprintf(&back, "%s %s %s\n", u.Old, u.New, u.Ref)
		}
		if back.String() != string(in) {
			t.Errorf("%q was read as %q", in, back.String())
		}
	})
}
