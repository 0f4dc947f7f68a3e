package hooks

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

func examplePush() Push {
	n := int64(3)
	return Push{
		Version: PushVersion, ObjectFormat: "sha1", Initial: true, Shallow: true, MoreCommits: true, Unmeasured: 1, UnreadNotes: true,
		Environment: Environment{Forge: GitLab, User: "ann", Repo: "team/app", Via: Merged, PushOptions: []string{"a=b"}},
		Refs: []Ref{
			{Name: "refs/heads/main", Old: gitcmd.OID(some), New: gitcmd.OID(other), Kind: push.Force, Forced: true},
			{Name: "refs/tags/v1", Old: gitcmd.OID(zero), New: gitcmd.OID(some), Kind: push.Tag, Commit: gitcmd.OID(other)},
		},
		Commits: []Commit{{
			OID: gitcmd.OID(other), Parents: []gitcmd.OID{gitcmd.OID(some)}, Bot: true, Boundary: true, Measured: true,
			Author:  Identity{Name: "Ann", Email: "ann@example.com", Time: time.Unix(1, 0).UTC()},
			Refs:    []string{"refs/heads/main"},
			Marks:   []push.Mark{{Agent: "claude", Evidence: "author"}},
			Files:   []File{{Path: "a", From: "b", Added: 2, Deleted: 1, Binary: true, Blob: gitcmd.OID(some), Runs: []Run{{1, 2}}}},
			PatchID: some,
		}},
		Notes: []Note{{
			Commit: gitcmd.OID(other), Ref: "refs/notes/ai", Blob: gitcmd.OID(some), Size: 9, Findings: 1, Cut: true,
			Receipts: []Receipt{{ID: "r", PromptNumber: &n, Tokens: Tokens{Input: &n}, Files: []ReceiptFile{{Path: "a", Lines: Run{1, 2}}}}},
		}},
	}
}

func TestDecodePush(t *testing.T) {
	t.Parallel()
	want := examplePush()
	var encoded bytes.Buffer
	if err := want.Encode(&encoded); err != nil {
		t.Fatal(err)
	}
	text := bytes.Replace(encoded.Bytes(), []byte(`{"version":1,`), []byte(`{"version":1,"later":{"x":[1]},`), 1)
	got, err := DecodePush(bytes.NewReader(text))
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

// TestPushFormat holds the names that other versions read.
func TestPushFormat(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(examplePush())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"version":1,"forge":"gitlab","user":"ann","repo":"team/app","via":"merge","push_options":["a=b"],` +
		`"object_format":"sha1","refs":[{"name":"refs/heads/main","old":"` + some + `","new":"` + other +
		`","kind":"force","forced":true},{"name":"refs/tags/v1","old":"` + zero + `","new":"` + some +
		`","kind":"tag","commit":"` + other + `"}],"commits":[{"oid":"` + other + `","parents":["` + some +
		`"],"author":{"name":"Ann","email":"ann@example.com","time":"1970-01-01T00:00:01Z"},` +
		`"committer":{"time":"0001-01-01T00:00:00Z"},"refs":["refs/heads/main"],` +
		`"marks":[{"agent":"claude","evidence":"author"}],"bot":true,"boundary":true,"measured":true,` +
		`"files":[{"path":"a","from":"b","added":2,"deleted":1,"binary":true,"blob":"` + some + `","runs":[[1,2]]}],` +
		`"patch_id":"` + some + `"}],"notes":[{"commit":"` + other + `","ref":"refs/notes/ai","blob":"` + some +
		`","size":9,"receipts":[{"id":"r","prompt_number":3,"tokens":{"input":3},"files":[{"path":"a","lines":[1,2]}]}],` +
		`"findings":1,"cut":true}],"initial":true,"shallow":true,"more_commits":true,"unmeasured":1,"unread_notes":true}`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

func TestDecodePushRefuses(t *testing.T) {
	t.Parallel()
	change := func(fn func(*Push)) string {
		p := examplePush()
		fn(&p)
		text, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	tests := map[string]string{
		"empty":           "",
		"no JSON":         "{",
		"array":           "[]",
		"no version":      "{}",
		"version":         change(func(p *Push) { p.Version = 2 }),
		"type":            `{"version":1,"refs":3}`,
		"object format":   change(func(p *Push) { p.ObjectFormat = "md5" }),
		"ref name":        change(func(p *Push) { p.Refs[0].Name = "refs/heads/a\nb" }),
		"ref kind":        change(func(p *Push) { p.Refs[0].Kind = "x" }),
		"ref id":          change(func(p *Push) { p.Refs[0].New = "" }),
		"abandoned":       change(func(p *Push) { p.Refs[0].Abandoned = []gitcmd.OID{"x"} }),
		"many abandoned":  change(func(p *Push) { p.Refs[0].Abandoned = slices.Repeat([]gitcmd.OID{gitcmd.OID(some)}, MaxAbandoned+1) }),
		"commit id":       change(func(p *Push) { p.Commits[0].OID = "--all" }),
		"parent":          change(func(p *Push) { p.Commits[0].Parents[0] = "x" }),
		"negative count":  change(func(p *Push) { p.Commits[0].Files[0].Added = -1 }),
		"note's commit":   change(func(p *Push) { p.Notes[0].Commit = "x" }),
		"too many refs":   change(func(p *Push) { p.Refs = make([]Ref, MaxUpdates+1) }),
		"two documents":   change(func(*Push) {}) + "{}",
		"too large":       `{"version":1,"x":"` + strings.Repeat("x", MaxPush) + `"}`,
		"count too large": strings.Replace(change(func(*Push) {}), `"added":2`, `"added":1e30`, 1),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := DecodePush(strings.NewReader(text)); !errors.Is(err, ErrPush) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzDecodePush(f *testing.F) {
	text, err := json.Marshal(examplePush())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{"version":1,"object_format":"sha1"}`))
	f.Add([]byte(`{"version":1,"object_format":"sha256","commits":[{"oid":"` + long + `","files":[{"added":1}]}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := DecodePush(bytes.NewReader(text))
		if err != nil {
			return
		}
		p.Input()
		again, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodePush(bytes.NewReader(again))
		if err != nil {
			t.Fatalf("%v\n%s", err, again)
		}
		third, err := json.Marshal(back)
		if err != nil || !bytes.Equal(again, third) {
			t.Errorf("%v\n%s\n%s", err, again, third)
		}
	})
}

func TestInput(t *testing.T) {
	t.Parallel()
	p := examplePush()
	in := p.Input()
	want := push.Input{
		Pusher: push.Person{User: "ann", Name: "ann"}, Repo: push.Repo{Name: "team/app"},
		Refs: []push.Ref{
			{Name: "refs/heads/main", Old: some, New: other, Kind: push.Force, Origin: push.Merge},
			{Name: "refs/tags/v1", Old: zero, New: some, Kind: push.Tag, Origin: push.Merge},
		},
		Commits: []push.Commit{{
			OID: other, Parents: []string{some}, Author: push.Person{Name: "Ann", Email: "ann@example.com"},
			Refs: []string{"refs/heads/main"}, Marks: p.Commits[0].Marks, Bot: true, Noted: true,
			Files: []push.File{{Path: "a", Added: 2, Deleted: 1}}, PatchID: some,
		}},
	}
	if diff := cmp.Diff(want, in); diff != "" {
		t.Error(diff)
	}
	for via, origin := range map[Via]push.Origin{Pushed: push.Direct, Edited: push.Web, Called: push.Web, "": push.Direct} {
		if got := via.origin(); got != origin {
			t.Errorf("%s: %s", fmt.Sprint(via), got)
		}
	}
}
