package ui

import (
	"context"
	"errors"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// pageSize is how many rows a list shows at once.
const pageSize = 50

// reposNamed finds the repositories of the organisation that a field names,
// with commas between them.
func (p *pages) reposNamed(ctx context.Context, org uuid.UUID, f *form, name string) ([]uuid.UUID, error) {
	var ids []uuid.UUID
	for repo := range strings.SplitSeq(f.text(name, 1000), ",") {
		if repo = strings.TrimSpace(repo); repo == "" {
			continue
		}
		row, err := p.cfg.DB.Repo(ctx, org, repo)
		if errors.Is(err, store.ErrNotFound) {
			f.refuse(name, "must be the name or id of a repository of your organisation")
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		ids = append(ids, row.ID)
	}
	return ids, nil
}

// repoNamed is reposNamed for a field of one; the nil UUID if there is none.
func (p *pages) repoNamed(ctx context.Context, org uuid.UUID, f *form, name string) (uuid.UUID, error) {
	ids, err := p.reposNamed(ctx, org, f, name)
	switch {
	case err != nil || len(ids) == 0:
		return uuid.Nil, err
	case len(ids) > 1:
		f.refuse(name, "must be one repository")
	}
	return ids[0], nil
}

// teamNamed returns the members of the team that a field names, never nil if it
// names one.
func (p *pages) teamNamed(ctx context.Context, org uuid.UUID, f *form, name string) ([]string, error) {
	team := f.text(name, 200)
	if team == "" {
		return nil, nil
	}
	emails, err := p.cfg.DB.TeamEmails(ctx, org, team)
	if errors.Is(err, store.ErrNotFound) {
		f.refuse(name, "must be the name or id of a team of your organisation")
		return nil, nil
	}
	return append([]string{}, emails...), err
}

// policyNamed finds the policy that a field names; the nil UUID if it names none.
func (p *pages) policyNamed(ctx context.Context, org uuid.UUID, f *form, name string) (uuid.UUID, error) {
	wanted := f.text(name, 200)
	if wanted == "" {
		return uuid.Nil, nil
	}
	row, err := p.cfg.DB.Policy(ctx, org, wanted)
	if errors.Is(err, store.ErrNotFound) {
		f.refuse(name, "must be the name or id of a policy of your organisation")
		return uuid.Nil, nil
	}
	return row.ID, err
}

// Choices are the names that filter fields propose; long lists are cut, since
// what is typed counts all the same.
type Choices struct{ Repos, Teams, Policies []string }

const maxChoices = 200

func (p *pages) choices(ctx context.Context, org uuid.UUID) (Choices, error) {
	var out Choices
	repos, err := p.cfg.DB.Repos(ctx, org)
	if err != nil {
		return out, err
	}
	for _, repo := range repos {
		out.Repos = append(out.Repos, repo.Name)
	}
	teams, err := p.cfg.DB.Teams(ctx, org)
	if err != nil {
		return out, err
	}
	for _, team := range teams {
		out.Teams = append(out.Teams, team.Name)
	}
	policies, err := p.cfg.DB.Policies(ctx, org)
	for _, policy := range policies {
		out.Policies = append(out.Policies, policy.Name)
	}
	for _, list := range []*[]string{&out.Repos, &out.Teams, &out.Policies} {
		*list = (*list)[:min(len(*list), maxChoices)]
	}
	return out, err
}

// page cuts rows, of which one more than pageSize was asked for, and says
// whether there are more.
func cut[Row any](rows []Row) (page []Row, more bool) {
	if len(rows) > pageSize {
		return rows[:pageSize], true
	}
	return rows, false
}
