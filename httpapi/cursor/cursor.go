// Package cursor makes and reads the cursors that lists are continued with.
//
// A cursor is the place of the last item of a page and a seal over the request
// that gave it, so that a cursor is not taken for one of another list. It is
// no secret and grants nothing: every page is filtered by organisation anew.
package cursor

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

const sealSize = 8

// Seal names a list: organisation, operation and filters.
func Seal(org uuid.UUID, operation string, filters any) []byte {
	text, err := json.Marshal([]any{org, operation, filters})
	if err != nil {
		// Filters are plain structs of strings; one that is not is a fault of the program.
		panic(err)
	}
	sum := sha256.Sum256(text)
	return sum[:sealSize]
}

// Make returns the cursor that continues after position.
func Make(seal []byte, position any) string {
	text, err := json.Marshal(position)
	if err != nil {
		panic(err)
	}
	return base64.RawURLEncoding.EncodeToString(append(bytes.Clone(seal), text...))
}

var errCursor = errors.New("not a position")

// Open reads a cursor into position, a pointer that stays nil if there is none.
func Open[T any](cursor string, seal []byte, position **T) error {
	if cursor == "" {
		return nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err == nil && (len(raw) < sealSize || !bytes.Equal(raw[:sealSize], seal)) {
		err = errCursor
	}
	if err == nil {
		*position = new(T)
		decoder := json.NewDecoder(bytes.NewReader(raw[sealSize:]))
		decoder.DisallowUnknownFields()
		err = decoder.Decode(*position)
	}
	if err == nil {
		err = plausible(any(*position))
	}
	if err != nil {
		return respond.InvalidField("cursor", "must be the next_cursor of an answer with the same filters and order")
	}
	return nil
}

// After opens the cursor of a list that is ordered by ids; the nil UUID is the
// beginning.
func After(cursor string, seal []byte) (uuid.UUID, error) {
	var after *uuid.UUID
	if err := Open(cursor, seal, &after); err != nil || after == nil {
		return uuid.Nil, err
	}
	return *after, nil
}

var plainDecimal = regexp.MustCompile(`^[0-9]{1,40}(\.[0-9]{1,40})?$`)

// plausible refuses positions that somebody made up and PostgreSQL would choke on.
func plausible(position any) error {
	switch p := position.(type) {
	case *store.ReceiptPosition:
		if strings.ContainsRune(p.ID, 0) || !plausibleTime(p.Timestamp) ||
			(p.Cost != nil && !plainDecimal.MatchString(string(*p.Cost))) {
			return errCursor
		}
	case *store.PromptSessionPosition:
		if !plausibleTime(p.LastAt) {
			return errCursor
		}
	case *string:
		if strings.ContainsRune(*p, 0) {
			return errCursor
		}
	case *store.FindingPosition:
		if !plausibleTime(p.FoundAt) {
			return errCursor
		}
	case *store.RecallPosition:
		if strings.ContainsRune(p.Receipt, 0) || p.First < 1 || p.Path == nil {
			return errCursor
		}
	case *int64:
		if *p < 1 || *p == math.MaxInt64 {
			return errCursor
		}
	}
	return nil
}

func plausibleTime(t time.Time) bool { return t.Year() >= -4000 && t.Year() <= 9999 }
