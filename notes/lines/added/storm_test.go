package added_test

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

var seeds = flag.Int("seeds", 12, "number of random storms")

// TestAnyStormEndsAsAFreshRun lets everything happen that can: commits, merges,
// forced branches, another default branch, notes that come late, change, move
// and go, posted receipts, settings, attributes, and a repository that is removed and added again,
// with runs in between or not. The tables and sums end as those of one run over
// the end, and all stored sums, of receipts, lines and live lines, are at each
// stop what their rows make.
func TestAnyStormEndsAsAFreshRun(t *testing.T) {
	t.Parallel()
	for seed := range *seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			s := &storm{world: newWorld(t), rng: rand.New(rand.NewPCG(uint64(seed), 7))}
			s.live = upkeep.New(upkeep.Config{DB: s.db, MirrorRoot: filepath.Dir(s.mirror)})
			for len(s.blobs) == 0 {
				s.commit("main")
			}
			s.sync()
			for range 30 {
				s.step()
			}
			s.settle()
			s.mustEqualFreshRun()
		})
	}
}

type storm struct {
	*world
	rng     *rand.Rand
	live    *upkeep.Keeper
	commits []gitcmd.OID
	// blobs are the contents that some commit has had, with their paths.
	blobs [][2]string
	n     int
}

func (s *storm) step() {
	branch := []string{"main", "main", "side"}[s.rng.IntN(3)]
	switch s.rng.IntN(14) {
	case 13:
		s.askForBranch(branch)
	case 12:
		s.post()
	case 0, 1, 2:
		s.commit(branch)
	case 3:
		s.remote.SetRef("refs/heads/"+branch, s.any())
	case 4:
		s.merge(branch)
	case 5:
		s.remote.Git("symbolic-ref", "HEAD", "refs/heads/"+branch)
	case 6:
		s.removeAndAdd()
	case 7:
		globs := [][]string{{}, {"*.md"}, {"d/"}, {"*", "!a.txt"}}[s.rng.IntN(4)]
		s.set(store.RepoSettings{ExcludedPaths: globs})
	case 8:
		s.remote.Notes(gittest.Notes{Root: s.rng.IntN(4) == 0, Remove: []gitcmd.OID{s.any()}})
	default:
		s.note()
	}
	switch s.rng.IntN(5) {
	case 0:
		s.fetch()
		s.checkSums()
	case 1, 2:
		s.settle()
	}
}

// settle brings everything up to date, live lines included, and holds all sums
// against the rows.
func (s *storm) settle() {
	s.t.Helper()
	s.sync()
	if err := s.live.Work(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.checkSums()
	s.checkBranches()
}

// askForBranch asks for a branch beside the default one, or drops it.
func (s *storm) askForBranch(branch string) {
	by, ref := access.CLI(s.org.ID), "refs/heads/"+branch
	err := s.db.InTx(s.t.Context(), func(tx *store.Tx) error { return tx.AddLineBranch(s.t.Context(), by, s.repo.ID, ref) })
	if s.rng.IntN(3) == 0 {
		err = s.db.DropLineBranch(s.t.Context(), by, s.repo.ID, ref)
	}
	if invalid := new(store.InvalidError); err != nil && !errors.As(err, &invalid) && !errors.Is(err, store.ErrNotFound) {
		s.t.Fatal(err)
	}
}

// checkBranches compares the commits of branches that were asked for with git's.
func (s *storm) checkBranches() {
	s.t.Helper()
	branches, err := s.db.LineBranches(s.t.Context(), s.org.ID, s.repo.ID)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range branches {
		var want []string
		if tip := s.remote.Tip(b.Ref); tip != "" {
			want = strings.Fields(s.remote.Git("rev-list", string(tip), "--not", "HEAD"))
		}
		rows, err := s.db.LineCommits(s.t.Context(), s.org.ID, store.CommitFilter{Repos: []uuid.UUID{s.repo.ID}, Ref: b.Ref}, nil, 1000)
		if err != nil {
			s.t.Fatal(err)
		}
		var got []string
		for _, row := range rows {
			got = append(got, row.Commit)
		}
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" || b.Waiting || b.Open > 0 {
			s.t.Errorf("%+v (-git +stored):\n%s", b, diff)
		}
	}
}

func (s *storm) any() gitcmd.OID { return s.commits[s.rng.IntN(len(s.commits))] }

func (s *storm) files() map[string]string {
	files := map[string]string{}
	for _, name := range []string{"a.txt", "d/b.txt", "c.md", ".gitattributes"} {
		if s.rng.IntN(2) == 0 {
			continue
		}
		if name == ".gitattributes" {
			files[name] = []string{"", "*.md linguist-generated\n", "d/* linguist-vendored\n"}[s.rng.IntN(3)]
			continue
		}
		s.n++
		at := s.rng.IntN(6)
		files[name] = numbered(1, at) + fmt.Sprintf("new %d\nnew too %d\n", s.n%5, s.n%3) + numbered(at+1, 8)
	}
	return files
}

func (s *storm) commit(branch string) {
	c := gittest.Commit{Ref: "refs/heads/" + branch, Files: s.files(), Message: "change"}
	switch s.rng.IntN(4) {
	case 0:
		c.Message += "\n\nCo-authored-by: Claude <noreply@anthropic.com>\n"
	case 1:
		c.Name, c.Email = "dependabot[bot]", "49699333+dependabot[bot]@users.noreply.github.com"
	}
	s.made(s.remote.Commit(c), c.Files)
}

func (s *storm) made(id gitcmd.OID, files map[string]string) {
	s.commits = append(s.commits, id)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		s.blobs = append(s.blobs, [2]string{name, s.remote.Git("rev-parse", string(id)+":"+name)})
	}
}

func (s *storm) merge(branch string) {
	tip := s.remote.Tip("refs/heads/" + branch)
	if other := s.any(); tip != "" && other != tip {
		files := s.files()
		s.made(s.remote.Commit(gittest.Commit{Ref: "refs/heads/" + branch, Parents: []gitcmd.OID{tip, other}, Files: files}), files)
	}
}

// note writes notes on some commits: receipts with the content of any commit or
// none, and authorship logs.
func (s *storm) note() {
	if s.rng.IntN(3) == 0 {
		body := gitAI([]string{"a.txt", "d/b.txt"}[s.rng.IntN(2)], fmt.Sprintf("%016x", s.rng.IntN(3)), fmt.Sprintf("%d-%d", 1+s.rng.IntN(4), 5+s.rng.IntN(4)))
		s.remote.Notes(gittest.Notes{Ref: "refs/notes/ai", Bodies: map[gitcmd.OID]string{s.any(): body}})
		return
	}
	var receipts []string
	for range 1 + s.rng.IntN(3) {
		blob := s.blobs[s.rng.IntN(len(s.blobs))]
		if s.rng.IntN(2) == 0 {
			blob[1] = ""
		}
		text := receipt(fmt.Sprintf("r%d", s.rng.IntN(8)), []string{"opus", "haiku"}[s.rng.IntN(2)], blob[0], 1+s.rng.IntN(4), 4+s.rng.IntN(6), blob[1])
		if s.rng.IntN(2) == 0 {
			text = strings.Replace(text, "2026-02-03", fmt.Sprintf("2026-02-%02d", 1+s.rng.IntN(9)), 1)
		}
		if s.rng.IntN(2) == 0 {
			text = rated(text, s.rng.IntN(101), []string{"refactor", "question"}[s.rng.IntN(2)], s.rng.IntN(4000))
		}
		receipts = append(receipts, text)
	}
	s.remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{s.any(): payload(receipts...)}})
}

// post posts a receipt, or uploads an authorship log, for some commit.
func (s *storm) post() {
	by, commit := access.CLI(s.org.ID), string(s.any())
	if s.rng.IntN(2) == 0 {
		body := []byte(gitAI("a.txt", "posted", "1-3"))
		err := s.db.TakeUploads(s.t.Context(), by, []store.Upload{{Commit: commit, Blob: fmt.Sprintf("%040x", s.rng.IntN(3)), Content: body,
			Note: notes.Parse(notes.FormatGitAI, commit, body)}})
		if err != nil {
			s.t.Fatal(err)
		}
		return
	}
	blob := s.blobs[s.rng.IntN(len(s.blobs))]
	body := payload(receipt(fmt.Sprintf("p%d", s.rng.IntN(8)), "opus", blob[0], 1, 5, blob[1]))
	_, err := s.db.PostNotes(s.t.Context(), by, s.repo.Name, []store.PostedNote{{Commit: commit, Note: notes.Parse(notes.FormatBlamePrompt, commit, []byte(body))}})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *storm) removeAndAdd() {
	by := access.CLI(s.org.ID)
	if err := s.db.RemoveRepo(s.t.Context(), by, s.repo.ID); err != nil {
		s.t.Fatal(err)
	}
	if err := s.keeper.Work(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	if err := s.live.Work(s.t.Context()); err != nil {
		s.t.Fatal(err)
	}
	s.checkSums()
	if _, err := s.db.CreateRepo(s.t.Context(), by, store.NewRepo{Name: s.repo.Name, RemoteURL: s.remote.Dir}); err != nil {
		s.t.Fatal(err)
	}
}
