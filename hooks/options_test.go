package hooks

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestOptionsAreReadAsTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, want := range []Options{
		{Mode: Advisory},
		{Client: ClientConfig{Socket: "/s", Org: "acme", Repo: "-x"}, Mode: Enforcing, Time: 2 * time.Second},
		{Client: ClientConfig{URL: "https://h", KeyFile: "/k", CAFile: "/c", Repo: "it's"}, Mode: Advisory},
	} {
		got, err := ParseOptions(want.Args())
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v: %v %s", want.Args(), err, diff)
		}
	}
	for _, bad := range [][]string{{"--mode", "strict"}, {"--timeout", "soon"}, {"--later"}, {"pre-receive"}} {
		if _, err := ParseOptions(bad); err == nil {
			t.Errorf("%v was read", bad)
		}
	}
}
