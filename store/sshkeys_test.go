package store_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// publicKey is the line of a .pub file.
func publicKey(t testing.TB, key any) string {
	t.Helper()
	public, err := ssh.NewPublicKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func newEd25519(t testing.TB) string {
	t.Helper()
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return publicKey(t, public)
}

func TestSSHKeysAreOneUsersAndEndWithThem(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org, other := storetest.MustOrg(t, db, "acme"), storetest.MustOrg(t, db, "other")
	ada := storetest.MustUser(t, db, org, "ada@example.com")
	line := newEd25519(t)
	by := access.CLI(org.ID)
	key, err := db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: ada.ID, Line: line + " ada@laptop\n"})
	if err != nil {
		t.Fatal(err)
	}
	if key.Name != "ada@laptop" || key.PublicKey != line || key.Email != ada.Email || !strings.HasPrefix(key.Fingerprint, "SHA256:") {
		t.Errorf("stored %+v", key)
	}
	foreigner := storetest.MustUser(t, db, other, "mal@example.com")
	if _, err := db.AddSSHKey(ctx, access.CLI(other.ID), store.NewSSHKey{UserID: foreigner.ID, Line: line}); !errors.Is(err, store.ErrConflict) {
		t.Errorf("the key of another: %v, want ErrConflict", err)
	}
	if _, err := db.AddSSHKey(ctx, access.CLI(other.ID), store.NewSSHKey{UserID: ada.ID, Line: newEd25519(t)}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key for a user of another organisation: %v, want ErrNotFound", err)
	}
	owner, err := db.UseSSHKey(ctx, key.Fingerprint)
	if err != nil || owner.Email != ada.Email || owner.OrgName != "acme" || owner.UserID != ada.ID || owner.KeyID != key.ID {
		t.Errorf("owner %+v, %v", owner, err)
	}
	if list, err := db.SSHKeys(ctx, org.ID); err != nil || len(list) != 1 || list[0].LastUsedAt == nil {
		t.Errorf("listed %+v, %v", list, err)
	}
	if _, err := db.DisableUser(ctx, by, ada.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := db.SSHKeyOwner(ctx, key.Fingerprint); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the key of a disabled user: %v", err)
	}
	if _, err := db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: ada.ID, Line: newEd25519(t)}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a key for a disabled user: %v", err)
	}
	if _, err := db.RevokeSSHKey(ctx, access.CLI(other.ID), key.ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoked from elsewhere: %v", err)
	}
	if revoked, err := db.RevokeSSHKey(ctx, by, key.ID); err != nil || revoked.RevokedAt == nil {
		t.Errorf("revoking: %+v, %v", revoked, err)
	}
	// A key that was revoked can be given to whoever has it now.
	if _, err := db.AddSSHKey(ctx, access.CLI(other.ID), store.NewSSHKey{UserID: foreigner.ID, Line: line}); err != nil {
		t.Errorf("a revoked key: %v", err)
	}
}

func TestKeysThatAreNotAccepted(t *testing.T) {
	t.Parallel()
	ctx, db := t.Context(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	ada := storetest.MustUser(t, db, org, "ada@example.com")
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	good := newEd25519(t)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"", "ssh-ed25519", "ssh-ed25519 AAAA", good + "\n" + newEd25519(t), "command=\"x\" " + good, publicKey(t, &weak.PublicKey),
		"-----BEGIN OPENSSH PRIVATE KEY-----", good + " " + strings.Repeat("x", 20<<10),
		"ssh-dss AAAAB3NzaC1kc3MAAAAA", good + " \x1b[2J",
	} {
		_, err := db.AddSSHKey(ctx, access.CLI(org.ID), store.NewSSHKey{UserID: ada.ID, Line: line})
		var invalid *store.InvalidError
		if !errors.As(err, &invalid) {
			t.Errorf("%.60q: %v, want it refused", line, err)
		}
	}
	if _, err := db.AddSSHKey(ctx, access.CLI(org.ID), store.NewSSHKey{UserID: ada.ID, Line: publicKey(t, &p384.PublicKey)}); err != nil {
		t.Errorf("an ECDSA key: %v", err)
	}
}
