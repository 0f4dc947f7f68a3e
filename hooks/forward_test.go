package hooks

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

const forwardInput = "0000000000000000000000000000000000000000 1111111111111111111111111111111111111111 refs/heads/main\n"

// TestForward has what the gateway may answer, and what is a consent.
func TestForward(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer, out string
		accepted    bool
	}{
		"consent":                   {forwardAccepted, "", true},
		"consent with words":        {"hello\nworld\n" + forwardAccepted, "hello\nworld\n", true},
		"refusal":                   {"no\n", "no\n", false},
		"nothing":                   {"", "", false},
		"a word that looks alike":   {"accepted\n", "accepted\n", false},
		"half a consent":            {"\x00acc", "", false},
		"words behind the consent":  {forwardAccepted + "x", "", false},
		"words in place of consent": {"\x00" + strings.Repeat("x", 100), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := c.answer
			socket := relayTo(t, func(c *RelayConn) {
				objects, updates, err := ReadForward(c)
				if err != nil || objects != "/repo/objects/tmp_objdir-x" || len(updates) != 1 || updates[0].Ref != "refs/heads/main" {
					t.Errorf("read %q, %v, %v", objects, updates, err)
				}
				for _, b := range []byte(answer) {
					_, _ = c.Write([]byte{b})
				}
			})
			var out bytes.Buffer
			accepted, err := Forward(t.Context(), socket, []string{"GIT_OBJECT_DIRECTORY=/repo/objects/tmp_objdir-x"},
				strings.NewReader(forwardInput), &out)
			if accepted != c.accepted || accepted && err != nil || out.String() != c.out {
				t.Errorf("accepted %t, %v, said %q", accepted, err, &out)
			}
		})
	}
}

func TestForwardWithoutAGatewayIsNoConsent(t *testing.T) {
	t.Parallel()
	if accepted, err := Forward(t.Context(), t.TempDir()+"/none", nil, strings.NewReader(forwardInput), io.Discard); accepted || err == nil {
		t.Errorf("accepted %t, %v", accepted, err)
	}
}

func TestReadForwardWantsUpdates(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"", "/objects", "/objects\nnonsense\n", "/objects\n" + forwardInput[:50]} {
		if _, updates, err := ReadForward(strings.NewReader(in)); err == nil {
			t.Errorf("%q: read %v", in, updates)
		}
	}
}
