package ui

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/store"
)

// Policy is one policy with its versions.
type Policy struct {
	Base
	PolicyRow
	Document string
	Versions []VersionRow
	// Violations are the newest.
	Violations []store.Violation
	// MoreVersions says that there are older ones than those that are shown.
	MoreVersions bool
}

// VersionRow is a version and what it changed.
type VersionRow struct {
	store.PolicyVersion
	Changes []Difference
}

// Difference is a member of a document that two versions do not share.
type Difference struct{ Field, Was, Is string }

// maxVersions bounds the versions of a page.
const maxVersions = 30

// policyAt finds the policy of the path, by id or name.
func (p *pages) policyAt(r *http.Request) (store.Policy, error) {
	name, err := pathVar(r, "id")
	if err != nil {
		return store.Policy{}, err
	}
	return p.cfg.DB.Policy(r.Context(), whoOf(r).Org, name)
}

func (p *pages) policy(w http.ResponseWriter, r *http.Request) error {
	row, err := p.policyAt(r)
	if err != nil {
		return err
	}
	return p.showPolicy(w, r, row, nil)
}

func (p *pages) showPolicy(w http.ResponseWriter, r *http.Request, row store.Policy, refused []Fault) error {
	base, err := p.newBase(r, "/policies", row.Name)
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Policy{Base: base, PolicyRow: policyRow(row)}
	var b bytes.Buffer
	if json.Indent(&b, row.Document, "", "  ") == nil {
		page.Document = clip(b.String(), maxText)
	}
	versions, err := p.cfg.DB.PolicyVersions(r.Context(), base.Viewer.Org, row.ID, 0, maxVersions+1)
	if err != nil {
		return err
	}
	page.Versions, page.MoreVersions = versionRows(versions)
	page.Violations, err = p.cfg.DB.Violations(r.Context(), base.Viewer.Org, store.ViolationFilter{Policy: row.ID}, uuid.Nil, 10)
	if err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "policy", page)
}

// versionRows compares each version with the one before it, which the list has
// behind it.
func versionRows(versions []store.PolicyVersion) (rows []VersionRow, more bool) {
	for i, v := range versions {
		if i == maxVersions {
			return rows, true
		}
		row := VersionRow{PolicyVersion: v}
		if i+1 < len(versions) {
			row.Changes = differences(versions[i+1].Document, v.Document)
		}
		rows = append(rows, row)
	}
	return rows, false
}

// differences compares two documents member by member.
func differences(was, is json.RawMessage) []Difference {
	before, after := map[string]string{}, map[string]string{}
	flatten("", was, before)
	flatten("", is, after)
	names := slices.AppendSeq(slices.Collect(maps.Keys(before)), maps.Keys(after))
	slices.Sort(names)
	var out []Difference
	for _, name := range slices.Compact(names) {
		if before[name] != after[name] {
			out = append(out, Difference{name, clip(before[name], maxRuleText), clip(after[name], maxRuleText)})
		}
	}
	return out
}

// flatten lays the members of an object out by their paths.
func flatten(path string, raw json.RawMessage, into map[string]string) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil || members == nil {
		into[path] = strings.Trim(string(raw), `"`)
		return
	}
	for name, value := range members {
		flatten(strings.TrimPrefix(path+"."+name, "."), value, into)
	}
}

// switchPolicy switches a policy on or off, or takes it away, as the button says.
func (p *pages) switchPolicy(w http.ResponseWriter, r *http.Request) error {
	row, err := p.policyAt(r)
	if err != nil {
		return err
	}
	by, notice := whoOf(r), ""
	switch r.PostForm.Get("do") {
	case "enable":
		_, err = p.cfg.DB.EnablePolicy(r.Context(), by, row.ID, 0, true)
		notice = "enabled"
	case "disable":
		_, err = p.cfg.DB.EnablePolicy(r.Context(), by, row.ID, 0, false)
		notice = "disabled"
	case "remove":
		if r.PostForm.Get("name") != row.Name {
			return p.showPolicy(w, r, row, []Fault{{"name", "must be the name of the policy, to make sure"}})
		}
		if err = p.cfg.DB.RemovePolicy(r.Context(), by, row.ID, 0); err == nil {
			return done(w, r, "/policies", "removed")
		}
	default:
		err = respond.InvalidField("do", "must be enable, disable or remove")
	}
	var invalid *store.InvalidError
	if errors.As(err, &invalid) {
		return p.showPolicy(w, r, row, []Fault{{invalid.Field, invalid.Problem}})
	}
	if err != nil {
		return err
	}
	return done(w, r, "/policies/"+row.ID.String(), notice)
}
