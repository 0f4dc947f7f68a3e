package httpapi_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func (w *world) put(path string, body map[string]any) reply {
	return w.do(call{method: "PUT", path: path, key: w.admin, body: body})
}

func (w *world) remove(path string) reply {
	return w.do(call{method: "DELETE", path: path, key: w.admin})
}

// measured is a receipt whose tokens are known, of the second prompt of a session.
func measured(id, user string) map[string]any {
	return map[string]any{"id": id, "provider": "claude", "model": "anthropic/house-model", "session_id": "long", "prompt_number": 2,
		"prompt_summary": "Write it", "cost_usd": 9, "input_tokens": 1_000_000, "output_tokens": 100_000,
		"timestamp": "2026-03-01T10:00:00Z", "user": user}
}

type pricedReceipt struct {
	CostUSD   float64 `json:"cost_usd"`
	CostBasis string  `json:"cost_basis"`
	Price     *struct {
		Model, Source string
		Input, Output *float64
		ValidFrom     *string `json:"valid_from"`
	}
}

// TestAPriceIsSetAndExplainsACost sets a price and sees the cost that was reported
// become one that was computed, with what explains it.
func TestAPriceIsSetAndExplainsACost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(w.ingest, "/api/v1/receipts?repo=web/app", []any{measured("m1", "Ada <ada@example.com>")}).want(200)
	read := func() (r pricedReceipt) {
		w.get(w.read, "/api/v1/receipts/m1").want(200).into(&r)
		return r
	}
	if r := read(); r.CostUSD != 9 || r.CostBasis != "reported" || r.Price != nil {
		t.Errorf("without a price: %+v", r)
	}
	var book struct {
		Own []struct {
			ID    string
			Price struct{ Model string }
		}
		Aliases []struct{ Alias, Model string }
		Builtin []struct{ Model string }
		Edition string
		Pending int
	}
	w.put("/api/v1/prices", map[string]any{"items": []any{map[string]any{"model": "x-1", "valid_from": "2026-02-01", "input": 2.5, "output": 10, "source": "contract 7"}},
		"aliases": []any{map[string]any{"alias": "House.Model", "model": "x-1"}}}).want(200).into(&book)
	if len(book.Own) != 1 || len(book.Aliases) != 1 || book.Aliases[0].Alias != "house-model" || len(book.Builtin) == 0 || book.Edition == "" || book.Pending == 0 {
		t.Errorf("the book is %+v", book)
	}
	if err := w.db.Reprice(t.Context()); err != nil {
		t.Fatal(err)
	}
	r := read()
	if r.CostUSD != 3.5 || r.CostBasis != "computed" || r.Price == nil || r.Price.Source != "the organisation's own price: contract 7" ||
		r.Price.Model != "x-1" || *r.Price.Input != 2.5 || *r.Price.ValidFrom != "2026-02-01T00:00:00Z" {
		t.Errorf("with a price: %+v %+v", r, r.Price)
	}
	var periods struct {
		Items []struct {
			From, Until *string
			Price       struct{ Model string }
		}
	}
	w.get(w.read, "/api/v1/price-periods?model=house-model").want(200).into(&periods)
	if len(periods.Items) != 1 || periods.Items[0].Until != nil || periods.Items[0].Price.Model != "x-1" {
		t.Errorf("periods %+v", periods)
	}
	w.remove("/api/v1/prices/" + book.Own[0].ID).want(204)
	w.remove("/api/v1/prices/" + book.Own[0].ID).want(404).problem()
	w.remove("/api/v1/price-aliases?alias=house-model").want(204)
	w.remove("/api/v1/price-aliases?alias=house-model").want(404).problem()
	if err := w.db.Reprice(t.Context()); err != nil {
		t.Fatal(err)
	}
	if r := read(); r.CostUSD != 9 || r.CostBasis != "reported" {
		t.Errorf("when the price is gone: %+v", r)
	}
	for _, bad := range []map[string]any{
		{"model": "x", "input": 1, "valid_from": "soon"}, {"model": "x"}, {"model": "x", "input": -1}, {"model": "x", "input": 0.0000001},
		{"model": "x", "input": 1, "valid_from": "2026-02-01", "valid_until": "2026-01-01"},
	} {
		w.put("/api/v1/prices", map[string]any{"items": []any{bad}}).want(400).problem()
	}
}

// TestAPersonIsFoundByEachAddress joins two addresses, and finds the receipts of
// both by either, and by a team that one is in.
func TestAPersonIsFoundByEachAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := measured("m2", "Ada <ada@home.example.com>")
	second["prompt_number"] = 3
	w.post(w.ingest, "/api/v1/receipts?repo=web/app", []any{measured("m1", "Ada <ada@example.com>"), second}).want(200)
	found := func(query string) []string {
		var page struct{ Items []struct{ ID string } }
		w.get(w.read, query).want(200).into(&page)
		var ids []string
		for _, item := range page.Items {
			ids = append(ids, item.ID)
		}
		return ids
	}
	if got := found("/api/v1/receipts?user=ADA@example.com"); len(got) != 1 {
		t.Errorf("before: %v", got)
	}
	var person struct {
		Email     string
		Addresses []struct{ Email, Source string }
	}
	w.put("/api/v1/identities", map[string]any{"person": "Ada@Example.com", "emails": []string{"ada@home.example.com"}}).want(200).into(&person)
	if person.Email != "ada@example.com" || len(person.Addresses) != 1 || person.Addresses[0].Source != "rule" {
		t.Errorf("joined %+v", person)
	}
	for _, user := range []string{"ada@example.com", "ADA@home.example.com"} {
		if got := found("/api/v1/receipts?sort=timestamp&user=" + url.QueryEscape(user)); !cmp.Equal(got, []string{"m1", "m2"}) {
			t.Errorf("receipts of %s: %v", user, got)
		}
		if got := found("/api/v1/sessions?user=" + url.QueryEscape(user)); len(got) != 1 {
			t.Errorf("sessions of %s: %v", user, got)
		}
	}
	var people struct {
		Items      []struct{ Email string }
		NextCursor *string `json:"next_cursor"`
	}
	w.put("/api/v1/identities", map[string]any{"person": "bob@example.com", "emails": []string{"bob@home.example.com"}}).want(200)
	w.get(w.read, "/api/v1/identities?limit=1").want(200).into(&people)
	if len(people.Items) != 1 || people.NextCursor == nil {
		t.Fatalf("people %+v", people)
	}
	w.get(w.read, "/api/v1/identities?limit=1&cursor="+*people.NextCursor).want(200).into(&people)
	if len(people.Items) != 1 || people.Items[0].Email != "bob@example.com" || people.NextCursor != nil {
		t.Errorf("people %+v", people)
	}
	w.put("/api/v1/identity-rules", map[string]any{"email": "ada@home.example.com"}).want(204)
	if got := found("/api/v1/receipts?user=ada@example.com"); len(got) != 1 {
		t.Errorf("after the split: %v", got)
	}
	w.remove("/api/v1/identity-rules?email=ada@home.example.com").want(204)
	w.remove("/api/v1/identity-rules?email=ada@home.example.com").want(404).problem()
	w.put("/api/v1/identities", map[string]any{"person": "ada@example.com", "emails": []string{"ADA@example.com"}}).want(400).problem()
	w.put("/api/v1/bots", map[string]any{"pattern": "CI-*", "bot": true}).want(200)
	w.put("/api/v1/bots", map[string]any{"pattern": "***", "bot": true}).want(400).problem()
	w.remove("/api/v1/bots?pattern=ci-*").want(204)
	w.remove("/api/v1/bots?pattern=ci-*").want(404).problem()
}

func TestASessionShowsItsPrompts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first, again := measured("m1", "Ada <ada@example.com>"), measured("m3", "Ada <ada@example.com>")
	first["prompt_number"], first["timestamp"], again["cost_usd"] = 1, "2026-03-01T09:00:00Z", 11
	w.post(w.ingest, "/api/v1/receipts?repo=web/app", []any{first, measured("m2", "Ada <ada@example.com>"), again}).want(200)
	var page struct{ Items []struct{ ID string } }
	w.get(w.read, "/api/v1/sessions?repo=web/app&provider=claude&from=2026-03-01").want(200).into(&page)
	if len(page.Items) != 1 {
		t.Fatalf("sessions %+v", page)
	}
	var got struct {
		Session struct {
			Prompts, Receipts int
			CostUSD           float64 `json:"cost_usd"`
			Users             []string
		}
		Prompts []struct {
			Number, Receipts int
			ReceiptID        string `json:"receipt_id"`
		}
	}
	w.get(w.read, "/api/v1/sessions/"+page.Items[0].ID).want(200).into(&got)
	if got.Session.Prompts != 2 || got.Session.Receipts != 3 || got.Session.CostUSD != 20 || !cmp.Equal(got.Session.Users, []string{"ada@example.com"}) {
		t.Errorf("session %+v", got.Session)
	}
	if len(got.Prompts) != 2 || got.Prompts[0].Number != 1 || got.Prompts[1].ReceiptID != "m3" || got.Prompts[1].Receipts != 2 {
		t.Errorf("prompts %+v", got.Prompts)
	}
}
