package ui

import (
	"net/http"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/httpapi"
)

// Every operation and every shape of the OpenAPI file has its page, for those
// too who are not signed in.
func TestEveryOperationHasItsPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	spec, err := httpapi.Spec()
	if err != nil {
		t.Fatal(err)
	}
	list := b.get("/help/api").want(http.StatusOK)
	read := func(path string) page {
		got := b.get(path).want(http.StatusOK)
		if len(got.body) > maxPage {
			t.Errorf("%s: %d bytes", path, len(got.body))
		}
		return got
	}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			list.says(`id="` + op.OperationID + `"`)
			got := read("/help/api/" + op.OperationID).says(method + " " + path)
			for _, p := range op.Parameters {
				got.says("<code>" + p.Value.Name + "</code>")
			}
		}
	}
	for name := range spec.Components.Schemas {
		read("/help/api/schemas/" + name)
	}
	read("/help/api/listReceipts").says("policy_result").says("curl").says("/help/api/schemas/ReceiptPage")
	read("/help/api/schemas/Receipt").says("cost_usd").says("Example")
	b.get("/help/api/none").want(http.StatusNotFound)
	if got := b.get("/help/api?q=receipts+query").want(http.StatusOK); !strings.Contains(got.body, "listReceipts") || strings.Contains(got.body, `id="listTeams"`) {
		t.Errorf("the search leaves %s", got.body)
	}
}

func TestProseIsReadAsItIsMeant(t *testing.T) {
	t.Parallel()
	got := paragraphs("**Keys.** Send `a*b` as\nis.\n\n2 * 3 ** `open")
	want := []Paragraph{
		{{"strong", "Keys."}, {"", " Send "}, {"code", "a*b"}, {"", " as is."}},
		{{"", "2 *"}, {"", " 3 *"}, {"", "*"}, {"", " `"}, {"", "open"}},
	}
	if len(got) != 2 || len(got[0]) != 4 || len(got[1]) != 5 {
		t.Fatalf("%q, want %q", got, want)
	}
	for i := range want {
		for j := range want[i] {
			if got[i][j] != want[i][j] {
				t.Errorf("%q, want %q", got[i][j], want[i][j])
			}
		}
	}
}
