package main

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/policy/access"
)

func newPerson(a *app) *cobra.Command {
	return group("person", "What is kept of one person, and its erasure", newPersonExport(a), newPersonErase(a), newPersonScript(a))
}

func newPersonExport(a *app) *cobra.Command {
	format := "json"
	cmd := &cobra.Command{
		Use:   "export EMAIL",
		Short: "Write everything that is kept of a person",
		Long: "Write everything that is kept of a person to standard output: as one JSON object a line, the table and the row, or as\n" +
			"a page for the person to read. Passwords and keys are left out.",
		Args: exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !slices.Contains(compliance.PersonFormats, report.Format(format)) {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--format must be json, html or md, not %q", format)}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				out := bufio.NewWriterSize(a.stdout, 64<<10)
				if err := compliance.WritePerson(ctx, out, s.db, by, args[0], report.Format(format)); err != nil {
					return err
				}
				if err := out.Flush(); err != nil {
					return fmt.Errorf("writing the export: %w", err)
				}
				return nil
			})
		},
	}
	cmd.Flags().StringVar(&format, "format", format, "json, html or md")
	return cmd
}

// erasureShown is an erasure in JSON.
type erasureShown struct {
	Pseudonym string           `json:"pseudonym"`
	Act       int64            `json:"act"`
	At        time.Time        `json:"at"`
	Rows      map[string]int64 `json:"rows"`
}

func newPersonErase(a *app) *cobra.Command {
	var sure bool
	cmd := &cobra.Command{
		Use:   "erase EMAIL",
		Short: "Take a person out of everything that is kept",
		Long: "Take a person out of everything that is kept: names and addresses give way to a pseudonym, what was said to models\n" +
			"is removed, keys end to work. Counts and sums stay. It cannot be undone. Notes in git keep what they say: see\n" +
			"\"blamepromptd person script\".",
		Args: exactly("EMAIL"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !sure {
				return &usageError{cmd.CommandPath(), fmt.Errorf("an erasure cannot be undone: add --yes to go ahead")}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				erasure, err := s.db.ErasePerson(ctx, by, args[0])
				if err != nil {
					return err
				}
				shown := erasureShown{erasure.Pseudonym, erasure.Act, erasure.At, erasure.Rows}
				var rows [][]string
				for _, table := range slices.Sorted(maps.Keys(erasure.Rows)) {
					rows = append(rows, []string{table, strconv.FormatInt(erasure.Rows[table], 10)})
				}
				if !a.json {
					fmt.Fprintf(a.stdout, "Erased. The person is %s now; the act has number %d.\n", erasure.Pseudonym, erasure.Act)
				}
				return a.print(shown, []string{"TABLE", "CHANGED ROWS"}, rows)
			})
		},
	}
	cmd.Flags().BoolVar(&sure, "yes", false, "Go ahead")
	return cmd
}

func newPersonScript(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "script EMAIL",
		Short: "Print a script that takes a person's receipts out of notes in git, to be reviewed and run by hand",
		Long: "Print a shell script that rewrites the notes of one repository without the receipts of a person. It is not run by\n" +
			"this program, and says itself what follows from it. Run it in a clone, look at the result, and push it.",
		Args: exactly("EMAIL"),
		RunE: func(_ *cobra.Command, args []string) error {
			_, err := fmt.Fprint(a.stdout, eraseScript(args[0]))
			return err
		},
	}
}
