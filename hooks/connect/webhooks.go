package connect

import (
	"context"
	"errors"
	"strings"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// hook makes sure of webhooks: of one for the whole owner, else of one for each
// repository. What the forge refuses for good is the report's; an error is what
// a later look may do better.
func (l *look) hook(ctx context.Context, report *Report) error {
	switch {
	case !l.row.Webhooks:
		return nil
	case l.c.cfg.WebhookURL == "":
		report.HooksReason = "public_url is not set, so forges do not know where to send webhooks; sweeps find pushes, minutes later"
		return nil
	}
	webhook, err := l.c.webhook(ctx, l.by, l.row)
	if err != nil {
		return err
	}
	l.options.report("making webhooks", 0, 0)
	_, err = l.c.cfg.Forges.CreateWebhook(ctx, l.account, "", webhook)
	if err == nil {
		report.Webhooks = HooksOwner
		return nil
	}
	if !forge.IsOwnersFault(err) {
		return err
	}
	return l.hookRepos(ctx, report, webhook)
}

// hookRepos gives each repository its own webhook. A token that may not do so
// for one may not for the others; any other refusal is of that one alone.
func (l *look) hookRepos(ctx context.Context, report *Report, webhook forge.Webhook) error {
	report.Webhooks = HooksRepos
	done := 0
	for i := range report.Repos {
		repo, ok := l.placed[i]
		if !ok {
			continue
		}
		l.options.report("making webhooks", done, len(l.placed))
		done++
		if repo.HookedAt != nil && !l.options.Anew {
			continue
		}
		_, err := l.c.cfg.Forges.CreateWebhook(ctx, l.account, repo.ForgePath, webhook)
		switch {
		case err == nil:
			if err := l.c.cfg.DB.RepoHooked(ctx, repo.OrgID, repo.ID); err != nil {
				return err
			}
		case errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrToken):
			report.HooksReason, report.Problem = err.Error(), "webhooks: "+err.Error()
			return nil
		case forge.IsOwnersFault(err):
			report.Repos[i].Reason = "webhook: " + err.Error()
		default:
			return err
		}
	}
	return nil
}

// webhook is where the forge sends what is pushed, signed with a secret that the
// organisation has for it already, else with a new one.
func (c *Connector) webhook(ctx context.Context, by access.Principal, row store.Connection) (forge.Webhook, error) {
	org, err := c.cfg.DB.OrgByID(ctx, row.OrgID)
	if err != nil {
		return forge.Webhook{}, err
	}
	out := forge.Webhook{URL: c.cfg.WebhookURL + "/hooks/" + row.Forge + "/" + org.Name}
	_, secrets, err := c.cfg.DB.OpenWebhookSecrets(ctx, org.Name, row.Forge)
	if err != nil {
		return forge.Webhook{}, err
	}
	for _, secret := range secrets {
		// GitLab's API takes secret tokens; signing tokens are made by hand.
		if !strings.HasPrefix(secret, "whsec_") {
			out.Secret = forge.Secret(secret)
			return out, nil
		}
	}
	_, secret, err := c.cfg.DB.CreateWebhookSecret(ctx, by, row.Forge, "")
	out.Secret = forge.Secret(secret)
	return out, err
}
