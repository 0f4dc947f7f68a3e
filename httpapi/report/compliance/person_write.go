package compliance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// PersonFormats are the formats in which everything that is kept of a person is
// written: JSON is one object a line, with the table and the row, for machines; the
// others are a page for the person.
var PersonFormats = []report.Format{report.HTML, report.Markdown, report.JSON}

// PersonFile is the media type and the name of a file in the format.
func PersonFile(format report.Format) (mediaType, name string) {
	switch format {
	case report.HTML:
		return "text/html; charset=utf-8", "person.html"
	case report.Markdown:
		return "text/markdown; charset=utf-8", "person.md"
	}
	return "application/x-ndjson", "person.ndjson"
}

// WritePerson writes everything that the organisation of by keeps of the person with
// the address. Lines are written as rows are read; a page is first gathered, so that
// nothing is written of one that fails. Errors are those of store.DB.ExportPerson, of
// an unknown format and of w.
func WritePerson(ctx context.Context, w io.Writer, db *store.DB, by access.Principal, email string, format report.Format) error {
	if format == report.JSON {
		return writePersonLines(ctx, w, db, by, email)
	}
	org, err := db.OrgByID(ctx, by.Org)
	if err != nil {
		return err
	}
	p := Person{Email: email, Organisation: cmp.Or(org.Title, org.Name), Made: time.Now()}
	if err := db.ExportPerson(ctx, by, email, p.Add); err != nil {
		return err
	}
	return report.Write(ctx, w, p.Document(), format, report.Options{})
}

func writePersonLines(ctx context.Context, w io.Writer, db *store.DB, by access.Principal, email string) error {
	lines := json.NewEncoder(w)
	lines.SetEscapeHTML(false)
	return db.ExportPerson(ctx, by, email, func(table string, row json.RawMessage) error {
		if err := lines.Encode(map[string]any{"table": table, "row": row}); err != nil {
			return fmt.Errorf("writing a row of %s: %w", table, err)
		}
		return nil
	})
}
