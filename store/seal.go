package store

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/google/uuid"
)

// ErrNoSealKey: a secret was to be stored and no key is configured.
var ErrNoSealKey = errors.New("no key to encrypt secrets with is configured")

// Sealer encrypts secrets at rest with AES-256-GCM (NIST SP 800-38D), a random
// nonce in front. The zero value refuses.
type Sealer struct {
	aead cipher.AEAD
	// names is the key of hashes of people.
	names []byte
}

// NewSealer takes a key of 32 bytes.
func NewSealer(key []byte) (Sealer, error) {
	if len(key) != 32 {
		return Sealer{}, fmt.Errorf("the sealing key has %d bytes, want 32", len(key))
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return Sealer{}, fmt.Errorf("making the cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return Sealer{}, fmt.Errorf("making the cipher: %w", err)
	}
	names := hmac.New(sha256.New, key)
	names.Write([]byte("blameprompt people 1"))
	return Sealer{aead: aead, names: names.Sum(nil)}, nil
}

// SealerFromFile reads the key at path, making it (mode 0600) when there is
// none. Losing the file loses the sealed secrets and nothing else.
func SealerFromFile(path string) (Sealer, error) {
	key, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		key, err = makeKey(path)
	}
	if err != nil {
		return Sealer{}, fmt.Errorf("reading the sealing key: %w", err)
	}
	sealer, err := NewSealer(key)
	if err != nil {
		return Sealer{}, fmt.Errorf("%s: %w", path, err)
	}
	return sealer, nil
}

// makeKey writes a new key so that a crash leaves either none or all of it,
// and two starters agree on one.
func makeKey(path string) ([]byte, error) {
	key := make([]byte, 32)
	rand.Read(key)
	tmp, err := os.CreateTemp(filepath.Dir(path), ".seal-*")
	if err != nil {
		return nil, err
	}
	defer os.Remove(tmp.Name())
	if _, err := tmp.Write(key); err != nil {
		return nil, errors.Join(err, tmp.Close())
	}
	if err := errors.Join(tmp.Sync(), tmp.Close()); err != nil {
		return nil, err
	}
	if err := os.Link(tmp.Name(), path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return os.ReadFile(path)
}

// Seal encrypts secret for the purpose; Open needs the same purpose, so that a
// sealed value cannot be moved to another column or organisation.
func (s Sealer) Seal(secret []byte, purpose string) ([]byte, error) {
	if s.aead == nil {
		return nil, ErrNoSealKey
	}
	nonce := make([]byte, s.aead.NonceSize())
	if _, err := io.ReadFull(rand.Reader, nonce); err != nil {
		return nil, fmt.Errorf("making a nonce: %w", err)
	}
	return s.aead.Seal(nonce, nonce, secret, []byte(purpose)), nil
}

// hashPerson is a hash of an address that nobody can compute, and so find the
// address by trying, without the key.
func (s Sealer) hashPerson(org uuid.UUID, email string) ([]byte, error) {
	if s.names == nil {
		return nil, ErrNoSealKey
	}
	h := hmac.New(sha256.New, s.names)
	h.Write(org[:])
	h.Write([]byte(strings.ToLower(email)))
	return h.Sum(nil), nil
}

// Open decrypts what Seal made.
func (s Sealer) Open(sealed []byte, purpose string) ([]byte, error) {
	if s.aead == nil {
		return nil, ErrNoSealKey
	}
	n := s.aead.NonceSize()
	if len(sealed) < n {
		return nil, errors.New("opening a sealed secret: too short")
	}
	secret, err := s.aead.Open(nil, sealed[:n], sealed[n:], []byte(purpose))
	if err != nil {
		return nil, fmt.Errorf("opening a sealed secret (was the key file replaced?): %w", err)
	}
	return secret, nil
}
