package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
)

// need is what an operation asks of a principal: one of the scopes, or nobody
// in particular.
type need struct {
	public bool
	anyOf  []access.Scope
}

var (
	public      = need{public: true}
	reading     = need{anyOf: []access.Scope{access.Read}}
	writing     = need{anyOf: []access.Scope{access.Write}}
	ingesting   = need{anyOf: []access.Scope{access.Ingest}}
	hooking     = need{anyOf: []access.Scope{access.Hook}}
	admin       = need{anyOf: []access.Scope{access.Admin}}
	readingBack = need{anyOf: []access.Scope{access.Read, access.Ingest}}
	anyKey      = need{anyOf: access.Scopes}
)

// needs is what every operation of openapi.yaml needs. New refuses to serve an
// operation that is not here.
var needs = map[string]need{
	"listReceipts": reading, "getReceipt": reading, "getAnalytics": reading,
	"postReceipts": ingesting,
	"listRepos":    reading, "getRepo": reading, "getCommit": reading, "listFindings": reading,
	"addRepo": admin, "updateRepo": admin, "removeRepo": admin, "syncRepo": writing,
	"checkHook": hooking, "judgePush": hooking, "reportPush": hooking,
	"getOrg": reading, "updateOrg": admin,
	"listKeys": admin, "createKey": admin, "revokeKey": admin,
	"listPolicies": reading, "getPolicy": reading, "listPolicyVersions": reading, "getPolicyVersion": reading,
	"getPolicySchema": reading, "evaluatePush": reading, "backtestPolicy": reading,
	"createPolicy": admin, "replacePolicy": admin, "updatePolicy": admin, "removePolicy": admin,
	"enablePolicy": admin, "disablePolicy": admin,
	"listDecisions": reading, "getDecision": reading, "listViolations": reading,
	"listWaivers": reading, "createWaiver": admin, "revokeWaiver": admin,
	"listReviews": reading, "getReviewQueue": reading, "createReview": writing,
	"listHolds": reading, "releaseHold": admin,
	"listTeams": reading,
	"listAudit": admin,
	"listUsers": reading, "createUser": admin, "disableUser": admin,
	"listSSHKeys": admin, "addSSHKey": admin, "revokeSSHKey": admin,
	"listGrants": admin, "setGrant": admin, "removeGrant": admin,
	"listWebhookSecrets": admin, "createWebhookSecret": admin, "revokeWebhookSecret": admin,
	"listConnections": admin, "connect": admin, "disconnect": admin,
	// A webhook is authenticated by its signature.
	"receiveWebhook": public,
	"uploadNotes":    ingesting, "readNotes": readingBack,
	"getMe": anyKey, "syncActivities": anyKey,
	"getSpec": public, "getHealth": public, "getReadiness": public, "getMetrics": public,
}

// String is the need as x-scope in openapi.yaml spells it.
func (n need) String() string {
	switch {
	case n.public:
		return "public"
	case slices.Equal(n.anyOf, access.Scopes):
		return "any"
	}
	names := make([]string, len(n.anyOf))
	for i, scope := range n.anyOf {
		names[i] = string(scope)
	}
	return strings.Join(names, " or ")
}

// check refuses a principal that lacks the scope.
func (n need) check(p access.Principal) error {
	if slices.ContainsFunc(n.anyOf, p.Allow) {
		return nil
	}
	return &respond.Problem{Status: http.StatusForbidden, Code: "forbidden", Detail: "This needs a key with scope " + n.String() + "."}
}
