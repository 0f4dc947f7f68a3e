package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const identityState = `SELECT email || ' ' || person || ' ' || source FROM identities ORDER BY email`

func (f *fixture) mailmap(repo store.Repo, blob string, pairs ...string) {
	f.t.Helper()
	m := store.Mailmap{Blob: blob, Addresses: map[string]string{}}
	for i := 0; i < len(pairs); i += 2 {
		m.Addresses[pairs[i]] = pairs[i+1]
	}
	if err := f.db.TakeMailmap(f.t.Context(), f.src.Org.ID, repo.ID, m); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) join(person string, emails ...string) {
	f.t.Helper()
	if _, err := f.db.JoinAddresses(f.t.Context(), f.by(), person, emails); err != nil {
		f.t.Fatal(err)
	}
}

func TestAddressesLeadToOnePerson(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := storetest.MustRepo(t, f.db, f.src.Org, "web", "https://git.example.com/web.git")
	f.mailmap(second, "m2", "ada@home.org", "ada@elsewhere.org", "bob@old.org", "bob@new.org")
	f.mailmap(f.src.Repo, "m1", "Ada@Home.org", "Ada@Work.org", "x\x00@y.org", "z@y.org")
	f.want(identityState, "ada@home.org ada@work.org mailmap", "bob@old.org bob@new.org mailmap")

	// A rule wins over mailmaps, and what leads to one of its addresses comes along.
	f.join("Bob@Corp.org", "bob@new.org", "bobby@corp.org")
	f.want(identityState, "ada@home.org ada@work.org mailmap", "bob@new.org bob@corp.org rule", "bob@old.org bob@corp.org mailmap",
		"bobby@corp.org bob@corp.org rule")
	f.want(`SELECT person_of(id, 'BOB@old.org') || ' ' || person_of(id, 'Nobody@x.org') FROM orgs`, "bob@corp.org nobody@x.org")

	if err := f.db.SplitAddress(t.Context(), f.by(), "ada@home.org"); err != nil {
		t.Fatal(err)
	}
	if err := f.db.ResetAddress(t.Context(), f.by(), "bob@new.org"); err != nil {
		t.Fatal(err)
	}
	f.want(identityState, "bob@old.org bob@new.org mailmap", "bobby@corp.org bob@corp.org rule")
	if err := f.db.ResetAddress(t.Context(), f.by(), "bob@new.org"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("resetting an address without a rule: %v", err)
	}
	f.mailmap(second, "")
	f.want(identityState, "bobby@corp.org bob@corp.org rule")
	f.want(`SELECT action || ' ' || target FROM audit_log WHERE action LIKE 'identity.%' ORDER BY seq`, "identity.join bob@new.org",
		"identity.join bobby@corp.org", "identity.split ada@home.org", "identity.reset bob@new.org")

	all, err := f.db.AddressesOf(t.Context(), f.src.Org.ID, []string{"Bobby@corp.org", "solo@x.org"})
	if err != nil || !slices.Equal(all, []string{"bob@corp.org", "bobby@corp.org", "solo@x.org"}) {
		t.Errorf("addresses %v, %v", all, err)
	}
	person, err := f.db.Person(t.Context(), f.src.Org.ID, "bobby@CORP.org")
	want := store.Person{Email: "bob@corp.org", Addresses: []store.PersonAddress{{Email: "bobby@corp.org", Source: "rule"}}}
	if diff := cmp.Diff(want, person); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestMailmapsComeAndGoWithTheirRepositories(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.mailmap(f.src.Repo, "m1", "a@x.org", "b@x.org")
	if err := f.db.RemoveRepo(t.Context(), f.by(), f.src.Repo.ID); err != nil {
		t.Fatal(err)
	}
	f.want(identityState)
	storetest.MustRepo(t, f.db, f.src.Org, "backend", "https://git.example.com/backend.git")
	if blob, err := f.db.MailmapBlob(t.Context(), f.src.Org.ID, f.src.Repo.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the mailmap is taken for read: %q, %v", blob, err)
	}
	f.mailmap(f.src.Repo, "m1", "a@x.org", "b@x.org")
	f.want(identityState, "a@x.org b@x.org mailmap")
}

func TestRulesThatMakeNoPersonAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.join("a@x.org", "b@x.org")
	for _, c := range [][2]string{{"b@x.org", "a@x.org"}, {"a@x.org", "A@x.org"}, {"", "c@x.org"}, {"a@x.org", "nobody"}, {"a@x.org", "a b@x.org"}} {
		_, err := f.db.JoinAddresses(t.Context(), f.by(), c[0], []string{c[1]})
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("joining %q to %q: %v", c[1], c[0], err)
		}
	}
	f.want(identityState, "b@x.org a@x.org rule")
}

// TestPeopleAreAFunctionOfWhatSaysSo compares what storms of changes leave with
// what following each address by itself gives: to an address that leads nowhere, or
// in a circle to the first of it.
func TestPeopleAreAFunctionOfWhatSaysSo(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := storetest.MustRepo(t, f.db, f.src.Org, "web", "https://git.example.com/web.git")
	r := rand.New(rand.NewPCG(3, 4))
	address := func() string { return string(rune('a'+r.IntN(7))) + "@x.org" }
	maps := map[uuid.UUID]map[string]string{}
	for range 120 {
		switch repo := []store.Repo{f.src.Repo, second}[r.IntN(2)]; r.IntN(4) {
		case 0:
			var pairs []string
			maps[repo.ID] = map[string]string{}
			for range r.IntN(5) {
				from, to := address(), address()
				if _, known := maps[repo.ID][from]; !known && from != to {
					pairs = append(pairs, from, to)
					maps[repo.ID][from] = to
				}
			}
			f.mailmap(repo, fmt.Sprint(r.Int()), pairs...)
		case 1:
			_, _ = f.db.JoinAddresses(t.Context(), f.by(), address(), []string{address()})
		case 2:
			_ = f.db.SplitAddress(t.Context(), f.by(), address())
		default:
			_ = f.db.ResetAddress(t.Context(), f.by(), address())
		}
		leads := map[string]string{}
		for _, repo := range []store.Repo{second, f.src.Repo} {
			for from, to := range maps[repo.ID] {
				leads[from] = to
			}
		}
		rules, err := f.db.IdentityRules(t.Context(), f.src.Org.ID)
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range rules {
			leads[rule.Email] = rule.Person
		}
		var want []string
		for from := range leads {
			at := from
			for range 20 {
				if next, ok := leads[at]; ok {
					at = next
				}
			}
			for first, n := at, 0; n < 20; n++ {
				if next, ok := leads[at]; ok {
					at = next
				}
				if first = min(first, at); n == 19 {
					at = first
				}
			}
			if at != from {
				want = append(want, from+" "+at)
			}
		}
		slices.Sort(want)
		f.want(`SELECT email || ' ' || person FROM identities ORDER BY 1`, want...)
	}
}

// commit is one of the repository's.
func commit(id, author string, change ...func(*store.NewCommit)) store.NewCommit {
	c := store.NewCommit{Commit: id, Parents: []string{}, AuthorName: strings.ToUpper(author[:3]), AuthorEmail: author, AuthoredAt: start, CommitterName: "Forge",
		CommitterEmail: "noreply@forge.example.com", CommittedAt: start, Subject: "change"}
	for _, fn := range change {
		fn(&c)
	}
	return c
}

func (f *fixture) commits(tip string, commits ...store.NewCommit) {
	f.t.Helper()
	err := f.db.TakeBranches(f.t.Context(), f.src.Org.ID, f.src.Repo.ID, map[string]string{"refs/heads/main": tip},
		func(add func([]store.NewCommit) error) error { return add(commits) })
	if err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) checkClaims() {
	f.t.Helper()
	if err := f.db.CheckClaims(f.t.Context()); err != nil {
		f.t.Fatal(err)
	}
}

const claimState = `SELECT receipt_id || ': ' || message FROM findings WHERE code = 'user_mismatch' ORDER BY receipt_id`

// claimed is a receipt of somebody.
func claimed(id, name, email string) notes.Receipt {
	r := receipt(id, int64(len(id)), "1")
	r.UserName, r.UserEmail = name, email
	return r
}

func TestAReceiptOfSomebodyElseIsFound(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	versions, notes := []store.Version{}, []string{}
	var bodies []store.Body
	note := func(id string, r claim) {
		commit := strings.Repeat(id, 8)
		versions, notes = append(versions, step(len(versions), commit, "b-"+id)), append(notes, commit, "b-"+id)
		bodies = append(bodies, body(commit, "b-"+id, claimed("r-"+id, r.name, r.email)))
	}
	note("1", claim{"Eve", "eve@x.org"})       // somebody else
	note("2", claim{"Ada", "ADA@x.org"})       // the author
	note("3", claim{"Bob", "bob@x.org"})       // a co-author
	note("4", claim{"adA", "ada@home.org"})    // the author's name
	note("5", claim{"Eve", "eve@x.org"})       // a bot's commit
	note("6", claim{"Eve", "eve@x.org"})       // an agent's commit
	note("7", claim{"Eve", "eve@x.org"})       // a hidden address
	note("8", claim{"Eve", "eve@x.org"})       // co-authors unknown
	note("9", claim{"Eve", ""})                // no address
	note("a", claim{"Alias", "alias@old.org"}) // an address that is joined later
	f.take("", "t1", true, store.Batch{Versions: versions, Bodies: bodies, Tip: tip(notes...)})
	f.checkClaims()
	f.want(claimState)

	id := func(s string) string { return strings.Repeat(s, 8) }
	f.commits("t", commit(id("1"), "ada@x.org"), commit(id("2"), "ada@x.org"),
		commit(id("3"), "ada@x.org", func(c *store.NewCommit) { c.CoAuthors = []string{"Bob@X.org"} }),
		commit(id("4"), "ada@x.org", func(c *store.NewCommit) { c.AuthorName = "Ada" }),
		commit(id("5"), "ci@x.org", func(c *store.NewCommit) { c.Bot = true }),
		commit(id("6"), "agent@x.org", func(c *store.NewCommit) { c.Agents = []byte(`[{"Agent": "claude", "Evidence": "author"}]`) }),
		commit(id("7"), "12+ada@users.noreply.github.com"), commit(id("8"), "ada@x.org"), commit(id("9"), "ada@x.org"),
		commit(id("a"), "ada@x.org"))
	if _, err := f.db.Pool().Exec(t.Context(), `UPDATE commits SET co_authors = NULL WHERE commit = $1`, id("8")); err != nil {
		t.Fatal(err)
	}
	f.checkClaims()
	eve := "r-1: The receipt says that eve@x.org prompted, but the commit is by ada@x.org."
	f.want(claimState, eve, "r-a: The receipt says that alias@old.org prompted, but the commit is by ada@x.org.")

	// Joined, it is one person's; split again, it is not.
	f.join("ada@x.org", "alias@old.org")
	f.checkClaims()
	f.want(claimState, eve)
	if err := f.db.SplitAddress(t.Context(), f.by(), "alias@old.org"); err != nil {
		t.Fatal(err)
	}
	f.checkClaims()
	f.want(claimState, eve, "r-a: The receipt says that alias@old.org prompted, but the commit is by ada@x.org.")
}

// claim is who a note says prompted.
type claim struct{ name, email string }

func TestRulesSayWhoIsABot(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	const state = `SELECT author_email || ' ' || bot FROM commits ORDER BY 1`
	bot := func(c *store.NewCommit) { c.Bot = true }
	f.commits("t", commit("c1", "support@dependabot.com", bot), commit("c2", "ci-7@corp.org"), commit("c3", "ada@corp.org"))
	set := func(pattern string, bot bool) {
		err := f.db.InTx(t.Context(), func(tx *store.Tx) error {
			_, err := tx.SetBotRule(t.Context(), f.by(), pattern, bot)
			return err
		})
		if err == nil {
			err = f.db.FindBots(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	set("CI-*@corp.org", true)
	set("*@dependabot.com", false)
	f.want(state, "ada@corp.org false", "ci-7@corp.org true", "support@dependabot.com false")
	set("ci-7@corp.org", false)
	f.commits("u", commit("c4", "ci-8@corp.org"), commit("c5", "bot@dependabot.com", bot))
	f.want(state, "ada@corp.org false", "bot@dependabot.com false", "ci-7@corp.org false", "ci-8@corp.org true", "support@dependabot.com false")
	err := f.db.InTx(t.Context(), func(tx *store.Tx) error { return tx.RemoveBotRule(t.Context(), f.by(), "*@Dependabot.com") })
	if err == nil {
		err = f.db.FindBots(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	f.want(state, "ada@corp.org false", "bot@dependabot.com true", "ci-7@corp.org false", "ci-8@corp.org true", "support@dependabot.com true")
	for _, pattern := range []string{"", "**", "a\x00b"} {
		err := f.db.InTx(t.Context(), func(tx *store.Tx) error { _, err := tx.SetBotRule(t.Context(), f.by(), pattern, true); return err })
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("pattern %q: %v", pattern, err)
		}
	}
}

const sessionState = `SELECT provider || ' ' || session_id || ' ' || prompts || ' ' || receipts || ' ' || coalesce(trim_scale(cost_usd)::text, '-') || ' '
	|| array_to_string(users, ',') || ' ' || current FROM prompt_sessions ORDER BY 1`

func TestSessionsAddUpTheirPrompts(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	in := func(session string, r notes.Receipt) notes.Receipt { r.SessionID = session; return r }
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 1, "1"), receipt("r2", 1, "3"), receipt("r3", 2, ""),
			in("s2", receipt("r4", 1, "")), in("", receipt("r5", 1, "7")), in("unknown", receipt("r6", 1, "7")))}})
	f.want(sessionState, "claude s1 2 3 3 dev@example.com true", "claude s2 1 1 - dev@example.com true")

	// Nothing is left of a session whose prompts moved to another.
	other := in("s3", receipt("r4", 1, "0.5"))
	other.UserEmail = "Ada@Example.com"
	f.take("t1", "t2", false, store.Batch{Versions: []store.Version{step(2, "c2", "b2"), step(3, "c1", "")},
		Bodies: []store.Body{body("c2", "b2", receipt("r1", 1, "1"), other)}, Tip: tip("c2", "b2", "c1", "")})
	f.want(sessionState, "claude s1 2 3 3 dev@example.com true", "claude s3 1 1 0.5 ada@example.com true")

	list := func(filter store.PromptSessionFilter, after *store.PromptSessionPosition) (out []string) {
		rows, err := f.db.PromptSessions(t.Context(), f.src.Org.ID, filter, after, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range rows {
			out = append(out, s.SessionID)
		}
		slices.Sort(out)
		return out
	}
	both := []string{"s1", "s3"}
	for name, c := range map[string]struct {
		filter store.PromptSessionFilter
		want   []string
	}{
		"all":        {store.PromptSessionFilter{}, both},
		"user":       {store.PromptSessionFilter{Emails: []string{"ada@example.com"}}, []string{"s3"}},
		"nobody":     {store.PromptSessionFilter{Emails: []string{}}, nil},
		"repo":       {store.PromptSessionFilter{Repos: []uuid.UUID{f.src.Repo.ID}}, both},
		"other repo": {store.PromptSessionFilter{Repos: []uuid.UUID{uuid.New()}}, nil},
		"model":      {store.PromptSessionFilter{Model: "claude-opus-4-6", Provider: "claude"}, both},
		"before":     {store.PromptSessionFilter{To: start}, nil},
		"since":      {store.PromptSessionFilter{From: start, To: start.Add(time.Second)}, both},
	} {
		if got := list(c.filter, nil); !slices.Equal(got, c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
	rows, err := f.db.PromptSessions(t.Context(), f.src.Org.ID, store.PromptSessionFilter{}, nil, 1)
	if err != nil || len(rows) != 1 {
		t.Fatal(rows, err)
	}
	rest := list(store.PromptSessionFilter{}, &store.PromptSessionPosition{ID: rows[0].ID, LastAt: rows[0].LastAt})
	if got := append(rest, rows[0].SessionID); len(got) != 2 || got[0] == got[1] {
		t.Errorf("pages have %v", got)
	}
	session, prompts, err := f.db.PromptSession(t.Context(), f.src.Org.ID, rows[0].ID)
	if err != nil || session.SessionID != rows[0].SessionID || int64(len(prompts)) != session.Prompts {
		t.Errorf("read %+v with %d prompts, %v", session, len(prompts), err)
	}
	if _, _, err := f.db.PromptSession(context.Background(), uuid.New(), rows[0].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation reads it: %v", err)
	}
}

// TestTheExampleOfTheNumbers holds the figures in docs/numbers.md.
func TestTheExampleOfTheNumbers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r4 := receipt("r4", 9, "0.01")
	r4.SessionID = ""
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", used("r1", 1, "0.30", "claude-opus-4-6", 10_000, 2_000),
			used("r2", 1, "0.4350", "claude-opus-4-6", 14_000, 3_000), used("r3", 2, "0.0675", "claude-opus-4-6", 2_000, 500), r4)}})
	f.want(`SELECT receipt_id || ' ' || trim_scale(cost_usd) FROM prompts ORDER BY 1`, "r2 0.145", "r3 0.0225", "r4 0.01")
	f.want(totalState, "4 4 3 0.1775")
	f.want(`SELECT prompts || ' ' || trim_scale(cost_usd) FROM prompt_sessions`, "2 0.1675")
}

// TestBotsAreTheSameInSQL compares both forms of the rules over random ones.
func TestBotsAreTheSameInSQL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	r := rand.New(rand.NewPCG(7, 8))
	word := func(alphabet string) string {
		var b strings.Builder
		for range 1 + r.IntN(4) {
			b.WriteByte(alphabet[r.IntN(len(alphabet))])
		}
		return b.String()
	}
	for range 60 {
		if _, err := f.db.Pool().Exec(t.Context(), `DELETE FROM bot_rules`); err != nil {
			t.Fatal(err)
		}
		for range r.IntN(4) {
			_ = f.db.InTx(t.Context(), func(tx *store.Tx) error {
				_, err := tx.SetBotRule(t.Context(), f.by(), word(`ab*%_\\`), r.IntN(2) == 0)
				return err
			})
		}
		rules, err := f.db.BotRules(t.Context(), f.src.Org.ID)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			name, email, builtin := word(`abAB%_\\`), word(`ab@`), r.IntN(2) == 0
			var want bool
			err := f.db.Pool().QueryRow(t.Context(), `SELECT is_bot($1, $2, $3, $4)`, f.src.Org.ID, name, email, builtin).Scan(&want)
			if err != nil {
				t.Fatal(err)
			}
			if got := rules.IsBot(name, email, builtin); got != want {
				t.Fatalf("%q <%s> by %+v: %v, SQL says %v", name, email, rules, got, want)
			}
		}
	}
}
