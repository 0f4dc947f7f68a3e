package export

import (
	"encoding/csv"
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/store"
)

// receipts are n receipts, read page by page.
func receipts(n int) Receipts {
	cost := store.Decimal("0.10")
	page := func(from int) []store.Receipt {
		var out []store.Receipt
		for i := from; i < n && len(out) < PageSize; i++ {
			out = append(out, store.Receipt{ID: strconv.Itoa(i), PromptSummary: "=1+1", CostUSD: &cost})
		}
		return out
	}
	return Receipts{First: page(0), Next: func(last store.ReceiptPosition) ([]store.Receipt, error) {
		i, err := strconv.Atoi(last.ID)
		return page(i + 1), err
	}}
}

func TestBothFormatsHaveEveryReceipt(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, PageSize, PageSize + 1, 2*PageSize + 7} {
		var text strings.Builder
		if err := receipts(n).CSV(&text); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(strings.NewReader(text.String())).ReadAll()
		if err != nil || len(rows) != n+1 {
			t.Errorf("CSV of %d: %d rows, %v", n, len(rows), err)
		}
		text.Reset()
		if err := receipts(n).JSON(&text); err != nil {
			t.Fatal(err)
		}
		var objects []map[string]any
		if err := json.Unmarshal([]byte(text.String()), &objects); err != nil || len(objects) != n {
			t.Fatalf("JSON of %d: %d objects, %v", n, len(objects), err)
		}
		if n == 0 {
			continue
		}
		last := objects[n-1]
		if last["id"] != strconv.Itoa(n-1) || last["cost_usd"] != 0.1 || last["prompt_summary"] != "=1+1" || len(last) != len(rows[0]) {
			t.Errorf("JSON of %d ends in %v", n, last)
		}
		if cell := rows[n][len(rows[0])-5]; rows[n][0] != strconv.Itoa(n-1) || cell != "'=1+1" {
			t.Errorf("CSV of %d ends in %q", n, rows[n])
		}
	}
}
