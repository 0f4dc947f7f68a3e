package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestTheOldestOfTooManySessionsEnds(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	user := storetest.MustUser(t, db, org, "ada@example.com")
	now := time.Now()
	begin := func() string {
		t.Helper()
		now = now.Add(time.Second)
		_, secret, err := db.BeginSession(ctx, store.NewSession{OrgID: org.ID, UserID: user.ID, Now: now, Idle: time.Hour, Lifetime: 2 * time.Hour,
			Address: strings.Repeat("a", 500), UserAgent: "evil\x00\xff" + strings.Repeat("b", 5000)})
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	first, second := begin(), begin()
	for range 49 {
		begin()
	}
	if _, err := db.PrincipalBySession(ctx, first, now, time.Hour); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the first of 51 sessions: %v", err)
	}
	p, err := db.PrincipalBySession(ctx, second, now, time.Hour)
	if err != nil || p.User != user.Email || p.Role != access.RoleMember || !p.SignedIn() || !p.Has(access.Write) || p.Has(access.Admin) {
		t.Errorf("the second: %+v, %v", p, err)
	}
	list, err := db.Sessions(ctx, org.ID, user.ID, now)
	if err != nil || len(list) != 50 || len(list[0].UserAgent) > 300 || !strings.HasPrefix(list[0].UserAgent, "evilb") {
		t.Errorf("%d sessions, %v", len(list), err)
	}
	// Whoever signs in a month later leaves no old rows.
	now = now.Add(32 * 24 * time.Hour)
	begin()
	if n := storetest.Column(t, db, `SELECT count(*)::text FROM sessions`); n[0] != "1" {
		t.Errorf("%s rows stay", n[0])
	}
}

func TestSessionsOfNobodyDoNotBegin(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org, other := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "other")
	user := storetest.MustUser(t, db, org, "ada@example.com")
	in := store.NewSession{OrgID: other.ID, UserID: user.ID, Now: time.Now(), Idle: time.Hour, Lifetime: time.Hour}
	if _, _, err := db.BeginSession(ctx, in); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("in another organisation: %v", err)
	}
	if _, err := db.DisableUser(ctx, access.CLI(org.ID), user.ID); err != nil {
		t.Fatal(err)
	}
	in.OrgID = org.ID
	if _, _, err := db.BeginSession(ctx, in); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of a disabled person: %v", err)
	}
}

// TestASessionIsFoundByAnIndex looks at what every request of a browser costs.
func TestASessionIsFoundByAnIndex(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	user := storetest.MustUser(t, db, org, "ada@example.com")
	if _, err := db.Pool().Exec(ctx, `INSERT INTO sessions (id, org_id, user_id, hash, created_at, seen_at, idle_at, expires_at)
		SELECT gen_random_uuid(), $1, $2, sha256(i::text::bytea), now(), now(), now(), now() FROM generate_series(1, 20000) i`, org.ID, user.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Pool().Exec(ctx, `ANALYZE sessions`); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Pool().Query(ctx, `EXPLAIN `+store.SessionQuery, []byte("x"), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var plan []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, line)
	}
	if text := strings.Join(plan, "\n"); !strings.Contains(text, "Index Scan using sessions_hash_key") || strings.Contains(text, "Seq Scan on sessions") {
		t.Errorf("the plan is\n%s", text)
	}
}
