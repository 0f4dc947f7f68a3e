package ingest_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/mailmap"
	"github.com/blameprompt/enterprise/store/storetest"
)

const mainRef = "refs/heads/main"

func (w *world) wantPeople(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `SELECT email || ' ' || person FROM identities ORDER BY 1`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("people (-want +got):\n%s", diff)
	}
}

// TestTheMailmapOfTheDefaultBranchIsTaken follows the file through its changes,
// and is led astray neither by other branches nor by a link.
func TestTheMailmapOfTheDefaultBranchIsTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	write := func(ref, text string, modes ...string) {
		c := gittest.Commit{Ref: ref, Files: map[string]string{".mailmap": text}}
		if modes != nil {
			c.Modes = map[string]string{".mailmap": modes[0]}
		}
		w.remote.Commit(c)
		w.sync()
	}
	write(mainRef, "Ada <ada@work.org> <ada@home.org>\nJane <jane@x.org> Jane <build@ci.org>\n")
	w.wantPeople("ada@home.org ada@work.org")
	write("refs/heads/topic", "Eve <eve@work.org> <ada@home.org>\n")
	w.wantPeople("ada@home.org ada@work.org")
	write(mainRef, "Ada <ada@new.org> <ada@home.org>\n<ada@new.org> <ADA@work.org>\n")
	w.wantPeople("ada@home.org ada@new.org", "ada@work.org ada@new.org")
	write(mainRef, strings.Repeat("# much\n", mailmap.MaxSize/7+1))
	w.wantPeople()
	w.wantFindings("mailmap_too_large")
	write(mainRef, "Bob <bob@b.org> <bob@a.org>\n")
	w.wantPeople("bob@a.org bob@b.org")
	write(mainRef, "elsewhere", "120000")
	w.wantPeople()
	w.remote.Commit(gittest.Commit{Ref: mainRef, Remove: []string{".mailmap"}})
	w.sync()
	w.wantPeople()
}

// TestCoAuthorsAreTakenIn reads them from wherever forges put them.
func TestCoAuthorsAreTakenIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.remote.Commit(gittest.Commit{Ref: mainRef, Message: "Squashed (#12)\n\n* one\n\nCo-authored-by: Bob <Bob@B.org>\n\n* two\n\n" +
		"co-authored-by: bob <bob@b.org>\nSigned-off-by: Cy <cy@c.org>\nReviewed-by: Di <di@d.org>\n"})
	w.sync()
	if got := storetest.Column(t, w.db, `SELECT array_to_string(co_authors, ',') FROM commits`); !cmp.Equal(got, []string{"bob@b.org,cy@c.org"}) {
		t.Errorf("co-authors %v", got)
	}
}
