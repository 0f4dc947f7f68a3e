package httpapi

import (
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
)

// sealOf names a list: organisation, operation and filters.
func sealOf(org uuid.UUID, operation string, filters any) []byte {
	return cursor.Seal(org, operation, filters)
}

// makeCursor returns the cursor that continues after position, as answers have
// it.
func makeCursor(seal []byte, position any) *string {
	text := cursor.Make(seal, position)
	return &text
}

// openCursor reads a cursor into position, a pointer that stays nil if there is
// none.
func openCursor[T any](text string, seal []byte, position **T) error {
	return cursor.Open(text, seal, position)
}
