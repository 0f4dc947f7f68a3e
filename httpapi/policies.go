package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/store"
)

// ListPolicies implements the operation.
func (s *server) ListPolicies(ctx context.Context, in ListPoliciesRequestObject) (ListPoliciesResponseObject, error) {
	rows, err := s.cfg.DB.Policies(ctx, principal(ctx).Org)
	if err != nil {
		return nil, err
	}
	team, err := s.teamName(ctx, in.Params.Team)
	if err != nil {
		return nil, err
	}
	page := ListPolicies200JSONResponse{Items: []Policy{}}
	for _, row := range rows {
		holds, err := holdsTeam(row, team)
		if err != nil {
			return nil, err
		}
		if in.Params.Enabled != nil && row.Enabled != *in.Params.Enabled || !holds {
			continue
		}
		page.Items = append(page.Items, policyOf(row))
	}
	return page, nil
}

// holdsTeam reports whether the scope of a policy can hold pushes of a team; the
// empty one stands for any.
func holdsTeam(row store.Policy, team string) (bool, error) {
	if team == "" {
		return true, nil
	}
	parsed, err := row.Parse()
	return parsed.Scope.HoldsTeam(team), err
}

// teamName is the name of a team that a filter names, empty for none.
func (s *server) teamName(ctx context.Context, nameOrID string) (string, error) {
	if nameOrID == "" {
		return "", nil
	}
	team, err := s.cfg.DB.Team(ctx, principal(ctx).Org, nameOrID)
	return team.Name, unknownAs("team", "the name or id of a team", err)
}

// CreatePolicy implements the operation.
func (s *server) CreatePolicy(ctx context.Context, in CreatePolicyRequestObject) (CreatePolicyResponseObject, error) {
	doc, err := readPolicy(*in.Body, "")
	if err != nil {
		return nil, err
	}
	if doc.ID != "" {
		shown, err := s.replacePolicy(ctx, doc.ID, doc)
		return CreatePolicy200JSONResponse(shown), err
	}
	if doc.Version != 0 {
		return nil, respond.InvalidField("version", "is given by the server; it may stand only beside the id of a policy to change")
	}
	row, err := s.cfg.DB.CreatePolicy(ctx, principal(ctx), doc)
	return CreatePolicy201JSONResponse(policyOf(row)), err
}

// GetPolicy implements the operation.
func (s *server) GetPolicy(ctx context.Context, in GetPolicyRequestObject) (GetPolicyResponseObject, error) {
	row, err := s.cfg.DB.Policy(ctx, principal(ctx).Org, in.Policy)
	return GetPolicy200JSONResponse(policyOf(row)), err
}

// ReplacePolicy implements the operation.
func (s *server) ReplacePolicy(ctx context.Context, in ReplacePolicyRequestObject) (ReplacePolicyResponseObject, error) {
	doc, err := readPolicy(*in.Body, "")
	if err != nil {
		return nil, err
	}
	shown, err := s.replacePolicy(ctx, in.Policy, doc)
	return ReplacePolicy200JSONResponse(shown), err
}

// replacePolicy changes the policy of a name or id, which the document must not
// contradict.
func (s *server) replacePolicy(ctx context.Context, nameOrID string, doc policy.Policy) (Policy, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Policy(ctx, by.Org, nameOrID)
	if err != nil {
		return Policy{}, err
	}
	if doc.ID != "" && doc.ID != row.ID.String() {
		return Policy{}, respond.InvalidField("id", "must be that of the policy at this path, or be left out")
	}
	row, _, err = s.cfg.DB.UpdatePolicy(ctx, by, row.ID, doc.Version, doc)
	return policyOf(row), changedMeanwhile(err)
}

// changedMeanwhile tells a client that the version that it changed is old.
func changedMeanwhile(err error) error {
	if !errors.Is(err, store.ErrMoved) {
		return err
	}
	return fmt.Errorf("%w (%w)", &respond.Problem{Status: http.StatusConflict, Code: "changed",
		Detail: "Another version of the policy is in force. Read it again.",
		Fields: []respond.Field{{Field: "version", Problem: "is not the one in force"}}}, err)
}

// patchTries is how often a change of parts is laid on a policy that others
// change at the same time.
const patchTries = 5

// UpdatePolicy implements the operation.
func (s *server) UpdatePolicy(ctx context.Context, in UpdatePolicyRequestObject) (UpdatePolicyResponseObject, error) {
	by := principal(ctx)
	var err error
	for range patchTries {
		var row store.Policy
		if row, err = s.cfg.DB.Policy(ctx, by.Org, in.Policy); err != nil {
			return nil, err
		}
		var doc policy.Policy
		if doc, err = patched(row.Document, *in.Body); err != nil {
			return nil, err
		}
		wanted := doc.Version
		if wanted == 0 {
			doc.Version = row.Version
		}
		if row, _, err = s.cfg.DB.UpdatePolicy(ctx, by, row.ID, doc.Version, doc); err == nil {
			return UpdatePolicy200JSONResponse(policyOf(row)), nil
		}
		if wanted != 0 || !errors.Is(err, store.ErrMoved) {
			return nil, changedMeanwhile(err)
		}
	}
	return nil, err
}

// patched lays the members of a patch over a document.
func patched(document, patch json.RawMessage) (policy.Policy, error) {
	var members, changes map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		return policy.Policy{}, fmt.Errorf("reading a stored policy: %w", err)
	}
	if err := json.Unmarshal(patch, &changes); err != nil {
		return policy.Policy{}, respond.InvalidField("body", "is not JSON")
	}
	for name, value := range changes {
		members[name] = value
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(members); err != nil {
		return policy.Policy{}, fmt.Errorf("writing a policy: %w", err)
	}
	return readPolicy(text.Bytes(), "")
}

// RemovePolicy implements the operation.
func (s *server) RemovePolicy(ctx context.Context, in RemovePolicyRequestObject) (RemovePolicyResponseObject, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Policy(ctx, by.Org, in.Policy)
	if err != nil {
		return nil, err
	}
	return RemovePolicy204Response{}, s.cfg.DB.RemovePolicy(ctx, by, row.ID, 0)
}

// EnablePolicy implements the operation.
func (s *server) EnablePolicy(ctx context.Context, in EnablePolicyRequestObject) (EnablePolicyResponseObject, error) {
	shown, err := s.switchPolicy(ctx, in.Policy, true)
	return EnablePolicy200JSONResponse(shown), err
}

// DisablePolicy implements the operation.
func (s *server) DisablePolicy(ctx context.Context, in DisablePolicyRequestObject) (DisablePolicyResponseObject, error) {
	shown, err := s.switchPolicy(ctx, in.Policy, false)
	return DisablePolicy200JSONResponse(shown), err
}

func (s *server) switchPolicy(ctx context.Context, nameOrID string, enabled bool) (Policy, error) {
	by := principal(ctx)
	row, err := s.cfg.DB.Policy(ctx, by.Org, nameOrID)
	if err != nil {
		return Policy{}, err
	}
	row, err = s.cfg.DB.EnablePolicy(ctx, by, row.ID, 0, enabled)
	return policyOf(row), err
}

// ListPolicyVersions implements the operation.
func (s *server) ListPolicyVersions(ctx context.Context, in ListPolicyVersionsRequestObject) (ListPolicyVersionsResponseObject, error) {
	org := principal(ctx).Org
	row, err := s.cfg.DB.Policy(ctx, org, in.Policy)
	if err != nil {
		return nil, err
	}
	limit, seal := limitOr(in.Params.Limit), sealOf(org, "listPolicyVersions", row.ID)
	var before *int64
	if err := openCursor(in.Params.Cursor, seal, &before); err != nil {
		return nil, err
	}
	if before == nil {
		before = new(int64)
	}
	rows, err := s.cfg.DB.PolicyVersions(ctx, org, row.ID, int(min(*before, maxVersion)), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListPolicyVersions200JSONResponse{}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = makeCursor(seal, rows[limit-1].Version)
	}
	page.Items = each(rows, policyVersionOf)
	return page, nil
}

// maxVersion is the largest version that PostgreSQL's integer holds.
const maxVersion = 1<<31 - 1

// GetPolicyVersion implements the operation.
func (s *server) GetPolicyVersion(ctx context.Context, in GetPolicyVersionRequestObject) (GetPolicyVersionResponseObject, error) {
	org := principal(ctx).Org
	row, err := s.cfg.DB.Policy(ctx, org, in.Policy)
	if err != nil {
		return nil, err
	}
	version, err := s.cfg.DB.PolicyVersion(ctx, org, row.ID, in.Version)
	if err != nil {
		return nil, err
	}
	return GetPolicyVersion200JSONResponse(policyVersionOf(version)), nil
}

// GetPolicySchema implements the operation.
func (s *server) GetPolicySchema(_ context.Context, in GetPolicySchemaRequestObject) (GetPolicySchemaResponseObject, error) {
	if in.Rule == "policy" {
		schema, err := policy.DocumentSchema()
		return documentAnswer(schema), err
	}
	if !slices.Contains(policy.Kinds(), policy.Kind(in.Rule)) {
		names := each(policy.Kinds(), func(k policy.Kind) string { return string(k) })
		return nil, &respond.Problem{Status: http.StatusNotFound, Code: "no_such_rule",
			Detail: "There is no such rule. There are " + strings.Join(names, ", ") + ", and policy for the whole document."}
	}
	schema, err := policy.Schema(policy.Kind(in.Rule))
	return documentAnswer(schema), err
}

// documentAnswer answers with a JSON document as it is.
func documentAnswer(document json.RawMessage) answerFunc {
	return func(w http.ResponseWriter) error { return respond.JSON(w, http.StatusOK, document) }
}

// readPolicy reads a policy document; at is where it stands in the body, empty
// for all of it. What is wrong is named at once.
func readPolicy(document []byte, at string) (policy.Policy, error) {
	doc, bad := checkPolicy(document, at)
	if len(bad) > 0 {
		return doc, respond.Invalid(bad...)
	}
	return doc, nil
}

// checkPolicy is readPolicy for one of several documents.
func checkPolicy(document []byte, at string) (policy.Policy, []respond.Field) {
	doc, err := policy.Parse(document)
	var invalid *policy.Invalid
	switch {
	case err == nil:
		return doc, nil
	case !errors.As(err, &invalid):
		return doc, []respond.Field{{Field: cmp.Or(at, "body"), Problem: "cannot be read as a policy"}}
	}
	return doc, each(invalid.Problems, func(p policy.Problem) respond.Field {
		field := respond.Field{Field: p.Field, Problem: p.Problem}
		if len(p.Allowed) > 0 {
			field.Problem += " (allowed: " + strings.Join(p.Allowed, ", ") + ")"
		}
		if at != "" {
			field.Field = at + "." + field.Field
		}
		return field
	})
}

// policyNamed finds the id of a policy that a parameter names; empty is none.
func (s *server) policyNamed(ctx context.Context, org uuid.UUID, name string) (uuid.UUID, error) {
	if name == "" {
		return uuid.Nil, nil
	}
	row, err := s.findPolicy(ctx, org, name)
	return row.ID, err
}

// findPolicy finds a policy that a request names beside its path.
func (s *server) findPolicy(ctx context.Context, org uuid.UUID, name string) (store.Policy, error) {
	row, err := s.cfg.DB.Policy(ctx, org, name)
	if errors.Is(err, store.ErrNotFound) {
		err = respond.InvalidField("policy", "must be the name or id of a policy of your organisation")
	}
	return row, err
}

func policyOf(row store.Policy) Policy {
	doc := row.Outline()
	return Policy{Id: row.ID, Name: row.Name, Version: row.Version, Rule: doc.Rule, Scope: doc.Scope, Action: PolicyAction(doc.Action),
		Enabled: row.Enabled, CreatedAt: row.CreatedAt, UpdatedAt: row.UpdatedAt, RemovedAt: row.RemovedAt}
}

func policyVersionOf(v store.PolicyVersion) PolicyVersion {
	return PolicyVersion{Version: v.Version, Change: PolicyVersionChange(v.Change), Author: v.Author, CreatedAt: v.CreatedAt,
		Document: v.Document}
}
