package forge

import (
	"encoding/json"
	"time"
)

// github reads github.com and GitHub Enterprise Server (GitHub docs, "Webhook
// events and payloads" and "Validating webhook deliveries").
type github struct{}

func (github) verify(r request, secrets []Secret, _ time.Time) error {
	digest, err := r.digest("X-Hub-Signature-256")
	if err != nil {
		return err
	}
	return checkMAC(rawKeys(secrets), [][]byte{digest}, r.body)
}

func (github) parse(r request) (Delivery, error) {
	event, err := r.event("X-GitHub-Event")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.id("", "X-GitHub-Delivery")
	if err != nil {
		return Delivery{}, err
	}
	d := Delivery{Event: event, ID: id}
	switch event {
	case "push":
		return readHubPush(r, d)
	case "ping":
		return readHubPing(r, d)
	case "create", "delete":
		return ignored(d, "the push event tells the same with object ids")
	}
	return ignored(d, "no ref moved by it that a push event does not tell")
}

func ignored(d Delivery, reason string) (Delivery, error) {
	d.Kind, d.Reason = Other, "event "+d.Event+": "+reason
	return d, nil
}

// hubPush is the push body that Gogs modelled on GitHub's and Gitea and
// Forgejo inherited; hubRepository likewise.
type hubPush struct {
	Ref        string         `json:"ref"`
	Before     string         `json:"before"`
	After      string         `json:"after"`
	Repository *hubRepository `json:"repository"`
}

type hubRepository struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
	SSHURL   string `json:"ssh_url"`
	GitURL   string `json:"git_url"`
	HTMLURL  string `json:"html_url"`
	// PushedAt is Unix seconds in GitHub's push events, RFC 3339 elsewhere.
	PushedAt json.RawMessage `json:"pushed_at"`
}

func readHubPush(r request, d Delivery) (Delivery, error) {
	var body hubPush
	if err := r.decodeHub(&body); err != nil {
		return Delivery{}, err
	}
	old, new := field{"before", body.Before}, field{"after", body.After}
	if err := required(old, new); err != nil {
		return Delivery{}, err
	}
	update, err := newUpdate(field{"ref", body.Ref}, old, new)
	if err != nil {
		return Delivery{}, err
	}
	d.Kind, d.Updates = Push, []Update{update}
	if err := d.setHubRepository(body.Repository); err != nil {
		return Delivery{}, err
	}
	d.SentAt = pushedAt(body.Repository.PushedAt)
	return d, nil
}

// readHubPing takes the repository along if the hook belongs to one; a hook of
// an organisation has none.
func readHubPing(r request, d Delivery) (Delivery, error) {
	var body hubPush
	if err := r.decodeHub(&body); err != nil {
		return Delivery{}, err
	}
	d.Kind = Ping
	if body.Repository == nil {
		return d, nil
	}
	return d, d.setHubRepository(body.Repository)
}

func (r request) decodeHub(v any) error {
	payload, err := r.payload(true)
	if err != nil {
		return err
	}
	return decode(payload, v)
}

func (d *Delivery) setHubRepository(repo *hubRepository) error {
	if repo == nil {
		return bodyError("repository", "missing")
	}
	return d.setRepository("repository", repo.FullName, repo.CloneURL, repo.SSHURL, repo.GitURL, repo.HTMLURL)
}

func pushedAt(raw json.RawMessage) time.Time {
	var seconds int64
	if json.Unmarshal(raw, &seconds) == nil {
		return claimedTime(time.Unix(seconds, 0))
	}
	var t time.Time
	if json.Unmarshal(raw, &t) == nil {
		return claimedTime(t)
	}
	return time.Time{}
}
