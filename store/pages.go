package store

import (
	"time"

	"github.com/google/uuid"
)

// clockSkew is by how much the clocks that made ids and times may differ.
const clockSkew = 24 * time.Hour

// newest adds the conditions of a list that is ordered by ids, newest first:
// rows of the period from (inclusive) to (exclusive), after an id (the nil UUID:
// from the newest). Zero times do not bound. Ids rise with time, so that their index
// leads to the period.
func (c *conditions) newest(id, at string, from, to time.Time, after uuid.UUID) {
	if !from.IsZero() {
		c.add(at+" >= ? AND "+id+" >= ?", from, idFloor(from.Add(-clockSkew)))
	}
	if !to.IsZero() {
		c.add(at+" < ? AND "+id+" < ?", to, idFloor(to.Add(clockSkew)))
	}
	if after != uuid.Nil {
		c.add(id+" < ?", after)
	}
}
