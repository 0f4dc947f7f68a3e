package forge

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"strings"
	"time"
)

// digest returns the HMAC-SHA256 that the named headers carry as hex, with or
// without "sha256=" before it. All of them that were sent must be the same.
func (r request) digest(names ...string) ([]byte, error) {
	var digest []byte
	for _, name := range names {
		value, err := r.one(name)
		if err != nil {
			return nil, err
		}
		// Gitea sends its signature headers without a digest if it has no secret.
		value = strings.TrimPrefix(value, "sha256=")
		if value == "" {
			continue
		}
		sum, err := hex.DecodeString(value)
		if err != nil || len(sum) != sha256.Size {
			return nil, ErrBadSignature
		}
		if digest != nil && !hmac.Equal(digest, sum) {
			return nil, headerError(name, "contradicts "+names[0])
		}
		digest = sum
	}
	if digest == nil {
		return nil, ErrUnsigned
	}
	return digest, nil
}

// checkMAC reports whether one of digests is the HMAC-SHA256 of the parts,
// joined, under one of the keys. Every pair is compared, so that the time
// taken does not tell which one matched.
func checkMAC(keys, digests [][]byte, parts ...[]byte) error {
	if len(keys) == 0 {
		return ErrNoSecret
	}
	matched := false
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		for _, part := range parts {
			mac.Write(part)
		}
		sum := mac.Sum(nil)
		for _, digest := range digests {
			equal := hmac.Equal(sum, digest)
			matched = matched || equal
		}
	}
	if !matched {
		return ErrBadSignature
	}
	return nil
}

// rawKeys returns the secrets that are used byte for byte.
func rawKeys(secrets []Secret) [][]byte {
	var keys [][]byte
	for _, secret := range secrets {
		if secret != "" {
			keys = append(keys, []byte(secret))
		}
	}
	return keys
}

// unixTime reads a signed timestamp header in Unix seconds.
func (r request) unixTime(name string) (text string, t time.Time, err error) {
	text, err = r.one(name)
	if err != nil {
		return "", time.Time{}, err
	}
	if text == "" {
		return "", time.Time{}, headerError(name, "missing")
	}
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<40 {
		return "", time.Time{}, headerError(name, "not a time in Unix seconds")
	}
	return text, time.Unix(seconds, 0), nil
}

func checkFresh(sent, now time.Time) error {
	age := now.Sub(sent)
	if age > Tolerance || age < -Tolerance {
		return ErrStale
	}
	return nil
}
