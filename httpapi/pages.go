package httpapi

import (
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
)

// afterOf opens the cursor of a list that is ordered by ids; the nil UUID is the
// beginning.
func afterOf(text string, seal []byte) (uuid.UUID, error) { return cursor.After(text, seal) }

// pageOf cuts rows, of which one more than the limit was asked for, to a page,
// and returns the cursor that continues behind it.
func pageOf[Row any](rows []Row, limit int, seal []byte, id func(*Row) uuid.UUID) ([]Row, *string) {
	if len(rows) <= limit {
		return rows, nil
	}
	return rows[:limit], makeCursor(seal, id(&rows[limit-1]))
}
