package policy

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/blameprompt/enterprise/policy/push"
)

// modelRule is allowed_models and blocked_models.
type modelRule struct {
	withoutTotals
	allow    bool
	texts    []string
	patterns []modelPattern
	aliases  map[string]modelName
	// unknown says that a model that is not known violates the rule.
	unknown bool
}

func readAllowedModels(o *object) judge { return readModelRule(o, AllowedModels, true) }
func readBlockedModels(o *object) judge { return readModelRule(o, BlockedModels, false) }

func readModelRule(o *object, kind Kind, allow bool) judge {
	m := &modelRule{allow: allow, texts: o.list(string(kind)), aliases: o.aliases("aliases")}
	m.unknown = o.choice("unknown_models", unknownWords(allow)...) == "violate"
	errs := make([]error, len(m.texts))
	for i, text := range m.texts {
		pattern, err := readModelPattern(text)
		if errs[i] = err; err == nil {
			m.patterns = append(m.patterns, pattern)
		}
	}
	o.patternProblems(string(kind), errs)
	return m
}

// unknownWords are the values of unknown_models, the default first: what is not
// known is not on an allow-list, and cannot be said to be blocked.
func unknownWords(allow bool) []string {
	if allow {
		return []string{"violate", "allow"}
	}
	return []string{"allow", "violate"}
}

// aliases reads {"name": "other name"}.
func (o *object) aliases(name string) map[string]modelName {
	raw, ok := o.take(name)
	if !ok {
		return nil
	}
	inner := readObject(o.at(name), raw, o.problems)
	aliases := map[string]modelName{}
	if len(inner.names) > maxList {
		o.problem(o.at(name), fmt.Sprintf("has %d names: at most %d are allowed", len(inner.names), maxList))
		return nil
	}
	for _, from := range inner.names {
		to := readModel(inner.text(from, maxText))
		if to.unknown {
			inner.once(inner.at(from), "names no model")
		}
		aliases[readModel(from).bare] = to
	}
	return aliases
}

func (m *modelRule) judge(_ context.Context, v *view, r *report) {
	for _, use := range v.modelUses() {
		if problem := m.problem(use.model); problem != "" {
			r.violated(use.commit, m.finding(use, problem))
		}
	}
	r.await(v.awaited(anyCommit))
}

// problem says what is wrong with a model, "" if nothing is.
func (m *modelRule) problem(name modelName) string {
	other, aliased := m.aliases[name.bare]
	if name.unknown && aliased {
		name = other
	}
	listed := func(p modelPattern) bool { return p.match(name) || (aliased && p.match(other)) }
	switch {
	case name.unknown && m.unknown:
		return "is not known"
	case name.unknown:
		return ""
	case m.allow && !slices.ContainsFunc(m.patterns, listed):
		return "is not on the list of allowed models"
	case !m.allow && slices.ContainsFunc(m.patterns, listed):
		return "is blocked"
	}
	return ""
}

func (m *modelRule) finding(use modelUse, problem string) push.Finding {
	f := push.Finding{
		Receipt: use.receipt,
		Model:   use.reported,
		Limit:   "not " + quoteList(m.texts),
		Found:   quote(use.reported),
		Message: fmt.Sprintf("The model %s of %s in commit %s %s.",
			quote(use.reported), plural(use.count, "receipt"), short(use.commit.OID), problem),
		Next: "Redo the change with another model, or ask an administrator for a waiver.",
	}
	if m.allow {
		f.Limit = "only " + quoteList(m.texts)
		f.Next = "Redo the change with an allowed model, or ask an administrator for a waiver. Allowed: " +
			quoteList(m.texts) + "."
	}
	return f
}

// modelUse is one model or provider as receipts of one commit spell it.
type modelUse struct {
	commit   *commit
	model    modelName
	reported string
	provider string
	// receipt is the first of count receipts.
	receipt string
	count   int64
}

// modelUses are the distinct spellings per commit and provider.
func (v *view) modelUses() []modelUse {
	if v.modelSet != nil {
		return v.modelSet
	}
	type key struct {
		commit          int
		model, provider string
	}
	places := map[key]int{}
	list := make([]modelUse, 0, len(v.commits))
	for _, r := range v.receipts {
		k := key{r.commit.index, r.Model, r.Provider}
		place, known := places[k]
		if !known {
			place = len(list)
			places[k] = place
			list = append(list, modelUse{
				commit: r.commit, model: r.model, reported: r.Model, provider: r.Provider, receipt: r.ID,
			})
		}
		list[place].count++
	}
	v.modelSet = list
	return list
}

// providerRule is allowed_providers and blocked_providers.
type providerRule struct {
	withoutTotals
	allow    bool
	texts    []string
	patterns []*regexp.Regexp
	unknown  bool
}

func readAllowedProviders(o *object) judge { return readProviderRule(o, AllowedProviders, true) }
func readBlockedProviders(o *object) judge { return readProviderRule(o, BlockedProviders, false) }

func readProviderRule(o *object, kind Kind, allow bool) judge {
	p := &providerRule{allow: allow, texts: o.list(string(kind))}
	p.unknown = o.choice("unknown_providers", unknownWords(allow)...) == "violate"
	errs := make([]error, len(p.texts))
	for i, text := range p.texts {
		pattern, err := readProviderPattern(text)
		if errs[i] = err; err == nil {
			p.patterns = append(p.patterns, pattern)
		}
	}
	o.patternProblems(string(kind), errs)
	return p
}

func (p *providerRule) judge(_ context.Context, v *view, r *report) {
	seen := map[string]bool{}
	for _, use := range v.modelUses() {
		key := use.commit.OID + "\x00" + use.provider
		problem := p.problem(readProvider(use.provider))
		if problem == "" || seen[key] {
			continue
		}
		seen[key] = true
		r.violated(use.commit, p.finding(use, problem))
	}
	r.await(v.awaited(anyCommit))
}

func (p *providerRule) problem(name string) string {
	listed := func(p *regexp.Regexp) bool { return p.MatchString(name) }
	switch unknown := slices.Contains(noProviders, name); {
	case unknown && p.unknown:
		return "is not known"
	case unknown:
		return ""
	case p.allow && !slices.ContainsFunc(p.patterns, listed):
		return "is not on the list of allowed providers"
	case !p.allow && slices.ContainsFunc(p.patterns, listed):
		return "is blocked"
	}
	return ""
}

func (p *providerRule) finding(use modelUse, problem string) push.Finding {
	limit := "not "
	if p.allow {
		limit = "only "
	}
	return push.Finding{
		Receipt: use.receipt,
		Limit:   limit + quoteList(p.texts),
		Found:   quote(use.provider),
		Message: fmt.Sprintf("The AI tool %s in commit %s %s.", quote(use.provider), short(use.commit.OID), problem),
		Next:    "Redo the change with another tool, or ask an administrator for a waiver.",
	}
}
