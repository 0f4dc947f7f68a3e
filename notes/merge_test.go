package notes

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var updateMerge = flag.Bool("update-merge", false, "write what the merges give into testdata/merge")

// tree is a notes tree by commit.
type tree map[string]string

func (t tree) blobs() map[string]string {
	out := map[string]string{}
	for commit, body := range t {
		out[commit] = hashID([]byte(body))
	}
	return out
}

// body is what a caller reads for a blob of a step.
func (t tree) body(commit string) []byte {
	if body, there := t[commit]; there {
		return []byte(body)
	}
	return nil
}

// mergeTrees does what a caller with git does, and lists steps and conflicts.
func mergeTrees(format Format, base, ours, theirs tree) (merged tree, log []string) {
	merged = maps.Clone(ours)
	for _, s := range Plan(base.blobs(), ours.blobs(), theirs.blobs()) {
		log = append(log, s.Commit+" "+string(s.Action))
		switch s.Action {
		case ActionTake:
			merged[s.Commit] = theirs[s.Commit]
		case ActionRemove:
			delete(merged, s.Commit)
		case ActionMerge:
			body, conflicts := MergeBody(format, base.body(s.Commit), ours.body(s.Commit), theirs.body(s.Commit))
			delete(merged, s.Commit)
			if body != nil {
				merged[s.Commit] = string(body)
			}
			for _, c := range conflicts {
				log = append(log, strings.TrimRight(fmt.Sprintf("%s: %s %s", s.Commit, c.Kind, c.ID), " "))
			}
		}
	}
	return merged, log
}

// TestMergeGolden runs the cases of testdata/merge: files base/X, ours/X and
// theirs/X are the notes of commit X before, merged/X after, log is the plan
// with its conflicts. Cases of git-ai logs begin with "git-ai".
func TestMergeGolden(t *testing.T) {
	t.Parallel()
	cases, err := filepath.Glob("testdata/merge/*.txtar")
	if err != nil || len(cases) < 25 {
		t.Fatalf("%d cases, %v", len(cases), err)
	}
	for _, path := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			t.Parallel()
			checkGolden(t, path)
		})
	}
}

func checkGolden(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	format := FormatBlamePrompt
	if strings.HasPrefix(filepath.Base(path), "git-ai") {
		format = FormatGitAI
	}
	trees := map[string]tree{"base": {}, "ours": {}, "theirs": {}, "merged": {}}
	log := ""
	inputs := archive.Files[:0:0]
	for _, f := range archive.Files {
		side, commit, _ := strings.Cut(f.Name, "/")
		switch {
		case f.Name == "log":
			log = string(f.Data)
		case trees[side] == nil:
			t.Fatalf("unknown file %s", f.Name)
		default:
			trees[side][commit] = string(f.Data)
		}
		if side != "merged" && f.Name != "log" {
			inputs = append(inputs, f)
		}
	}
	merged, lines := mergeTrees(format, trees["base"], trees["ours"], trees["theirs"])
	got := strings.Join(append(lines, ""), "\n")
	if *updateMerge {
		writeGolden(t, path, &txtar.Archive{Comment: archive.Comment, Files: inputs}, merged, got)
		return
	}
	if diff := cmp.Diff(trees["merged"], merged); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(log, got); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}

func writeGolden(t *testing.T, path string, archive *txtar.Archive, merged tree, log string) {
	for _, commit := range slices.Sorted(maps.Keys(merged)) {
		archive.Files = append(archive.Files, txtar.File{Name: "merged/" + commit, Data: []byte(merged[commit])})
	}
	archive.Files = append(archive.Files, txtar.File{Name: "log", Data: []byte(log)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestMergePlan(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name               string
		base, ours, theirs string
		want               Action
	}{
		{"untouched", "1", "1", "1", ""},
		{"new on ours", "", "1", "", ""},
		{"changed on ours", "1", "2", "1", ""},
		{"removed on ours", "1", "", "1", ""},
		{"same change", "1", "2", "2", ""},
		{"same addition", "", "1", "1", ""},
		{"removed on both", "1", "", "", ""},
		{"new on theirs", "", "", "1", ActionTake},
		{"removed on theirs", "1", "1", "", ActionRemove},
		{"changed on theirs", "1", "1", "2", ActionMerge},
		{"changed on both", "1", "2", "3", ActionMerge},
		{"new on both", "", "1", "2", ActionMerge},
		{"removed on theirs, changed on ours", "1", "2", "", ActionMerge},
		{"removed on ours, changed on theirs", "1", "", "2", ActionMerge},
	}
	state := func(blob string) map[string]string {
		if blob == "" {
			return nil
		}
		return map[string]string{"c": blob}
	}
	for _, c := range cases {
		var want []Step
		if c.want != "" {
			want = []Step{{Commit: "c", Action: c.want, Base: c.base, Ours: c.ours, Theirs: c.theirs}}
		}
		if diff := cmp.Diff(want, Plan(state(c.base), state(c.ours), state(c.theirs))); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestMergePlanOrder(t *testing.T) {
	t.Parallel()
	base, ours, theirs := mergeTreesOf(1000, 20)
	steps := Plan(base, ours, theirs)
	inOrder := func(a, b Step) int { return strings.Compare(a.Commit, b.Commit) }
	if len(steps) != 20 || !slices.IsSortedFunc(steps, inOrder) {
		t.Errorf("%d steps in order of %v", len(steps), steps)
	}
	for _, s := range steps {
		if base[s.Commit] == theirs[s.Commit] {
			t.Errorf("%s was not changed by theirs: %+v", s.Commit, s)
		}
	}
}

// mergeTreesOf are trees of n notes with changed changes on each side, half of
// them on the same commits.
func mergeTreesOf(n, changed int) (base, ours, theirs map[string]string) {
	base = make(map[string]string, n)
	for i := range n {
		base[fmt.Sprintf("%040x", i*7919)] = fmt.Sprintf("%040x", i)
	}
	ours, theirs = maps.Clone(base), maps.Clone(base)
	for i := range changed {
		ours[fmt.Sprintf("%040x", i*7919)] = fmt.Sprintf("aaaa%036x", i)
		theirs[fmt.Sprintf("%040x", (i+changed/2)*7919)] = fmt.Sprintf("bbbb%036x", i)
	}
	return base, ours, theirs
}

func BenchmarkMergePlan(b *testing.B) {
	base, ours, theirs := mergeTreesOf(10_000, 50)
	for b.Loop() {
		if len(Plan(base, ours, theirs)) != 50 {
			b.Fatal("wrong plan")
		}
	}
}

func BenchmarkMergeBody(b *testing.B) {
	ours, theirs := benchPayload(40), benchPayload(60)
	base := benchPayload(20)
	b.SetBytes(int64(len(base) + len(ours) + len(theirs)))
	for b.Loop() {
		if merged, _ := MergeBody(FormatBlamePrompt, base, ours, theirs); len(merged) == 0 {
			b.Fatal("nothing merged")
		}
	}
}

// mergeTexts are the receipts of a body by id, without white space.
func mergeTexts(body []byte) map[string]string {
	s := readSide(FormatBlamePrompt, body)
	out := map[string]string{}
	for _, p := range s.receipts.list {
		out[p.key] = string(appendSafe(nil, p.text))
	}
	return out
}

func mergeIDs(body []byte) []string { return slices.Sorted(maps.Keys(mergeTexts(body))) }

// developers makes bodies that grew out of one base. Each developer adds
// receipts, and removes and changes some of those that only he touches.
type developers struct {
	*rand.Rand
	base  []byte
	sides [][]byte
	// want are the receipts that must be there when all are merged.
	want map[string]string
}

func newDevelopers(seed uint64, count int) *developers {
	d := &developers{Rand: rand.New(rand.NewPCG(seed, 1)), want: map[string]string{}}
	shared := map[string]string{}
	for i := range d.IntN(8) {
		id := fmt.Sprintf("shared-%d", i)
		shared[id] = d.receipt(id)
	}
	maps.Copy(d.want, shared)
	d.base = d.body(shared)
	for n := range count {
		mine := maps.Clone(shared)
		for i := range d.IntN(4) {
			id := fmt.Sprintf("dev%d-%d", n, i)
			mine[id] = d.receipt(id)
			d.want[id] = mine[id]
		}
		d.touch(mine, fmt.Sprintf("shared-%d", n))
		d.sides = append(d.sides, d.body(mine))
	}
	return d
}

// touch changes or removes one receipt or leaves it.
func (d *developers) touch(mine map[string]string, id string) {
	if _, there := mine[id]; !there {
		return
	}
	switch d.IntN(3) {
	case 0:
		delete(mine, id)
		delete(d.want, id)
	case 1:
		mine[id] = d.receipt(id)
		d.want[id] = mine[id]
	}
}

func (d *developers) receipt(id string) string {
	odd := []string{`1.0`, `1e3`, `0.10000000000000000001`, `"\u00e9\n"`, `{"a":[null,{}]}`, `"<b>"`,
		`12345678901234567890`}
	return receiptJSON(id, fmt.Sprintf(`"cost_usd":%d.50,"x_new":%s`, d.IntN(1000), odd[d.IntN(len(odd))]))
}

// body lays receipts out in one of the ways in which they are found.
func (d *developers) body(receipts map[string]string) []byte {
	if len(receipts) == 0 && d.IntN(2) == 0 {
		return []byte("\n")
	}
	list := slices.Collect(maps.Values(receipts))
	slices.Sort(list)
	d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	if cut := d.IntN(len(list) + 1); d.IntN(4) == 0 {
		return []byte(payloadJSON(list[:cut]...) + "\n\n" + payloadJSON(list[cut:]...))
	}
	return []byte(payloadJSON(list...))
}

func wantTexts(receipts map[string]string) map[string]string {
	out := map[string]string{}
	for id, text := range receipts {
		out[id] = string(appendSafe(nil, []byte(text)))
	}
	return out
}

// TestMergeOrder merges N states of a note in random orders: all give the same
// receipts, which are those that the developers' changes leave.
func TestMergeOrder(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		d := newDevelopers(seed, 2+int(seed%6))
		for range 3 {
			merged := d.base
			for _, i := range d.Perm(len(d.sides)) {
				var conflicts []Conflict
				merged, conflicts = MergeBody(FormatBlamePrompt, d.base, merged, d.sides[i])
				for _, c := range conflicts {
					if c.Kind != ConflictRewritten {
						t.Fatalf("seed %d: %+v", seed, c)
					}
				}
			}
			if diff := cmp.Diff(wantTexts(d.want), mergeTexts(merged)); diff != "" {
				t.Fatalf("seed %d:\n%s\n%s", seed, diff, merged)
			}
			checkInvariants(t, FormatBlamePrompt, "", merged)
		}
	}
}

// TestMergeOrderOfConflicts lets all developers touch the same receipts: the
// texts depend on who was first, but what is there does not.
func TestMergeOrderOfConflicts(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		d := newDevelopers(seed, 2)
		for range 3 {
			mine := map[string]string{}
			for _, p := range readSide(FormatBlamePrompt, d.base).receipts.list {
				mine[p.key] = string(p.text)
			}
			d.touch(mine, "shared-0")
			d.touch(mine, "shared-1")
			d.sides = append(d.sides, d.body(mine))
		}
		var want []string
		for try := range 6 {
			merged := d.base
			for _, i := range d.Perm(len(d.sides)) {
				merged, _ = MergeBody(FormatBlamePrompt, d.base, merged, d.sides[i])
			}
			got := mergeIDs(merged)
			if try == 0 {
				want = got
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d:\n%s", seed, diff)
			}
		}
		xy, _ := MergeBody(FormatBlamePrompt, d.base, d.sides[2], d.sides[3])
		yx, _ := MergeBody(FormatBlamePrompt, d.base, d.sides[3], d.sides[2])
		if diff := cmp.Diff(mergeIDs(xy), mergeIDs(yx)); diff != "" {
			t.Fatalf("seed %d, sides changed:\n%s", seed, diff)
		}
	}
}

// TestMergeTwoWay holds what is true of any two bodies without a base: the
// union is complete, ours is as it was, and sides can change places.
func TestMergeTwoWay(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		d := newDevelopers(seed, 3)
		a, b, c := d.sides[0], d.sides[1], d.sides[2]
		merged, _ := MergeBody(FormatBlamePrompt, nil, a, b)
		back, _ := MergeBody(FormatBlamePrompt, nil, b, a)
		union := mergeTexts(b)
		maps.Copy(union, mergeTexts(a))
		if diff := cmp.Diff(union, mergeTexts(merged)); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
		if diff := cmp.Diff(mergeIDs(merged), mergeIDs(back)); diff != "" {
			t.Fatalf("seed %d, sides changed:\n%s", seed, diff)
		}
		left, _ := MergeBody(FormatBlamePrompt, nil, merged, c)
		bc, _ := MergeBody(FormatBlamePrompt, nil, b, c)
		right, _ := MergeBody(FormatBlamePrompt, nil, a, bc)
		if diff := cmp.Diff(mergeTexts(left), mergeTexts(right)); diff != "" {
			t.Fatalf("seed %d, grouped otherwise:\n%s", seed, diff)
		}
		again, conflicts := MergeBody(FormatBlamePrompt, nil, merged, a)
		if !bytes.Equal(again, merged) || len(conflicts) > 0 {
			t.Fatalf("seed %d: merged again:\n%s\n%s\n%v", seed, merged, again, conflicts)
		}
	}
}

// team is a repository and its developers, as the gateway merges their pushes.
type team struct {
	*rand.Rand
	server tree
	local  []tree
	// bases are the developers' trees that the server has merged.
	bases []tree
	// written are all receipts that were ever made.
	written map[string]string
	commits int
}

// TestMergePushes lets developers write receipts, move notes to rewritten
// commits, push and fetch in any order: no receipt of anybody is ever lost from
// the repository's tree or changed by a push, and every fetch has all of them.
func TestMergePushes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(40) {
		team := newTeam(seed, 2+int(seed%9))
		for range 120 {
			team.act(t)
		}
		for n := range team.local {
			team.push(t, n)
		}
		got := map[string]string{}
		for _, body := range team.server {
			maps.Copy(got, mergeTexts([]byte(body)))
		}
		if diff := cmp.Diff(wantTexts(team.written), got); diff != "" {
			t.Fatalf("seed %d:\n%s", seed, diff)
		}
	}
}

func newTeam(seed uint64, size int) *team {
	team := &team{Rand: rand.New(rand.NewPCG(seed, 3)), server: tree{}, written: map[string]string{}}
	for range size {
		team.local = append(team.local, tree{})
		team.bases = append(team.bases, tree{})
	}
	return team
}

// act lets one developer do something.
func (w *team) act(t *testing.T) {
	n := w.IntN(len(w.local))
	switch w.IntN(6) {
	case 0:
		w.push(t, n)
	case 1:
		w.push(t, n)
		w.local[n], w.bases[n] = maps.Clone(w.server), maps.Clone(w.server)
	case 2:
		w.rewrite(n)
	default:
		w.attach(n)
	}
}

// attach adds a receipt to a new commit or to one that may have a note.
func (w *team) attach(n int) {
	commit := fmt.Sprintf("c%d", w.IntN(5))
	id := fmt.Sprintf("r%d", len(w.written))
	w.written[id] = receiptJSON(id, fmt.Sprintf(`"user":"dev %d"`, n))
	var texts []string
	for _, p := range readSide(FormatBlamePrompt, w.local[n].body(commit)).receipts.list {
		texts = append(texts, string(p.text))
	}
	w.local[n][commit] = payloadJSON(append(texts, w.written[id])...)
}

// rewrite moves a note to a commit that nobody else makes.
func (w *team) rewrite(n int) {
	commits := slices.Sorted(maps.Keys(w.local[n]))
	if len(commits) == 0 {
		return
	}
	old := commits[w.IntN(len(commits))]
	w.commits++
	w.local[n][fmt.Sprintf("rewritten-%d", w.commits)] = w.local[n][old]
	delete(w.local[n], old)
}

func (w *team) push(t *testing.T, n int) {
	merged, log := mergeTrees(FormatBlamePrompt, w.bases[n], w.server, w.local[n])
	for _, line := range log {
		if strings.Contains(line, ":") {
			t.Fatalf("conflict %s", line)
		}
	}
	w.server, w.bases[n] = merged, maps.Clone(w.local[n])
}

// TestMergeBytes holds the text of every receipt against what its writer wrote.
func TestMergeBytes(t *testing.T) {
	t.Parallel()
	odd := "{\r\n  \"id\" :\t\"odd\",   \"cost_usd\": 0.10000000000000000001, \"zz\":\"\\u00e9\\/\",\"model\":\"m\" }"
	merged, conflicts := MergeBody(FormatBlamePrompt, nil, benchPayload(2), []byte(payloadJSON(odd)))
	if len(conflicts) > 0 || !json.Valid(merged) {
		t.Fatalf("%v\n%s", conflicts, merged)
	}
	ours := readSide(FormatBlamePrompt, benchPayload(2))
	for _, text := range []string{odd, string(ours.receipts.list[0].text), string(ours.receipts.list[1].text)} {
		if !strings.Contains(string(merged), text) {
			t.Errorf("%q is not in\n%s", text, merged)
		}
	}
}

func TestMergeIdentity(t *testing.T) {
	t.Parallel()
	bodies := [][]byte{nil, {}, []byte("garbage"), []byte(payloadJSON(receiptJSON("a", `"q":1`))), benchPayload(3)}
	for _, base := range bodies {
		for _, body := range bodies {
			for _, format := range []Format{FormatBlamePrompt, FormatGitAI, "other"} {
				for _, theirs := range [][]byte{body, base} {
					merged, conflicts := MergeBody(format, base, body, theirs)
					if !sameBody(merged, body) || conflicts != nil {
						t.Errorf("%q merged with %q from %q: %q %v", body, theirs, base, merged, conflicts)
					}
				}
			}
		}
	}
}

func TestMergeConflictDetails(t *testing.T) {
	t.Parallel()
	mine, yours := receiptJSON("a", `"cost_usd":1`), receiptJSON("a", `"cost_usd":2`)
	ours, theirs := []byte(payloadJSON(mine)), []byte(payloadJSON(yours))
	merged, got := MergeBody(FormatBlamePrompt, nil, ours, theirs)
	want := []Conflict{{Kind: ConflictTampered, ID: "a", OursDigest: jsonDigest([]byte(mine)),
		TheirsDigest: jsonDigest([]byte(yours)), Dropped: []byte(yours)}}
	if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(merged, ours) {
		t.Errorf("tampered: %s\n%s", merged, diff)
	}
	merged, got = MergeBody(FormatBlamePrompt, ours, ours, theirs)
	want[0].Kind, want[0].Dropped = ConflictRewritten, []byte(mine)
	if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(merged, theirs) {
		t.Errorf("rewritten: %s\n%s", merged, diff)
	}
	broken := []byte("no note")
	merged, got = MergeBody(FormatBlamePrompt, ours, ours, broken)
	want = []Conflict{{Kind: ConflictUnreadable, OursDigest: hashID(ours), TheirsDigest: hashID(broken),
		Dropped: broken}}
	if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(merged, ours) {
		t.Errorf("unreadable: %s\n%s", merged, diff)
	}
	merged, got = MergeBody(FormatBlamePrompt, nil, broken, theirs)
	want[0].OursDigest, want[0].TheirsDigest = hashID(broken), hashID(theirs)
	if diff := cmp.Diff(want, got); diff != "" || !bytes.Equal(merged, theirs) {
		t.Errorf("unreadable ours: %s\n%s", merged, diff)
	}
}

// TestMergeStrict gives the merge text that the parser forgives and the stock
// client does not: what is written must be strict, with the same ids.
func TestMergeStrict(t *testing.T) {
	t.Parallel()
	ours := []byte(payloadJSON(receiptJSON("a", `"q":1`)))
	for _, text := range []string{
		`{"id":"b","cost_usd":NaN}`, `{"id":NaN,"model":"m"}`, `{"id":"b\ud800","model":"m"}`, "{\"id\":\"b\",\"model\":\"\t\"}",
		"{\"id\":\"b\",\"model\":\"\xff\"}", `{"id":"b","model":"\x"}`, `{"model":01}`, `{"id":"b","q":"\\\ud83d\ude00\udc00"}`,
	} {
		theirs := []byte(payloadJSON(text))
		merged, conflicts := MergeBody(FormatBlamePrompt, nil, ours, theirs)
		if len(conflicts) != 1 || conflicts[0].Kind != ConflictRepaired || string(conflicts[0].Dropped) != text {
			t.Errorf("%s: %+v", text, conflicts)
		}
		want := append(idsOf(Parse(FormatBlamePrompt, "", ours)), idsOf(Parse(FormatBlamePrompt, "", theirs))...)
		if got := idsOf(Parse(FormatBlamePrompt, "", merged)); !isStrict(merged) || !slices.Equal(got, want) {
			t.Errorf("%s: ids %q, want %q:\n%s", text, got, want, merged)
		}
	}
	for _, text := range []string{`"\ud83d\ude00"`, `"\\ud800"`, `"é\u00e9\\"`, `["\n","\u0000"]`} {
		if !isStrict([]byte(text)) {
			t.Errorf("%s is called lax", text)
		}
	}
}

func TestMergeBounds(t *testing.T) {
	t.Parallel()
	wide := func(id string) []byte {
		return []byte(payloadJSON(receiptJSON(id, `"q":"`+strings.Repeat("x", MaxBody/2)+`"`)))
	}
	ours, theirs := wide("a"), wide("b")
	merged, conflicts := MergeBody(FormatBlamePrompt, nil, ours, theirs)
	if !bytes.Equal(merged, ours) || len(conflicts) != 1 || conflicts[0].Kind != ConflictUnmerged ||
		!bytes.Equal(conflicts[0].Dropped, theirs) {
		t.Errorf("two wide notes: %d bytes, %d conflicts", len(merged), len(conflicts))
	}
	huge := bytes.Repeat([]byte(" "), MaxBody+1)
	merged, conflicts = MergeBody(FormatBlamePrompt, nil, huge, theirs)
	if !bytes.Equal(merged, theirs) || len(conflicts) != 1 || conflicts[0].Kind != ConflictUnreadable {
		t.Errorf("a note beyond the bound: %d bytes, %d conflicts", len(merged), len(conflicts))
	}
	deep := `{"id":"deep","model":"m","receipts":[]}`
	for range maxNesting {
		deep = payloadJSON(deep)
	}
	// One level up, the innermost object would be read as a payload.
	ours = []byte(payloadJSON(receiptJSON("a", `"q":1`)))
	merged, conflicts = MergeBody(FormatBlamePrompt, nil, ours, []byte(deep))
	if !bytes.Equal(merged, ours) || len(conflicts) != 1 || conflicts[0].Kind != ConflictUnmerged {
		t.Errorf("payloads within each other: %v\n%s", conflicts, merged)
	}
}

// TestMergeFloods merges bodies made to hurt. A merge that is quadratic in any
// of them needs minutes; the limit leaves room for a busy machine.
func TestMergeFloods(t *testing.T) {
	t.Parallel()
	const size, limit = 1 << 19, 20 * time.Second
	fill := func(head, tail string, unit func(i int) string) []byte {
		out := []byte(head)
		for i := 0; len(out) < size; i++ {
			out = append(out, unit(i)...)
		}
		return append(out, tail...)
	}
	numbered := func(format string) func(int) string { return func(i int) string { return fmt.Sprintf(format, i) } }
	floods := map[string][]byte{
		"receipts":    fill("[", "1]", numbered(`{"id":%d},`)),
		"one receipt": fill("[", "1]", numbered(`{"id":1,"q":%d},`)),
		"documents":   fill("", "", numbered("{\"blameprompt_version\":\"%d\",\"receipts\":[]}\n")),
		"members":     fill(`{"receipts":[]`, "}", numbered(`,"k%d":1`)),
		"escapes":     fill(`{"receipts":[{"id":"`, `"}]}`, func(int) string { return `\ud83d\ude00` }),
		"records":     fill("---\n{\"prompts\":{", `"k":{}}}`, numbered(`"k%d":{},`)),
		"entries":     fill("a\n", "---\n{}", func(i int) string { return fmt.Sprintf("  k%d %d-%d\n", i, i, i+9) }),
		"ranges":      fill("a\n  k ", "\n---\n{}", func(i int) string { return fmt.Sprintf("%d,%d-%d,", 3*i, i, 2*i) }),
		"paths":       fill("", "---\n{}", numbered("p%d\n  k 1\n")),
		"logs":        fill("", "", numbered("p%d\n  k 1\n---\n{}\n")),
	}
	for name, body := range floods {
		for _, format := range []Format{FormatBlamePrompt, FormatGitAI} {
			theirs := bytes.ReplaceAll(body, []byte("0"), []byte("5"))
			start := time.Now()
			merged, _ := MergeBody(format, bytes.ReplaceAll(body, []byte("3"), []byte("4")), body, theirs)
			if took := time.Since(start); took > limit || len(merged) > MaxBody {
				t.Errorf("%s as %s: %v, %d bytes", name, format, took, len(merged))
			}
		}
	}
}

func TestMergeVersions(t *testing.T) {
	t.Parallel()
	ascending := []string{"", "abc", "v", "0", "0.1.0", "0.2.0", "0.10.0", "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta",
		"1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-rc.1", "1.0.0", "1.0.1", "development:1.2.7", "v2", "10.0", "99999999999999999999.0"}
	for i, a := range ascending {
		for j, b := range ascending {
			if got := compareVersions(a, b); got != compareInts(i, j) {
				t.Errorf("compareVersions(%q, %q) = %d", a, b, got)
			}
		}
	}
}

func compareInts(a, b int) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// lineOwners are the keys of a log's lines by path and line.
func lineOwners(body []byte) map[string]string {
	out := map[string]string{}
	for _, a := range Parse(FormatGitAI, annotated, body).Attestations {
		for _, r := range a.Lines {
			for n := r.First; n <= r.Last; n++ {
				out[fmt.Sprintf("%s:%d", a.Path, n)] = a.Key
			}
		}
	}
	return out
}

// mergedOwners merges line by line, as slowly and plainly as can be.
func mergedOwners(base, ours, theirs map[string]string) map[string]string {
	out := map[string]string{}
	for _, lines := range []map[string]string{ours, theirs} {
		for line := range lines {
			was, our, their := base[line], ours[line], theirs[line]
			if our == was || (our == "" && their != was) {
				our = their
			}
			if our != "" {
				out[line] = our
			}
		}
	}
	return out
}

// TestMergeGitAISamples merges real logs with each other: no record and no
// line is lost, ours keeps its lines, and the result is a log like theirs.
func TestMergeGitAISamples(t *testing.T) {
	t.Parallel()
	samples := readSamples(t)
	for i, s := range samples {
		ours, theirs := []byte(s.Note), []byte(samples[(i+7)%len(samples)].Note)
		merged, _ := MergeBody(FormatGitAI, nil, ours, theirs)
		note := checkInvariants(t, FormatGitAI, annotated, merged)
		checkUnion(t, i, note, ours, theirs)
		if diff := cmp.Diff(mergedOwners(nil, lineOwners(ours), lineOwners(theirs)), lineOwners(merged)); diff != "" {
			t.Errorf("sample %d:\n%s", i, diff)
		}
		again, more := MergeBody(FormatGitAI, nil, merged, ours)
		if !bytes.Equal(again, merged) || slices.ContainsFunc(more, isLoss) {
			t.Errorf("sample %d: merged again: %v", i, more)
		}
		for _, f := range note.Findings {
			if f.Severity == Error {
				t.Errorf("sample %d: %+v", i, f)
			}
		}
	}
}

// TestMergeGitAILines merges random logs whose entries overlap.
func TestMergeGitAILines(t *testing.T) {
	t.Parallel()
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 2))
		base, ours, theirs := randomLog(r, 4), randomLog(r, 5), randomLog(r, 5)
		merged, conflicts := MergeBody(FormatGitAI, base, ours, theirs)
		want := mergedOwners(lineOwners(base), lineOwners(ours), lineOwners(theirs))
		if diff := cmp.Diff(want, lineOwners(merged)); diff != "" {
			t.Fatalf("seed %d: %v\n%s\n%s\n%s\n%s", seed, conflicts, base, ours, theirs, diff)
		}
		checkInvariants(t, FormatGitAI, annotated, merged)
	}
}

func randomLog(r *rand.Rand, entries int) []byte {
	var out bytes.Buffer
	for _, path := range []string{"a", "b c"} {
		if r.IntN(4) == 0 {
			continue
		}
		fmt.Fprintf(&out, "%q\n", path)
		for range 1 + r.IntN(entries) {
			first := 1 + r.IntN(12)
			fmt.Fprintf(&out, "  s_%d::t_%d %d-%d,%d\n", r.IntN(2), r.IntN(2), first, first+r.IntN(6), 1+r.IntN(20))
		}
	}
	out.WriteString("---\n{\"prompts\": {}}\n")
	return out.Bytes()
}

func isLoss(c Conflict) bool { return c.Kind == ConflictUnmerged || c.Kind == ConflictDamaged }

// checkUnion holds that every receipt of two bodies is in a note. A key that
// has neither a record nor a line says nothing that could be lost.
func checkUnion(t testing.TB, i int, note Note, bodies ...[]byte) {
	t.Helper()
	ids := map[string]bool{}
	for _, r := range note.Receipts {
		ids[r.ID] = true
	}
	for _, body := range bodies {
		n := Parse(note.Format, annotated, body)
		attested := map[string]bool{}
		for _, a := range n.Attestations {
			attested[a.ReceiptID] = true
		}
		for _, r := range n.Receipts {
			if !ids[r.ID] && (!r.Dangling || attested[r.ID]) {
				t.Fatalf("case %d: receipt %q is lost", i, r.ID)
			}
		}
	}
}

// TestMergeGitAIRewrites takes real logs as base and lets both sides grow
// by a record and its lines: both are there afterwards, whoever is first.
func TestMergeGitAIRewrites(t *testing.T) {
	t.Parallel()
	samples := readSamples(t)
	for i := 0; i < len(samples); i += 3 {
		base := []byte(samples[i].Note)
		grow := func(key string) []byte {
			more, _ := MergeBody(FormatGitAI, nil, base, []byte("grown/"+key+"\n  s_"+key+"::t_1 1-3\n---\n"+
				`{"schema_version":"authorship/3.0.0","prompts":{},"sessions":{"s_`+key+`":{"agent_id":{"tool":"`+key+`"}}}}`))
			return more
		}
		a, b := grow("a"), grow("b")
		ab, conflicts := MergeBody(FormatGitAI, base, a, b)
		ba, _ := MergeBody(FormatGitAI, base, b, a)
		if len(conflicts) > 0 {
			t.Fatalf("sample %d: %+v", i, conflicts)
		}
		want := lineOwners(base)
		for n := 1; n <= 3; n++ {
			want[fmt.Sprintf("grown/a:%d", n)], want[fmt.Sprintf("grown/b:%d", n)] = "s_a::t_1", "s_b::t_1"
		}
		for _, merged := range [][]byte{ab, ba} {
			if diff := cmp.Diff(want, lineOwners(merged)); diff != "" {
				t.Fatalf("sample %d:\n%s", i, diff)
			}
			checkUnion(t, i, Parse(FormatGitAI, annotated, merged), a, b)
		}
	}
}

func FuzzMergeBody(f *testing.F) {
	a, b := receiptJSON("a", `"cost_usd":1`), receiptJSON("b", `"q":[NaN,{"x":"\ud800"}]`)
	log := "p\n  s_1::t_2 1-4\n  k 2\n---\n" + `{"prompts":{"k":{}},"sessions":{"s_1":{"agent_id":{"tool":"x"}}}}`
	seeds := []string{"", payloadJSON(a), payloadJSON(a, b), payloadJSON(b) + "\n\n" + payloadJSON(a), "[" + a + "]", a, "garbage",
		`{"receipts":[` + a + ",\n{\"id\":\"x\n\n" + payloadJSON(b), "{\n<<<<<<<\n" + a + "\n=======\n", `{"receipts":{},"id":"z"}`,
		`{"blameprompt_version":"1.0.1","receipts":[],"x":{"y":01}}`, log, "\"a b\"\n  h_1 1-9\n" + log, log + "\n" + log, "p\n  k 1\n"}
	for i, seed := range seeds {
		f.Add(i%2 == 0, []byte(seeds[(i+3)%len(seeds)]), []byte(seed), []byte(seeds[(i+1)%len(seeds)]))
	}
	f.Fuzz(func(t *testing.T, gitAI bool, base, ours, theirs []byte) {
		format := FormatBlamePrompt
		if gitAI {
			format = FormatGitAI
		}
		checkMerge(t, format, nil, ours, theirs)
		checkMerge(t, format, base, ours, theirs)
	})
}

// checkMerge holds what is true of every merge of two bodies that are there.
func checkMerge(t *testing.T, format Format, base, ours, theirs []byte) {
	merged, conflicts := MergeBody(format, base, ours, theirs)
	note := checkInvariants(t, format, annotated, merged)
	unmerged := func(c Conflict) bool { return c.Kind == ConflictUnmerged }
	if base == nil && !slices.ContainsFunc(conflicts, unmerged) {
		checkUnion(t, 0, note, ours, theirs)
	}
	if again, _ := MergeBody(format, base, ours, theirs); !bytes.Equal(again, merged) {
		t.Fatalf("two merges differ:\n%s\n%s", merged, again)
	}
	own := bytes.Equal(merged, ours) || bytes.Equal(merged, theirs)
	if format == FormatBlamePrompt && !own && !isStrict(merged) {
		t.Fatalf("not strict JSON:\n%s", merged)
	}
}
