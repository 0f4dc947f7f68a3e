package httpapi

import (
	"context"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// ListBots implements the operation.
func (s *server) ListBots(ctx context.Context, _ ListBotsRequestObject) (ListBotsResponseObject, error) {
	rows, err := s.cfg.DB.BotRules(ctx, principal(ctx).Org)
	return ListBots200JSONResponse{Items: each(rows, botRuleOf)}, err
}

// SetBot implements the operation.
func (s *server) SetBot(ctx context.Context, in SetBotRequestObject) (SetBotResponseObject, error) {
	var rule store.BotRule
	err := s.cfg.DB.InTx(ctx, func(tx *store.Tx) (err error) {
		if rule, err = tx.SetBotRule(ctx, principal(ctx), in.Body.Pattern, in.Body.Bot); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.PeopleTask)
	})
	return SetBot200JSONResponse(botRuleOf(rule)), err
}

// RemoveBot implements the operation.
func (s *server) RemoveBot(ctx context.Context, in RemoveBotRequestObject) (RemoveBotResponseObject, error) {
	return RemoveBot204Response{}, s.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if err := tx.RemoveBotRule(ctx, principal(ctx), in.Params.Pattern); err != nil {
			return err
		}
		return s.poke(ctx, tx, queue.PeopleTask)
	})
}

func botRuleOf(r store.BotRule) BotRule {
	return BotRule{Pattern: r.Pattern, Bot: r.Bot, CreatedBy: r.CreatedBy, CreatedAt: r.CreatedAt}
}
