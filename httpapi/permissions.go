package httpapi

import (
	"net/http"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
)

// need is what an operation asks of a principal: that it may do an action.
type need struct{ action access.Action }

var (
	public       = need{access.Public}
	reading      = need{access.ToRead}
	writing      = need{access.ToWrite}
	ingesting    = need{access.ToIngest}
	hooking      = need{access.ToHook}
	admin        = need{access.ToAdminister}
	readingBack  = need{access.ToReadNotes}
	anyKey       = need{access.ToKnowOneself}
	managingTeam = need{access.ToManageTeam}
	managingKeys = need{access.ToManageKeys}
	ownAccount   = need{access.ToUseAccount}
)

// needs is what every operation of openapi.yaml needs. New refuses to serve an
// operation that is not here.
var needs = map[string]need{
	"listReceipts": reading, "getReceipt": reading, "getAnalytics": reading,
	"getCoverage": reading, "listCoverageEvents": reading, "listCommits": reading,
	"getLive": reading, "getLiveFile": reading, "recallLines": reading, "getRework": reading,
	"postReceipts": ingesting,
	"listRepos":    reading, "getRepo": reading, "getCommit": reading, "listFindings": reading, "listReattachments": reading,
	"listLineBranches": reading, "addLineBranch": writing, "dropLineBranch": writing,
	"addRepo": admin, "updateRepo": admin, "removeRepo": admin, "syncRepo": writing,
	"checkHook": hooking, "judgePush": hooking, "reportPush": hooking,
	"getOrg": reading, "updateOrg": admin,
	"listKeys": managingKeys, "createKey": managingKeys, "revokeKey": managingKeys,
	"listPolicies": reading, "getPolicy": reading, "listPolicyVersions": reading, "getPolicyVersion": reading,
	"getPolicySchema": reading, "evaluatePush": reading, "backtestPolicy": reading,
	"createPolicy": admin, "replacePolicy": admin, "updatePolicy": admin, "removePolicy": admin,
	"enablePolicy": admin, "disablePolicy": admin,
	"listDecisions": reading, "getDecision": reading, "listViolations": reading,
	"listWaivers": reading, "createWaiver": admin, "revokeWaiver": admin,
	"listReviews": reading, "getReviewQueue": reading, "createReview": writing,
	"listHolds": reading, "releaseHold": admin,
	"listBots": reading, "setBot": admin, "removeBot": admin,
	"listSessions": reading, "getSession": reading,
	"listIdentities": reading, "listIdentityRules": reading, "joinIdentities": admin, "splitIdentity": admin, "resetIdentity": admin,
	"listPrices": reading, "listPricePeriods": reading, "setPrices": admin, "removePrice": admin, "removePriceAlias": admin,
	"listAudit": admin, "getAuditHead": admin,
	"listRetention": admin, "setRetention": admin, "exportPerson": admin, "erasePerson": admin,
	"listReports": admin, "createReport": admin, "getReport": admin, "removeReport": admin, "getReportContent": admin, "getReportSchema": reading,
	"listReportSchedules": admin, "createReportSchedule": admin, "removeReportSchedule": admin,
	"listTeams": reading, "getTeam": reading, "createTeam": admin, "removeTeam": admin,
	"updateTeam": managingTeam, "setTeamMember": managingTeam, "removeTeamMember": managingTeam,
	"listUsers": reading, "getUser": reading, "createUser": admin, "updateUser": admin, "disableUser": admin,
	"createPasswordLink": admin, "listInvitations": admin, "createInvitation": admin, "revokeInvitation": admin,
	"getAccount": ownAccount, "changePassword": ownAccount,
	"listSignIns": ownAccount, "endSignIn": ownAccount, "endOtherSignIns": ownAccount,
	"listSSHKeys": managingKeys, "addSSHKey": managingKeys, "revokeSSHKey": managingKeys,
	"listGrants": admin, "setGrant": admin, "removeGrant": admin,
	"listWebhookSecrets": admin, "createWebhookSecret": admin, "revokeWebhookSecret": admin,
	"listWebhookDeliveries": admin, "redeliverWebhook": admin,
	"listEndpoints": admin, "createEndpoint": admin, "getEndpoint": admin, "updateEndpoint": admin, "removeEndpoint": admin,
	"rotateEndpoint": admin, "pingEndpoint": admin, "listMessages": admin, "redeliverMessage": admin,
	"listConnections": admin, "connect": admin, "disconnect": admin,
	// A webhook is authenticated by its signature.
	"receiveWebhook": public,
	"uploadNotes":    ingesting, "readNotes": readingBack,
	"getMe": anyKey, "syncActivities": anyKey,
	"getSpec": public, "getHealth": public, "getReadiness": public, "getMetrics": public,
}

// isPublic says that nobody is asked who they are.
func (n need) isPublic() bool { return n.action == access.Public }

// String is the need as x-scope in openapi.yaml spells it.
func (n need) String() string { return n.action.Need() }

// check refuses a principal that can have no business with the operation. Where
// that depends on a resource, the operation asks again with may.
func (n need) check(p access.Principal) error {
	if access.Possible(p, n.action) {
		return nil
	}
	return n.refusal()
}

// may refuses a principal that may not do the operation with a resource.
func (n need) may(p access.Principal, on access.Resource) error {
	if access.Allow(p, n.action, on) {
		return nil
	}
	return n.refusal()
}

func (n need) refusal() error {
	detail := "This needs a key with scope " + n.String() + ", or a person whose role has it."
	if n.action == access.ToUseAccount {
		detail = "This needs a person who is signed in. No key will do."
	}
	return &respond.Problem{Status: http.StatusForbidden, Code: "forbidden", Detail: detail}
}
