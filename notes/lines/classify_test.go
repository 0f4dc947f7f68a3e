package lines

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

func lr(first, last uint32) notes.LineRange { return notes.LineRange{First: first, Last: last} }

func unknown(first, last uint32) Run { return Run{LineRange: lr(first, last), Class: ClassUnknown} }

func prompted(first, last uint32, confidence Confidence, id string) Run {
	return Run{LineRange: lr(first, last), Class: notes.ClassAI, Source: SourceBlamePrompt, Confidence: confidence, ReceiptID: id}
}

func attested(first, last uint32, id string) Run {
	return Run{LineRange: lr(first, last), Class: notes.ClassAI, Source: SourceGitAI, Confidence: Attested, ReceiptID: id}
}

func human(first, last uint32, author string) Run {
	return Run{LineRange: lr(first, last), Class: notes.ClassHuman, Source: SourceGitAI, Confidence: Attested, Author: author}
}

func classifyOne(e Evidence, added ...notes.LineRange) []Run {
	out, _ := Classify([]File{{Path: "src/a.go", Blob: "b1", Added: added}}, e, nil)
	return out[0].Runs
}

func TestPrecedence(t *testing.T) {
	t.Parallel()
	const path = "src/a.go"
	envelope := Claim{ReceiptID: "e", Path: path, First: 1, Last: 8, Attached: true}
	exact := Claim{ReceiptID: "x", Path: path, First: 5, Last: 9, Blob: "b1"}
	gitAI := []notes.Attestation{
		{Path: path, Class: notes.ClassAI, ReceiptID: "g", Lines: []notes.LineRange{lr(3, 6)}},
		{Path: path, Class: notes.ClassHuman, Author: "Ada", Lines: []notes.LineRange{lr(7, 7)}},
	}
	elsewhere := []notes.Attestation{{Path: "a.go", Class: notes.ClassAI, Lines: []notes.LineRange{lr(1, 9)}}}
	broken := []notes.Attestation{{Path: path, Class: notes.ClassAI, ReceiptID: "g",
		Lines: []notes.LineRange{{First: 0, Last: 4}, {First: 9, Last: 8}, {First: 1, Last: 1<<32 - 1}, lr(5, 5)}}}
	claims := func(claims ...Claim) Evidence { return Evidence{Claims: claims} }
	agent := func(first, last uint32) Run {
		return Run{LineRange: lr(first, last), Class: notes.ClassAI, Source: SourceTrailer, Confidence: Trailer, Author: "claude"}
	}
	all := []Run{unknown(2, 10)}
	for _, c := range []struct {
		name     string
		evidence Evidence
		want     []Run
	}{
		{"nothing", Evidence{}, all},
		{"git-ai", Evidence{Attestations: gitAI},
			[]Run{unknown(2, 2), attested(3, 6, "g"), human(7, 7, "Ada"), unknown(8, 10)}},
		{"envelope", claims(envelope), []Run{prompted(2, 8, Envelope, "e"), unknown(9, 10)}},
		{"git-ai over envelope", Evidence{Attestations: gitAI, Claims: []Claim{envelope}}, []Run{
			prompted(2, 2, Envelope, "e"), attested(3, 6, "g"), human(7, 7, "Ada"),
			prompted(8, 8, Envelope, "e"), unknown(9, 10)}},
		{"exact over all", Evidence{Attestations: gitAI, Claims: []Claim{exact, envelope}}, []Run{
			prompted(2, 2, Envelope, "e"), attested(3, 4, "g"), prompted(5, 9, Exact, "x"), unknown(10, 10)}},
		{"the later envelope", claims(envelope, Claim{ReceiptID: "f", Path: path, First: 4, Last: 5, Attached: true}), []Run{
			prompted(2, 3, Envelope, "e"), prompted(4, 5, Envelope, "f"), prompted(6, 8, Envelope, "e"), unknown(9, 10)}},
		{"exact without envelope", claims(Claim{ReceiptID: "x", Path: "a.go", Blob: "b1"}), []Run{prompted(2, 10, Exact, "x")}},
		{"no envelope", claims(Claim{ReceiptID: "x", Path: "a.go", Attached: true}), all},
		{"envelope of another blob", claims(Claim{ReceiptID: "x", Path: "a.go", First: 3, Last: 3, Blob: "b2", Attached: true}),
			[]Run{unknown(2, 2), prompted(3, 3, Envelope, "x"), unknown(4, 10)}},
		{"another commit's envelope", claims(Claim{ReceiptID: "x", Path: path, First: 1, Last: 9}), all},
		{"another path's blob", claims(Claim{ReceiptID: "x", Path: "src/b.go", First: 1, Last: 9, Blob: "b1"}), all},
		{"absurd envelope", claims(Claim{ReceiptID: "x", Path: path, First: 1, Last: 1 << 40, Attached: true}),
			[]Run{prompted(2, 10, Envelope, "x")}},
		{"backwards envelope", claims(Claim{ReceiptID: "x", Path: path, First: 9, Last: 2, Attached: true}), all},
		{"trailer", Evidence{Agent: "claude"}, []Run{agent(2, 10)}},
		{"trailer beside an envelope", Evidence{Agent: "claude", Claims: []Claim{envelope}, Noted: true},
			[]Run{prompted(2, 8, Envelope, "e"), unknown(9, 10)}},
		{"trailer beside an empty note", Evidence{Agent: "claude", Noted: true}, all},
		{"trailer beside a blob from elsewhere", Evidence{Agent: "claude", Claims: []Claim{exact}},
			[]Run{agent(2, 4), prompted(5, 9, Exact, "x"), agent(10, 10)}},
		{"git-ai path is no suffix", Evidence{Attestations: elsewhere}, all},
		{"broken attestation", Evidence{Attestations: broken}, []Run{unknown(2, 4), attested(5, 5, "g"), unknown(6, 10)}},
	} {
		if diff := cmp.Diff(c.want, classifyOne(c.evidence, lr(2, 10))); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestOnlyAddedLines(t *testing.T) {
	t.Parallel()
	got := classifyOne(Evidence{Claims: []Claim{{ReceiptID: "e", Path: "src/a.go", First: 1, Last: 1 << 50, Attached: true}}},
		lr(1, 1), lr(5, 6), lr(8, notes.MaxLine))
	want := []Run{prompted(1, 1, Envelope, "e"), prompted(5, 6, Envelope, "e"), prompted(8, notes.MaxLine, Envelope, "e")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	files := []File{
		{Path: "a.go", Blob: "1"}, {Path: "sub/a.go", Blob: "2"}, {Path: "sub/deep/main.go", Blob: "3"},
		{Path: "x/util.go", Blob: "4"}, {Path: "y/util.go", Blob: "5"}, {Path: "new.go", OldPath: "old.go", Blob: "6"},
		{Path: "dir/gone.go", Blob: gitcmd.ZeroOID}, {Path: "z/util.go", Blob: "4"},
	}
	p := newPaths(files)
	for _, c := range []struct {
		path string
		blob gitcmd.OID
		want string
	}{
		{"a.go", "", "a.go"},
		{"./a.go", "", "a.go"},
		{"sub/a.go", "", "sub/a.go"},
		{"main.go", "", "sub/deep/main.go"},
		{"deep/main.go", "", "sub/deep/main.go"},
		{"../deep/main.go", "", "sub/deep/main.go"},
		{"ep/main.go", "", ""},
		{"in.go", "", ""},
		{"util.go", "", ""},
		{"util.go", "5", "y/util.go"},
		{"util.go", "4", ""},
		{"x/util.go", "4", "x/util.go"},
		{"x/util.go", "5", ""},
		{"/home/ada/repo/a.go", "", "a.go"},
		{"/home/ada/repo/sub/a.go", "", "sub/a.go"},
		{"/home/ada/repo/sub/a.go", "1", "a.go"},
		{"/home/ada/repo/suba.go", "", ""},
		{"C:/Users/ada/repo/sub/deep/main.go", "", "sub/deep/main.go"},
		{"old.go", "", "new.go"},
		{"old.go", "6", "new.go"},
		{"gone.go", "", ""},
		{"repo/sub/a.go", "", ""},
		{"", "", ""}, {"/", "", ""}, {".", "", ""}, {"..", "", ""}, {"../..", "", ""}, {"C:/", "", ""},
	} {
		i, ok := p.find(c.path, c.blob)
		got := ""
		if ok {
			got = files[i].Path
		}
		if got != c.want {
			t.Errorf("%q with blob %q is %q, want %q", c.path, c.blob, got, c.want)
		}
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	none, some := int64(0), int64(1)
	got := Claims(&notes.Receipt{ID: "r", Files: []notes.FileChange{
		{Path: "a", LineStart: 2, LineEnd: 5, BlobHash: "b"},
		{Path: "imported", LineStart: 1, LineEnd: 1, Additions: &none},
		{Path: "one line", LineStart: 1, LineEnd: 1, Additions: &some},
		{Path: "blob", LineStart: 1, LineEnd: 1, BlobHash: "b"},
	}}, true)
	want := []Claim{
		{ReceiptID: "r", Path: "a", First: 2, Last: 5, Blob: "b", Attached: true},
		{ReceiptID: "r", Path: "imported", Attached: true},
		{ReceiptID: "r", Path: "one line", First: 1, Last: 1, Attached: true},
		{ReceiptID: "r", Path: "blob", First: 1, Last: 1, Blob: "b", Attached: true},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExcludedAreCountedApart(t *testing.T) {
	t.Parallel()
	files := []File{
		{Path: "a.go", Blob: "1", Added: []notes.LineRange{lr(1, 10)}},
		{Path: "go.sum", Blob: "2", Added: []notes.LineRange{lr(1, 500)}},
		{Path: "empty", Blob: "3"},
	}
	var e Excluder
	got, total := Classify(files, Evidence{Agent: "claude"}, func(f *File) Reason {
		return e.Reason(f.Path, f.Generated, Attributes{})
	})
	if want := (Counts{Added: 10, AI: 10, Trailer: 10, Excluded: 500}); total != want {
		t.Errorf("counts %+v, want %+v", total, want)
	}
	if len(got) != 2 || got[1].Excluded != ReasonLockfile || got[1].Runs != nil || got[1].File != &files[1] {
		t.Errorf("files %+v", got)
	}
}

// TestAgainstLines holds the classes of random evidence against a model that
// goes line by line.
func TestAgainstLines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(600) {
		rng := rand.New(rand.NewPCG(seed, 2))
		files, evidence := randomCommit(rng)
		got, counts := Classify(files, evidence, nil)
		var total Counts
		for _, f := range got {
			checkRuns(t, seed, f)
			total.Add(f.Counts)
			want := modelOf(f.File, evidence)
			for n := range lineSet(f.File.Added) {
				if owner := ownerOf(f.Runs, n); owner != want[n] {
					t.Fatalf("seed %d: %s:%d is %+v, want %+v", seed, f.File.Path, n, owner, want[n])
				}
			}
		}
		if total != counts || counts.Added != counts.AI+counts.Human+counts.Unknown {
			t.Fatalf("seed %d: counts %+v of %+v", seed, counts, total)
		}
	}
}

func randomRange(rng *rand.Rand) notes.LineRange {
	first := 1 + rng.Uint32N(40)
	return lr(first, first+rng.Uint32N(12))
}

func randomCommit(rng *rand.Rand) ([]File, Evidence) {
	var files []File
	for i := range 3 {
		f := File{Path: fmt.Sprintf("p%d", i), Blob: gitcmd.OID(fmt.Sprintf("blob%d", i))}
		for line := uint32(1); line < 40; {
			first := line + rng.Uint32N(6)
			last := first + rng.Uint32N(6)
			f.Added = append(f.Added, lr(first, last))
			line = last + 2
		}
		files = append(files, f)
	}
	e := Evidence{Noted: rng.IntN(2) == 0}
	if rng.IntN(2) == 0 {
		e.Agent = "agent"
	}
	for i := range rng.IntN(8) {
		r := randomRange(rng)
		e.Claims = append(e.Claims, Claim{
			ReceiptID: fmt.Sprint("r", i), Path: fmt.Sprintf("p%d", rng.IntN(4)),
			First: int64(r.First) - 1 + rng.Int64N(3), Last: int64(r.Last), Attached: rng.IntN(3) > 0,
			Blob: []gitcmd.OID{"", "blob0", "blob1", "blob2"}[rng.IntN(4)],
		})
	}
	for i := range rng.IntN(3) * 3 {
		a := notes.Attestation{Path: fmt.Sprintf("p%d", i%4), Class: notes.ClassAI, ReceiptID: fmt.Sprint("g", i)}
		if i > 2 {
			a.Class, a.ReceiptID, a.Author = notes.ClassHuman, "", "Ada"
		}
		for range rng.IntN(4) {
			a.Lines = append(a.Lines, randomRange(rng))
		}
		e.Attestations = append(e.Attestations, a)
	}
	return files, e
}

// modelOf says who owns each line of a file, by the definition.
func modelOf(f *File, e Evidence) map[uint32]Run {
	rest := Run{Class: ClassUnknown}
	if e.Agent != "" && !e.Noted && len(e.Attestations) == 0 {
		rest = Run{Class: notes.ClassAI, Source: SourceTrailer, Confidence: Trailer, Author: e.Agent}
	}
	owners := map[uint32]Run{}
	for n := range lineSet(f.Added) {
		owner := rest
		for _, c := range e.Claims {
			if c.Path == f.Path && c.Blob != f.Blob && c.Attached && c.First >= 1 && int64(n) >= c.First && int64(n) <= c.Last {
				owner = prompted(0, 0, Envelope, c.ReceiptID)
			}
		}
		for _, a := range e.Attestations {
			for _, r := range a.Lines {
				if a.Path == f.Path && n >= r.First && n <= r.Last {
					owner = Run{Class: a.Class, Source: SourceGitAI, Confidence: Attested, ReceiptID: a.ReceiptID, Author: a.Author}
				}
			}
		}
		for _, c := range e.Claims {
			known := c.First >= 1 && c.First <= c.Last
			if c.Path == f.Path && c.Blob == f.Blob && (!known || int64(n) >= c.First && int64(n) <= c.Last) {
				owner = prompted(0, 0, Exact, c.ReceiptID)
			}
		}
		owners[n] = owner
	}
	return owners
}

func ownerOf(runs []Run, n uint32) Run {
	for _, r := range runs {
		if n >= r.First && n <= r.Last {
			r.LineRange = notes.LineRange{}
			return r
		}
	}
	return Run{}
}

// checkRuns: runs cover the added lines in order, and neighbours differ.
func checkRuns(t *testing.T, seed uint64, f FileLines) {
	t.Helper()
	var covered []notes.LineRange
	for i, r := range f.Runs {
		covered = append(covered, r.LineRange)
		if i == 0 {
			continue
		}
		before := f.Runs[i-1]
		touching := before.Last+1 == r.First
		before.LineRange = r.LineRange
		if touching && before == r || f.Runs[i-1].Last >= r.First {
			t.Fatalf("seed %d: %+v follows %+v", seed, r, f.Runs[i-1])
		}
	}
	if !maps.Equal(lineSet(f.File.Added), lineSet(covered)) || Count(covered) != Count(f.File.Added) {
		t.Fatalf("seed %d: %v cover %v", seed, covered, f.File.Added)
	}
}

// TestAbsurdEvidence: what a hostile note says costs as much as it is long.
func TestAbsurdEvidence(t *testing.T) {
	t.Parallel()
	var e Evidence
	var files []File
	for i := range 20_000 {
		files = append(files, File{Path: fmt.Sprintf("d%d/util.go", i), Blob: "b", Added: []notes.LineRange{lr(1, notes.MaxLine)}})
		e.Claims = append(e.Claims,
			Claim{ReceiptID: "r", Path: "util.go", First: 1, Last: 4294967295, Blob: "b", Attached: true},
			Claim{ReceiptID: "r", Path: fmt.Sprintf("/x/y/z/d%d/util.go", i%10), First: int64(i), Last: 4294967295, Attached: true})
	}
	one := notes.Attestation{Path: "d1/util.go", Class: notes.ClassAI, ReceiptID: "g"}
	for i := range uint32(300_000) {
		one.Lines = append(one.Lines, lr(1+2*i, 4_000_000-2*i), lr(1+2*i, 1+2*i))
	}
	e.Attestations = []notes.Attestation{one}
	start := time.Now()
	_, counts := Classify(files, e, nil)
	if counts.Added != 20_000*notes.MaxLine || counts.AI == 0 {
		t.Errorf("counts %+v", counts)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("it took %s", took)
	}
}
