package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// receiptShown is a receipt as the API answers it, as far as a table shows it.
// Numbers stay as they are written: they are exact.
type receiptShown struct {
	ID            string      `json:"id"`
	Repo          string      `json:"repo"`
	Commit        string      `json:"commit_hash"`
	Provider      string      `json:"provider"`
	Model         string      `json:"model"`
	PromptSummary string      `json:"prompt_summary"`
	CostUSD       json.Number `json:"cost_usd"`
	CostBasis     string      `json:"cost_basis"`
	UserName      string      `json:"user_name"`
	UserEmail     string      `json:"user_email"`
	FilePath      string      `json:"file_path"`
	FilesCount    int         `json:"files_count"`
	Timestamp     time.Time   `json:"timestamp"`
	SessionID     string      `json:"session_id"`
	InputTokens   json.Number `json:"input_tokens"`
	OutputTokens  json.Number `json:"output_tokens"`
	Source        string      `json:"source"`
	Current       bool        `json:"current"`
}

func newReceipts(a *app) *cobra.Command {
	return group("receipts", "Search and show receipts", newReceiptsSearch(a), newReceiptsShow(a))
}

// searchFlags are the filters of the API by their names.
type searchFlags struct {
	filters          map[string]*string
	repos            []string
	current, history bool
	limit            int
	csv              bool
}

const searchHelp = `Search the organisation's receipts. Filters are joined by AND; TEXT is part of
the prompt's summary, any case, of at least 3 characters. Costs are US dollars.

--csv prints all receipts that match; the table and --json print --limit of
them, the newest first unless --sort says otherwise.`

func newReceiptsSearch(a *app) *cobra.Command {
	f := searchFlags{filters: map[string]*string{}}
	cmd := &cobra.Command{
		Use:   "search [TEXT]",
		Short: "List the receipts that match",
		Long:  searchHelp,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return exactly("TEXT")(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := f.query(args)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.searchReceipts(cmd.Context(), query, f)
		},
	}
	flags := cmd.Flags()
	for _, filter := range []struct{ name, help string }{
		{"user", "E-mail address or name"},
		{"model", "Model; * stands for anything"},
		{"provider", "Tool that wrote the receipt"},
		{"team", "Team by name or id"},
		{"from", "First day or time, such as 2026-02-14"},
		{"to", "Last day, or the time that it ends before"},
		{"commit", "Commit, at least 7 digits"},
		{"path", "File; a trailing / means everything below, * anything"},
		{"source", "Where it came from: blameprompt, git-ai or api"},
		{"min-cost", "Least cost"},
		{"max-cost", "Highest cost"},
		{"sort", "-timestamp, timestamp or -cost"},
	} {
		f.filters[filter.name] = flags.String(filter.name, "", filter.help)
	}
	flags.StringArrayVar(&f.repos, "repo", nil, "Repository by name or id; may be repeated")
	flags.BoolVar(&f.current, "current", false, "Only what the tip of a notes ref carries")
	flags.BoolVar(&f.history, "superseded", false, "Only what no tip carries any more")
	flags.IntVar(&f.limit, "limit", 50, "How many to list; 0 means all")
	flags.BoolVar(&f.csv, "csv", false, "Print CSV")
	return cmd
}

func (f searchFlags) query(args []string) (url.Values, error) {
	query := url.Values{}
	for name, value := range f.filters {
		if *value != "" {
			query.Set(strings.ReplaceAll(name, "-", "_"), *value)
		}
	}
	if len(f.repos) > 0 {
		query["repo"] = f.repos
	}
	if len(args) > 0 {
		query.Set("q", args[0])
	}
	switch {
	case f.current && f.history:
		return nil, errors.New("--current and --superseded cannot be used together")
	case f.limit < 0:
		return nil, errors.New("--limit must not be negative")
	case f.current || f.history:
		query.Set("current", strconv.FormatBool(f.current))
	}
	return query, nil
}

// pageSize is the most that the API lists at once.
const pageSize = 200

func (a *app) searchReceipts(ctx context.Context, query url.Values, f searchFlags) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	if f.csv {
		// All of a large set takes longer than one answer does.
		client.timeout = max(client.timeout, csvTimeout)
		return client.do(ctx, call{method: http.MethodGet, path: "/api/v1/receipts", query: query, accept: "text/csv"},
			func(resp *http.Response) error {
				if _, err := io.Copy(a.stdout, resp.Body); err != nil {
					return fmt.Errorf("printing all receipts: %w", err)
				}
				return nil
			})
	}
	items, more, err := client.pages(ctx, query, f.limit, "api", "v1", "receipts")
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(items)
	}
	rows := make([][]string, len(items))
	for i, item := range items {
		var r receiptShown
		if err := json.Unmarshal(item, &r); err != nil {
			return fmt.Errorf("a receipt of the answer cannot be read: %w", err)
		}
		rows[i] = []string{r.ID, when(r.Timestamp), cmp.Or(r.UserEmail, r.UserName), shorten(r.Model, 30), dollars(r.CostUSD),
			r.Repo, fmt.Sprintf("%.12s", r.Commit), shorten(r.PromptSummary, 50)}
	}
	if len(rows) == 0 {
		fmt.Fprintln(a.stderr, "No receipt matches.")
	}
	header := []string{"ID", "TIME (UTC)", "USER", "MODEL", "COST", "REPOSITORY", "COMMIT", "PROMPT"}
	if err := a.table(header, rows); err != nil {
		return err
	}
	if more {
		fmt.Fprintf(a.stderr, "There are more; --limit %d lists twice as many.\n", 2*f.limit)
	}
	return nil
}

const csvTimeout = 15 * time.Minute

// pages lists the first items of a list, 0 meaning all, and whether there are
// more.
func (c *client) pages(ctx context.Context, query url.Values, limit int, path ...string) (items []json.RawMessage, more bool, err error) {
	items = []json.RawMessage{}
	for {
		size := pageSize
		if limit > 0 {
			size = min(size, limit-len(items))
		}
		query.Set("limit", strconv.Itoa(size))
		var page struct {
			Items      []json.RawMessage `json:"items"`
			NextCursor string            `json:"next_cursor"`
		}
		if _, err := c.get(ctx, &page, query, path...); err != nil {
			return nil, false, err
		}
		items = append(items, page.Items...)
		if page.NextCursor == "" || limit > 0 && len(items) >= limit {
			return items, page.NextCursor != "", nil
		}
		query.Set("cursor", page.NextCursor)
	}
}

// dollars shows an exact amount with at least cents.
func dollars(amount json.Number) string {
	whole, cents, _ := strings.Cut(amount.String(), ".")
	if whole == "" {
		return ""
	}
	const least = 2
	return "$" + whole + "." + cents + strings.Repeat("0", max(0, least-len(cents)))
}

func newReceiptsShow(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "show ID",
		Short: "Show one receipt with all that is known of it",
		Args:  exactly("ID"),
		RunE:  func(cmd *cobra.Command, args []string) error { return a.showReceipt(cmd.Context(), args[0]) },
	}
}

func (a *app) showReceipt(ctx context.Context, id string) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	var r receiptDetail
	raw, err := client.get(ctx, &r, nil, "api", "v1", "receipts", id)
	if statusOf(err) == http.StatusNotFound {
		return fmt.Errorf("the organisation has no receipt %q", id)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.printAnswer(raw)
	}
	return a.printReceipt(r)
}

// receiptDetail is a receipt with what is related to it.
type receiptDetail struct {
	receiptShown
	ResponseSummary string `json:"response_summary"`
	Files           []struct {
		Path      string `json:"path"`
		LineStart int64  `json:"line_start"`
		LineEnd   int64  `json:"line_end"`
	} `json:"files"`
	Commits []struct {
		Repo    string `json:"repo"`
		Ref     string `json:"ref"`
		Commit  string `json:"commit"`
		Current bool   `json:"current"`
	} `json:"commits"`
	Findings []struct {
		Severity string `json:"severity"`
		Code     string `json:"code"`
		Message  string `json:"message"`
	} `json:"findings"`
	// Price is what the cost was computed with, nil if it was not computed.
	Price *struct {
		Model  string `json:"model"`
		Source string `json:"source"`
	} `json:"price"`
	Provenance struct {
		Ref         string `json:"ref"`
		NotesCommit string `json:"notes_commit"`
		NoteBlob    string `json:"note_blob"`
	} `json:"provenance"`
}

func (a *app) printReceipt(r receiptDetail) error {
	current := "superseded"
	if r.Current {
		current = "current"
	}
	rows := [][]string{
		{"Receipt", r.ID},
		{"State", current + ", from " + r.Source},
		{"Repository", r.Repo},
		{"Time (UTC)", when(r.Timestamp)},
		{"User", strings.TrimSpace(r.UserName + " <" + r.UserEmail + ">")},
		{"Tool", r.Provider},
		{"Model", r.Model},
		{"Cost", strings.TrimSpace(dollars(r.CostUSD) + " " + r.CostBasis)},
		{"Tokens", fmt.Sprintf("%s in, %s out", plain(r.InputTokens.String()), plain(r.OutputTokens.String()))},
		{"Session", r.SessionID},
		{"Prompt", shorten(r.PromptSummary, 400)},
		{"Answer", shorten(r.ResponseSummary, 400)},
	}
	if r.Price != nil {
		rows = append(rows, []string{"Price", r.Price.Model + ": " + r.Price.Source})
	}
	for _, f := range r.Files {
		text := f.Path
		if f.LineEnd > 0 {
			text += fmt.Sprintf(":%d-%d", f.LineStart, f.LineEnd)
		}
		rows = append(rows, []string{"File", text})
	}
	for _, c := range r.Commits {
		text := c.Commit + " in " + c.Ref
		if !c.Current {
			text += " (no more)"
		}
		rows = append(rows, []string{"Commit", text})
	}
	if r.Provenance.NoteBlob != "" {
		rows = append(rows, []string{"Note", r.Provenance.NoteBlob + " of notes commit " + r.Provenance.NotesCommit})
	}
	for _, f := range r.Findings {
		rows = append(rows, []string{"Finding", f.Severity + " " + f.Code + ": " + f.Message})
	}
	return a.table(nil, rows)
}
