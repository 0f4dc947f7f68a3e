package forge

import (
	"strings"
	"time"
)

// gitea reads Gitea and Forgejo (Gitea docs, "Webhooks"; the headers are set
// in services/webhook/deliver.go). They sign the JSON alone, also where a form
// carries it.
type gitea struct{}

func (gitea) verify(r request, secrets []Secret, _ time.Time) error {
	return verifyPayload(r, secrets, "X-Gitea-Signature", "X-Forgejo-Signature", "X-Hub-Signature-256")
}

func verifyPayload(r request, secrets []Secret, names ...string) error {
	digest, err := r.digest(names...)
	if err != nil {
		return err
	}
	payload, err := r.payload(true)
	if err != nil {
		return err
	}
	return checkMAC(rawKeys(secrets), [][]byte{digest}, payload)
}

func (gitea) parse(r request) (Delivery, error) {
	event, err := r.event("X-Gitea-Event", "X-Forgejo-Event")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.id("", "X-Gitea-Delivery", "X-Forgejo-Delivery")
	if err != nil {
		return Delivery{}, err
	}
	return readGogsEvent(r, Delivery{Event: event, ID: id})
}

// readGogsEvent reads the events that Gogs, Gitea and Forgejo share.
func readGogsEvent(r request, d Delivery) (Delivery, error) {
	switch d.Event {
	case "push":
		return readHubPush(r, d)
	case "delete":
		return readGogsDelete(r, d)
	case "create":
		return ignored(d, "a push event with object ids follows")
	}
	return ignored(d, "no ref moved by it that a push event does not tell")
}

// readGogsDelete reads the only news that these forges give of a deleted
// branch. It has the ref's short name and no id.
func readGogsDelete(r request, d Delivery) (Delivery, error) {
	var body struct {
		Ref        string         `json:"ref"`
		RefType    string         `json:"ref_type"`
		Repository *hubRepository `json:"repository"`
	}
	if err := r.decodeHub(&body); err != nil {
		return Delivery{}, err
	}
	ref, err := fullRef(field{"ref", body.Ref}, field{"ref_type", body.RefType})
	if err != nil {
		return Delivery{}, err
	}
	update, err := newUpdate(ref, field{}, field{"ref", nullID("")})
	if err != nil {
		return Delivery{}, err
	}
	d.Kind, d.Updates = Push, []Update{update}
	return d, d.setHubRepository(body.Repository)
}

// fullRef completes a short name by its type. Gogs calls every ref a branch
// and shortens branches and tags alone.
func fullRef(name, kind field) (field, error) {
	switch {
	case name.value == "":
		return field{}, bodyError(name.path, "missing")
	case strings.HasPrefix(name.value, "refs/"):
		return name, nil
	case kind.value == "branch":
		return field{name.path, "refs/heads/" + name.value}, nil
	case kind.value == "tag":
		return field{name.path, "refs/tags/" + name.value}, nil
	}
	return field{}, bodyError(kind.path, "neither branch nor tag")
}
