package store_test

import (
	"testing"
	"time"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestHealth(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		dsn      func(testing.TB) string
		migrated bool
	}{
		"migrated": {storetest.DSN, true},
		"empty":    {storetest.Empty, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db, err := store.Open(t.Context(), store.Config{DSN: c.dsn(t)})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			h, err := db.Health(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if h.Version == "" || !h.Extensions || h.WantSchema < 1 || time.Since(h.Now).Abs() > time.Minute {
				t.Errorf("unlikely health: %+v", h)
			}
			if migrated := h.Schema == h.WantSchema; migrated != c.migrated {
				t.Errorf("schema %d of %d", h.Schema, h.WantSchema)
			}
		})
	}
}
