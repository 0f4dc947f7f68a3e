package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/httpapi"
)

func gzipped(t *testing.T, size int) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.CopyN(z, zeros{}, int64(size)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// TestBadInputIsNamed has what each hostile parameter, header and body gets:
// a problem document with this status that names these fields.
func TestBadInputIsNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	deep := strings.Repeat("[", 200_000)
	json := map[string]string{"Content-Type": "application/json"}
	for _, test := range []struct {
		method, path string
		body         any
		header       map[string]string
		status       int
		fields       string
	}{
		// Parameters of lists.
		{"GET", "/api/v1/receipts?limit=0", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?limit=201", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?limit=1e2", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?limit=99999999999999999999", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?limit=", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?limit=1&limit=2", nil, nil, 400, "limit"},
		{"GET", "/api/v1/receipts?cursor=%21", nil, nil, 400, "cursor"},
		{"GET", "/api/v1/receipts?cursor=AAAA", nil, nil, 400, "cursor"},
		{"GET", "/api/v1/receipts?cursor=" + strings.Repeat("A", 9000), nil, nil, 400, "cursor"},
		{"GET", "/api/v1/receipts?from=yesterday", nil, nil, 400, "from"},
		{"GET", "/api/v1/receipts?from=2026-02-30", nil, nil, 400, "from"},
		{"GET", "/api/v1/receipts?from=2026-02-14T25:00:00Z", nil, nil, 400, "from"},
		{"GET", "/api/v1/receipts?to=0000-00-00", nil, nil, 400, "to"},
		{"GET", "/api/v1/receipts?from=2026-03-02&to=2026-02-01", nil, nil, 400, "to"},
		{"GET", "/api/v1/receipts?from=99999-01-01", nil, nil, 400, "from"},
		{"GET", "/api/v1/receipts?commit=12345", nil, nil, 400, "commit"},
		{"GET", "/api/v1/receipts?commit=HEAD~1", nil, nil, 400, "commit"},
		{"GET", "/api/v1/receipts?q=ab", nil, nil, 400, "q"},
		{"GET", "/api/v1/receipts?q=a%00bc", nil, nil, 400, "q"},
		{"GET", "/api/v1/receipts?q=%ff%fe%fd", nil, nil, 400, "q"},
		{"GET", "/api/v1/receipts?q=" + strings.Repeat("x", 201), nil, nil, 400, "q"},
		{"GET", "/api/v1/receipts?path=", nil, nil, 400, "path"},
		{"GET", "/api/v1/receipts?source=svn", nil, nil, 400, "source"},
		{"GET", "/api/v1/receipts?current=yes", nil, nil, 400, "current"},
		{"GET", "/api/v1/receipts?min_cost=-1", nil, nil, 400, "min_cost"},
		{"GET", "/api/v1/receipts?min_cost=NaN", nil, nil, 400, "min_cost"},
		{"GET", "/api/v1/receipts?max_cost=1e9", nil, nil, 400, "max_cost"},
		{"GET", "/api/v1/receipts?sort=cost;drop", nil, nil, 400, "query"},
		{"GET", "/api/v1/receipts?sort=price", nil, nil, 400, "sort"},
		{"GET", "/api/v1/receipts?repo=none", nil, nil, 400, "repo"},
		{"GET", "/api/v1/receipts?repo=" + strings.Repeat("x&repo=", 50), nil, nil, 400, "repo"},
		{"GET", "/api/v1/receipts?team=none", nil, nil, 400, "team"},
		{"GET", "/api/v1/receipts?modle=gpt-5&usr=x", nil, nil, 400, "modle usr"},
		{"GET", "/api/v1/receipts?limit=0&q=x&nonsense=1", nil, nil, 400, "limit nonsense q"},
		{"GET", "/api/v1/receipts?%00=1", nil, nil, 400, ""},
		{"GET", "/api/v1/receipts?a=%zz", nil, nil, 400, "query"},
		{"GET", "/api/v1/receipts?limit=5", nil, map[string]string{"Accept": "text/csv"}, 400, "limit"},
		{"GET", "/api/v1/receipts", nil, map[string]string{"Accept": "application/xml"}, 406, "Accept"},
		{"GET", "/api/v1/analytics?group=day", nil, nil, 400, "group"},
		{"GET", "/api/v1/analytics?from=1", nil, nil, 400, "from"},
		{"GET", "/api/v1/repos?limit=1", nil, nil, 400, "limit"},
		{"GET", "/api/v1/repos/backend/findings?severity=fatal", nil, nil, 400, "severity"},
		{"GET", "/api/v1/audit?cursor=AAAAAAAAAAA", nil, nil, 400, "cursor"},
		// Paths.
		{"GET", "/api/v1/receipts/a%00b", nil, nil, 400, "id"},
		{"GET", "/api/v1/receipts/%ff", nil, nil, 400, "id"},
		{"GET", "/api/v1/receipts/" + strings.Repeat("x", 2001), nil, nil, 400, "id"},
		{"GET", "/api/v1/receipts/none", nil, nil, 404, ""},
		{"GET", "/api/v1/receipts/..%2F..%2Fetc%2Fpasswd", nil, nil, 404, ""},
		{"GET", "/api/v1/repos/none", nil, nil, 404, ""},
		{"GET", "/api/v1/repos/none/findings", nil, nil, 404, ""},
		{"GET", "/api/v1/repos/backend/commits/abc", nil, nil, 400, "sha"},
		{"GET", "/api/v1/repos/backend/commits/" + strings.Repeat("9", 40), nil, nil, 404, ""},
		{"DELETE", "/api/v1/keys/1", nil, nil, 400, "id"},
		{"DELETE", "/api/v1/keys/urn:uuid:01234567-89ab-7def-8123-456789abcdef", nil, nil, 400, "id"},
		{"DELETE", "/api/v1/keys/01234567-89ab-7def-8123-456789abcdef", nil, nil, 404, ""},
		{"GET", "/api/v2/receipts", nil, nil, 404, ""},
		{"GET", "/", nil, nil, 404, ""},
		{"PUT", "/api/v1/receipts", nil, nil, 405, ""},
		{"POST", "/api/v1/receipts/r1", "{}", nil, 405, ""},
		{"TRACE", "/api/v1/org", nil, nil, 405, ""},
		// Receipts that are none.
		{"POST", "/api/v1/receipts?repo=backend", "", nil, 400, "body"},
		{"POST", "/api/v1/receipts?repo=backend", "not json", nil, 400, "body"},
		{"POST", "/api/v1/receipts?repo=backend", "7", nil, 400, "body"},
		{"POST", "/api/v1/receipts?repo=backend", `[{"id":"a"}`, nil, 400, "body"},
		{"POST", "/api/v1/receipts?repo=backend", deep, nil, 400, "body"},
		{"POST", "/api/v1/receipts", `[{"id":"a"}]`, nil, 400, "repo"},
		{"POST", "/api/v1/receipts", `{"repo":" a","receipts":[{"id":"a"}]}`, nil, 400, "name"},
		{"POST", "/api/v1/receipts?repo=b&commit=1234567", `[]`, nil, 400, "commit"},
		{"POST", "/api/v1/receipts?repo=b", "[]", map[string]string{"Content-Encoding": "br"}, 415, "Content-Encoding"},
		{"POST", "/api/v1/receipts?repo=b", "[]", map[string]string{"Content-Encoding": "gzip"}, 400, "body"},
		{"POST", "/api/v1/receipts?repo=b", gzipped(t, 33<<20), map[string]string{"Content-Encoding": "gzip"}, 413, "body"},
		{"POST", "/api/v1/receipts?repo=b", io.LimitReader(zeros{}, 33<<20), nil, 413, "body"},
		// Bodies with a schema.
		{"POST", "/api/v1/repos", "{}", map[string]string{"Content-Type": "text/plain"}, 415, "Content-Type"},
		{"POST", "/api/v1/repos", "{}", map[string]string{"Content-Type": ""}, 415, "Content-Type"},
		{"POST", "/api/v1/repos", "", json, 400, "body"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://h/x"} {}`, nil, 400, "body"},
		{"POST", "/api/v1/repos", deep, nil, 400, "body"},
		{"POST", "/api/v1/repos", `[]`, nil, 400, "body"},
		{"POST", "/api/v1/repos", `{"name":"a"}`, nil, 400, "url"},
		{"POST", "/api/v1/repos", `{"name":7,"url":"https://h.example.com/x"}`, nil, 400, "name"},
		{"POST", "/api/v1/repos", `{"name":"a\u0000","url":"https://h.example.com/x"}`, nil, 400, "name"},
		{"POST", "/api/v1/repos", `{"name":" a","url":"https://h.example.com/x"}`, nil, 400, "name"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://h.example.com/x","credential":{"user":"u"}}`, nil, 400, "credential.secret"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://h.example.com/x","notes_refs":["refs/notes/ai","refs/heads/x"]}`, nil, 400, "notes_refs[1]"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://h.example.com/x","notes_refs":["refs/notes/a:refs/heads/b"]}`, nil, 400, "notes_refs[0]"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://h.example.com/x","notes_refs":["refs/notes/*"]}`, nil, 400, "notes_refs[0]"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"--upload-pack=touch /tmp/x"}`, nil, 400, "url"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"ext::sh -c x"}`, nil, 400, "url"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"file:///etc"}`, nil, 400, "url"},
		{"POST", "/api/v1/repos", `{"name":"a","url":"https://127.0.0.1/x"}`, nil, 400, "url"},
		{"POST", "/api/v1/repos", `{"name":"backend","url":"https://h.example.com/x","bogus":1}`, nil, 400, "bogus"},
		{"POST", "/api/v1/keys", `{"name":"k","scopes":[]}`, nil, 400, "scopes"},
		{"POST", "/api/v1/keys", `{"name":"k","scopes":["read","root"]}`, nil, 400, "scopes[1]"},
		{"POST", "/api/v1/keys", `{"name":"","scopes":["read"]}`, nil, 400, "name"},
		{"POST", "/api/v1/keys", `{"name":"   ","scopes":["read"]}`, nil, 400, "name"},
		{"POST", "/api/v1/keys", `{"name":"k","scopes":["read"],"expires_at":"tomorrow"}`, nil, 400, "expires_at"},
		{"POST", "/api/v1/keys", `{"name":"k","scopes":["read"],"expires_at":"2020-01-01T00:00:00Z"}`, nil, 400, "expires_at"},
		{"POST", "/api/v1/keys", io.LimitReader(zeros{}, 2<<20), json, 413, "body"},
		{"PATCH", "/api/v1/org", `{}`, nil, 400, "body"},
		{"PATCH", "/api/v1/org", `{"store_conversations":"yes"}`, nil, 400, "store_conversations"},
		{"PATCH", "/api/v1/org", `{"name":"other"}`, nil, 400, "name"},
		{"POST", "/api/v1/webhook-secrets", `{"forge":"svn"}`, nil, 400, "forge"},
		{"POST", "/api/v1/repos", `{"name":"a","gateway":"on"}`, nil, 400, "gateway"},
		{"POST", "/api/v1/repos", `{"name":"a","gateway":"hosted","url":"https://h.example.com/x"}`, nil, 400, "gateway"},
		{"POST", "/api/v1/repos", `{"name":"a","gateway":"forwarding"}`, nil, 400, "url"},
		{"PATCH", "/api/v1/repos/backend", `{"gateway":"forwarding"}`, nil, 400, "gateway"},
		{"PATCH", "/api/v1/repos/backend", `{"forward_notes":"yes"}`, nil, 400, "forward_notes"},
		{"POST", "/api/v1/users", `{}`, nil, 400, "email"},
		{"POST", "/api/v1/users", `{"email":"ada"}`, nil, 400, "email"},
		{"POST", "/api/v1/users", `{"email":"Ada <ada@example.com>"}`, nil, 400, "email"},
		{"POST", "/api/v1/users", `{"email":"a\u0000@example.com"}`, nil, 400, "email"},
		{"POST", "/api/v1/users", `{"email":"a@example.com","name":"\u001b[2J"}`, nil, 400, "name"},
		{"POST", "/api/v1/users", `{"email":"a@example.com","logins":["x",""]}`, nil, 400, "logins[1]"},
		{"POST", "/api/v1/users", `{"email":"a@example.com","role":"king"}`, nil, 400, "role"},
		{"DELETE", "/api/v1/users/none@example.com", nil, nil, 404, ""},
		{"DELETE", "/api/v1/users/a%00b", nil, nil, 400, "user"},
		{"POST", "/api/v1/ssh-keys", `{"user":"none@example.com","public_key":"` + publicKey + `"}`, nil, 400, "user"},
		{"POST", "/api/v1/ssh-keys", `{"user":"none@example.com","public_key":""}`, nil, 400, "public_key"},
		{"POST", "/api/v1/ssh-keys", `{"public_key":"` + strings.Repeat("x", 20_000) + `"}`, nil, 400, "public_key user"},
		{"DELETE", "/api/v1/ssh-keys/1", nil, nil, 400, "id"},
		{"DELETE", "/api/v1/ssh-keys/01234567-89ab-7def-8123-456789abcdef", nil, nil, 404, ""},
		{"PUT", "/api/v1/grants", `{"permission":"read"}`, nil, 400, "user"},
		{"PUT", "/api/v1/grants", `{"permission":"read","user":"a@example.com","team":"x"}`, nil, 400, "user"},
		{"PUT", "/api/v1/grants", `{"permission":"admin","user":"a@example.com"}`, nil, 400, "permission"},
		{"PUT", "/api/v1/grants", `{"permission":"read","user":"none@example.com"}`, nil, 400, "user"},
		{"PUT", "/api/v1/grants", `{"permission":"read","team":"none"}`, nil, 400, "team"},
		{"DELETE", "/api/v1/grants", nil, nil, 400, "user"},
		{"DELETE", "/api/v1/grants?team=none", nil, nil, 400, "team"},
		{"DELETE", "/api/v1/grants?user=" + strings.Repeat("x", 255), nil, nil, 400, "user"},
		{"POST", "/api/v1/connections", `{}`, nil, 400, "forge owner token"},
		{"POST", "/api/v1/connections", `{"forge":"gogs","owner":"a","token":"t"}`, nil, 400, "forge"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"","token":"t"}`, nil, 400, "owner"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a/","token":"t"}`, nil, 400, "owner"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a\u0000","token":"t"}`, nil, 400, "owner"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a","token":"t\r\nx: y"}`, nil, 400, "token"},
		{"POST", "/api/v1/connections", `{"forge":"gitea","owner":"a","token":"t"}`, nil, 400, "api_url"},
		{"POST", "/api/v1/connections", `{"forge":"gitea","owner":"a","token":"t","api_url":"file:///etc"}`, nil, 400, "api_url"},
		{"POST", "/api/v1/connections", `{"forge":"gitea","owner":"a","token":"t","api_url":"https://u:p@x.example"}`, nil, 400, "api_url"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a","token":"t","include":["["]}`, nil, 400, "include"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a","token":"t","exclude":"x"}`, nil, 400, "exclude"},
		{"POST", "/api/v1/connections", `{"forge":"github","owner":"a","token":"t","nonsense":1}`, nil, 400, "nonsense"},
		{"DELETE", "/api/v1/connections/1", nil, nil, 400, "id"},
		{"DELETE", "/api/v1/connections/01234567-89ab-7def-8123-456789abcdef?remove_repos=maybe", nil, nil, 400, "remove_repos"},
		{"DELETE", "/api/v1/connections/01234567-89ab-7def-8123-456789abcdef", nil, nil, 404, ""},
		{"POST", "/api/v1/endpoints", `{}`, nil, 400, "name url"},
		{"POST", "/api/v1/endpoints", `{"name":"  ","url":"https://h.example.com/x"}`, nil, 400, "name"},
		{"POST", "/api/v1/endpoints", `{"name":"a\u0000","url":"https://h.example.com/x"}`, nil, 400, "name"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"http://h.example.com/x"}`, nil, 400, "url"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://10.0.0.1/x"}`, nil, 400, "url"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://u:p@h.example.com/x"}`, nil, 400, "url"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://h.example.com/x","types":["push.loved"]}`, nil, 400, "types[0]"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://h.example.com/x","types":["ping"]}`, nil, 400, "types[0]"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://h.example.com/x","repos":["web"]}`, nil, 400, "repos[0]"},
		{"POST", "/api/v1/endpoints", `{"name":"a","url":"https://h.example.com/x","repos":["01234567-89ab-7def-8123-456789abcdef"]}`, nil, 400, "repos"},
		{"PATCH", "/api/v1/endpoints/01234567-89ab-7def-8123-456789abcdef", `{}`, nil, 400, "body"},
		{"PATCH", "/api/v1/endpoints/01234567-89ab-7def-8123-456789abcdef", `{"enabled":false}`, nil, 404, ""},
		{"PATCH", "/api/v1/endpoints/01234567-89ab-7def-8123-456789abcdef", `{"secret":"mine"}`, nil, 400, "secret"},
		{"DELETE", "/api/v1/endpoints/1", nil, nil, 400, "id"},
		{"GET", "/api/v1/messages?state=lost", nil, nil, 400, "state"},
		{"GET", "/api/v1/messages?endpoint=1", nil, nil, 400, "endpoint"},
		{"GET", "/api/v1/messages?cursor=x", nil, nil, 400, "cursor"},
		{"POST", "/api/v1/messages/01234567-89ab-7def-8123-456789abcdef/redeliver", nil, nil, 404, ""},
		{"POST", "/api/v1/webhook-secrets", `{"forge":"github","secret":"short"}`, nil, 400, "secret"},
		{"POST", "/api/v1/repos/backend/sync", nil, nil, 409, ""},
		// Policies.
		{"POST", "/api/v1/policies", `not json`, json, 400, "body"},
		{"POST", "/api/v1/policies", `[]`, nil, 400, "body"},
		{"POST", "/api/v1/policies", deep, nil, 400, "body"},
		{"POST", "/api/v1/policies", `{"name":7}`, nil, 400, "name"},
		{"POST", "/api/v1/policies", `{"name":"x"}`, nil, 400, "rule"},
		{"POST", "/api/v1/policies", `{"name":"x","rule":{"max_cost_per_day":-1,"per":"day","extra":1},"action":"shout","bogus":1}`, nil, 400,
			"action rule.max_cost_per_day rule.per rule.extra bogus"},
		{"POST", "/api/v1/policies", `{"name":"a","name":"b","rule":{"require_receipts":true}}`, nil, 400, "name"},
		{"POST", "/api/v1/policies", `{"name":"a\u0000","rule":{"require_receipts":true}}`, nil, 400, "name"},
		{"POST", "/api/v1/policies", `{"name":" a","rule":{"require_receipts":true}}`, nil, 400, "name"},
		{"POST", "/api/v1/policies", `{"name":"01234567-89ab-7def-8123-456789abcdef","rule":{"require_receipts":true}}`, nil, 400, "name"},
		{"POST", "/api/v1/policies", `{"name":"a","version":3,"rule":{"require_receipts":true}}`, nil, 400, "version"},
		{"POST", "/api/v1/policies", `{"name":"a","rule":{"expression":"1 +"}}`, nil, 400, "rule.expression"},
		{"POST", "/api/v1/policies", `{"name":"a","rule":{"expression":"true","message":"` + "\xff" + `"}}`, nil, 400, "rule"},
		{"POST", "/api/v1/policies", `{"name":"a","rule":{"allowed_models":["a","[","b"]},"scope":{"repos":["["],"users":[]}}`, nil, 400, "scope.repos[0] scope.users"},
		{"POST", "/api/v1/policies", `{"id":"none","name":"a","rule":{"require_receipts":true}}`, nil, 404, ""},
		{"PUT", "/api/v1/policies/none", `{"name":"a","rule":{"require_receipts":true}}`, nil, 404, ""},
		{"PATCH", "/api/v1/policies/none", `{"enabled":true}`, nil, 404, ""},
		{"PATCH", "/api/v1/policies/none", `{}`, nil, 400, "body"},
		{"PATCH", "/api/v1/policies/none", `{"enabled":"yes"}`, nil, 400, "enabled"},
		{"PATCH", "/api/v1/policies/none", `{"id":"x","scope":[]}`, nil, 400, "scope id"},
		{"DELETE", "/api/v1/policies/none", nil, nil, 404, ""},
		{"POST", "/api/v1/policies/none/enable", nil, nil, 404, ""},
		{"GET", "/api/v1/policies/none/versions", nil, nil, 404, ""},
		{"GET", "/api/v1/policies/none/versions/0", nil, nil, 400, "version"},
		{"GET", "/api/v1/policies/none/versions/99999999999", nil, nil, 400, "version"},
		{"GET", "/api/v1/policies?enabled=1", nil, nil, 400, "enabled"},
		{"GET", "/api/v1/policies/" + strings.Repeat("x", 201), nil, nil, 400, "policy"},
		{"GET", "/api/v1/policies/schema/none", nil, nil, 404, ""},
		{"POST", "/api/v1/policies/evaluate", `{}`, nil, 400, "push"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":2,"object_format":"sha1","refs":[]}}`, nil, 400, "push.version"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":1,"object_format":"sha1","refs":[{"name":"x"}]}}`, nil, 400, "push"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":1,"object_format":"sha1","refs":[]}}`, nil, 400, "repo"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":1,"object_format":"sha1","refs":[]},"repo":"a","policies":[]}`, nil, 400, "policies"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":1,"object_format":"sha1","refs":[]},"repo":"a","policies":[{"name":"a","rule":{"max_fun":1}},{"rule":{"require_receipts":true}}]}`,
			nil, 400, "policies[0].rule policies[1].name"},
		{"POST", "/api/v1/policies/evaluate", `{"push":{"version":1,"object_format":"sha1","refs":[]},"repo":"a","policies":[{"id":"1","name":"a","rule":{"require_receipts":true}},{"id":"1","name":"b","rule":{"require_receipts":true}}]}`,
			nil, 400, "policies"},
		{"POST", "/api/v1/policies/backtest", `{}`, nil, 400, "policy"},
		{"POST", "/api/v1/policies/backtest", `{"policy":"none"}`, nil, 400, "policy"},
		{"POST", "/api/v1/policies/backtest", `{"policy":"a","document":{"name":"a","rule":{"require_receipts":true}}}`, nil, 400, "policy"},
		{"POST", "/api/v1/policies/backtest", `{"document":{"name":"a","rule":{"max_fun":1}}}`, nil, 400, "document.rule"},
		{"POST", "/api/v1/policies/backtest", `{"document":{"name":"a","rule":{"require_receipts":true}},"from":"yesterday"}`, nil, 400, "from"},
		{"POST", "/api/v1/policies/backtest", `{"document":{"name":"a","rule":{"require_receipts":true}},"from":"2026-02-30"}`, nil, 400, "from"},
		{"POST", "/api/v1/policies/backtest", `{"document":{"name":"a","rule":{"require_receipts":true}},"from":"2026-02-02","to":"2026-02-01"}`, nil, 400, "to"},
		{"POST", "/api/v1/policies/backtest", `{"document":{"name":"a","rule":{"require_receipts":true}},"from":"2024-01-01","to":"2026-02-01"}`, nil, 400, "from"},
		// Decisions and what people do about them.
		{"GET", "/api/v1/decisions?outcome=maybe", nil, nil, 400, "outcome"},
		{"GET", "/api/v1/decisions?state=lost", nil, nil, 400, "state"},
		{"GET", "/api/v1/decisions?policy=none", nil, nil, 400, "policy"},
		{"GET", "/api/v1/decisions?repo=none", nil, nil, 400, "repo"},
		{"GET", "/api/v1/decisions?pusher=", nil, nil, 400, "pusher"},
		{"GET", "/api/v1/decisions?cursor=AAAAAAAAAAAAAA", nil, nil, 400, "cursor"},
		{"GET", "/api/v1/decisions/1", nil, nil, 400, "id"},
		{"GET", "/api/v1/decisions/01234567-89ab-7def-8123-456789abcdef", nil, nil, 404, ""},
		{"GET", "/api/v1/violations?outcome=accept&decision=1&commit=abc&late=1", nil, nil, 400, "commit decision late outcome"},
		{"GET", "/api/v1/violations?pusher=a%00b", nil, nil, 400, "pusher"},
		{"GET", "/api/v1/holds?active=2", nil, nil, 400, "active"},
		{"GET", "/api/v1/reviews?commit=HEAD", nil, nil, 400, "commit"},
		{"GET", "/api/v1/reviews/queue?limit=0", nil, nil, 400, "limit"},
		{"POST", "/api/v1/waivers", `{}`, nil, 400, "reason expires_at"},
		{"POST", "/api/v1/waivers", `{"policy":"a","repo":"backend","reason":"x","expires_at":"soon"}`, nil, 400, "expires_at"},
		{"POST", "/api/v1/waivers", `{"repo":"backend","reason":"x","expires_at":"2999-01-01T00:00:00Z"}`, nil, 400, "policy"},
		{"POST", "/api/v1/waivers", `{"policy":"none","repo":"backend","reason":"x","expires_at":"2999-01-01T00:00:00Z"}`, nil, 400, "policy"},
		{"POST", "/api/v1/waivers", `{"policy":"none","decision":"01234567-89ab-7def-8123-456789abcdef","reason":"x","expires_at":"2999-01-01T00:00:00Z"}`, nil, 400, "decision"},
		{"POST", "/api/v1/waivers", `{"decision":"01234567-89ab-7def-8123-456789abcdef","reason":"x","expires_at":"2999-01-01T00:00:00Z"}`, nil, 404, ""},
		{"POST", "/api/v1/waivers", `{"decision":"1","reason":"x\u0000","expires_at":"2999-01-01T00:00:00Z","bogus":1}`, nil, 400, "decision bogus reason"},
		{"DELETE", "/api/v1/waivers/01234567-89ab-7def-8123-456789abcdef", nil, nil, 404, ""},
		{"POST", "/api/v1/reviews", `{}`, nil, 400, "approved"},
		{"POST", "/api/v1/reviews", `{"approved":"yes","repo":""}`, nil, 400, "approved repo"},
		{"POST", "/api/v1/reviews", `{"approved":true,"repo":"none","commit":"abc"}`, nil, 400, "repo"},
		{"POST", "/api/v1/reviews", `{"approved":true,"repo":"backend","commit":"` + commitA + `"}`, nil, 403, ""},
		{"POST", "/api/v1/holds/01234567-89ab-7def-8123-456789abcdef/release", `{"reason":"x"}`, nil, 404, ""},
		{"POST", "/api/v1/holds/01234567-89ab-7def-8123-456789abcdef/release", `{}`, nil, 400, "reason"},
		{"POST", "/api/v1/holds/01234567-89ab-7def-8123-456789abcdef/release", `{"reason":"  "}`, nil, 400, "reason"},
		{"POST", "/api/v1/keys", `{"name":"k","scopes":["read"],"user":"nobody@example.com"}`, nil, 400, "user"},
		// What other clients speak.
		{"POST", "/api/sync", `{}`, nil, 400, "activities"},
		{"POST", "/api/sync", `{"activities":{}}`, nil, 400, "activities"},
		{"POST", "/api/sync", `{"activities":[7]}`, nil, 400, "activities[0]"},
		{"POST", "/worker/notes/upload", `[]`, nil, 400, "body"},
		{"POST", "/worker/notes/upload", `{}`, nil, 400, "entries"},
		{"POST", "/worker/notes/upload", `{"entries":7}`, nil, 400, "body"},
		{"POST", "/worker/notes/upload", `{"entries":[]} x`, nil, 400, "body"},
		{"POST", "/worker/notes/upload", `{"entries":[{"commit_sha":"`, nil, 400, "body"},
		{"GET", "/worker/notes/", nil, nil, 400, "commits"},
		{"GET", "/worker/notes/?commits=abc", nil, nil, 400, "commits"},
		{"GET", "/worker/notes/?commits=" + strings.Repeat(commitA+",", 100) + commitA, nil, nil, 400, "commits"},
		{"POST", "/hooks/svn/acme", "{}", nil, 400, "forge"},
		{"POST", "/hooks/github/" + strings.Repeat("x", 64), "{}", nil, 400, "org"},
		{"POST", "/hooks/github/acme", "{}", nil, 401, ""},
		{"GET", "/hooks/github/acme", nil, nil, 405, ""},
	} {
		name := test.method + " " + test.path[:min(len(test.path), 80)]
		got := w.do(call{method: test.method, path: test.path, key: w.admin, body: test.body, header: test.header})
		if got.status != test.status {
			t.Errorf("%s %.60v: status %d, want %d: %.300s", name, test.body, got.status, test.status, got.body)
			continue
		}
		p := got.problem()
		if p.fields() != test.fields || p.Status != test.status || p.Code == "" || p.RequestID != got.header.Get("X-Request-Id") {
			t.Errorf("%s %.60v: complains of %q, want %q: %.300s", name, test.body, p.fields(), test.fields, got.body)
		}
		for _, e := range p.Errors {
			if e.Problem == "" {
				t.Errorf("%s: nothing said of %q", name, e.Field)
			}
		}
	}
	if after := w.ids(""); after != "r6 r5 r4 r3 r2 r1" {
		t.Errorf("after all this the receipts are %q", after)
	}
}

func TestAMethodThatIsNotAllowedLearnsWhichAre(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if got := w.do(call{method: "DELETE", path: "/api/v1/receipts"}).want(405).header.Get("Allow"); got != "GET, POST" {
		t.Errorf("Allow: %q, want GET, POST", got)
	}
	if got := w.do(call{method: "PUT", path: "/api/v1/repos/a%2Fb"}).want(405).header.Get("Allow"); got != "DELETE, GET, PATCH" {
		t.Errorf("Allow: %q, want DELETE, GET, PATCH", got)
	}
}

func TestASlowBodyDoesNotHoldUpTheServer(t *testing.T) {
	t.Parallel()
	s := httpapi.NewServer("", nil)
	if s.ReadHeaderTimeout <= 0 || s.ReadTimeout <= 0 || s.WriteTimeout <= 0 || s.IdleTimeout <= 0 || s.MaxHeaderBytes <= 0 {
		t.Errorf("a timeout or bound is not set: %+v", s)
	}
	w := newWorld(t)
	// An unauthenticated upload is refused before its body is read.
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /worker/notes/upload HTTP/1.1\r\nHost: x\r\nContent-Length: 60000000\r\n\r\n")
	answer := make([]byte, len("HTTP/1.1 401"))
	if _, err := io.ReadFull(conn, answer); err != nil || !strings.HasSuffix(string(answer), "401") {
		t.Errorf("answered %q, %v, want 401", answer, err)
	}
}

func TestAnAnswerCarriesItsHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, path := range []string{"/healthz", "/api/v1/org", "/nowhere"} {
		got := w.do(call{method: "GET", path: path, key: w.read, header: map[string]string{"X-Request-Id": "from-the.proxy_1"}})
		for name, want := range map[string]string{"X-Request-Id": "from-the.proxy_1", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got.header.Get(name), want)
			}
		}
	}
	got := w.do(call{method: "GET", path: "/healthz", header: map[string]string{"X-Request-Id": "two words"}})
	if id := got.header.Get("X-Request-Id"); id == "two words" || id == "" {
		t.Errorf("a wild request id became %q", id)
	}
}

func TestHEADIsGETWithoutABody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resp, err := http.Head(w.srv.URL + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("status %d, want 200", resp.StatusCode)
	}
}
