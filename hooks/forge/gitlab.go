package forge

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// gitlab reads project, group and system hooks of GitLab (GitLab docs,
// "Webhooks", "Webhook events", "System hooks"). A secret that begins with
// "whsec_" is a signing token (Standard Webhooks); any other is a secret token
// that GitLab sends in the clear.
type gitlab struct{}

const signingPrefix = "whsec_"

// maxSignatures bounds the list of a webhook-signature header; a sender that
// replaces its key needs two.
const maxSignatures = 16

func (gitlab) verify(r request, secrets []Secret, now time.Time) error {
	signatures, err := r.one("webhook-signature")
	if err != nil {
		return err
	}
	token, err := r.one("X-Gitlab-Token")
	if err != nil {
		return err
	}
	keys, tokens := splitGitLabSecrets(secrets)
	switch {
	case signatures == "" && token == "":
		return ErrUnsigned
	case signatures != "" && (len(keys) > 0 || token == ""):
		return verifyStandard(r, signatures, keys, now)
	}
	return checkToken(token, tokens)
}

func splitGitLabSecrets(secrets []Secret) (keys [][]byte, tokens []Secret) {
	for _, secret := range secrets {
		encoded, signing := strings.CutPrefix(string(secret), signingPrefix)
		if !signing {
			tokens = append(tokens, secret)
			continue
		}
		if key, err := base64.StdEncoding.DecodeString(encoded); err == nil && len(key) > 0 {
			keys = append(keys, key)
		}
	}
	return keys, tokens
}

// verifyStandard checks a Standard Webhooks signature: HMAC-SHA256 over
// "<webhook-id>.<webhook-timestamp>.<body>", base64 after "v1,".
func verifyStandard(r request, signatures string, keys [][]byte, now time.Time) error {
	id, err := r.one("webhook-id")
	if err != nil {
		return err
	}
	if id == "" {
		return headerError("webhook-id", "missing")
	}
	timestamp, sent, err := r.unixTime("webhook-timestamp")
	if err != nil {
		return err
	}
	digests, err := standardDigests(signatures)
	if err != nil {
		return err
	}
	if err := checkMAC(keys, digests, []byte(id+"."+timestamp+"."), r.body); err != nil {
		return err
	}
	return checkFresh(sent, now)
}

// standardDigests skips signatures of other versions, as the standard asks.
func standardDigests(signatures string) ([][]byte, error) {
	entries := strings.Fields(signatures)
	if len(entries) > maxSignatures {
		return nil, headerError("webhook-signature", fmt.Sprintf("more than %d signatures", maxSignatures))
	}
	var digests [][]byte
	for _, entry := range entries {
		encoded, ok := strings.CutPrefix(entry, "v1,")
		if !ok {
			continue
		}
		if digest, err := base64.StdEncoding.DecodeString(encoded); err == nil {
			digests = append(digests, digest)
		}
	}
	if len(digests) == 0 {
		return nil, ErrBadSignature
	}
	return digests, nil
}

// checkToken compares hashes, so that neither content nor length of a secret
// shows in the time taken.
func checkToken(token string, secrets []Secret) error {
	got := sha256.Sum256([]byte(token))
	usable, matched := false, 0
	for _, secret := range secrets {
		if secret == "" {
			continue
		}
		want := sha256.Sum256([]byte(secret))
		usable, matched = true, matched|subtle.ConstantTimeCompare(got[:], want[:])
	}
	switch {
	case !usable:
		return ErrNoSecret
	case matched == 0:
		return ErrBadSignature
	}
	return nil
}

type gitlabBody struct {
	EventName string          `json:"event_name"`
	Ref       string          `json:"ref"`
	Before    string          `json:"before"`
	After     string          `json:"after"`
	Changes   json.RawMessage `json:"changes"`
	Project   *struct {
		PathWithNamespace string `json:"path_with_namespace"`
		GitHTTPURL        string `json:"git_http_url"`
		GitSSHURL         string `json:"git_ssh_url"`
		WebURL            string `json:"web_url"`
	} `json:"project"`
}

func (gitlab) parse(r request) (Delivery, error) {
	event, err := r.event("X-Gitlab-Event")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.id("", "webhook-id", "Idempotency-Key")
	if err != nil {
		return Delivery{}, err
	}
	d := Delivery{Event: event, ID: id}
	switch event {
	case "Push Hook", "Tag Push Hook", "System Hook":
		return readGitLab(r, d)
	}
	return ignored(d, "no ref moved by it that a push event does not tell")
}

func readGitLab(r request, d Delivery) (Delivery, error) {
	payload, err := r.payload(false)
	if err != nil {
		return Delivery{}, err
	}
	var body gitlabBody
	if err := decode(payload, &body); err != nil {
		return Delivery{}, err
	}
	d.Kind = Push
	switch {
	case d.Event != "System Hook", body.EventName == "push", body.EventName == "tag_push":
		d.Updates, err = gitlabUpdate("", body.Ref, body.Before, body.After)
	case body.EventName == "repository_update":
		d.Updates, err = gitlabChanges(body.Changes)
	default:
		return ignored(d, "event_name "+cleanText(body.EventName, maxEvent)+" moves no ref")
	}
	if err != nil {
		return Delivery{}, err
	}
	d.SentAt = r.standardTime()
	if body.Project == nil {
		return Delivery{}, bodyError("project", "missing")
	}
	p := body.Project
	return d, d.setRepository("project", p.PathWithNamespace, p.GitHTTPURL, p.GitSSHURL, p.WebURL)
}

// gitlabChanges reads the list of a repository_update, which tells all refs of
// a push at once.
func gitlabChanges(raw json.RawMessage) ([]Update, error) {
	type change struct{ Ref, Before, After string }
	changes, err := decodeList[change](raw, "changes")
	if err != nil {
		return nil, err
	}
	var updates []Update
	for i, c := range changes {
		one, err := gitlabUpdate(fmt.Sprintf("changes[%d].", i), c.Ref, c.Before, c.After)
		if err != nil {
			return nil, err
		}
		updates = append(updates, one...)
	}
	return updates, nil
}

func gitlabUpdate(at, ref, before, after string) ([]Update, error) {
	old, new := field{at + "before", before}, field{at + "after", after}
	if err := required(old, new); err != nil {
		return nil, err
	}
	update, err := newUpdate(field{at + "ref", ref}, old, new)
	if err != nil {
		return nil, err
	}
	return []Update{update}, nil
}

func (r request) standardTime() time.Time {
	_, sent, err := r.unixTime("webhook-timestamp")
	if err != nil {
		return time.Time{}
	}
	return claimedTime(sent)
}
