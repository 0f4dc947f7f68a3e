package gateway

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// pair is two developers with clones whose notes have diverged: both have
// pushed "base", then a has pushed "a1", and b has noted "b1" without fetching.
type pair struct {
	*world
	row    store.Repo
	a, b   *dev
	da, db string
	commit string
}

func newPair(t testing.TB) *pair {
	t.Helper()
	w := newWorld(t)
	p := &pair{world: w, row: w.hosted("acme/api")}
	p.a, p.b = w.dev("ann@example.com", access.WriteRepo), w.dev("bob@example.com", access.WriteRepo)
	p.da = p.a.clone("acme/api")
	p.commit = p.a.commit(p.da, "first")
	p.a.noteIDs(p.da, p.commit, "base")
	p.a.git(p.da, "push", "-q", "origin", "HEAD:refs/heads/main", notesRef)
	p.db = p.b.clone("acme/api")
	p.b.git(p.db, "fetch", "-q", "origin", notesRef+":"+notesRef)
	second := p.a.commit(p.da, "second")
	p.a.noteIDs(p.da, second, "a1")
	p.a.git(p.da, "push", "-q", "origin", "HEAD:refs/heads/main", notesRef)
	mine := p.b.commit(p.db, "third")
	p.b.noteIDs(p.db, mine, "b1")
	return p
}

// want wants these receipts, both clones to fetch by a fast-forward, and a whole
// repository.
func (p *pair) want(ids ...string) {
	p.t.Helper()
	if got := p.ids(p.row); !slices.Equal(got, ids) {
		p.t.Errorf("receipts %v, want %v", got, ids)
	}
	p.a.git(p.da, "fetch", "-q", "origin", notesRef+":"+notesRef)
	p.b.git(p.db, "fetch", "-q", "origin", notesRef+":"+notesRef)
	p.fsck(p.row)
}

func TestDivergedNotesAreMerged(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	before := p.tip(p.row, notesRef)
	pushed := p.b.git(p.db, "rev-parse", notesRef)
	out := p.b.git(p.db, "push", "origin", notesRef)
	after := p.tip(p.row, notesRef)
	// The client hears what really became of the ref.
	if want := fmt.Sprintf("%.7s..%.7s", before, after); !strings.Contains(out, want) {
		t.Errorf("the client says %q, want %s in it", out, want)
	}
	parents := gittest.Open(t, p.at(p.row).Dir()).Git("rev-list", "--parents", "-1", notesRef)
	if parents != after+" "+before+" "+pushed {
		t.Errorf("commit and parents %s, want %s, %s and %s", parents, after, before, pushed)
	}
	p.want("a1", "b1", "base")
}

// TestEveryWayToPushIsMerged has the ways in which a client can push diverged
// notes.
func TestEveryWayToPushIsMerged(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"plain":            {"push", "origin", notesRef},
		"forced":           {"push", "--force", "origin", notesRef},
		"plus":             {"push", "origin", "+" + notesRef},
		"lease":            {"push", "--force-with-lease", "origin", notesRef},
		"lease on nothing": {"push", "--force-with-lease=" + notesRef + ":", "origin", notesRef},
		"version 0":        {"-c", "protocol.version=0", "push", "origin", notesRef},
		"version 1":        {"-c", "protocol.version=1", "push", "origin", notesRef},
		"version 2":        {"-c", "protocol.version=2", "push", "origin", notesRef},
		"with a branch":    {"push", "origin", "HEAD:refs/heads/topic", notesRef},
		"atomic":           {"push", "--atomic", "origin", "HEAD:refs/heads/topic", notesRef},
		"with options":     {"push", "-o", "ci.skip", "-o", "x=y z", "origin", notesRef},
		"quiet":            {"push", "--quiet", "origin", notesRef},
		"without thin":     {"push", "--no-thin", "origin", notesRef},
		"verified":         {"push", "--no-verify", "origin", notesRef},
		"all notes":        {"push", "origin", "refs/notes/*:refs/notes/*"},
		"as the shim does": {"push", "--no-verify", "origin", notesRef},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPair(t)
			p.b.git(p.db, args...)
			p.want("a1", "b1", "base")
			if slices.Contains(args, "--atomic") && p.tip(p.row, "refs/heads/topic") == "" {
				t.Error("the branch is not there")
			}
		})
	}
}

func TestAStaleLeaseIsRefusedByTheClient(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	out, err := p.b.tryGit(p.db, "push", "--force-with-lease="+notesRef+":"+p.tip(p.row, notesRef), "origin", notesRef)
	if err == nil || !strings.Contains(out, "stale info") {
		t.Errorf("%v: %s", err, out)
	}
	if got := p.ids(p.row); !slices.Equal(got, []string{"a1", "base"}) {
		t.Errorf("receipts %v", got)
	}
}

func TestNotesAreNotDeleted(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	out, err := p.b.tryGit(p.db, "push", "origin", ":"+notesRef)
	if err == nil || !strings.Contains(out, "deletion of notes is not allowed here") {
		t.Errorf("%v: %s", err, out)
	}
	// The ref is not advertised, so that neither of these asks for its deletion.
	p.b.git(p.db, "update-ref", "-d", notesRef)
	p.b.git(p.db, "push", "--prune", "origin", "refs/heads/*:refs/heads/b/*")
	p.b.git(p.db, "push", "--mirror", "origin")
	if got := p.ids(p.row); !slices.Equal(got, []string{"a1", "base"}) {
		t.Errorf("receipts %v", got)
	}
	// An atomic push falls with it.
	p.b.git(p.db, "update-ref", "refs/heads/gone", "HEAD")
	if out, err := p.b.tryGit(p.db, "push", "--atomic", "origin", "refs/heads/gone", ":"+notesRef); err == nil {
		t.Errorf("an atomic push passed: %s", out)
	}
	if p.tip(p.row, "refs/heads/gone") != "" {
		t.Error("the branch of a refused atomic push is there")
	}
}

func TestUnrelatedHistoriesAreMerged(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.b.git(p.db, "update-ref", "-d", notesRef)
	p.b.noteIDs(p.db, p.commit, "alone")
	p.b.git(p.db, "push", "origin", notesRef)
	p.want("a1", "alone", "base")
	if roots := gittest.Open(t, p.at(p.row).Dir()).Git("rev-list", "--max-parents=0", notesRef); len(strings.Fields(roots)) != 2 {
		t.Errorf("roots %q, want two", roots)
	}
}

// cutCapability stands between client and server and takes away a capability
// that old clients do not know.
const cutCapability = `#!/usr/bin/perl -w
use strict; use IPC::Open2;
$| = 1;
my $pid = open2(my $from, my $to, @ARGV);
if (fork() == 0) { close $from; my $b; while (sysread(STDIN, $b, 65536)) { syswrite($to, $b) } exit 0 }
close $to;
my $first = 1;
while (1) {
	read($from, my $len, 4) == 4 or last;
	my $n = hex($len);
	my $body = "";
	read($from, $body, $n - 4) if $n > 4;
	$body =~ s/ ?report-status-v2// if $first;
	$first = 0;
	syswrite(STDOUT, $n > 4 ? sprintf("%04x", length($body) + 4) . $body : $len);
	last if $n == 0;
}
my $b;
while (sysread($from, $b, 65536)) { syswrite(STDOUT, $b) }
waitpid($pid, 0);
exit($? >> 8);
`

func TestAClientWithoutReportStatusV2IsServed(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.b.wrapper = []string{writeScript(t, cutCapability)}
	out := p.b.git(p.db, "push", "origin", notesRef)
	if !strings.Contains(out, "[new reference]") {
		t.Errorf("the client says %q", out)
	}
	p.want("a1", "b1", "base")
}

func TestAnAtomicPushThatFailsLateKeepsItsReceipts(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	// A lock of another process fails the branch behind the merge of the notes.
	lock := p.at(p.row).Dir() + "/refs/heads/topic.lock"
	writeFile(t, lock, "")
	out, err := p.b.tryGit(p.db, "push", "--atomic", "origin", "HEAD:refs/heads/topic", notesRef)
	if err == nil {
		t.Errorf("the push passed: %s", out)
	}
	p.want("a1", "b1", "base")
}

func TestOnlyWhatIsNewIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	var all []gittest.Notes
	for i := range 400 {
		commit := gitcmd.OID(fmt.Sprintf("%040x", i+1))
		all = append(all, gittest.Notes{Bodies: map[gitcmd.OID]string{commit: payload(receiptJSON(fmt.Sprint(i), ada.email, "m"))}})
	}
	local := gittest.Open(t, dir+"/.git")
	local.ImportNotes(all)
	ada.git(dir, "push", "-q", "origin", notesRef)
	ada.noteIDs(dir, strings.Repeat("f", 40), "new") // of a commit that nobody has
	out := ada.git(dir, "push", "--progress", "origin", notesRef)
	if !strings.Contains(out, "Total 3 ") {
		t.Errorf("the client sends more than commit, tree and blob: %s", out)
	}
	if got := len(w.ids(row)); got != 401 {
		t.Errorf("%d receipts, want 401", got)
	}
}
