package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// botShown is a rule on bots in JSON.
type botShown struct {
	Pattern   string    `json:"pattern"`
	Bot       bool      `json:"bot"`
	CreatedBy string    `json:"created_by"`
	CreatedAt time.Time `json:"created_at"`
}

func newBot(a *app) *cobra.Command {
	return group("bot", "Who is a bot, beside those of the built-in list", newBotList(a), newBotSet(a), newBotRemove(a))
}

func newBotList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the rules",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				rules, err := s.db.BotRules(ctx, by.Org)
				if err != nil {
					return err
				}
				return a.printBots(rules...)
			})
		},
	}
}

func (a *app) printBots(rules ...store.BotRule) error {
	shown, rows := make([]botShown, len(rules)), make([][]string, len(rules))
	for i, r := range rules {
		shown[i] = botShown(r)
		rows[i] = []string{r.Pattern, yesNo(r.Bot), r.CreatedBy, when(&r.CreatedAt)}
	}
	return a.print(shown, []string{"PATTERN", "BOT", "BY", "AT (UTC)"}, rows)
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// changeTask changes something in a transaction and has a task run soon; a daemon
// that does not run does it when it starts.
func (a *app) changeTask(ctx context.Context, task string, fn func(context.Context, *store.Tx, access.Principal) error) error {
	return a.inOrg(ctx, func(ctx context.Context, s *session, by access.Principal) error {
		jobs, err := queue.New(queue.Config{DB: s.db, Log: s.log})
		if err != nil {
			return err
		}
		return s.db.InTx(ctx, func(tx *store.Tx) error {
			if err := fn(ctx, tx, by); err != nil {
				return err
			}
			return jobs.Poke(ctx, tx, task)
		})
	})
}

func newBotSet(a *app) *cobra.Command {
	var person bool
	cmd := &cobra.Command{
		Use:   "set PATTERN",
		Short: "Say that authors of a name or address are bots, or with --person that they are none",
		Long: "Say that authors of a name or address are bots, or with --person that they are none, whatever the built-in\n" +
			"list says. * stands for any run of characters. Of several rules that match, one with --person wins.",
		Args: exactly("PATTERN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var rule store.BotRule
			err := a.changeTask(cmd.Context(), queue.PeopleTask, func(ctx context.Context, tx *store.Tx, by access.Principal) (err error) {
				rule, err = tx.SetBotRule(ctx, by, args[0], !person)
				return err
			})
			if err != nil {
				return err
			}
			return a.printBots(rule)
		},
	}
	cmd.Flags().BoolVar(&person, "person", false, "They are people")
	return cmd
}

func newBotRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove PATTERN",
		Short: "Remove a rule",
		Args:  exactly("PATTERN"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.changeTask(cmd.Context(), queue.PeopleTask, func(ctx context.Context, tx *store.Tx, by access.Principal) error {
				return tx.RemoveBotRule(ctx, by, args[0])
			})
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("organisation %s has no rule on %q; see \"blamepromptd bot list\"", a.org, args[0])
			}
			if err != nil {
				return err
			}
			if a.json {
				return a.printJSON(map[string]string{"pattern": args[0]})
			}
			_, err = fmt.Fprintf(a.stdout, "The rule on %s is removed.\n", plain(args[0]))
			return err
		},
	}
}
