package auth

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/sync/semaphore"
	"golang.org/x/text/unicode/norm"

	"github.com/blameprompt/enterprise/store"
)

// Cost is what hashing a password takes.
type Cost struct {
	// Memory is in KiB.
	Memory, Passes uint32
	Lanes          uint8
}

// usualCost is the second of the two that RFC 9106, section 4, recommends.
var usualCost = Cost{Memory: 64 << 10, Passes: 3, Lanes: 4}

const (
	saltBytes, keyBytes = 16, 32
	// atOnce bounds the memory that hashing may take.
	atOnce = 2
	// Characters of a password: NIST SP 800-63B asks for no composition rules, a
	// minimum, and a maximum of at least 64.
	minPassword, maxPassword = 12, 256
)

// Passwords hashes and checks passwords with argon2id. It is safe for
// concurrent use.
type Passwords struct {
	cost  Cost
	turns *semaphore.Weighted
	// derive is argon2.IDKey.
	derive func(password, salt []byte, time, memory uint32, threads uint8, keyLen uint32) []byte
	// nobody is checked against where there is no hash, so that it takes as long.
	nobody string
}

// NewPasswords makes a Passwords; the zero cost means the usual one.
func NewPasswords(cost Cost) *Passwords {
	if cost == (Cost{}) {
		cost = usualCost
	}
	p := &Passwords{cost: cost, turns: semaphore.NewWeighted(atOnce), derive: argon2.IDKey}
	p.nobody = p.encode(make([]byte, saltBytes), make([]byte, keyBytes))
	return p
}

// CheckPassword judges a password that somebody chooses.
func CheckPassword(password string) error {
	const field = "password"
	switch n := utf8.RuneCountInString(password); {
	case !utf8.ValidString(password) || strings.ContainsRune(password, 0):
		return &store.InvalidError{Field: field, Problem: "must be text"}
	case n < minPassword:
		return &store.InvalidError{Field: field, Problem: fmt.Sprintf("use at least %d characters; a few words will do", minPassword)}
	case n > maxPassword:
		return &store.InvalidError{Field: field, Problem: fmt.Sprintf("use at most %d characters", maxPassword)}
	}
	return nil
}

// Hash judges and hashes a password that somebody chooses.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := CheckPassword(password); err != nil {
		return "", err
	}
	return p.hash(ctx, password)
}

func (p *Passwords) hash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key, err := p.key(ctx, p.cost, password, salt, keyBytes)
	return p.encode(salt, key), err
}

// Check reports whether a password is the one of a hash, and whether the hash
// should be made anew. It takes as long for an empty hash, which no password has.
func (p *Passwords) Check(ctx context.Context, hash, password string) (ok, stale bool, err error) {
	known := hash != ""
	if !known {
		hash = p.nobody
	}
	cost, salt, want, err := decode(hash)
	if err != nil {
		return false, false, err
	}
	if utf8.RuneCountInString(password) > maxPassword {
		password, known = "", false
	}
	key, err := p.key(ctx, cost, password, salt, len(want))
	ok = subtle.ConstantTimeCompare(key, want) == 1 && known && err == nil
	return ok, ok && cost != p.cost, err
}

// key derives a key in turn. The password is taken in Unicode's form NFC, since
// keyboards differ in how they spell one character.
func (p *Passwords) key(ctx context.Context, cost Cost, password string, salt []byte, length int) ([]byte, error) {
	if err := p.turns.Acquire(ctx, 1); err != nil {
		return nil, fmt.Errorf("waiting to hash a password: %w", err)
	}
	defer p.turns.Release(1)
	return p.derive(norm.NFC.Bytes([]byte(password)), salt, cost.Passes, cost.Memory, cost.Lanes, uint32(length)), nil
}

// encode writes a hash as the reference implementation of argon2 does.
func (p *Passwords) encode(salt, key []byte) string {
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.cost.Memory, p.cost.Passes, p.cost.Lanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key))
}

func decode(hash string) (cost Cost, salt, key []byte, err error) {
	parts := strings.Split(hash, "$")
	version := 0
	if len(parts) != 6 || parts[1] != "argon2id" {
		return cost, nil, nil, fmt.Errorf("reading a password's hash: it is not of argon2id")
	}
	_, err = fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &cost.Memory, &cost.Passes, &cost.Lanes)
	if err == nil && (version != argon2.Version || cost.Passes < 1 || cost.Lanes < 1) {
		err = fmt.Errorf("version %d and parameters %+v are unknown", version, cost)
	}
	if err == nil {
		salt, err = base64.RawStdEncoding.DecodeString(parts[4])
	}
	if err == nil {
		key, err = base64.RawStdEncoding.DecodeString(parts[5])
	}
	if err == nil && len(key) < 16 {
		err = fmt.Errorf("its key is too short")
	}
	if err != nil {
		return cost, nil, nil, fmt.Errorf("reading a password's hash: %w", err)
	}
	return cost, salt, key, nil
}
