package ui

import (
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/httpapi"
)

// inTheAPI says by which operations of the API can be done what a page can do.
// Only what is about the browser itself has none.
var inTheAPI = map[string][]string{
	"/account/keys":                      {"createKey"},
	"/account/keys/{id}/revoke":          {"revokeKey"},
	"/account/password":                  {"changePassword"},
	"/account/sessions/revoke":           {"endOtherSignIns"},
	"/account/sessions/{id}/revoke":      {"endSignIn"},
	"/account/ssh-keys":                  {"addSSHKey"},
	"/account/ssh-keys/{id}/revoke":      {"revokeSSHKey"},
	"/connections":                       {"connect"},
	"/connections/{id}/disconnect":       {"disconnect"},
	"/decisions/{id}/waive":              {"createWaiver"},
	"/enforcement/reviews":               {"createReview"},
	"/holds/{id}/release":                {"releaseHold"},
	"/policies":                          {"createPolicy", "evaluatePush", "backtestPolicy"},
	"/policies/{id}":                     {"replacePolicy", "updatePolicy"},
	"/policies/{id}/switch":              {"enablePolicy", "disablePolicy", "removePolicy"},
	"/repositories":                      {"addRepo"},
	"/repositories/{id}":                 {"updateRepo"},
	"/repositories/{id}/remove":          {"removeRepo"},
	"/repositories/{id}/sync":            {"syncRepo"},
	"/settings":                          {"updateOrg"},
	"/settings/endpoints":                {"createEndpoint"},
	"/settings/endpoints/{id}":           {"updateEndpoint", "rotateEndpoint", "pingEndpoint", "removeEndpoint"},
	"/settings/endpoints/{id}/redeliver": {"redeliverMessage"},
	"/settings/grants":                   {"setGrant", "removeGrant"},
	"/settings/identities":               {"joinIdentities", "splitIdentity", "resetIdentity", "setBot", "removeBot"},
	"/settings/keys":                     {"createKey"},
	"/settings/keys/{id}/revoke":         {"revokeKey"},
	"/settings/people":                   {"createInvitation", "revokeInvitation", "updateUser", "disableUser", "createPasswordLink"},
	"/settings/prices":                   {"setPrices", "removePrice", "removePriceAlias"},
	"/settings/privacy":                  {"updateOrg", "setRetention", "erasePerson"},
	"/settings/privacy/export":           {"exportPerson"},
	"/settings/ssh-keys/{id}/revoke":     {"revokeSSHKey"},
	"/settings/webhooks":                 {"createWebhookSecret"},
	"/settings/webhooks/redeliver":       {"redeliverWebhook"},
	"/settings/webhooks/{id}/revoke":     {"revokeWebhookSecret"},
	"/teams":                             {"createTeam"},
	"/teams/{id}":                        {"updateTeam", "setTeamMember", "removeTeamMember", "removeTeam"},
	"/waivers/{id}/revoke":               {"revokeWaiver"},
	"/reports":                           {"createReport", "createReportSchedule"},
	"/reports/{id}/remove":               {"removeReport"},
	"/reports/schedules/{id}/remove":     {"removeReportSchedule"},
	"/login":                             nil,
	"/logout":                            nil,
	"/setup/{token}":                     nil,
	"/invitations/{token}":               nil,
	"/password/{token}":                  nil,
	"/preferences":                       nil,
}

func TestWhateverAPageCanDoTheAPICan(t *testing.T) {
	t.Parallel()
	spec, err := httpapi.Spec()
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, item := range spec.Paths.Map() {
		for _, op := range item.Operations() {
			known[op.OperationID] = true
		}
	}
	for _, rt := range routes() {
		if rt.method != http.MethodPost {
			continue
		}
		operations, ok := inTheAPI[rt.path]
		if !ok {
			t.Errorf("POST %s: nobody knows by which operations of the API that can be done", rt.path)
		}
		for _, id := range operations {
			if !known[id] {
				t.Errorf("POST %s: there is no operation %s", rt.path, id)
			}
		}
	}
	paths := map[string]bool{}
	for _, rt := range routes() {
		paths[rt.path] = paths[rt.path] || rt.method == http.MethodPost
	}
	for path := range inTheAPI {
		if !paths[path] {
			t.Errorf("the table has POST %s, the routes have not", path)
		}
	}
}

var toDefinition = regexp.MustCompile(`/help#([a-z-]+)|Definition: "([a-z-]+)"`)

// Numbers lead to how they are counted, and no link leads to a definition that
// is not there.
func TestEveryDefinitionIsThere(t *testing.T) {
	t.Parallel()
	var used []string
	for _, dir := range []string{".", "templates"} {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if file.IsDir() || strings.HasSuffix(file.Name(), "_test.go") {
				continue
			}
			text, err := os.ReadFile(dir + "/" + file.Name())
			if err != nil {
				t.Fatal(err)
			}
			for _, match := range toDefinition.FindAllStringSubmatch(string(text), -1) {
				used = append(used, match[1]+match[2])
			}
		}
	}
	for _, id := range used {
		if !slices.ContainsFunc(definitions, func(d Definition) bool { return d.ID == id }) {
			t.Errorf("a page leads to the definition of %q, which is not there", id)
		}
	}
	for _, d := range definitions {
		if !slices.Contains(used, d.ID) {
			t.Errorf("no page leads to the definition of %q", d.ID)
		}
	}
}
