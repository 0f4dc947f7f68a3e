package httpapi

import (
	"github.com/google/uuid"
)

// afterOf opens the cursor of a list that is ordered by ids; the nil UUID is the
// beginning.
func afterOf(cursor string, seal []byte) (uuid.UUID, error) {
	var after *uuid.UUID
	if err := openCursor(cursor, seal, &after); err != nil || after == nil {
		return uuid.Nil, err
	}
	return *after, nil
}

// pageOf cuts rows, of which one more than the limit was asked for, to a page,
// and returns the cursor that continues behind it.
func pageOf[Row any](rows []Row, limit int, seal []byte, id func(*Row) uuid.UUID) ([]Row, *string) {
	if len(rows) <= limit {
		return rows, nil
	}
	return rows[:limit], makeCursor(seal, id(&rows[limit-1]))
}
