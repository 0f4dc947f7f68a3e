package ui

import (
	"cmp"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/httpapi/export"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// Audit is who did what.
type Audit struct {
	Base
	Query url.Values
	Rows  []ActRow
	Chips []Chip
	Pager Pager
	CSV   string
}

// ActRow is an act, with its detail laid out for reading.
type ActRow struct {
	store.AuditRow
	Text string
	// Owner is whose the key is that acted, or what a machine's is called; empty for
	// who is no key.
	Owner string
}

// Get is a filter as it was given.
func (p *Audit) Get(name string) string { return p.Query.Get(name) }

var auditFilters = []struct{ key, name string }{{"principal", "Who"}, {"action", "Action"}, {"target", "What"}, {"from", "From"}, {"to", "To"}}

// maxDetail bounds what a row shows of its detail.
const maxDetail = 600

func (p *pages) audit(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/audit", "Audit")
	if err != nil {
		return err
	}
	page := &Audit{Base: base, Query: r.URL.Query(), CSV: address("/audit.csv", changed(r.URL.Query(), "", ""))}
	for _, f := range auditFilters {
		if value := page.Get(f.key); value != "" {
			page.Chips = append(page.Chips, Chip{f.name, value, address("/audit", changed(page.Query, f.key, ""))})
		}
	}
	form := queryOf(r)
	filter := auditFilter(form, base.OrgZone)
	if page.Problems = form.faults; len(page.Problems) == 0 {
		err = p.readAudit(r, page, filter)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		page.Problems = faults
	} else if err != nil {
		return err
	}
	return p.show(w, r, statusFor(page.Problems), "audit", page)
}

func auditFilter(f *form, zone *time.Location) store.AuditFilter {
	out := store.AuditFilter{Principal: f.text("principal", 400), Action: f.text("action", 200), Target: f.text("target", 1000)}
	out.From, out.To = f.period(zone)
	return out
}

func (p *pages) readAudit(r *http.Request, page *Audit, filter store.AuditFilter) error {
	still := changed(page.Query, "", "")
	seal := cursor.Seal(page.Viewer.Org, "audit page", address("", still))
	var before *int64
	if err := cursor.Open(page.Get("cursor"), seal, &before); err != nil {
		return err
	}
	if before == nil {
		before = new(int64)
	}
	rows, err := p.cfg.DB.AuditRows(r.Context(), page.Viewer.Org, filter, *before, pageSize+1)
	if err != nil {
		return err
	}
	rows, more := cut(rows)
	owners, err := p.keyOwners(r.Context(), page.Viewer.Org, rows)
	if err != nil {
		return err
	}
	for _, row := range rows {
		text, _ := indented(row.Detail, maxDetail)
		page.Rows = append(page.Rows, ActRow{row, text, owners[row.Principal]})
	}
	page.Pager.Shown = count(len(rows)) + " shown"
	if *before != 0 {
		page.Pager.First = address("/audit", still)
	}
	if more {
		page.Pager.Next = address("/audit", changed(still, "cursor", cursor.Make(seal, rows[len(rows)-1].Seq)))
	}
	return nil
}

// keyOwners are the addresses of the persons whose keys acted, by the names of the
// keys; revoked ones are among them.
func (p *pages) keyOwners(ctx context.Context, org uuid.UUID, rows []store.AuditRow) (map[string]string, error) {
	owners := map[string]string{}
	acted := func(kind string) bool {
		return slices.ContainsFunc(rows, func(row store.AuditRow) bool { return strings.HasPrefix(row.Principal, kind) })
	}
	if acted("ssh-key:") {
		keys, err := p.cfg.DB.SSHKeys(ctx, org)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			owners["ssh-key:"+key.ID.String()] = key.Email
		}
	}
	if acted("key:") {
		keys, err := p.cfg.DB.Keys(ctx, org)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			owners["key:"+key.ID.String()] = cmp.Or(key.User, key.Name)
		}
	}
	return owners, nil
}

// auditCSV answers every act that the filters select.
func (p *pages) auditCSV(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/audit", "Audit")
	if err != nil {
		return err
	}
	form := queryOf(r)
	filter := auditFilter(form, base.OrgZone)
	if err := form.err(); err != nil {
		return err
	}
	respond.Attach(w.Header(), "text/csv; charset=utf-8; header=present", "audit.csv")
	return export.AuditCSV(w, func(each func(store.AuditRow) error) error {
		return p.cfg.DB.ExportAudit(r.Context(), base.Viewer.Org, filter, each)
	})
}
