package httpapi

import (
	"strings"
	"testing"
)

func TestEveryOperationHasItsNeedAndTheSpecSaysIt(t *testing.T) {
	t.Parallel()
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			need, ok := needs[op.OperationID]
			if !ok {
				t.Errorf("%s %s: operation %q is not in the table of needs", method, path, op.OperationID)
			}
			if said, _ := op.Extensions["x-scope"].(string); said != need.String() {
				t.Errorf("%s %s: x-scope is %q, the table says %q", method, path, said, need)
			}
			if open := op.Security != nil && len(*op.Security) == 0; open != need.isPublic() {
				t.Errorf("%s %s: security is lifted in the spec: %v, in the table: %v", method, path, open, need.isPublic())
			}
			seen[op.OperationID] = true
		}
	}
	for id := range needs {
		if !seen[id] {
			t.Errorf("the table of needs has %q, the spec has not", id)
		}
	}
}

func TestAnOperationWithoutNeedIsNotServed(t *testing.T) {
	t.Parallel()
	spec, err := Spec()
	if err != nil {
		t.Fatal(err)
	}
	spec.Paths.Value("/api/me").Get.OperationID = "getSomething"
	if _, err := readOperations(spec); err == nil || !strings.Contains(err.Error(), "getSomething") {
		t.Errorf("readOperations = %v, want an error that names the operation", err)
	}
}

func TestNegotiate(t *testing.T) {
	t.Parallel()
	for accept, want := range map[string]string{
		"":                                 "application/json",
		"*/*":                              "application/json",
		"text/csv":                         "text/csv",
		"TEXT/CSV; charset=utf-8":          "text/csv",
		"text/*":                           "text/csv",
		"text/csv;q=0.5, application/json": "application/json",
		"text/csv, */*;q=0.1":              "text/csv",
		"application/json;q=0, */*":        "text/csv",
		"text/html,application/xml;q=0.9,*/*;q=0.8": "application/json",
		"application/xml":     "",
		"text/csv;q=nonsense": "",
	} {
		got, _ := negotiate(map[string][]string{"Accept": {accept}}, "application/json", "text/csv")
		if got != want {
			t.Errorf("Accept %q gets %q, want %q", accept, got, want)
		}
	}
}
