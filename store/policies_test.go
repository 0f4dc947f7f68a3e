package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func document(t testing.TB, text string) policy.Policy {
	t.Helper()
	p, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// budget is a policy named name with a limit.
func budget(t testing.TB, name string, limit int) policy.Policy {
	t.Helper()
	return document(t, fmt.Sprintf(`{"name":%q,"rule":{"max_cost_per_day":%d}}`, name, limit))
}

// revision is the organisation's policy revision and the policies in force at
// it.
func revision(t testing.TB, db *store.DB, org uuid.UUID) (revision int64, names []string) {
	t.Helper()
	ctx := context.Background()
	err := db.InTx(ctx, func(tx *store.Tx) error {
		to, err := tx.PushTarget(ctx, org, "any")
		if err != nil {
			return err
		}
		enabled, err := tx.EnabledPolicies(ctx, org)
		revision = to.PolicyRevision
		for _, p := range enabled {
			names = append(names, fmt.Sprintf("%s@%d", p.Name, p.Version))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return revision, names
}

func TestAPolicyThroughItsLife(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	by := access.Principal{Org: org.ID, Name: "key:1", User: "ann@example.com"}
	expect := func(want int64, names ...string) {
		t.Helper()
		got, enabled := revision(t, db, org.ID)
		if got != want || !cmp.Equal(enabled, names) {
			t.Errorf("revision %d with %v, want %d with %v", got, enabled, want, names)
		}
	}
	expect(0)
	made, err := db.CreatePolicy(ctx, by, budget(t, "Budget", 50))
	if err != nil || made.Version != 1 || !made.Enabled {
		t.Fatalf("created %+v, %v", made, err)
	}
	expect(1, "Budget@1")
	if _, err := db.CreatePolicy(ctx, by, budget(t, "Budget", 60)); !errors.Is(err, store.ErrConflict) {
		t.Errorf("a second one of the name: %v", err)
	}
	same := document(t, `{"name":"Budget","rule":{"max_cost_per_day":50.00}}`)
	if _, change, err := db.UpdatePolicy(ctx, by, made.ID, 0, same); err != nil || change != store.PolicyUnchanged {
		t.Errorf("the same again: %v, %v", change, err)
	}
	expect(1, "Budget@1")
	if _, _, err := db.UpdatePolicy(ctx, by, made.ID, 2, budget(t, "Budget", 60)); !errors.Is(err, store.ErrMoved) {
		t.Errorf("an update of another version: %v", err)
	}
	renamed, change, err := db.UpdatePolicy(ctx, by, made.ID, 1, budget(t, "Day's budget", 60))
	if err != nil || change != store.PolicyChanged || renamed.Version != 2 || renamed.Name != "Day's budget" {
		t.Errorf("renamed %+v, %v, %v", renamed, change, err)
	}
	if off, err := db.EnablePolicy(ctx, by, made.ID, 2, false); err != nil || off.Version != 3 || off.Enabled {
		t.Errorf("switched off %+v, %v", off, err)
	}
	expect(3)
	if off, err := db.EnablePolicy(ctx, by, made.ID, 0, false); err != nil || off.Version != 3 {
		t.Errorf("switched off twice %+v, %v", off, err)
	}
	if on, err := db.EnablePolicy(ctx, by, made.ID, 0, true); err != nil || on.Version != 4 || !on.Enabled {
		t.Errorf("switched on %+v, %v", on, err)
	}
	expect(4, "Day's budget@4")
	if err := db.RemovePolicy(ctx, by, made.ID, 3); !errors.Is(err, store.ErrMoved) {
		t.Errorf("removal of another version: %v", err)
	}
	if err := db.RemovePolicy(ctx, by, made.ID, 4); err != nil {
		t.Error(err)
	}
	expect(5)
	checkRemoved(t, db, by, made.ID)
}

// checkRemoved holds that a removed policy cannot be changed, and shows who
// did what to it.
func checkRemoved(t *testing.T, db *store.DB, by access.Principal, id uuid.UUID) {
	t.Helper()
	ctx := context.Background()
	_, _, err := db.UpdatePolicy(ctx, by, id, 0, budget(t, "Day's budget", 1))
	if !errors.Is(err, store.ErrNotFound) || !errors.Is(db.RemovePolicy(ctx, by, id, 0), store.ErrNotFound) {
		t.Errorf("a removed policy can be changed: %v", err)
	}
	if _, err := db.Policy(ctx, by.Org, "Day's budget"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a removed policy has its name: %v", err)
	}
	if p, err := db.Policy(ctx, by.Org, id.String()); err != nil || p.RemovedAt == nil {
		t.Errorf("by its id: %+v, %v", p, err)
	}
	versions, err := db.PolicyVersions(ctx, by.Org, id, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, v := range versions {
		told = append(told, fmt.Sprint(v.Version, v.Change, v.Author))
	}
	want := []string{"5removedann@example.com", "4enabledann@example.com", "3disabledann@example.com", "2changedann@example.com", "1createdann@example.com"}
	if diff := cmp.Diff(want, told); diff != "" {
		t.Errorf("versions (-want +got):\n%s", diff)
	}
	if one, err := db.PolicyVersion(ctx, by.Org, id, 1); err != nil || one.Change != store.PolicyCreated {
		t.Errorf("version 1: %+v, %v", one, err)
	}
	first, err := versions[4].Parse()
	if err != nil || first.Name != "Budget" || first.Version != 1 || first.ID != id.String() {
		t.Errorf("the first document: %+v, %v", first, err)
	}
	acts := storetest.Column(t, db, `SELECT action || (detail->>'version') FROM audit_log WHERE target = $1 ORDER BY seq`, id.String())
	if diff := cmp.Diff([]string{"policy.create1", "policy.update2", "policy.disable3", "policy.enable4", "policy.remove5"}, acts); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
	if _, err := db.CreatePolicy(ctx, by, budget(t, "Day's budget", 7)); err != nil {
		t.Errorf("the name is not free again: %v", err)
	}
}

func TestPoliciesOfAnotherOrganisationAreOutOfReach(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	ours, theirs := access.CLI(storetest.MustOrg(t, db, "acme").ID), access.CLI(storetest.MustOrg(t, db, "rival").ID)
	p, err := db.CreatePolicy(ctx, ours, budget(t, "Budget", 50))
	if err != nil {
		t.Fatal(err)
	}
	doc := budget(t, "stolen", 1)
	doc.ID = p.ID.String()
	_, _, update := db.UpdatePolicy(ctx, theirs, p.ID, 0, doc)
	_, enable := db.EnablePolicy(ctx, theirs, p.ID, 0, false)
	_, apply := db.ApplyPolicies(ctx, theirs, []policy.Policy{doc}, false)
	_, read := db.Policy(ctx, theirs.Org, p.ID.String())
	_, version := db.PolicyVersion(ctx, theirs.Org, p.ID, 1)
	for name, err := range map[string]error{"update": update, "enable": enable, "apply": apply, "read": read, "version": version,
		"remove": db.RemovePolicy(ctx, theirs, p.ID, 0)} {
		if !errors.Is(err, store.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if got, names := revision(t, db, theirs.Org); got != 0 || names != nil {
		t.Errorf("theirs: revision %d, %v", got, names)
	}
}

func TestAPolicyOfANewerProgramCanBeSwitchedOff(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	by := access.CLI(storetest.MustOrg(t, db, "acme").ID)
	p, err := db.CreatePolicy(ctx, by, budget(t, "Budget", 50))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(ctx, `UPDATE policies SET document = '{"name":"Budget","rule":{"max_fun":1},"action":"block","enabled":true}'`); err != nil {
		t.Fatal(err)
	}
	off, err := db.EnablePolicy(ctx, by, p.ID, 1, false)
	if err != nil || off.Enabled || off.Version != 2 || string(off.Outline().Rule) != `{"max_fun":1}` || off.Outline().Action != policy.Block {
		t.Errorf("switched off %+v, %v", off, err)
	}
	var invalid *store.InvalidError
	if _, err := db.EnablePolicy(ctx, by, p.ID, 0, true); !errors.As(err, &invalid) {
		t.Errorf("switched on: %v", err)
	}
	if back, _, err := db.UpdatePolicy(ctx, by, p.ID, 2, budget(t, "Budget", 50)); err != nil || back.Version != 3 {
		t.Errorf("replaced %+v, %v", back, err)
	}
}

func TestPoliciesThatCannotBeStored(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	by := access.CLI(storetest.MustOrg(t, db, "acme").ID)
	for text, field := range map[string]string{
		`{"name":" a","rule":{"max_cost_per_day":1}}`:                                   "name",
		`{"name":"01234567-89ab-7def-8123-456789abcdef","rule":{"max_cost_per_day":1}}`: "name",
		`{"name":"a","rule":{"expression":"true","message":"` + "\xff" + `"}}`:          "rule",
	} {
		_, err := db.CreatePolicy(ctx, by, document(t, text))
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) || invalid.Field != field {
			t.Errorf("%q: %v, want that %s is wrong", text, err, field)
		}
	}
	docs := make([]policy.Policy, store.MaxPolicies)
	for i := range docs {
		docs[i] = budget(t, fmt.Sprint("p", i), i)
	}
	if _, err := db.ApplyPolicies(ctx, by, docs, false); err != nil {
		t.Fatal(err)
	}
	var invalid *store.InvalidError
	if _, err := db.CreatePolicy(ctx, by, budget(t, "one more", 1)); !errors.As(err, &invalid) {
		t.Errorf("one more than the most: %v", err)
	}
}

func TestApplyIsAllOrNothingAndIdempotent(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	by := access.CLI(storetest.MustOrg(t, db, "acme").ID)
	apply := func(dry bool, docs ...policy.Policy) (changes []store.PolicyChange, err error) {
		applied, err := db.ApplyPolicies(ctx, by, docs, dry)
		for _, one := range applied {
			changes = append(changes, one.Change)
		}
		return changes, err
	}
	a, b := budget(t, "a", 1), budget(t, "b", 1)
	for i, step := range []struct {
		dry  bool
		docs []policy.Policy
		want string
		rev  int64
	}{
		{true, []policy.Policy{a, b}, "[created created]", 0},
		{false, []policy.Policy{a, b}, "[created created]", 1},
		{false, []policy.Policy{a, b}, "[unchanged unchanged]", 1},
		{true, []policy.Policy{a, budget(t, "b", 2)}, "[unchanged changed]", 1},
		{false, []policy.Policy{a, budget(t, "b", 2)}, "[unchanged changed]", 2},
		{false, []policy.Policy{document(t, `{"name":"a","version":1,"rule":{"max_cost_per_day":1},"enabled":false}`)}, "[disabled]", 3},
	} {
		got, err := apply(step.dry, step.docs...)
		if rev, _ := revision(t, db, by.Org); err != nil || fmt.Sprint(got) != step.want || rev != step.rev {
			t.Errorf("step %d: %v, %v, revision %d; want %s and %d", i, got, err, rev, step.want, step.rev)
		}
	}
	stale := document(t, `{"name":"a","version":1,"rule":{"max_cost_per_day":9}}`)
	if _, err := apply(false, budget(t, "c", 1), stale); !errors.Is(err, store.ErrMoved) {
		t.Errorf("a stale version: %v", err)
	}
	ghost := document(t, `{"id":"01234567-89ab-7def-8123-456789abcdef","name":"a","rule":{"max_cost_per_day":9}}`)
	if _, err := apply(false, budget(t, "c", 1), ghost); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown id: %v", err)
	}
	if all, err := db.Policies(ctx, by.Org); err != nil || len(all) != 2 {
		t.Errorf("after failures there are %d policies, %v", len(all), err)
	}
}

// TestVersionsAreGapless lets writers of all kinds work at once and holds that
// every change made exactly one version and raised the revision once.
func TestVersionsAreGapless(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	var mu sync.Mutex
	var changes int64
	count := func(changed bool, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err == nil && changed {
			changes++
		}
		if err != nil && !errors.Is(err, store.ErrMoved) && !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrConflict) {
			t.Error(err)
		}
	}
	var writers sync.WaitGroup
	for w := range 8 {
		writers.Go(func() {
			r := rand.New(rand.NewPCG(7, uint64(w)))
			by := access.Principal{Org: org.ID, Name: fmt.Sprint("writer:", w)}
			for range 40 {
				count(writePolicy(ctx, t, db, by, r))
			}
		})
	}
	writers.Wait()
	if got, _ := revision(t, db, org.ID); got != changes || changes < 50 {
		t.Errorf("revision %d after %d changes", got, changes)
	}
	const gaps = `SELECT p.name FROM policies p WHERE p.version <> (SELECT count(*) FROM policy_versions v WHERE v.policy_id = p.id)
		OR p.version <> (SELECT max(version) FROM policy_versions v WHERE v.policy_id = p.id)
		OR p.document::text <> (SELECT v.document::text FROM policy_versions v WHERE v.policy_id = p.id AND v.version = p.version)`
	if bad := storetest.Column(t, db, gaps); len(bad) > 0 {
		t.Errorf("versions have gaps or differ from what is in force: %v", bad)
	}
	const counts = `SELECT (SELECT count(*) FROM policy_versions) || ' ' || (SELECT count(*) FROM audit_log WHERE action LIKE 'policy.%')`
	if got, want := storetest.Column(t, db, counts)[0], fmt.Sprint(changes, " ", changes); got != want {
		t.Errorf("versions and audit rows: %s, want %s", got, want)
	}
}

// writePolicy does one random thing to one of a few policies.
func writePolicy(ctx context.Context, t *testing.T, db *store.DB, by access.Principal, r *rand.Rand) (changed bool, err error) {
	name := fmt.Sprint("p", r.IntN(3))
	doc := budget(t, name, r.IntN(3))
	before, err := db.Policy(ctx, by.Org, name)
	if errors.Is(err, store.ErrNotFound) || r.IntN(8) == 0 {
		_, err := db.CreatePolicy(ctx, by, doc)
		return true, err
	}
	if err != nil {
		return false, err
	}
	switch r.IntN(8) {
	case 0:
		return true, db.RemovePolicy(ctx, by, before.ID, before.Version)
	case 1, 2:
		after, err := db.EnablePolicy(ctx, by, before.ID, before.Version, r.IntN(2) == 0)
		return after.Version != before.Version, err
	case 3:
		dry := r.IntN(2) == 0
		applied, err := db.ApplyPolicies(ctx, by, []policy.Policy{doc}, dry)
		return err == nil && !dry && applied[0].Change != store.PolicyUnchanged, err
	}
	_, change, err := db.UpdatePolicy(ctx, by, before.ID, before.Version, doc)
	return change != store.PolicyUnchanged, err
}
