package ui

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Webhooks is the secrets that forges sign with, and what they delivered.
type Webhooks struct {
	Base
	Tabs       []Tab
	Secrets    []store.WebhookSecret
	Deliveries []store.StoredDelivery
	Forges     []Option
	// Secret and URL are of the one that was made just now.
	Secret, URL string
}

var webhookForges = []Option{{"github", "GitHub"}, {"gitlab", "GitLab"}, {"gitea", "Gitea or Forgejo"}, {"gogs", "Gogs"}, {"bitbucket", "Bitbucket"}}

func (p *pages) webhooks(w http.ResponseWriter, r *http.Request) error {
	return p.showWebhooks(w, r, &Webhooks{}, nil)
}

func (p *pages) showWebhooks(w http.ResponseWriter, r *http.Request, page *Webhooks, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Webhooks")
	if err != nil {
		return err
	}
	base.Problems = refused
	page.Base, page.Tabs, page.Forges = base, settingsTabs("/settings/webhooks"), webhookForges
	if page.Secrets, err = p.cfg.DB.WebhookSecrets(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	if page.Deliveries, err = p.cfg.DB.Deliveries(r.Context(), base.Viewer.Org, pageSize); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "webhooks", page)
}

// makeWebhookSecret makes a secret and shows it once, with where the forge is to
// send to.
func (p *pages) makeWebhookSecret(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	forge := f.choice("forge", "github", "gitlab", "gitea", "gogs", "bitbucket")
	if forge == "" && len(f.faults) == 0 {
		f.refuse("forge", "must be given")
	}
	if len(f.faults) > 0 {
		return p.showWebhooks(w, r, &Webhooks{}, f.faults)
	}
	org, err := p.cfg.DB.OrgByID(r.Context(), whoOf(r).Org)
	if err != nil {
		return err
	}
	_, secret, err := p.cfg.DB.CreateWebhookSecret(r.Context(), whoOf(r), forge, "")
	if err != nil {
		return err
	}
	return p.showWebhooks(w, r, &Webhooks{Secret: secret, URL: p.cfg.PublicURL + "/hooks/" + forge + "/" + org.Name}, nil)
}

func (p *pages) endWebhookSecret(w http.ResponseWriter, r *http.Request) error {
	return p.endByID(w, r, "/settings/webhooks", "secret-revoked", func(by access.Principal, id uuid.UUID) error {
		return p.cfg.DB.RevokeWebhookSecret(r.Context(), by, id)
	})
}

// redeliver does once more what a delivery asked for.
func (p *pages) redeliver(w http.ResponseWriter, r *http.Request) error {
	f, by := postOf(r), whoOf(r)
	forge, id := f.wanted("forge", 50), f.wanted("delivery", 500)
	if err := f.err(); err != nil {
		return p.showWebhooks(w, r, &Webhooks{}, f.faults)
	}
	var row store.StoredDelivery
	err := p.cfg.DB.InTx(r.Context(), func(tx *store.Tx) (err error) {
		var repos []store.Repo
		repos, row, err = tx.Redeliver(r.Context(), by, forge, id)
		for i := 0; err == nil && i < len(repos); i++ {
			err = p.cfg.Fetches.DemandFetch(r.Context(), tx, by.Org, repos[i].ID, queue.Asked)
		}
		return err
	})
	if err != nil {
		return err
	}
	return done(w, r, "/settings/webhooks", map[string]string{store.OutcomeFetch: "redelivered", store.OutcomeIgnored: "ignored-before",
		store.OutcomeUnknownRepo: "unknown-repo"}[row.Outcome])
}
