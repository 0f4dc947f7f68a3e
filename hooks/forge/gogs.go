package forge

import "time"

// gogs reads Gogs (Gogs docs, "Webhooks"). Unlike its descendants it also
// sends a push event for refs/notes/*. It signs the JSON alone, also where a
// form carries it.
type gogs struct{}

func (gogs) verify(r request, secrets []Secret, _ time.Time) error {
	return verifyPayload(r, secrets, "X-Gogs-Signature")
}

func (gogs) parse(r request) (Delivery, error) {
	event, err := r.event("X-Gogs-Event")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.id("", "X-Gogs-Delivery")
	if err != nil {
		return Delivery{}, err
	}
	return readGogsEvent(r, Delivery{Event: event, ID: id})
}
