package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// priceShown is what a model costs in JSON, in dollars per million tokens.
type priceShown struct {
	ID            string         `json:"id,omitempty"`
	Model         string         `json:"model"`
	ValidFrom     *time.Time     `json:"valid_from"`
	ValidUntil    *time.Time     `json:"valid_until"`
	Input         *store.Decimal `json:"input"`
	Output        *store.Decimal `json:"output"`
	CacheRead     *store.Decimal `json:"cache_read"`
	CacheCreation *store.Decimal `json:"cache_creation"`
	Source        string         `json:"source"`
	CreatedBy     string         `json:"created_by,omitempty"`
	CreatedAt     *time.Time     `json:"created_at,omitempty"`
}

func showPrice(e price.Entry) priceShown {
	shown := priceShown{Model: e.Model, Source: e.Source}
	for _, t := range []struct {
		at   time.Time
		into **time.Time
	}{{e.From, &shown.ValidFrom}, {e.Until, &shown.ValidUntil}} {
		if !t.at.IsZero() {
			*t.into = &t.at
		}
	}
	for _, r := range []struct {
		rate *price.Rate
		into **store.Decimal
	}{{e.Input, &shown.Input}, {e.Output, &shown.Output}, {e.CacheRead, &shown.CacheRead}, {e.CacheWrite, &shown.CacheCreation}} {
		if r.rate != nil {
			text := store.Decimal(r.rate.String())
			*r.into = &text
		}
	}
	return shown
}

func showOwnPrice(p store.Price) priceShown {
	shown := showPrice(p.Entry())
	shown.ID, shown.CreatedBy, shown.CreatedAt = p.ID.String(), p.CreatedBy, &p.CreatedAt
	return shown
}

func (a *app) printPrices(shown []priceShown) error {
	rows := make([][]string, len(shown))
	for i, p := range shown {
		id := p.ID
		if id == "" {
			id = "built-in"
		}
		rows[i] = []string{p.Model, day(p.ValidFrom), day(p.ValidUntil), rate(p.Input), rate(p.Output), rate(p.CacheRead),
			rate(p.CacheCreation), p.Source, id}
	}
	return a.print(shown, []string{"MODEL", "FROM", "UNTIL", "INPUT", "OUTPUT", "CACHE READ", "CACHE CREATION", "SOURCE", "ID"}, rows)
}

// day shows a moment of a price book, which mostly is a day's beginning.
func day(t *time.Time) string {
	switch {
	case t == nil:
		return ""
	case t.Equal(t.UTC().Truncate(24 * time.Hour)):
		return t.UTC().Format(time.DateOnly)
	}
	return t.UTC().Format(time.RFC3339)
}

func rate(d *store.Decimal) string {
	if d == nil {
		return ""
	}
	return string(*d)
}

func newPrice(a *app) *cobra.Command {
	return group("price", "What tokens cost, in dollars per million of them", newPriceList(a), newPriceShow(a), newPriceSet(a),
		newPriceRemove(a), newPriceImport(a), newPriceAlias(a), newPriceUnalias(a))
}

func newPriceList(a *app) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the organisation's own prices, which win over the built-in ones",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.listPrices(ctx, s, by, all)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "The built-in ones, too")
	return cmd
}

func (a *app) listPrices(ctx context.Context, s *session, by access.Principal, all bool) error {
	own, err := s.db.Prices(ctx, by.Org)
	if err != nil {
		return err
	}
	shown := make([]priceShown, 0, len(own))
	for _, p := range own {
		shown = append(shown, showOwnPrice(p))
	}
	if all {
		for _, e := range s.db.BasePrices().Entries() {
			shown = append(shown, showPrice(e))
		}
	}
	if err := a.printPrices(shown); err != nil || a.json {
		return err
	}
	aliases, err := s.db.PriceAliases(ctx, by.Org)
	if err != nil {
		return err
	}
	for _, alias := range aliases {
		fmt.Fprintf(a.stdout, "%s stands for %s\n", plain(alias.Alias), plain(alias.Model))
	}
	return nil
}

// pricePeriodShown is a time during which an entry holds, in JSON.
type pricePeriodShown struct {
	From  *time.Time `json:"from"`
	Until *time.Time `json:"until"`
	Price priceShown `json:"price"`
}

func newPriceShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show MODEL",
		Short: "Show what a model costs, by time, however its name is spelt",
		Args:  exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				book, err := s.db.PriceBook(ctx, by.Org)
				if err != nil {
					return err
				}
				periods := book.Periods(args[0])
				if len(periods) == 0 {
					return fmt.Errorf("no price is known for model %q; \"blamepromptd price set\" or \"price alias\" makes one known", args[0])
				}
				return a.printPeriods(periods)
			})
		},
	}
}

func (a *app) printPeriods(periods []price.Period) error {
	shown, rows := make([]pricePeriodShown, len(periods)), make([][]string, len(periods))
	for i, p := range periods {
		held := showPrice(price.Entry{From: p.From, Until: p.Until})
		e := showPrice(p.Entry)
		shown[i] = pricePeriodShown{held.ValidFrom, held.ValidUntil, e}
		rows[i] = []string{day(held.ValidFrom), day(held.ValidUntil), rate(e.Input), rate(e.Output), rate(e.CacheRead),
			rate(e.CacheCreation), e.Model, e.Source}
	}
	return a.print(shown, []string{"FROM", "UNTIL", "INPUT", "OUTPUT", "CACHE READ", "CACHE CREATION", "PRICED AS", "SOURCE"}, rows)
}

// changePrices changes the organisation's prices and has costs computed anew.
func (a *app) changePrices(ctx context.Context, fn func(context.Context, *store.Tx, access.Principal) error) error {
	return a.changeTask(ctx, queue.PriceTask, fn)
}

// setPrices sets prices and prints them.
func (a *app) setPrices(ctx context.Context, change store.PriceChange) error {
	var shown []priceShown
	err := a.changePrices(ctx, func(ctx context.Context, tx *store.Tx, by access.Principal) error {
		set, err := tx.SetPrices(ctx, by, change)
		for _, p := range set {
			shown = append(shown, showOwnPrice(p))
		}
		return err
	})
	if err != nil {
		return err
	}
	return a.printPrices(shown)
}

// priceSet is the command line of "price set".
type priceSet struct {
	from, until, input, output, cacheRead, cacheCreation, source string
}

func (in *priceSet) entry(model string) (price.Entry, error) {
	e := price.Entry{Model: model, Source: in.source}
	var err error
	if e.From, err = price.ParseTime(in.from); err != nil {
		return e, fmt.Errorf("--from: %w", err)
	}
	if e.Until, err = price.ParseTime(in.until); err != nil {
		return e, fmt.Errorf("--until: %w", err)
	}
	for _, f := range []struct {
		flag, text string
		into       **price.Rate
	}{
		{"input", in.input, &e.Input}, {"output", in.output, &e.Output},
		{"cache-read", in.cacheRead, &e.CacheRead}, {"cache-creation", in.cacheCreation, &e.CacheWrite},
	} {
		if f.text == "" {
			continue
		}
		rate, err := price.ParseRate(f.text)
		if err != nil {
			return e, fmt.Errorf("--%s: %w", f.flag, err)
		}
		*f.into = &rate
	}
	return e, nil
}

func newPriceSet(a *app) *cobra.Command {
	var in priceSet
	cmd := &cobra.Command{
		Use:   "set MODEL",
		Short: "Set what a model costs from a day on",
		Long: "Set what a model costs from a day on, in dollars per million tokens. It takes the place of the price that\n" +
			"holds then, until the next one begins or --until. Kinds of tokens without a price make the cost of prompts\n" +
			"that used them unknown. Stored costs are computed anew by the daemon.",
		Args: exactly("MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			e, err := in.entry(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.setPrices(cmd.Context(), store.PriceChange{Set: []price.Entry{e}})
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&in.from, "from", "", "First day or moment (default: always before the next one)")
	flags.StringVar(&in.until, "until", "", "First day or moment behind it (default: until the next one)")
	flags.StringVar(&in.input, "input", "", "Price of input tokens")
	flags.StringVar(&in.output, "output", "", "Price of output tokens")
	flags.StringVar(&in.cacheRead, "cache-read", "", "Price of tokens read from the cache")
	flags.StringVar(&in.cacheCreation, "cache-creation", "", "Price of tokens written to the cache")
	flags.StringVar(&in.source, "source", "", "Where the price is from, such as a contract")
	return cmd
}

func newPriceRemove(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID",
		Short: "Remove a price of the organisation's own",
		Args:  exactly("ID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := uuid.Parse(args[0])
			if err != nil {
				return &usageError{cmd.CommandPath(), fmt.Errorf("%q is not a price's id; see \"price list\"", args[0])}
			}
			var gone store.Price
			err = a.changePrices(cmd.Context(), func(ctx context.Context, tx *store.Tx, by access.Principal) (err error) {
				gone, err = tx.RemovePrice(ctx, by, id)
				return err
			})
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("organisation %s has no price %s; see \"blamepromptd price list\"", a.org, id)
			}
			if err != nil {
				return err
			}
			return a.printPrices([]priceShown{showOwnPrice(gone)})
		},
	}
}

func newPriceImport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "import FILE",
		Short: "Set prices and aliases from a file in JSON (- for standard input)",
		Long: "Set prices and aliases from a file in JSON, all of it or nothing; docs/prices.md describes the file. Each entry\n" +
			"is set as \"price set\" does; what the file does not name stays.",
		Args: exactly("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			book, err := readPrices(args[0], cmd.InOrStdin())
			if err != nil {
				return err
			}
			return a.setPrices(cmd.Context(), store.PriceChange{Set: book.Entries(), Aliases: book.Aliases()})
		},
	}
}

func readPrices(name string, stdin io.Reader) (*price.Book, error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	data, err := io.ReadAll(io.LimitReader(in, price.MaxBook+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	return price.Parse(data)
}

func newPriceAlias(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "alias NAME MODEL",
		Short: "Have a model's name as clients write it stand for a name in the book",
		Args:  exactly("NAME", "MODEL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			err := a.changePrices(cmd.Context(), func(ctx context.Context, tx *store.Tx, by access.Principal) error {
				_, err := tx.SetPrices(ctx, by, store.PriceChange{Aliases: map[string]string{args[0]: args[1]}})
				return err
			})
			if err != nil {
				return err
			}
			return a.printAlias(args[0], args[1], "stands for")
		},
	}
}

func newPriceUnalias(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "unalias NAME",
		Short: "Remove an alias of the organisation's own",
		Args:  exactly("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			var gone store.PriceAlias
			err := a.changePrices(cmd.Context(), func(ctx context.Context, tx *store.Tx, by access.Principal) (err error) {
				gone, err = tx.RemovePriceAlias(ctx, by, args[0])
				return err
			})
			if errors.Is(err, store.ErrNotFound) {
				return fmt.Errorf("organisation %s has no alias %q; see \"blamepromptd price list\"", a.org, args[0])
			}
			if err != nil {
				return err
			}
			return a.printAlias(gone.Alias, gone.Model, "no longer stands for")
		},
	}
}

func (a *app) printAlias(alias, model, verb string) error {
	if a.json {
		return a.printJSON(map[string]string{"alias": alias, "model": model})
	}
	_, err := fmt.Fprintf(a.stdout, "%s %s %s.\n", plain(alias), verb, plain(model))
	return err
}
