package demo

import (
	"time"

	"github.com/blameprompt/enterprise/store"
)

// The repositories. Names may hold whatever can be printed, and one does.
const (
	repoPayments   = "shop/payments-api"
	repoStorefront = "shop/storefront"
	repoPipeline   = "data/pipeline"
	repoMobile     = "shop/mobile-app"
	repoInfra      = "platform/infra"
	repoDesign     = `design/<img src=x onerror=alert("repo")> מערכת & more`
)

func projects() []*project {
	grace := 4 * time.Hour
	deferred := store.RepoSettings{Mode: store.ModeAdvisory, ReceiptMode: store.ReceiptsDeferred, Grace: &grace}
	strict := store.RepoSettings{Mode: store.ModeEnforcing, ReceiptMode: store.ReceiptsSamePush}
	gentle := store.RepoSettings{Mode: store.ModeAdvisory, ReceiptMode: store.ReceiptsSamePush, ExcludedPaths: []string{"fixtures/**", "*.snap"}}
	return []*project{
		{name: repoPayments, team: teamPayments, languages: []*language{golang}, notes: refBlamePrompt, settings: strict, share: 7, weight: 6},
		{name: repoStorefront, team: teamStorefront, languages: []*language{typescript, typescript, css}, notes: refBlamePrompt, settings: deferred, share: 9, weight: 6},
		{name: repoPipeline, team: teamData, languages: []*language{python}, notes: refGitAI, settings: gentle, share: 9, weight: 4},
		{name: repoMobile, team: teamStorefront, languages: []*language{kotlin}, notes: refBlamePrompt, settings: gentle, share: 7, weight: 3},
		{name: repoInfra, team: teamPlatform, languages: []*language{terraform, shell}, byHand: terraform, notes: refBlamePrompt, settings: strict, share: 6, weight: 2},
		{name: repoDesign, team: teamDesign, languages: []*language{css, markdown}, notes: refGitAI, settings: gentle, share: 8, weight: 2},
	}
}

func (s *story) named(name string) *project {
	for _, p := range s.projects {
		if p.name == name {
			return p
		}
	}
	panic("there is no repository " + name)
}
