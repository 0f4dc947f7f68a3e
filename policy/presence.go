package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// receiptRule is require_receipts: commits that show an AI agent's hand need a
// note. What the forge itself made and bots' commits are exempt.
type receiptRule struct{ withoutTotals }

func readRequireReceipts(o *object) judge {
	o.always(string(RequireReceipts))
	return receiptRule{}
}

// always reads a rule whose only value is true.
func (o *object) always(name string) {
	if raw, _ := o.take(name); string(raw) != "true" {
		o.problem(o.at(name), "must be true; disable the policy instead of writing false", "true")
	}
}

func (receiptRule) judge(_ context.Context, v *view, r *report) {
	for _, c := range v.commits {
		missing := c.Marked() && !c.Noted && len(c.receipts) == 0 && !c.Bot
		if !missing || c.awaited || v.madeByForge(c) {
			continue
		}
		r.violated(c, push.Finding{
			Limit: "receipts of AI-marked commits",
			Found: "none",
			Message: fmt.Sprintf("Commit %s is marked as written with %s but has no receipts.",
				short(c.OID), quoteList(agents(c))),
			Next: "Push the notes (git push origin refs/notes/blameprompt), then push again. " +
				"If they were never recorded, ask an administrator for a waiver.",
		})
	}
	r.await(v.awaited(func(c *commit) bool { return c.Marked() }))
}

// agents are the distinct agents that mark a commit.
func agents(c *commit) []string {
	var names []string
	for _, m := range c.Marks {
		if !slices.Contains(names, m.Agent) {
			names = append(names, m.Agent)
		}
	}
	return names
}

// secretRule is forbid_secrets: no receipt may hold what looks like a secret, or
// a marker of one that the client took out.
type secretRule struct {
	withoutTotals
	ignored []string
}

func readForbidSecrets(o *object) judge {
	o.always(string(ForbidSecrets))
	rule := &secretRule{}
	if _, given := o.members["ignore"]; !given {
		o.take("ignore")
		return rule
	}
	rule.ignored = o.list("ignore")
	kinds := append(secretWords(), everyMarker)
	for i, word := range rule.ignored {
		if !slices.Contains(kinds, word) {
			o.once(fmt.Sprintf("%s[%d]", o.at("ignore"), i), "names no kind of secret", kinds...)
		}
	}
	return rule
}

// everyMarker stands for all kinds that begin with "redacted_".
const everyMarker = "redacted_*"

func secretWords() []string {
	kinds := push.SecretKinds()
	words := make([]string, 0, len(kinds)+1)
	for _, kind := range kinds {
		words = append(words, string(kind))
	}
	return words
}

func (rule *secretRule) ignores(kind string) bool {
	return slices.Contains(rule.ignored, kind) ||
		(strings.HasPrefix(kind, "redacted_") && slices.Contains(rule.ignored, everyMarker))
}

func (rule *secretRule) judge(_ context.Context, v *view, r *report) {
	for _, one := range v.receipts {
		kinds := rule.forbidden(one.Secrets)
		if len(kinds) == 0 {
			continue
		}
		r.violated(one.commit, push.Finding{
			Receipt: one.ID,
			Limit:   "no secrets in prompts",
			Found:   strings.Join(kinds, ", "),
			Message: fmt.Sprintf("A prompt of commit %s holds, or held before redaction, what looks like a secret: %s.",
				short(one.commit.OID), strings.Join(kinds, ", ")),
			Next: "Treat the secret as known to others: revoke it and make a new one. " +
				"Then ask an administrator for a waiver.",
		})
	}
	r.await(v.awaited(anyCommit))
}

// forbidden are the kinds that are not ignored, sorted; unknown kinds count.
func (rule *secretRule) forbidden(kinds []push.SecretKind) []string {
	var words []string
	for _, kind := range kinds {
		word := string(kind)
		if rule.ignores(word) {
			continue
		}
		if !plainName(word) {
			word = quote(word)
		}
		words = append(words, word)
	}
	slices.Sort(words)
	return slices.Compact(words)
}
