package lines

import (
	"bufio"
	"encoding/json"
	"os"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/notes"
)

// sample is a real git-ai note, the lines that its commit added, and what
// another reader counted.
type sample struct {
	Commit string
	Note   string
	Added  map[string][][2]uint32
	Expect *struct{ Added, AI, Human, Unknown int64 }
}

func TestSampledCommitsExact(t *testing.T) {
	t.Parallel()
	f, err := os.Open("../testdata/git-ai-notes.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	rows := bufio.NewScanner(f)
	rows.Buffer(nil, 1<<20)
	compared := 0
	for rows.Scan() {
		var s sample
		if err := json.Unmarshal(rows.Bytes(), &s); err != nil {
			t.Fatal(err)
		}
		if s.Expect == nil {
			continue
		}
		compared++
		note := notes.Parse(notes.FormatGitAI, s.Commit, []byte(s.Note))
		_, got := Classify(s.files(), Evidence{Attestations: note.Attestations, Noted: true}, nil)
		if got != (Counts{Added: s.Expect.Added, AI: s.Expect.AI, Human: s.Expect.Human, Unknown: s.Expect.Unknown}) {
			t.Errorf("%s: %+v, want %+v", s.Commit, got, *s.Expect)
		}
	}
	if err := rows.Err(); err != nil || compared != 237 {
		t.Errorf("compared %d commits, want 237; %v", compared, err)
	}
}

func (s *sample) files() []File {
	var files []File
	for path, added := range s.Added {
		file := File{Path: path, Blob: "ab"}
		for _, r := range added {
			file.Added = append(file.Added, notes.LineRange{First: r[0], Last: r[1]})
		}
		files = append(files, file)
	}
	slices.SortFunc(files, func(a, b File) int { return slices.Compare([]byte(a.Path), []byte(b.Path)) })
	return files
}
