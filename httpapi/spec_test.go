package httpapi_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/blameprompt/enterprise/httpapi"
)

func TestTheSpecIsValidAndTellsTheFormOfEveryParameter(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.Spec()
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(context.Background(), openapi3.AllowExtraSiblingFields("x-form")); err != nil {
		t.Error(err)
	}
	for path, item := range spec.Paths.Map() {
		for method, op := range item.Operations() {
			if scope, _ := op.Extensions["x-scope"].(string); scope == "" {
				t.Errorf("%s %s has no x-scope", method, path)
			}
			if op.Responses.Default() == nil {
				t.Errorf("%s %s does not say that it may answer with a problem", method, path)
			}
			for _, p := range slices.Concat(item.Parameters, op.Parameters) {
				if form, _ := p.Value.Extensions["x-form"].(string); form == "" {
					t.Errorf("%s %s: parameter %s has no x-form", method, path, p.Value.Name)
				}
			}
		}
	}
}

func TestTheGeneratedCodeIsThatOfTheSpec(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, config := dir+"/openapi.gen.go", dir+"/config.yaml"
	redirected := bytes.Replace(readFile(t, "oapi-codegen.yaml"), []byte("openapi.gen.go"), []byte(out), 1)
	if err := os.WriteFile(config, redirected, 0o600); err != nil {
		t.Fatal(err)
	}
	generate := exec.Command("go", "tool", "oapi-codegen", "-config", config, "openapi.yaml")
	if text, err := generate.CombinedOutput(); err != nil {
		t.Fatalf("generating: %v\n%s", err, text)
	}
	if !bytes.Equal(readFile(t, "openapi.gen.go"), readFile(t, out)) {
		t.Error("openapi.gen.go is not what openapi.yaml makes; run \"go generate ./httpapi\"")
	}
}

func TestTheSpecIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := w.get("", "/api/openapi.yaml").want(200)
	if !bytes.Equal(got.body, readFile(t, "openapi.yaml")) {
		t.Error("the served document is not openapi.yaml")
	}
	if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "application/yaml") {
		t.Errorf("Content-Type %q", kind)
	}
}
