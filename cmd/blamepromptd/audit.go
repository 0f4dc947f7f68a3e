package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// actShown is an act in JSON.
type actShown struct {
	Seq       int64           `json:"seq"`
	At        time.Time       `json:"at"`
	Principal string          `json:"principal"`
	Action    string          `json:"action"`
	Target    string          `json:"target"`
	Detail    json.RawMessage `json:"detail"`
	RequestID string          `json:"request_id"`
	Redacted  bool            `json:"redacted"`
}

func showAct(r store.AuditRow) actShown {
	detail := r.Detail
	if len(detail) == 0 {
		detail = json.RawMessage("null")
	}
	return actShown{r.Seq, r.At, r.Principal, r.Action, r.Target, detail, r.RequestID, r.Redacted}
}

func newAudit(a *app) *cobra.Command {
	return group("audit", "Who did what, and the proof that nothing of it was changed",
		newAuditList(a), newAuditExport(a), newAuditHead(a), newAuditVerify(a))
}

// auditSelection is the filter of a command line.
type auditSelection struct {
	principal, action, target, from, to string
}

func (in *auditSelection) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&in.principal, "principal", "", "Only what one principal did")
	flags.StringVar(&in.action, "action", "", "Only one action; with * at its end all that begin so")
	flags.StringVar(&in.target, "target", "", "Only what was done to one target")
	flags.StringVar(&in.from, "from", "", "The earliest time or date")
	flags.StringVar(&in.to, "to", "", "The end: a time, exclusive, or a date, inclusive")
}

func (in *auditSelection) filter(ctx context.Context, s *session, by access.Principal) (store.AuditFilter, error) {
	f := store.AuditFilter{Principal: in.principal, Action: in.action, Target: in.target}
	var err error
	f.From, f.To, err = readTimes(ctx, s, by, in.from, in.to)
	return f, err
}

// readTimes reads the times of a command line, dates in the organisation's zone.
func readTimes(ctx context.Context, s *session, by access.Principal, from, to string) (start, end time.Time, err error) {
	org, err := s.db.OrgByID(ctx, by.Org)
	if err != nil {
		return start, end, err
	}
	zone, err := time.LoadLocation(org.TimeZone)
	if err != nil {
		return start, end, err
	}
	if start, _, err = readMoment(from, zone); err != nil {
		return start, end, fmt.Errorf("--from %w", err)
	}
	end, date, err := readMoment(to, zone)
	if err != nil {
		return start, end, fmt.Errorf("--to %w", err)
	}
	if date {
		end = end.AddDate(0, 0, 1)
	}
	return start, end, nil
}

func readMoment(text string, zone *time.Location) (at time.Time, date bool, err error) {
	if text == "" {
		return time.Time{}, false, nil
	}
	if at, err = time.ParseInLocation(time.DateOnly, text, zone); err == nil {
		return at, true, nil
	}
	if at, err = time.Parse(time.RFC3339, text); err == nil {
		return at, false, nil
	}
	return time.Time{}, false, fmt.Errorf("must be a date such as 2026-02-14 or a time such as 2026-02-14T09:30:00Z, not %q", text)
}

func newAuditList(a *app) *cobra.Command {
	var in auditSelection
	var limit int
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the acts, newest first",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 || limit > maxListed {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--limit must be from 1 to %d", maxListed)}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				filter, err := in.filter(ctx, s, by)
				if err != nil {
					return err
				}
				rows, err := s.db.AuditRows(ctx, by.Org, filter, 0, limit)
				if err != nil {
					return err
				}
				return a.printActs(rows)
			})
		},
	}
	in.flags(cmd)
	cmd.Flags().IntVar(&limit, "limit", 50, "How many at most")
	return cmd
}

func (a *app) printActs(acts []store.AuditRow) error {
	shown, rows := make([]actShown, len(acts)), make([][]string, len(acts))
	for i, act := range acts {
		shown[i] = showAct(act)
		rows[i] = []string{strconv.FormatInt(act.Seq, 10), when(&act.At), act.Principal, act.Action, act.Target, string(act.Detail)}
	}
	return a.print(shown, []string{"SEQ", "AT (UTC)", "PRINCIPAL", "ACTION", "TARGET", "DETAIL"}, rows)
}

func newAuditExport(a *app) *cobra.Command {
	var in auditSelection
	var format string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write all acts, oldest first",
		Long:  "Write all acts, oldest first, to standard output: as one JSON object a line, or as CSV that is safe to open in a\nspreadsheet.",
		Args:  exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if format != "jsonl" && format != "csv" {
				return &usageError{cmd.CommandPath(), fmt.Errorf("--format must be jsonl or csv")}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				filter, err := in.filter(ctx, s, by)
				if err != nil {
					return err
				}
				return a.exportActs(ctx, s, by, filter, format)
			})
		},
	}
	in.flags(cmd)
	cmd.Flags().StringVar(&format, "format", "jsonl", "jsonl or csv")
	return cmd
}

func (a *app) exportActs(ctx context.Context, s *session, by access.Principal, filter store.AuditFilter, format string) error {
	out := bufio.NewWriterSize(a.stdout, 64<<10)
	lines, cells := json.NewEncoder(out), csv.NewWriter(out)
	lines.SetEscapeHTML(false)
	write := func(r store.AuditRow) error { return lines.Encode(showAct(r)) }
	if format == "csv" {
		write = func(r store.AuditRow) error { return cells.Write(actCells(r)) }
		if err := cells.Write([]string{"seq", "at", "principal", "action", "target", "detail", "request_id", "redacted"}); err != nil {
			return fmt.Errorf("writing the export: %w", err)
		}
	}
	if err := s.db.ExportAudit(ctx, by.Org, filter, write); err != nil {
		return err
	}
	cells.Flush()
	if err := out.Flush(); err != nil {
		return fmt.Errorf("writing the export: %w", err)
	}
	return nil
}

// actCells are the cells of an act. An apostrophe keeps a spreadsheet from
// running foreign text as a formula.
func actCells(r store.AuditRow) []string {
	cells := []string{strconv.FormatInt(r.Seq, 10), r.At.UTC().Format(time.RFC3339Nano), r.Principal, r.Action, r.Target, string(r.Detail),
		r.RequestID, strconv.FormatBool(r.Redacted)}
	for i, cell := range cells {
		if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
			cells[i] = "'" + cell
		}
	}
	return cells
}

// headShown is the head of a chain in JSON.
type headShown struct {
	Position int64      `json:"position"`
	Hash     string     `json:"hash"`
	LaidAt   *time.Time `json:"laid_at"`
	Head     string     `json:"head"`
}

func showHead(h store.ChainHead) headShown {
	shown := headShown{Position: h.Position, Hash: hex.EncodeToString(h.Hash), Head: h.String()}
	if !h.LaidAt.IsZero() {
		shown.LaidAt = &h.LaidAt
	}
	return shown
}

func newAuditHead(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "head",
		Short: "Print the head of the audit chain, to be noted down elsewhere",
		Long: "Print the head of the audit chain. Everything that was recorded before stands behind it: whoever keeps it where\n" +
			"this database's administrators cannot write can prove with \"audit verify --head\" that nothing of it was changed.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				head, err := s.db.ExtendChain(ctx, by.Org)
				if err != nil {
					return err
				}
				if a.json {
					return a.printJSON(showHead(head))
				}
				_, err = fmt.Fprintln(a.stdout, head)
				return err
			})
		},
	}
}

// verified is the report of "audit verify" in JSON.
type verified struct {
	OK       bool           `json:"ok"`
	Head     headShown      `json:"head"`
	Rows     int64          `json:"rows"`
	Redacted int64          `json:"redacted"`
	Waiting  int64          `json:"waiting"`
	Problems []problemShown `json:"problems"`
	More     bool           `json:"more"`
}

type problemShown struct {
	Position int64  `json:"position"`
	Kind     string `json:"kind"`
	Seq      int64  `json:"seq"`
	Problem  string `json:"problem"`
	What     string `json:"what"`
}

func newAuditVerify(a *app) *cobra.Command {
	var noted string
	cmd := &cobra.Command{
		Use:   "verify",
		Short: "Prove that no recorded act and no note was changed, removed, inserted or moved",
		Long: "Compare the audit chain with every act, note version, note body and posted receipt of the organisation, and say\n" +
			"which row is not what was recorded. Exit code 1 means that something was changed. Without a head that was noted\n" +
			"elsewhere, somebody who may write to the database could have laid the whole chain anew.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			head, err := readHead(noted)
			if err != nil {
				return &usageError{cmd.CommandPath(), err}
			}
			return a.inOrg(cmd.Context(), func(ctx context.Context, s *session, by access.Principal) error {
				return a.verifyChain(ctx, s, by, head)
			})
		},
	}
	cmd.Flags().StringVar(&noted, "head", "", "A head that \"audit head\" printed once, which must be in the chain")
	return cmd
}

func readHead(text string) (*store.ChainHead, error) {
	if text == "" {
		return nil, nil
	}
	position, digits, _ := strings.Cut(text, ":")
	number, err := strconv.ParseInt(position, 10, 64)
	hash, errHash := hex.DecodeString(digits)
	if err != nil || errHash != nil || number < 0 || len(hash) != 32 {
		return nil, fmt.Errorf("--head must be as \"audit head\" prints it: a position, a colon, and 64 hex digits")
	}
	return &store.ChainHead{Position: number, Hash: hash}, nil
}

func (a *app) verifyChain(ctx context.Context, s *session, by access.Principal, head *store.ChainHead) error {
	bar := a.newProgress()
	report, err := s.db.VerifyChain(ctx, by.Org, head, func(read, all int64) { bar.show("comparing", int(read), int(all)) })
	bar.end()
	if err != nil {
		return err
	}
	if err := a.printVerified(report); err != nil {
		return err
	}
	if len(report.Problems) > 0 {
		return errSilent
	}
	return nil
}

func (a *app) printVerified(r store.ChainReport) error {
	shown := verified{OK: len(r.Problems) == 0, Head: showHead(r.Head), Rows: r.Rows, Redacted: r.Redacted, Waiting: r.Waiting, More: r.More,
		Problems: make([]problemShown, len(r.Problems))}
	rows := make([][]string, len(r.Problems))
	for i, p := range r.Problems {
		shown.Problems[i] = problemShown{p.Position, p.Kind, p.Seq, p.Problem, p.What}
		rows[i] = []string{strconv.FormatInt(p.Position, 10), p.Kind, strconv.FormatInt(p.Seq, 10), p.Problem, p.What}
	}
	if a.json {
		return a.printJSON(shown)
	}
	if len(rows) > 0 {
		if err := a.print(nil, []string{"LINK", "ROWS", "SEQ", "PROBLEM", "WHAT"}, rows); err != nil {
			return err
		}
		if r.More {
			fmt.Fprintln(a.stdout, "There are more problems than are listed.")
		}
		return nil
	}
	fmt.Fprintf(a.stdout, "The chain of %d links holds, and so do its %d rows. Redacted by erasures: %d acts. Not in the chain yet: %d acts.\nHead: %s\n",
		r.Head.Position, r.Rows, r.Redacted, r.Waiting, r.Head)
	return nil
}
