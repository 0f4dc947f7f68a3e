package store_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestDeliveriesAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org, rival := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "rival")
	repo := storetest.MustRepo(t, db, org, "web", "https://git.example.com/web.git")
	for _, id := range []string{"first", "second", "second"} {
		err := db.InTx(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.RecordDelivery(t.Context(), org.ID, store.Delivery{Forge: "github", ID: id, Event: "push", Push: true, Name: repo.Name})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	rows, err := db.Deliveries(t.Context(), org.ID, 10)
	if err != nil || len(rows) != 2 || rows[0].DeliveryID != "second" || rows[1].Event != "push" {
		t.Errorf("%+v, %v", rows, err)
	}
	if rows, err = db.Deliveries(t.Context(), org.ID, 1); err != nil || len(rows) != 1 {
		t.Errorf("%d rows, %v", len(rows), err)
	}
	if rows, err = db.Deliveries(t.Context(), rival.ID, 10); err != nil || len(rows) != 0 {
		t.Errorf("another organisation sees %+v, %v", rows, err)
	}
}

func TestInputsOfDecisionsAreReadTogether(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org, rival := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "rival")
	repo := storetest.MustRepo(t, db, org, "web", "")
	id := storetest.MustDecision(t, db, org, storetest.Decision{At: time.Now(), Repo: repo, Pusher: "ada@example.com",
		Input: push.Input{Today: "2026-11-23"}})
	inputs, err := db.DecisionInputs(t.Context(), org.ID, []uuid.UUID{id, uuid.New()})
	if err != nil || len(inputs) != 1 || len(inputs[id]) == 0 {
		t.Errorf("%v, %v", inputs, err)
	}
	if inputs, err = db.DecisionInputs(t.Context(), rival.ID, []uuid.UUID{id}); err != nil || len(inputs) != 0 {
		t.Errorf("another organisation sees %v, %v", inputs, err)
	}
}
