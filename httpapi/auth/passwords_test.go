package auth

import (
	"context"
	"slices"
	"strings"
	"testing"

	"golang.org/x/crypto/argon2"
)

var cheap = Cost{Memory: 64, Passes: 1, Lanes: 1}

func TestPasswordsAreCheckedByTheParametersOfTheirHash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	const password = "correct horse battery"
	old := NewPasswords(cheap)
	hash, err := old.Hash(ctx, password)
	if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=64,t=1,p=1$") {
		t.Fatalf("%q, %v", hash, err)
	}
	if again, _ := old.Hash(ctx, password); again == hash {
		t.Error("two hashes of one password are the same")
	}
	fresh := NewPasswords(Cost{Memory: 128, Passes: 2, Lanes: 1})
	for _, c := range []struct {
		p         *Passwords
		password  string
		ok, stale bool
	}{
		{old, password, true, false}, {fresh, password, true, true}, {old, "wrong", false, false}, {fresh, "", false, false},
		{old, password + "x", false, false},
	} {
		if ok, stale, err := c.p.Check(ctx, hash, c.password); ok != c.ok || stale != c.stale || err != nil {
			t.Errorf("%+v, %q: %v, %v, %v", c.p.cost, c.password, ok, stale, err)
		}
	}
	for _, broken := range []string{"x", "$argon2i$v=19$m=64,t=1,p=1$AAAA$AAAA", "$argon2id$v=18$m=64,t=1,p=1$AAAA$AAAA",
		"$argon2id$v=19$m=64,t=0,p=1$AAAA$AAAA", "$argon2id$v=19$m=64,t=1,p=1$AAAA$", "$argon2id$v=19$m=64,t=1,p=1$!$AAAA"} {
		if ok, _, err := old.Check(ctx, broken, password); ok || err == nil {
			t.Errorf("%s: %v, %v", broken, ok, err)
		}
	}
}

// TestCheckingTakesAsLongWhoeverItIs counts the hashing, with which parameters,
// of whatever somebody may send.
func TestCheckingTakesAsLongWhoeverItIs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	p := NewPasswords(cheap)
	var work []Cost
	p.derive = func(password, salt []byte, passes, memory uint32, lanes uint8, length uint32) []byte {
		work = append(work, Cost{memory, passes, lanes})
		return argon2.IDKey(password, salt, passes, memory, lanes, length)
	}
	hash, err := p.Hash(ctx, "correct horse battery")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range [][2]string{
		{hash, "correct horse battery"}, {hash, "wrong"}, {"", "correct horse battery"}, {"", ""}, {hash, strings.Repeat("x", 100_000)},
	} {
		work = nil
		if _, _, err := p.Check(ctx, c[0], c[1]); err != nil || !slices.Equal(work, []Cost{cheap}) {
			t.Errorf("%.40q with %.20q: work %v, %v", c[0], c[1], work, err)
		}
	}
	// The key of nobody is all zeros; no password may be known to have it.
	p.derive = func(_, _ []byte, _, _ uint32, _ uint8, length uint32) []byte { return make([]byte, length) }
	if ok, _, _ := p.Check(ctx, "", "anything"); ok {
		t.Error("nobody signed in")
	}
}

func TestWhichPasswordsMayBeChosen(t *testing.T) {
	t.Parallel()
	for password, want := range map[string]bool{
		"": false, "elevencharx": false, "twelvecharsx": true, strings.Repeat("ü", 12): true, strings.Repeat("x", 256): true,
		strings.Repeat("x", 257): false, "twelvechars\xff": false, "twelve\x00charsx": false, "            ": true,
	} {
		if got := CheckPassword(password) == nil; got != want {
			t.Errorf("%.20q may be chosen: %v, want %v", password, got, want)
		}
	}
}

func BenchmarkHash(b *testing.B) {
	p := NewPasswords(Cost{})
	for b.Loop() {
		if _, err := p.Hash(context.Background(), "correct horse battery"); err != nil {
			b.Fatal(err)
		}
	}
}
