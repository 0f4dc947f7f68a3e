package compliance

import (
	"bufio"
	"context"
	"encoding/json"
	"io"

	"github.com/blameprompt/enterprise/store"
)

// clientCommit is a commit with its receipts, as `blameprompt audit --format json`
// writes it, and the repository, which the client has no need of.
type clientCommit struct {
	SHA     string            `json:"commit_sha"`
	Date    string            `json:"commit_date"`
	Author  string            `json:"commit_author"`
	Message string            `json:"commit_message"`
	Lines   int64             `json:"total_ai_lines"`
	Cost    json.Number       `json:"total_cost_usd"`
	Repo    string            `json:"repo"`
	Receipt []json.RawMessage `json:"receipts"`
}

// writeClientJSON writes an array with a commit a line, newest first, so that
// what reads the client's audit can read this. One commit is in memory at a time.
func writeClientJSON(ctx context.Context, w io.Writer, data *store.ReportData, wrote func()) error {
	out := bufio.NewWriter(w)
	lines := json.NewEncoder(out)
	lines.SetEscapeHTML(false)
	separator := "["
	for cells, err := range data.Rows(ctx, store.ReportClient) {
		if err != nil {
			return err
		}
		commit := clientCommit{Receipt: []json.RawMessage{}}
		commit.SHA, _ = cells[0].(string)
		commit.Date, _ = cells[1].(string)
		commit.Author, _ = cells[2].(string)
		commit.Message, _ = cells[3].(string)
		commit.Repo, _ = cells[4].(string)
		commit.Lines, _ = cells[5].(int64)
		cost, _ := cells[6].(string)
		commit.Cost = json.Number(cost)
		receipts, _ := cells[7].(string)
		if err := json.Unmarshal([]byte(receipts), &commit.Receipt); err != nil {
			return err
		}
		if _, err := out.WriteString(separator); err != nil {
			return err
		}
		if err := lines.Encode(commit); err != nil {
			return err
		}
		separator = ","
		if wrote != nil {
			wrote()
		}
	}
	if separator == "[" {
		if _, err := out.WriteString(separator); err != nil {
			return err
		}
	}
	if _, err := out.WriteString("]\n"); err != nil {
		return err
	}
	return out.Flush()
}
