package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestRepositorySettingsAreChangedOneByOne(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org, foreign := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "rival")
	repo := storetest.MustRepo(t, db, org, "app", "")
	if repo.Mode != store.ModeAdvisory || repo.ReceiptMode != store.ReceiptsDeferred || repo.GraceSeconds != 900 {
		t.Errorf("a new repository has %+v", repo)
	}
	day := 24 * time.Hour
	for _, change := range []store.RepoSettings{{Mode: store.ModeEnforcing}, {ReceiptMode: store.ReceiptsWait}, {Grace: &day}, {}} {
		var err error
		if repo, err = db.UpdateRepo(ctx, access.CLI(org.ID), repo.ID, change); err != nil {
			t.Fatal(err)
		}
	}
	if repo.Mode != store.ModeEnforcing || repo.ReceiptMode != store.ReceiptsWait || repo.GraceSeconds != 86400 {
		t.Errorf("after all changes %+v", repo)
	}
	if _, err := db.UpdateRepo(ctx, access.CLI(foreign.ID), repo.ID, store.RepoSettings{Mode: store.ModeAdvisory}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("another organisation's change: %v", err)
	}
	week, early, odd := 8*day, -time.Second, time.Millisecond
	for _, bad := range []store.RepoSettings{{Mode: "strict"}, {ReceiptMode: "never"}, {Grace: &week}, {Grace: &early}, {Grace: &odd}} {
		var invalid *store.InvalidError
		if _, err := db.UpdateRepo(ctx, access.CLI(org.ID), repo.ID, bad); !errors.As(err, &invalid) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
