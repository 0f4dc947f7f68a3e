package endpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var update = flag.Bool("update", false, "write the examples of docs/endpoints.md")

// happen lets all happen that endpoints are told of, and returns the types of the
// messages in order.
func (w *world) happen() []string {
	w.t.Helper()
	ctx := context.Background()
	models := w.policy("No mini", "block", `{"blocked_models": ["*mini*"]}`)
	reviews := w.policy("Reviews", "block", `{"require_review_above": 5}`)
	w.policy("Cheap", "warn", `{"max_cost_per_prompt": 0.2}`)
	storetest.MustUser(w.t, w.db, w.org, bob)
	want := []string{}

	// A push is refused; an administrator waives what refuses it.
	refused := w.decide(pushed("one", "gpt-5-mini"))
	_, err := w.db.WaiveDecision(ctx, w.by, uuid.MustParse(refused.Decision), "agreed", time.Now().Add(time.Hour))
	w.must(err)
	want = append(want, "push.refused", "review.wanted", "waiver.created", "waiver.created")

	// Another wants a review, is approved, and passes with a warning.
	w.must(w.disable(models))
	w.decide(pushed("two", "claude-sonnet-4"))
	w.review("two", true)
	w.decide(pushed("two", "claude-sonnet-4"))
	w.review("two", false)
	want = append(want, "push.refused", "review.wanted", "review.approved", "push.warned", "review.rejected")

	// A third passes while its receipts are awaited; they come, and hold it.
	pending := w.decide(pushed("three", ""))
	w.arrive("three", "claude-sonnet-4")
	w.must(w.Reconsider(ctx, w.org.ID, w.repo.ID, store.EventNotes))
	want = append(want, "decision.held", "review.wanted")
	holds, err := w.db.Holds(ctx, w.org.ID, store.HoldFilter{Decision: uuid.MustParse(pending.Decision)}, uuid.Nil, 10)
	w.must(err)
	_, err = w.db.ReleaseHold(ctx, w.by, holds[0].ID, "it burns")
	w.must(err)
	want = append(want, "decision.released")

	// A fourth was let through and never arrived.
	w.must(w.disable(reviews))
	lost := w.decide(pushed("four", ""))
	w.must(w.Withdraw(ctx, w.by, uuid.MustParse(lost.Decision), "the remote refused it"))
	want = append(want, "decision.withdrawn")

	// Notes were tampered with, forced and deleted.
	who := access.Principal{Org: w.org.ID, Name: "user:" + bob, User: bob}
	w.must(w.db.RecordRefusedNotes(ctx, who, w.repo, "refs/notes/blameprompt", []store.Fault{{Pair: store.Pair{Commit: string(oid("one"))},
		Finding: notes.Finding{Code: "receipt_tampered", Severity: notes.Warning, ReceiptID: "receipt-one",
			Message: "A push by bob@example.com to refs/notes/blameprompt has this receipt with other content (5f2a) than the one that is here (81c0). What is here was kept."}}}))
	src := store.Source{Org: w.org, Repo: w.repo, Ref: "refs/notes/blameprompt"}
	w.must(w.db.RecordFaults(ctx, src, store.Fault{Finding: notes.Finding{Code: "notes_ref_rewritten", Severity: notes.Warning, Where: "6f6e65",
		Message: "refs/notes/blameprompt moved from 6f6e65000000 to 74776f000000, which does not descend from it."}}))
	w.must(w.db.RecordFaults(ctx, src, store.Fault{Finding: notes.Finding{Code: "notes_ref_deleted", Severity: notes.Warning, Where: "74776f",
		Message: "refs/notes/blameprompt was deleted at 74776f000000. Its receipts are kept as superseded versions."}}))
	// What is known is not told again.
	w.must(w.db.RecordFaults(ctx, src, store.Fault{Finding: notes.Finding{Code: "notes_ref_deleted", Severity: notes.Warning, Where: "74776f",
		Message: "refs/notes/blameprompt was deleted at 74776f000000. Its receipts are kept as superseded versions."}}))
	return append(want, "finding.receipt_tampered", "finding.notes_ref_rewritten", "finding.notes_ref_deleted")
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) disable(id uuid.UUID) error {
	_, err := w.db.EnablePolicy(context.Background(), w.by, id, 0, false)
	return err
}

func (w *world) review(commit string, approved bool) {
	w.t.Helper()
	by := access.Principal{Org: w.org.ID, Name: "user:" + bob, User: bob, Scopes: []access.Scope{access.Write}}
	_, err := w.db.CreateReviews(context.Background(), by, store.NewReview{Repo: w.repo.ID, Commit: string(oid(commit)), Approved: approved, Comment: "looked at it"})
	w.must(err)
}

// arrive posts a receipt for a commit, as a client without notes does.
func (w *world) arrive(name, model string) {
	w.t.Helper()
	number := int64(1)
	note := notes.Note{Format: notes.FormatBlamePrompt, Receipts: []notes.Receipt{{
		ID: "receipt-" + name, Provider: "claude", Model: model, SessionID: "session-" + name, PromptNumber: &number, CostUSD: "0.01",
		Timestamp: noon.Add(-time.Hour), UserName: "Ada", UserEmail: ada, PromptSummary: "write a secret love letter",
		Files: []notes.FileChange{{Path: name + ".go", LineStart: 1, LineEnd: 10, BlobHash: string(oid("blob " + name))}}}}}
	_, err := w.db.PostNotes(context.Background(), w.by, repoName, []store.PostedNote{{Commit: string(oid(name)), Note: note}})
	w.must(err)
}

func TestWhatHappensIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, secret := w.listen(rc)
	want := w.happen()
	w.ping(row)
	want = append(want, "ping")
	w.send()
	got := rc.all()
	if types := rc.types(); !slices.Equal(types, want) {
		t.Fatalf("told of\n%q, want\n%q", types, want)
	}
	seen := map[string]bool{}
	for _, m := range got {
		at, err := time.Parse(time.RFC3339Nano, m.At.Format(time.RFC3339Nano))
		if !m.verifies(secret) || seen[m.ID] || err != nil || at.IsZero() {
			t.Errorf("%s %s: the signature, the id or the time is wrong: %s", m.Type, m.ID, m.Body)
		}
		seen[m.ID] = true
		if m.Header.Get("Content-Type") != "application/json" || m.Path != "/services/T0/s3cret?token=x" {
			t.Errorf("%s: sent to %s as %s", m.Type, m.Path, m.Header.Get("Content-Type"))
		}
		if bytes.Contains(m.Body, []byte("love letter")) || bytes.Contains(m.Body, []byte("agreed")) || bytes.Contains(m.Body, []byte("looked at it")) {
			t.Errorf("%s holds what people wrote: %s", m.Type, m.Body)
		}
		if len(m.Body) > 20<<10 {
			t.Errorf("%s has %d bytes", m.Type, len(m.Body))
		}
	}
	// All is told, and once.
	w.send()
	if again := len(rc.all()); again != len(got) {
		t.Errorf("%d more came", again-len(got))
	}
	for _, m := range w.messages(row) {
		if m.State != store.MessageSent || len(m.Attempts) != 1 || m.Attempts[0].Status != 200 {
			t.Errorf("%s %+v", m.Type, m)
		}
	}
	if e := w.endpoint(row); e.SucceededAt == nil || e.FailingSince != nil || e.Waiting != 0 || e.Failed != 0 {
		t.Errorf("the endpoint stands so: %+v", e)
	}
}

// An endpoint is told of what it wants to be told of.
func TestTypesAndRepositoriesLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	other := storetest.MustRepo(t, w.db, w.org, "acme/web", "")
	some, here, elsewhere := newReceiver(t, nil), newReceiver(t, nil), newReceiver(t, nil)
	w.listen(some, store.ToldWaived, store.ToldReviewWanted)
	w.add(endpoint.New{Name: "here", URL: here.URL, Repos: []uuid.UUID{w.repo.ID}})
	w.add(endpoint.New{Name: "elsewhere", URL: elsewhere.URL, Repos: []uuid.UUID{other.ID}})
	off, _ := w.add(endpoint.New{Name: "off", URL: elsewhere.URL})
	no := false
	_, err := w.desk.Change(t.Context(), w.by, off.ID, endpoint.Change{Enabled: &no})
	w.must(err)
	policy := w.policy("Reviews", "block", `{"require_review_above": 5}`)
	w.decide(pushed("one", "claude-sonnet-4"))
	_, err = w.db.CreateWaiver(t.Context(), w.by, store.NewWaiver{Policy: policy, Pusher: ada, Reason: "agreed", ExpiresAt: time.Now().Add(time.Hour)})
	w.must(err)
	w.send()
	if got := some.types(); !slices.Equal(got, []string{"review.wanted", "waiver.created"}) {
		t.Errorf("by types: %q", got)
	}
	if got := here.types(); !slices.Equal(got, []string{"push.refused", "review.wanted", "waiver.created"}) {
		t.Errorf("by repository: %q", got)
	}
	// A waiver in every repository concerns this one too.
	if got := elsewhere.types(); !slices.Equal(got, []string{"waiver.created"}) {
		t.Errorf("by another repository: %q", got)
	}
}

// What is rolled back is not told.
func TestWhatDidNotHappenIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, _ := w.listen(rc)
	policy := w.policy("Reviews", "block", `{"require_review_above": 5}`)
	poked := 0
	w.db.OnMessages(func(ctx context.Context, tx *store.Tx) error {
		poked++
		return errors.New("the queue is away")
	})
	by := access.Principal{Org: w.org.ID, Name: "hook:uid=7", Scopes: []access.Scope{access.Hook}}
	if _, err := w.Decide(t.Context(), by, repoName, pushed("one", "claude-sonnet-4")); err == nil {
		t.Error("a decision was made whose transaction failed")
	}
	_, err := w.db.CreateWaiver(t.Context(), w.by, store.NewWaiver{Policy: policy, Pusher: ada, Reason: "agreed", ExpiresAt: time.Now().Add(time.Hour)})
	if err == nil || poked < 2 {
		t.Errorf("a waiver was made whose transaction failed: %v, poked %d times", err, poked)
	}
	w.send()
	if got := rc.types(); len(got) != 0 || len(w.messages(row)) != 0 {
		t.Errorf("told of %q", got)
	}
}

// What a message says is bounded, whatever was pushed.
func TestMessagesAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rc := newReceiver(t, nil)
	w.listen(rc, store.ToldRefused)
	w.policy("No mini", "block", `{"blocked_models": ["*mini*"]}`)
	p := pushed("one", "gpt-5-mini")
	for i := range 300 {
		p.Refs = append(p.Refs, hooks.Ref{Name: fmt.Sprintf("refs/heads/b-%d", i), Old: p.Refs[0].Old, New: p.Refs[0].New, Kind: p.Refs[0].Kind})
		note := p.Notes[0]
		note.Receipts = slices.Clone(note.Receipts)
		note.Receipts[0].ID, note.Receipts[0].Model = fmt.Sprint("r-", i), "mini"+strings.Repeat("x", 5000)+"\x00\xff\u202e<b>"
		p.Notes = append(p.Notes, note)
	}
	w.decide(p)
	w.send()
	got := rc.all()
	if len(got) != 1 || len(got[0].Body) > 40<<10 {
		t.Fatalf("%d messages, the first of %d bytes", len(got), len(got[0].Body))
	}
	var data store.ToldDecision
	w.must(json.Unmarshal(got[0].Data, &data))
	if len(data.Refs) != 20 || data.MoreRefs != 281 || len(data.Findings) > 20 {
		t.Errorf("%d refs and %d more, %d findings and %d more", len(data.Refs), data.MoreRefs, len(data.Findings), data.MoreFindings)
	}
}

var (
	uuids = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)
	times = regexp.MustCompile(`"(timestamp|expires_at)": "[^"]+"`)
)

// example is a body as the documentation shows it: ids and times are made up, but
// equal ones stay equal.
func example(body []byte) string {
	var out bytes.Buffer
	if err := json.Indent(&out, body, "", "  "); err != nil {
		return err.Error()
	}
	known := map[string]string{}
	text := uuids.ReplaceAllStringFunc(out.String(), func(id string) string {
		if known[id] == "" {
			known[id] = fmt.Sprintf("019ab2d4-6c00-7000-8000-%012d", len(known)+1)
		}
		return known[id]
	})
	return times.ReplaceAllString(text, `"$1": "2026-11-23T12:00:00Z"`)
}

// The examples of the documentation are what is sent.
func TestDocumentedExamplesAreSent(t *testing.T) {
	t.Parallel()
	const path = "../../docs/endpoints.md"
	w := newWorld(t)
	rc := newReceiver(t, nil)
	row, _ := w.listen(rc)
	w.happen()
	w.ping(row)
	w.send()
	raw, err := os.ReadFile(path)
	w.must(err)
	page := string(raw)
	done := map[string]bool{}
	for _, m := range rc.all() {
		if done[m.Type] {
			continue
		}
		done[m.Type] = true
		block := regexp.MustCompile("(?s)(### `" + regexp.QuoteMeta(m.Type) + "`\n.*?```json\n).*?(\n```)")
		found := block.FindStringSubmatchIndex(page)
		if found == nil {
			t.Errorf("%s has no example of %s", path, m.Type)
			continue
		}
		shown := page[found[3]:found[4]]
		if want := example(m.Body); shown != want {
			if *update {
				page = page[:found[3]] + want + page[found[4]:]
				continue
			}
			t.Errorf("%s: the example of %s is\n%s\nwhat is sent is\n%s", path, m.Type, shown, want)
		}
	}
	for _, kind := range append(slices.Clone(store.MessageTypes), store.ToldPing) {
		// A late verdict that awaits receipts again has the form of the others.
		if !done[string(kind)] && kind != store.ToldPending {
			t.Errorf("nothing was sent of %s", kind)
		}
		if !strings.Contains(page, "`"+string(kind)+"`") {
			t.Errorf("%s does not name %s", path, kind)
		}
	}
	if *update {
		w.must(os.WriteFile(path, []byte(page), 0o644))
	}
}
