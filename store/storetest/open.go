package storetest

import (
	"context"
	"testing"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Open is DSN with a store opened on it, closed when the test ends. Secrets
// are sealed with a key that every test shares.
func Open(t testing.TB) *store.DB {
	t.Helper()
	return OpenDSN(t, DSN(t))
}

// OpenDSN opens a further store on a database, as a second daemon would.
func OpenDSN(t testing.TB, dsn string) *store.DB {
	t.Helper()
	sealer, err := store.NewSealer([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(context.Background(), store.Config{DSN: dsn, Sealer: sealer})
	if err != nil {
		t.Fatalf("opening the test store: %v", err)
	}
	t.Cleanup(db.Close)
	return db
}

// MustOrg creates an organisation in UTC.
func MustOrg(t testing.TB, db *store.DB, name string) store.Org {
	t.Helper()
	org, err := db.CreateOrg(context.Background(), name, "")
	if err != nil {
		t.Fatalf("creating the organisation %s: %v", name, err)
	}
	return org
}

// MustRepo registers a repository; url may be empty.
func MustRepo(t testing.TB, db *store.DB, org store.Org, name, url string) store.Repo {
	t.Helper()
	repo, err := db.CreateRepo(context.Background(), access.CLI(org.ID), store.NewRepo{Name: name, RemoteURL: url})
	if err != nil {
		t.Fatalf("registering the repository %s: %v", name, err)
	}
	return repo
}

// MustKey makes an API key and returns its secret.
func MustKey(t testing.TB, db *store.DB, org store.Org, scopes ...access.Scope) string {
	t.Helper()
	_, secret, err := db.CreateKey(context.Background(), access.CLI(org.ID), store.NewKey{Name: t.Name(), Scopes: scopes})
	if err != nil {
		t.Fatalf("creating a key: %v", err)
	}
	return secret
}

// MustUser adds a person with accounts at forges.
func MustUser(t testing.TB, db *store.DB, org store.Org, email string, logins ...string) store.User {
	t.Helper()
	user, err := db.CreateUser(context.Background(), access.CLI(org.ID), store.NewUser{Email: email, Logins: logins})
	if err != nil {
		t.Fatalf("adding the user %s: %v", email, err)
	}
	return user
}
