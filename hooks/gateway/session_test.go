package gateway

import (
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/policy/access"
)

func TestPushAndClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api.git")
	commit := ada.commit(dir, "first")
	out := ada.git(dir, "push", "origin", "HEAD:refs/heads/main")
	t.Log(out)
	if got := w.tip(api, "refs/heads/main"); got != commit {
		t.Fatalf("main is %s, want %s", got, commit)
	}
	again := ada.clone("acme/api")
	if got := ada.git(again, "rev-parse", "HEAD"); got != commit {
		t.Errorf("cloned %s, want %s", got, commit)
	}
	if len(w.judge.decided) != 1 || len(w.judge.received) != 1 {
		t.Fatalf("%d pushes were judged and %d received", len(w.judge.decided), len(w.judge.received))
	}
	p := w.judge.decided[0]
	if p.Email != ada.email || p.Repo != "acme/api" || p.Key != ada.key.Fingerprint || p.Address != "127.0.0.1" || len(p.Commits) != 1 {
		t.Errorf("judged %+v", p)
	}
	if by := w.judge.by[0]; by.User != ada.email || by.Org != w.org.ID || !strings.HasPrefix(by.Name, "ssh-key:") {
		t.Errorf("judged on behalf of %+v", by)
	}
	ada.noteIDs(dir, commit, "r1")
	t.Log(ada.git(dir, "push", "origin", notesRef))
	if got := w.ids(api); len(got) != 1 || got[0] != "r1" {
		t.Errorf("receipts %v", got)
	}
	w.fsck(api)
}
