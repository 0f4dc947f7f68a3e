package forge

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// bitbucket reads Bitbucket Cloud ("Event payloads", repo:push) and Bitbucket
// Data Center ("Event payload", repo:refs_changed), which share the headers
// X-Event-Key and X-Hub-Signature.
type bitbucket struct{}

func (bitbucket) verify(r request, secrets []Secret, _ time.Time) error {
	digest, err := r.digest("X-Hub-Signature")
	if err != nil {
		return err
	}
	return checkMAC(rawKeys(secrets), [][]byte{digest}, r.body)
}

func (bitbucket) parse(r request) (Delivery, error) {
	event, err := r.event("X-Event-Key")
	if err != nil {
		return Delivery{}, err
	}
	id, err := r.bitbucketID(event)
	if err != nil {
		return Delivery{}, err
	}
	d := Delivery{Event: event, ID: id}
	switch event {
	case "repo:push":
		return readBitbucketCloud(r, d)
	case "repo:refs_changed":
		return readBitbucketDC(r, d)
	case "diagnostics:ping":
		d.Kind = Ping
		return d, nil
	}
	return ignored(d, "no ref moved by it that a push event does not tell")
}

// bitbucketID takes X-Request-Id for Data Center's own only where Cloud's
// header is missing and the event is not Cloud's: proxies add one too.
func (r request) bitbucketID(event string) (string, error) {
	if event == "repo:push" || strings.HasPrefix(event, "pullrequest:") {
		return r.id("", "X-Request-UUID")
	}
	return r.id("", "X-Request-UUID", "X-Request-Id")
}

type cloudChange struct {
	Old *cloudRef `json:"old"`
	New *cloudRef `json:"new"`
}

type cloudRef struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Target struct {
		Hash string `json:"hash"`
	} `json:"target"`
}

type cloudBody struct {
	Push *struct {
		Changes json.RawMessage `json:"changes"`
	} `json:"push"`
	Repository *struct {
		FullName string `json:"full_name"`
		Links    struct {
			HTML struct {
				Href string `json:"href"`
			} `json:"html"`
		} `json:"links"`
	} `json:"repository"`
}

func readBitbucketCloud(r request, d Delivery) (Delivery, error) {
	payload, err := r.payload(false)
	if err != nil {
		return Delivery{}, err
	}
	var body cloudBody
	if err := decode(payload, &body); err != nil {
		return Delivery{}, err
	}
	switch {
	case body.Push == nil:
		return Delivery{}, bodyError("push", "missing")
	case body.Repository == nil:
		return Delivery{}, bodyError("repository", "missing")
	}
	changes, err := decodeList[cloudChange](body.Push.Changes, "push.changes")
	if err != nil {
		return Delivery{}, err
	}
	for i, change := range changes {
		update, err := change.update(fmt.Sprintf("push.changes[%d].", i))
		if err != nil {
			return Delivery{}, err
		}
		d.Updates = append(d.Updates, update)
	}
	d.Kind = Push
	return d, d.setRepository("repository", body.Repository.FullName, body.Repository.Links.HTML.Href)
}

// update completes the short name: old is null where the ref was created, new
// where it was deleted.
func (c cloudChange) update(at string) (Update, error) {
	shown, path := c.New, at+"new"
	if shown == nil {
		shown, path = c.Old, at+"old"
	}
	if shown == nil {
		return Update{}, bodyError(at+"new", "missing, and so is old")
	}
	ref, err := fullRef(field{path + ".name", shown.Name}, field{path + ".type", shown.Type})
	if err != nil {
		return Update{}, err
	}
	old, new := c.Old.id(at+"old.target.hash", shown), c.New.id(at+"new.target.hash", shown)
	if err := required(old, new); err != nil {
		return Update{}, err
	}
	return newUpdate(ref, old, new)
}

func (c *cloudRef) id(path string, other *cloudRef) field {
	if c == nil {
		return field{path, nullID(other.Target.Hash)}
	}
	return field{path, c.Target.Hash}
}

type dcChange struct {
	Ref struct {
		ID string `json:"id"`
	} `json:"ref"`
	RefID    string `json:"refId"`
	FromHash string `json:"fromHash"`
	ToHash   string `json:"toHash"`
}

type dcBody struct {
	Date       string          `json:"date"`
	Changes    json.RawMessage `json:"changes"`
	Repository *dcRepository   `json:"repository"`
}

type dcRepository struct {
	Slug    string `json:"slug"`
	Project struct {
		Key string `json:"key"`
	} `json:"project"`
	Links struct {
		Clone json.RawMessage `json:"clone"`
	} `json:"links"`
}

func readBitbucketDC(r request, d Delivery) (Delivery, error) {
	payload, err := r.payload(false)
	if err != nil {
		return Delivery{}, err
	}
	var body dcBody
	if err := decode(payload, &body); err != nil {
		return Delivery{}, err
	}
	if body.Repository == nil {
		return Delivery{}, bodyError("repository", "missing")
	}
	changes, err := decodeList[dcChange](body.Changes, "changes")
	if err != nil {
		return Delivery{}, err
	}
	for i, change := range changes {
		update, err := change.update(fmt.Sprintf("changes[%d].", i))
		if err != nil {
			return Delivery{}, err
		}
		d.Updates = append(d.Updates, update)
	}
	d.Kind, d.SentAt = Push, dcTime(body.Date)
	return d, d.setDCRepository(body.Repository)
}

func (c dcChange) update(at string) (Update, error) {
	ref := field{at + "refId", c.RefID}
	if ref.value == "" {
		ref = field{at + "ref.id", c.Ref.ID}
	}
	old, new := field{at + "fromHash", c.FromHash}, field{at + "toHash", c.ToHash}
	if err := required(old, new); err != nil {
		return Update{}, err
	}
	return newUpdate(ref, old, new)
}

// setDCRepository leaves out links.self: it is a page, not a repository.
func (d *Delivery) setDCRepository(repo *dcRepository) error {
	type link struct{ Href string }
	links, err := decodeList[link](repo.Links.Clone, "repository.links.clone")
	if err != nil {
		return err
	}
	var urls []string
	for _, l := range links {
		urls = append(urls, l.Href)
	}
	return d.setRepository("repository", repo.Project.Key+"/"+repo.Slug, urls...)
}

// dcTime reads "2019-03-01T10:37:14+0100": RFC 3339 but for the zone's colon.
func dcTime(date string) time.Time {
	t, err := time.Parse("2006-01-02T15:04:05Z0700", date)
	if err != nil {
		return time.Time{}
	}
	return claimedTime(t)
}
