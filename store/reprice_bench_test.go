package store_test

import (
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// BenchmarkReprice changes the price of one model among 200,000 receipts, and says
// how many receipts a second are computed anew, with prompts and sums, and how long
// one step keeps other writers of the organisation waiting.
func BenchmarkReprice(b *testing.B) {
	db := storetest.Open(b)
	org := storetest.MustOrg(b, db, "acme")
	storetest.Fill(b, db.Pool(), org.ID, 200_000)
	if err := db.Reprice(b.Context()); err != nil {
		b.Fatal(err)
	}
	rate := price.Rate(1_000_000)
	for b.Loop() {
		rate += 500_000
		err := db.InTx(b.Context(), func(tx *store.Tx) error {
			_, err := tx.SetPrices(b.Context(), access.CLI(org.ID), store.PriceChange{Set: []price.Entry{{Model: "claude-opus-4-6", Input: &rate, Output: &rate}}})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
		began, steps := time.Now(), 0
		for more := true; more; steps++ {
			if more, err = store.RepriceOnce(b.Context(), db, org.ID, 1000); err != nil {
				b.Fatal(err)
			}
		}
		var changed int
		if err := db.Pool().QueryRow(b.Context(), `SELECT count(*) FROM receipts WHERE model = 'claude-opus-4-6'`).Scan(&changed); err != nil {
			b.Fatal(err)
		}
		took := time.Since(began)
		b.ReportMetric(float64(changed)/took.Seconds(), "receipts/s")
		b.ReportMetric(took.Seconds()/float64(steps)*1000, "ms/step")
	}
}
