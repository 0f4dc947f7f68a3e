package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/file"
	"github.com/blameprompt/enterprise/store"
)

// policyApplied is what became of a policy in a file, in JSON.
type policyApplied struct {
	File    string             `json:"file"`
	Line    int                `json:"line"`
	Name    string             `json:"name"`
	ID      string             `json:"id"`
	Change  store.PolicyChange `json:"change"`
	Version int                `json:"version"`
}

func newPolicyApply(a *app) *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "apply FILE...",
		Short: "Bring policies to what files say",
		Long: "Bring policies to what files say: TOML or JSON with one or many policies each, - for standard input. Policies\n" +
			"are found by their names and made where there are none; others stay as they are. All files are applied or, if\n" +
			"anything is wrong with one, none. Applying again changes nothing.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return &usageError{cmd.CommandPath(), errors.New("FILE is missing")}
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			entries, err := readPolicyFiles(cmd.InOrStdin(), args)
			if err != nil {
				return err
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.applyPolicies(ctx, s, by, entries, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "Say what would change, and change nothing")
	return cmd
}

// policyEntry is a policy and where it stands.
type policyEntry struct {
	file.Entry
	file string
}

// readPolicyFiles reads all files, and says what is wrong in any of them.
func readPolicyFiles(stdin io.Reader, names []string) ([]policyEntry, error) {
	var entries []policyEntry
	var wrong []error
	seen := map[string]policyEntry{}
	for _, name := range names {
		text, err := readPolicyFile(stdin, name)
		if err != nil {
			return nil, err
		}
		read, err := file.Read(name, text)
		if err != nil {
			wrong = append(wrong, err)
		}
		for _, entry := range read {
			one := policyEntry{entry, name}
			if first, twice := seen[one.Name]; twice {
				wrong = append(wrong, fmt.Errorf("%s:%d: policy %q: is in %s:%d, too", name, one.Line, one.Name, first.file, first.Line))
			}
			seen[one.Name] = one
			entries = append(entries, one)
		}
	}
	return entries, errors.Join(wrong...)
}

func readPolicyFile(stdin io.Reader, name string) ([]byte, error) {
	var in io.Reader = stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, fmt.Errorf("reading policies: %w", err)
		}
		defer f.Close()
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, file.Max+1))
	if err != nil {
		return nil, fmt.Errorf("reading policies from %s: %w", name, err)
	}
	return text, nil
}

func (a *app) applyPolicies(ctx context.Context, s *session, by access.Principal, entries []policyEntry, dryRun bool) error {
	docs := make([]policy.Policy, len(entries))
	for i, entry := range entries {
		docs[i] = entry.Policy
	}
	applied, err := s.db.ApplyPolicies(ctx, by, docs, dryRun)
	if err != nil {
		return err
	}
	shown := make([]policyApplied, len(applied))
	rows := make([][]string, len(applied))
	for i, one := range applied {
		shown[i] = policyApplied{entries[i].file, entries[i].Line, one.Name, one.ID.String(), one.Change, one.Version}
		rows[i] = []string{string(one.Change), one.Name, strconv.Itoa(one.Version), entries[i].file}
	}
	if err := a.print(shown, []string{"CHANGE", "POLICY", "VERSION", "FILE"}, rows); err != nil {
		return err
	}
	if dryRun {
		fmt.Fprintln(a.stderr, "Nothing was changed: this was a dry run.")
		return nil
	}
	s.reconsider(ctx, by, uuid.Nil, store.EventPolicy)
	return nil
}
