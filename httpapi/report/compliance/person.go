package compliance

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/httpapi/report"
)

// Person is everything that is kept of a person, to be read by that person: the
// rows of store.DB.ExportPerson, each as a list of what is in it.
type Person struct {
	Email, Organisation string
	Made                time.Time
	rows                map[string][]map[string]json.RawMessage
}

// Add takes a row of a table.
func (p *Person) Add(table string, row json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(row, &fields); err != nil {
		return fmt.Errorf("reading a row of %s: %w", table, err)
	}
	if p.rows == nil {
		p.rows = map[string][]map[string]json.RawMessage{}
	}
	p.rows[table] = append(p.rows[table], fields)
	return nil
}

// kept says what the tables of most interest hold; others go by their names.
var kept = map[string]string{
	"receipts":       "Receipts: what was asked of AI tools, and what they did",
	"prompts":        "Prompts: the same counted once each, with cost and tokens",
	"commits":        "Commits that were authored or committed",
	"commit_lines":   "Lines that commits added",
	"note_versions":  "Notes that were written",
	"decisions":      "Pushes, and what policies said of them",
	"violations":     "Policies that pushes violated",
	"reviews":        "Reviews that were given",
	"users":          "The account",
	"team_members":   "Teams",
	"audit_log":      "Acts, by the person or about them",
	"identities":     "Addresses that are taken for the same person",
	"pushed_commits": "Commits that were pushed",
	"account_links":  "Invitations and links of passwords",
	"holds":          "Branches that were held",
	"waivers":        "Waivers",
}

// Document lists the tables with rows, those that say most first.
func (p *Person) Document() *report.Document {
	doc := &report.Document{Type: "person", Title: "What is kept of " + p.Email, Organisation: p.Organisation, Made: p.Made,
		Sections: []*report.Section{{ID: "about", Title: "About this page", Paragraphs: []string{
			"This is everything that the organisation keeps of the person in BlamePrompt (Regulation (EU) 2016/679, Art. 15). Passwords and keys are kept as hashes and are left out. Git itself, where commits and notes stand, is outside of the program.",
			"The same as data for machines (Art. 20): blamepromptd person export " + p.Email + " --format json.",
		}}}}
	tables := slices.SortedFunc(maps.Keys(p.rows), func(a, b string) int {
		return cmp.Or(cmp.Compare(boolRank(kept[a] == ""), boolRank(kept[b] == "")), cmp.Compare(a, b))
	})
	for _, table := range tables {
		doc.Sections[0].Facts = append(doc.Sections[0].Facts, report.Fact{Name: titleOf(table), Value: count(int64(len(p.rows[table]))) + " rows"})
		doc.Sections = append(doc.Sections, p.section(table))
	}
	if len(tables) == 0 {
		doc.Sections[0].Paragraphs = append(doc.Sections[0].Paragraphs, "Nothing is kept.")
	}
	return doc
}

func boolRank(last bool) int {
	if last {
		return 1
	}
	return 0
}

func titleOf(table string) string { return cmp.Or(kept[table], readable(table)) }

// readable is a name of the database as words.
func readable(name string) string {
	name = strings.ReplaceAll(name, "_", " ")
	return strings.ToUpper(name[:1]) + name[1:]
}

func (p *Person) section(table string) *report.Section {
	s := &report.Section{ID: strings.ReplaceAll(table, "_", "-"), Title: titleOf(table)}
	for i, row := range p.rows[table] {
		record := &report.Section{ID: fmt.Sprintf("%s-%d", s.ID, i+1), Title: fmt.Sprintf("%d of %d", i+1, len(p.rows[table]))}
		for _, name := range slices.Sorted(maps.Keys(row)) {
			if value := valueOf(row[name]); name != "org_id" && value != "" {
				record.Facts = append(record.Facts, report.Fact{Name: readable(name), Value: value})
			}
		}
		s.Sections = append(s.Sections, record)
	}
	return s
}

// valueOf is a field as text, empty for what says nothing.
func valueOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	if slices.Contains([]string{"null", "[]", "{}"}, string(bytes.TrimSpace(raw))) {
		return ""
	}
	return string(raw)
}
