package store

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
)

// BotRule says of authors whose name or address matches a pattern that they are
// bots, or that they are none, whatever the built-in list says.
type BotRule struct {
	// Pattern is in lower case; * stands for any run of characters.
	Pattern   string
	Bot       bool
	CreatedBy string
	CreatedAt time.Time
}

// BotRules lists the rules by pattern.
func (db *DB) BotRules(ctx context.Context, org uuid.UUID) (BotRules, error) {
	return botRules(ctx, db.pool, org)
}

func botRules(ctx context.Context, q querier, org uuid.UUID) (BotRules, error) {
	return collect[BotRule](ctx, q, "listing rules on bots",
		`SELECT pattern, bot, created_by, created_at FROM bot_rules WHERE org_id = $1 ORDER BY pattern`, org)
}

// BotRules are the rules of an organisation, as is_bot has them in SQL.
type BotRules []BotRule

// IsBot reports whether an author is a bot; builtin is what the built-in list says.
// Of several rules that match, one that says no wins.
func (rules BotRules) IsBot(name, email string, builtin bool) bool {
	name, email = strings.ToLower(name), strings.ToLower(email)
	bot, matched := true, false
	for _, r := range rules {
		if matchGlob(r.Pattern, name) || matchGlob(r.Pattern, email) {
			bot, matched = bot && r.Bot, true
		}
	}
	if matched {
		return bot
	}
	return builtin
}

// matchGlob reports whether text is the pattern, in which * stands for any run of
// characters.
func matchGlob(pattern, text string) bool {
	first, rest, isGlob := strings.Cut(pattern, "*")
	text, ok := strings.CutPrefix(text, first)
	if !ok || !isGlob {
		return ok && text == ""
	}
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] {
		if _, text, ok = strings.Cut(text, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(text, parts[len(parts)-1])
}

// BotRules reads the rules within the transaction.
func (tx *Tx) BotRules(ctx context.Context, org uuid.UUID) (BotRules, error) {
	return botRules(ctx, tx, org)
}

const maxPattern = 200

func checkPattern(pattern string) (string, error) {
	pattern = strings.ToLower(strings.TrimSpace(pattern))
	if pattern == "" || strings.Trim(pattern, "*") == "" || utf8.RuneCountInString(pattern) > maxPattern ||
		!utf8.ValidString(pattern) || strings.ContainsRune(pattern, 0) {
		return "", &InvalidError{"pattern", "must be a name or an address of at most " + itoa(maxPattern) + " characters, * for any run of characters"}
	}
	return pattern, nil
}

// SetBotRule adds a rule or changes it. What follows for commits that are stored is
// done by FindBots.
func (tx *Tx) SetBotRule(ctx context.Context, by access.Principal, pattern string, bot bool) (BotRule, error) {
	pattern, err := checkPattern(pattern)
	if err != nil {
		return BotRule{}, err
	}
	rule, err := collectOne[BotRule](ctx, tx, "setting a rule on bots", `
		INSERT INTO bot_rules (org_id, pattern, liked, bot, created_by) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (org_id, pattern) DO UPDATE SET bot = excluded.bot, created_by = excluded.created_by, created_at = now()
		RETURNING pattern, bot, created_by, created_at`, by.Org, pattern, likeGlob(pattern), bot, actor(by))
	if err != nil {
		return BotRule{}, err
	}
	if err := tx.botsChanged(ctx, by.Org); err != nil {
		return BotRule{}, err
	}
	return rule, tx.Audit(ctx, by, "bot.set", pattern, map[string]any{"bot": bot})
}

// RemoveBotRule removes a rule. ErrNotFound if there is none.
func (tx *Tx) RemoveBotRule(ctx context.Context, by access.Principal, pattern string) error {
	pattern, err := checkPattern(pattern)
	if err != nil {
		return err
	}
	tag, err := tx.Exec(ctx, `DELETE FROM bot_rules WHERE org_id = $1 AND pattern = $2`, by.Org, pattern)
	if err != nil {
		return translate(err, "removing a rule on bots")
	}
	if tag.RowsAffected() == 0 {
		return fmt.Errorf("finding the rule on %.60q: %w", pattern, ErrNotFound)
	}
	if err := tx.botsChanged(ctx, by.Org); err != nil {
		return err
	}
	return tx.Audit(ctx, by, "bot.remove", pattern, nil)
}

func (tx *Tx) botsChanged(ctx context.Context, org uuid.UUID) error {
	_, err := tx.Exec(ctx, `INSERT INTO bots_due VALUES ($1) ON CONFLICT DO NOTHING`, org)
	return translate(err, "noting that rules on bots changed")
}

// FindBots says of all commits of organisations whose rules changed whether a bot
// made them.
func (db *DB) FindBots(ctx context.Context) error {
	orgs, err := collect[struct{ OrgID uuid.UUID }](ctx, db.pool, "finding changed rules on bots", `SELECT org_id FROM bots_due ORDER BY 1`)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		if err := db.InTx(ctx, func(tx *Tx) error { return tx.findBots(ctx, org.OrgID) }); err != nil {
			return err
		}
	}
	return nil
}

func (tx *Tx) findBots(ctx context.Context, org uuid.UUID) error {
	if _, err := tx.Exec(ctx, `DELETE FROM bots_due WHERE org_id = $1`, org); err != nil {
		return translate(err, "taking up changed rules on bots")
	}
	authors, err := collect[struct{ Name, Email string }](ctx, tx, "listing authors",
		`SELECT DISTINCT author_name AS name, author_email AS email FROM commits WHERE org_id = $1`, org)
	if err != nil {
		return err
	}
	names, emails, builtin := make([]string, len(authors)), make([]string, len(authors)), make([]bool, len(authors))
	for i, a := range authors {
		names[i], emails[i], builtin[i] = a.Name, a.Email, notes.IsBot(a.Name, a.Email)
	}
	_, err = tx.Exec(ctx, `
		WITH authors AS MATERIALIZED (
			SELECT a.name, a.email, is_bot($1, a.name, a.email, a.builtin) AS bot
			FROM unnest($2::text[], $3::text[], $4::boolean[]) AS a (name, email, builtin))
		UPDATE commits c SET bot = a.bot FROM authors a
		WHERE c.org_id = $1 AND c.author_name = a.name AND c.author_email = a.email AND c.bot <> a.bot`, org, names, emails, builtin)
	return translate(err, "telling bots from people")
}
