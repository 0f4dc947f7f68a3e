package ui

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/httpapi/export"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// Receipts is the list of receipts.
type Receipts struct {
	Base
	Choices Choices
	Query   url.Values
	Columns []Column
	Rows    []store.Receipt
	Chips   []Chip
	Views   []View
	Pager   Pager
	CSV     string
	JSON    string
	Order   string
	Orders  []Option
	// Results are what can have been said by policies.
	Results []store.ReceiptResult
	Clear   string
	// Sums are what the figures of the same days count; nil where the list is filtered
	// by more than sums are kept by.
	Sums *store.Figures
	// Filtered says that the list is not all receipts, Open that more than the text
	// is filtered by.
	Filtered, Open bool
}

// Get is a filter as it was given.
func (p *Receipts) Get(name string) string { return p.Query.Get(name) }

// Shows reports whether a column is shown.
func (p *Receipts) Shows(key string) bool {
	return slices.ContainsFunc(p.Columns, func(c Column) bool { return c.Key == key && c.Shown })
}

// Column is a column that can be chosen.
type Column struct {
	Key, Name string
	Shown     bool
	// Definition is where its number is defined; empty for what is no number.
	Definition string
}

// View is a set of filters under a name.
type View struct {
	Name, Path string
	Current    bool
}

var receiptColumns = []Column{
	{"when", "When", true, ""}, {"prompt", "Prompt", true, ""}, {"user", "User", true, ""}, {"repo", "Repository", true, ""},
	{"model", "Model", true, ""}, {"cost", "Cost", true, "cost"}, {"in", "Tokens in", false, "tokens"}, {"out", "Tokens out", false, "tokens"},
	{"files", "Files", true, "claims"}, {"commit", "Commit", false, ""}, {"provider", "Provider", false, ""}, {"session", "Session", false, ""},
	{"source", "Source", false, ""},
}

// receiptFilters are the filters in the order of their fields.
var receiptFilters = []struct{ key, name string }{
	{"q", "Text"}, {"repo", "Repository"}, {"team", "Team"}, {"user", "User"}, {"model", "Model"}, {"provider", "Provider"}, {"from", "From"},
	{"to", "To"}, {"path", "Path"}, {"commit", "Commit"}, {"policy_result", "Policies"}, {"source", "Source"}, {"current", "Current"},
	{"min_cost", "Cost from"}, {"max_cost", "Cost to"},
}

var receiptOrders = []Option{{"-timestamp", "Newest first"}, {"timestamp", "Oldest first"}, {"-cost", "Costliest first"}}

var orderOf = map[string]store.ReceiptOrder{"": store.Newest, "-timestamp": store.Newest, "timestamp": store.Oldest, "-cost": store.Costliest}

var (
	commitForm = regexp.MustCompile(`^[0-9a-fA-F]{7,64}$`)
	costForm   = regexp.MustCompile(`^[0-9]{1,20}(\.[0-9]{1,9})?$`)
)

// receipts shows the list.
func (p *pages) receipts(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/receipts", "Receipts")
	if err != nil {
		return err
	}
	page := &Receipts{Base: base, Query: r.URL.Query(), Orders: receiptOrders, Results: store.ReceiptResults, Clear: "/receipts"}
	if page.Choices, err = p.choices(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	page.choose()
	form := queryOf(r)
	filter, err := p.receiptFilter(r.Context(), base.Viewer.Org, form, base.OrgZone)
	if err != nil {
		return err
	}
	page.Order = form.choice("sort", "-timestamp", "timestamp", "-cost")
	if page.Problems = form.faults; len(page.Problems) == 0 {
		err = p.readReceipts(r.Context(), page, filter)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		page.Problems = faults
	} else if err != nil {
		return err
	}
	return p.show(w, r, statusFor(page.Problems), "receipts", page)
}

// choose lays out what depends on the query alone.
func (p *Receipts) choose() {
	p.Columns = slices.Clone(receiptColumns)
	if chosen := p.Query["col"]; len(chosen) > 0 {
		for i := range p.Columns {
			p.Columns[i].Shown = p.Columns[i].Key == "prompt" || slices.Contains(chosen, p.Columns[i].Key)
		}
	}
	for _, f := range receiptFilters {
		if value := p.Query.Get(f.key); value != "" {
			p.Chips = append(p.Chips, Chip{f.name, value, address("/receipts", changed(p.Query, f.key, ""))})
			p.Open = p.Open || f.key != "q"
		}
	}
	p.Filtered = len(p.Chips) > 0
	whole := changed(p.Query, "col", "")
	p.CSV, p.JSON = address("/receipts.csv", whole), address("/receipts.json", whole)
	day := func(back int) string { return p.Now.In(p.OrgZone).AddDate(0, 0, -back).Format(time.DateOnly) }
	for _, v := range []View{
		{Name: "All", Path: "/receipts"},
		{Name: "Today", Path: "/receipts?from=" + day(0)},
		{Name: "Last 7 days", Path: "/receipts?from=" + day(6)},
		{Name: "Costliest of 30 days", Path: "/receipts?from=" + day(29) + "&sort=-cost"},
		{Name: "Refused", Path: "/receipts?policy_result=refused"},
		{Name: "Superseded", Path: "/receipts?current=false"},
		{Name: "Posted by the API", Path: "/receipts?source=api"},
	} {
		v.Current = v.Path == address("/receipts", changed(whole, "", ""))
		p.Views = append(p.Views, v)
	}
}

func (p *pages) readReceipts(ctx context.Context, page *Receipts, filter store.ReceiptFilter) error {
	seal := cursor.Seal(page.Viewer.Org, "receipts page", address("", changed(page.Query, "col", "")))
	var after *store.ReceiptPosition
	if err := cursor.Open(page.Query.Get("cursor"), seal, &after); err != nil {
		return err
	}
	rows, err := p.cfg.DB.Receipts(ctx, page.Viewer.Org, filter, orderOf[page.Order], after, pageSize+1)
	if err != nil {
		return err
	}
	if after == nil {
		if err := p.listSums(ctx, page, filter); err != nil {
			return err
		}
	}
	var more bool
	page.Rows, more = cut(rows)
	if err := p.cfg.DB.PromptsListed(ctx, page.Viewer.Principal, store.WithText(page.Rows)); err != nil {
		return err
	}
	page.Pager.Shown = count(len(page.Rows)) + " shown"
	if after != nil {
		page.Pager.First = address("/receipts", changed(page.Query, "cursor", ""))
	}
	if more {
		next := cursor.Make(seal, page.Rows[len(page.Rows)-1].Position())
		page.Pager.Next = address("/receipts", changed(page.Query, "cursor", next))
	}
	return nil
}

// listSums reads the sums of a list whose filters are days, or days and a team: what the
// figures that lead to it show.
func (p *pages) listSums(ctx context.Context, page *Receipts, f store.ReceiptFilter) error {
	if f.From.IsZero() || !reflect.DeepEqual(f, store.ReceiptFilter{From: f.From, To: f.To, Emails: f.Emails}) {
		return nil
	}
	day := func(t time.Time) time.Time {
		year, month, day := t.In(page.OrgZone).Date()
		return time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	}
	period := store.AnalyticsFilter{Emails: f.Emails, From: day(f.From)}
	if !f.To.IsZero() {
		period.To = day(f.To.Add(-time.Nanosecond))
	}
	sums, err := p.cfg.DB.FigureTotals(ctx, page.Viewer.Org, period)
	page.Sums = &sums
	return err
}

// receiptFilter reads the filters of the query, which are those of the API.
func (p *pages) receiptFilter(ctx context.Context, org uuid.UUID, f *form, zone *time.Location) (store.ReceiptFilter, error) {
	out := store.ReceiptFilter{
		Model: f.text("model", 200), Provider: f.text("provider", 200), Path: f.text("path", 1000),
		Commit:  strings.ToLower(f.match("commit", commitForm, "a commit id or its first 7 or more hex digits")),
		Current: f.yesNo("current"),
		Source:  f.choice("source", "blameprompt", "git-ai", "api"),
		MinCost: store.Decimal(f.match("min_cost", costForm, "a decimal number of US dollars such as 0.25")),
		MaxCost: store.Decimal(f.match("max_cost", costForm, "a decimal number of US dollars such as 0.25")),
		Result:  store.ReceiptResult(f.choice("policy_result", texts(store.ReceiptResults)...)),
	}
	if out.Text = f.text("q", 200); out.Text != "" && len([]rune(out.Text)) < 3 {
		f.refuse("q", "must have at least 3 characters")
	}
	if user := f.text("user", 320); strings.Contains(user, "@") {
		out.UserEmail = user
	} else {
		out.UserName = user
	}
	out.From, out.To = f.period(zone)
	var err error
	if out.Repos, err = p.reposNamed(ctx, org, f, "repo"); err != nil {
		return out, err
	}
	out.Emails, err = p.teamNamed(ctx, org, f, "team")
	return out, err
}

// receiptsCSV and receiptsJSON answer the whole filtered set as a file.
func (p *pages) receiptsCSV(w http.ResponseWriter, r *http.Request) error {
	rows, err := p.exported(r)
	if err != nil {
		return err
	}
	respond.Attach(w.Header(), "text/csv; charset=utf-8; header=present", "receipts.csv")
	return rows.CSV(w)
}

func (p *pages) receiptsJSON(w http.ResponseWriter, r *http.Request) error {
	rows, err := p.exported(r)
	if err != nil {
		return err
	}
	respond.Attach(w.Header(), "application/json", "receipts.json")
	return rows.JSON(w)
}

// exported reads the first page of an export, so that a failure is a page.
func (p *pages) exported(r *http.Request) (export.Receipts, error) {
	ctx := r.Context()
	base, err := p.newBase(r, "/receipts", "Receipts")
	if err != nil {
		return export.Receipts{}, err
	}
	form := queryOf(r)
	filter, err := p.receiptFilter(ctx, base.Viewer.Org, form, base.OrgZone)
	if err != nil {
		return export.Receipts{}, err
	}
	order := orderOf[form.choice("sort", "-timestamp", "timestamp", "-cost")]
	if err := form.err(); err != nil {
		return export.Receipts{}, err
	}
	read := func(after *store.ReceiptPosition) ([]store.Receipt, error) {
		page, err := p.cfg.DB.Receipts(ctx, base.Viewer.Org, filter, order, after, export.PageSize)
		if err != nil {
			return nil, err
		}
		return page, p.cfg.DB.PromptsListed(ctx, base.Viewer.Principal, store.WithText(page))
	}
	rows := export.Receipts{Next: func(last store.ReceiptPosition) ([]store.Receipt, error) { return read(&last) }}
	rows.First, err = read(nil)
	return rows, err
}

// texts are the values of words of the program.
func texts[Word ~string](list []Word) []string {
	return each(list, func(word Word) string { return string(word) })
}
