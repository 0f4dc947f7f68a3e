package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
)

// reportFlags say which report is wanted, and where.
type reportFlags struct {
	kind, format, paper, from, to, output, every string
	repos, teams                                 []string
}

const (
	// reportPause lies between two looks at a report that is being made.
	reportPause = 500 * time.Millisecond
	// reportDays is the period where none is given: the last days up to today.
	reportDays = 90
)

// clientJSON is the form of the client's own audit, whose files end in json too.
const clientJSON = "client-json"

var reportFormats = []string{"json", "csv", "md", "html", "pdf", clientJSON}

const reportHelp = `Have the server make a compliance report, wait for it, and write it into a
file: soc2 follows the Trust Services Criteria, gdpr is the record of
processing, audit has every receipt of the period. It needs a key with the scope
admin.

The format is that of the file's name unless --format gives it; client-json is
the JSON of "blameprompt audit --format json", of every repository. The file is
checked against the SHA-256 that the server keeps. "--output -" writes to
standard output.

With --every the server makes such a report of each week, month, quarter or year
as soon as it is over, and keeps it; the Reports page lists and ends that.`

func newReport(a *app) *cobra.Command {
	var f reportFlags
	cmd := &cobra.Command{
		Use:   "report --type soc2|gdpr|audit",
		Short: "Make a compliance report",
		Long:  reportHelp,
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := f.check(time.Now()); err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			if f.every != "" {
				return a.scheduleReport(cmd.Context(), f)
			}
			return a.report(cmd.Context(), f)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.kind, "type", "", "soc2, gdpr or audit")
	flags.StringVar(&f.format, "format", "", strings.Join(reportFormats, ", ")+"; by default as the file's name ends, else pdf")
	flags.StringVar(&f.paper, "paper", "A4", "Paper of a PDF: A4 or Letter")
	flags.StringVar(&f.from, "from", "", fmt.Sprintf("First day, such as 2026-02-14; by default %d days before the last one", reportDays))
	flags.StringVar(&f.to, "to", "", "Last day; by default today")
	flags.StringArrayVar(&f.repos, "repo", nil, "Repository by name or id; may be repeated")
	flags.StringArrayVar(&f.teams, "team", nil, "Team by name or id; may be repeated")
	flags.StringVarP(&f.output, "output", "o", "", "File to write; by default one named by type and period")
	flags.StringVar(&f.every, "every", "", "Have it made regularly: week, month, quarter or year")
	return cmd
}

// check fills in what was not given.
func (f *reportFlags) check(now time.Time) error {
	if !slices.Contains([]string{"soc2", "gdpr", "audit"}, f.kind) {
		return errors.New("--type must be soc2, gdpr or audit")
	}
	if f.format == "" {
		f.format = cmp.Or(strings.TrimPrefix(filepath.Ext(f.output), "."), "pdf")
	}
	if f.every != "" {
		if !slices.Contains([]string{"week", "month", "quarter", "year"}, f.every) {
			return errors.New("--every must be week, month, quarter or year")
		}
		if f.from != "" || f.to != "" || f.output != "" {
			return errors.New("--every has periods of its own and writes no file: leave --from, --to and --output away")
		}
	}
	if !slices.Contains(reportFormats, f.format) {
		return fmt.Errorf("--format must be one of %s, not %q", strings.Join(reportFormats, ", "), f.format)
	}
	last := now
	if f.to != "" {
		var err error
		if last, err = time.Parse(time.DateOnly, f.to); err != nil {
			return errors.New("--to must be a day such as 2026-02-14")
		}
	}
	f.to = last.Format(time.DateOnly)
	f.from = cmp.Or(f.from, last.AddDate(0, 0, -reportDays).Format(time.DateOnly))
	f.output = cmp.Or(f.output, fmt.Sprintf("%s-%s-%s.%s", f.kind, f.from, f.to, strings.TrimPrefix(f.format, "client-")))
	return nil
}

// reportShown is the API's answer as far as it is needed.
type reportShown struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
	Error  string `json:"error"`
}

func (a *app) report(ctx context.Context, f reportFlags) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"type": f.kind, "format": f.format, "paper": f.paper, "from": f.from, "to": f.to,
		"repos": noneIfNil(f.repos), "teams": noneIfNil(f.teams)})
	if err != nil {
		return err
	}
	var r reportShown
	if _, err := client.json(ctx, call{method: http.MethodPost, path: "/api/v1/reports", body: body}, &r); err != nil {
		return err
	}
	raw, err := a.awaitReport(ctx, client, &r)
	if err != nil {
		return err
	}
	if err := a.saveReport(ctx, client, r, f.output); err != nil {
		return err
	}
	if f.output == "-" {
		return nil
	}
	if a.json {
		return a.printAnswer(raw)
	}
	return a.table(nil, [][]string{{"Report", r.ID}, {"File", f.output}, {"Rows", strconv.FormatInt(r.Rows, 10)},
		{"Bytes", strconv.FormatInt(r.Bytes, 10)}, {"SHA-256", r.SHA256}})
}

// scheduleReport has the report made regularly.
func (a *app) scheduleReport(ctx context.Context, f reportFlags) error {
	client, _, err := a.connect()
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"type": f.kind, "format": f.format, "paper": f.paper, "every": f.every,
		"repos": noneIfNil(f.repos), "teams": noneIfNil(f.teams)})
	if err != nil {
		return err
	}
	var made struct {
		ID       string    `json:"id"`
		NextFrom string    `json:"next_from"`
		NextTo   string    `json:"next_to"`
		NextAt   time.Time `json:"next_at"`
	}
	raw, err := client.json(ctx, call{method: http.MethodPost, path: "/api/v1/report-schedules", body: body}, &made)
	if err != nil {
		return err
	}
	if a.json {
		return a.printAnswer(raw)
	}
	return a.table(nil, [][]string{{"Schedule", made.ID}, {"Every", f.every}, {"First", made.NextFrom + " to " + made.NextTo},
		{"Made", made.NextAt.Local().Format(time.DateTime)}})
}

func noneIfNil(names []string) []string {
	if names == nil {
		return []string{}
	}
	return names
}

// awaitReport waits until the report is done; a person sees how many rows it has.
func (a *app) awaitReport(ctx context.Context, client *client, r *reportShown) (json.RawMessage, error) {
	bar := a.newSpinner("making the report, rows")
	defer func() {
		if bar != nil {
			_ = bar.Finish()
		}
	}()
	for {
		raw, err := client.get(ctx, r, nil, "api", "v1", "reports", r.ID)
		switch {
		case err != nil:
			return nil, err
		case r.State == "done":
			return raw, nil
		case r.State == "failed":
			return nil, fmt.Errorf("the report could not be made: %s", r.Error)
		}
		if bar != nil {
			_ = bar.Set64(r.Rows)
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(reportPause):
		}
	}
}

// newSpinner shows a growing number whose end is not known, to a person only.
func (a *app) newSpinner(name string) *progressbar.ProgressBar {
	if !a.watched {
		return nil
	}
	return progressbar.NewOptions(-1, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription(name),
		progressbar.OptionShowCount(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}

// saveReport writes the file as a whole or not at all.
func (a *app) saveReport(ctx context.Context, client *client, r reportShown, output string) error {
	if output == "-" {
		return client.download(ctx, r, a.stdout)
	}
	if !filepath.IsAbs(output) {
		output = filepath.Join(a.dir, output)
	}
	f, err := os.CreateTemp(filepath.Dir(output), ".report-")
	if err != nil {
		return fmt.Errorf("writing the report: %w", err)
	}
	defer os.Remove(f.Name())
	if err := errors.Join(client.download(ctx, r, f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), output)
}

// download copies the file of a report and checks it.
func (c *client) download(ctx context.Context, r reportShown, to io.Writer) error {
	sum := sha256.New()
	request := call{method: http.MethodGet, path: joinPath("api", "v1", "reports", r.ID, "content"), accept: "*/*", long: true}
	err := c.do(ctx, request, func(resp *http.Response) error {
		_, err := io.Copy(io.MultiWriter(to, sum), resp.Body)
		return err
	})
	if err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != r.SHA256 {
		return fmt.Errorf("the report came with the SHA-256 %s and not %s: it was changed or cut on the way", got, r.SHA256)
	}
	return nil
}
