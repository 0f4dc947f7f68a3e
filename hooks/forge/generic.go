package forge

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// generic reads our own form, for a post-receive hook of a plain git server
// and for CI jobs. docs/webhooks.md is its specification:
//
//	X-BlamePrompt-Timestamp: Unix seconds
//	X-BlamePrompt-Signature-256: sha256=<hex of HMAC-SHA256(secret, "<timestamp>.<body>")>
//	X-BlamePrompt-Delivery: an id of the sender's choice, optional
//
//	{"repository": "name or URL", "updates": [{"ref": "...", "old": "...", "new": "..."}]}
type generic struct{}

func (generic) verify(r request, secrets []Secret, now time.Time) error {
	digest, err := r.digest("X-BlamePrompt-Signature-256")
	if err != nil {
		return err
	}
	timestamp, sent, err := r.unixTime("X-BlamePrompt-Timestamp")
	if err != nil {
		return err
	}
	if err := checkMAC(rawKeys(secrets), [][]byte{digest}, []byte(timestamp+"."), r.body); err != nil {
		return err
	}
	return checkFresh(sent, now)
}

func (generic) parse(r request) (Delivery, error) {
	timestamp, sent, err := r.unixTime("X-BlamePrompt-Timestamp")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.id(timestamp, "X-BlamePrompt-Delivery")
	if err != nil {
		return Delivery{}, err
	}
	d := Delivery{Event: "push", Kind: Push, ID: id, SentAt: claimedTime(sent)}
	payload, err := r.payload(false)
	if err != nil {
		return Delivery{}, err
	}
	var body struct {
		Repository string          `json:"repository"`
		Updates    json.RawMessage `json:"updates"`
	}
	if err := decode(payload, &body); err != nil {
		return Delivery{}, err
	}
	if d.Updates, err = genericUpdates(body.Updates); err != nil {
		return Delivery{}, err
	}
	return d, d.setGenericRepository(body.Repository)
}

func genericUpdates(raw json.RawMessage) ([]Update, error) {
	type line struct{ Ref, Old, New string }
	lines, err := decodeList[line](raw, "updates")
	if err != nil {
		return nil, err
	}
	var updates []Update
	for i, l := range lines {
		at := fmt.Sprintf("updates[%d].", i)
		update, err := newUpdate(field{at + "ref", l.Ref}, field{at + "old", l.Old}, field{at + "new", l.New})
		if err != nil {
			return nil, err
		}
		updates = append(updates, update)
	}
	return updates, nil
}

func (d *Delivery) setGenericRepository(nameOrURL string) error {
	if nameOrURL == "" {
		return bodyError("repository", "missing")
	}
	if NormalizeURL(nameOrURL) != "" {
		return d.setRepository("repository", "", nameOrURL)
	}
	// A URL that has no key must not pass as a name: it may hold a password.
	if strings.ContainsAny(nameOrURL, ":@") {
		return bodyError("repository", "neither a name nor the address of a repository")
	}
	return d.setRepository("repository", nameOrURL)
}
