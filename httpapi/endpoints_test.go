package httpapi_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// shownEndpoint and shownMessage are what the API says of them.
type shownEndpoint struct {
	ID, Name, Origin string
	Types, Repos     []string
	Enabled          bool
	DisabledBecause  string  `json:"disabled_because"`
	PreviousUntil    *string `json:"previous_secret_until"`
	MessagesWaiting  int     `json:"messages_waiting"`
	MessagesFailed   int     `json:"messages_failed"`
}

type shownMessage struct {
	ID, Endpoint, Type, State string
	EndpointID                string `json:"endpoint_id"`
	Data                      map[string]any
	NextAt                    *string `json:"next_at"`
	Attempts                  []struct {
		Number, Status int
		Answer         string
	}
}

// makeEndpoint adds an endpoint that was sent a ping, and returns both ids.
func (w *world) makeEndpoint() (endpoint, message string) {
	w.t.Helper()
	var made struct{ Endpoint shownEndpoint }
	w.post(w.admin, "/api/v1/endpoints", map[string]any{"name": "backend-secret", "url": "https://hooks.example.com/x"}).want(201).into(&made)
	var ping shownMessage
	w.post(w.admin, "/api/v1/endpoints/"+made.Endpoint.ID+"/ping", nil).want(202).into(&ping)
	return made.Endpoint.ID, ping.ID
}

func TestAnEndpointIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.addRepo("app", "https://git.example.com/team/app.git")
	var made struct {
		Endpoint shownEndpoint
		Secret   string
	}
	w.post(w.admin, "/api/v1/endpoints", map[string]any{"name": "chat", "url": "https://Hooks.Example.com:8443/services/s3cret?t=1",
		"types": []string{"push.refused", "decision.held"}, "repos": []uuid.UUID{repo.ID}}).want(201).into(&made)
	e := made.Endpoint
	if e.Origin != "https://hooks.example.com:8443" || !e.Enabled || len(e.Types) != 2 || len(e.Repos) != 1 || !strings.HasPrefix(made.Secret, "whsec_") {
		t.Errorf("made %+v", made)
	}
	path := "/api/v1/endpoints/" + e.ID
	var ping shownMessage
	w.post(w.admin, path+"/ping", nil).want(202).into(&ping)
	if ping.Type != "ping" || ping.State != "waiting" || ping.NextAt == nil || ping.Data["name"] != "chat" || ping.EndpointID != e.ID {
		t.Errorf("pinged %+v", ping)
	}
	var rotated struct {
		Endpoint shownEndpoint
		Secret   string
	}
	w.post(w.admin, path+"/rotate", nil).want(200).into(&rotated)
	if rotated.Secret == made.Secret || rotated.Endpoint.PreviousUntil == nil || rotated.Endpoint.MessagesWaiting != 1 {
		t.Errorf("rotated %+v", rotated)
	}
	patch := func(body map[string]any) (e shownEndpoint) {
		w.do(call{method: http.MethodPatch, path: path, key: w.admin, body: body}).want(200).into(&e)
		return e
	}
	if e := patch(map[string]any{"enabled": false}); e.Enabled || e.DisabledBecause != "asked" || e.MessagesFailed != 1 || e.MessagesWaiting != 0 || len(e.Types) != 2 {
		t.Errorf("switched off: %+v", e)
	}
	w.post(w.admin, path+"/ping", nil).want(400)
	w.post(w.admin, "/api/v1/messages/"+ping.ID+"/redeliver", nil).want(400)
	if e := patch(map[string]any{"enabled": true, "name": "talk", "types": []string{}, "url": "https://other.example.com/s3cret"}); !e.Enabled || e.Name != "talk" || len(e.Types) != 0 || e.Origin != "https://other.example.com" {
		t.Errorf("changed: %+v", e)
	}
	w.post(w.admin, "/api/v1/messages/"+ping.ID+"/redeliver", nil).want(202).into(&ping)
	if ping.State != "waiting" {
		t.Errorf("asked for again: %+v", ping)
	}
	for _, path := range []string{"/api/v1/endpoints", path, "/api/v1/messages", "/api/v1/audit"} {
		body := string(w.get(w.admin, path).want(200).body)
		if strings.Contains(body, "s3cret") || strings.Contains(body, made.Secret) || strings.Contains(body, rotated.Secret) {
			t.Errorf("%s shows a secret: %s", path, body)
		}
	}
	if strings.Contains(w.log.String(), "s3cret") {
		t.Error("the log holds the path of the URL")
	}
	w.do(call{method: http.MethodDelete, path: path, key: w.admin}).want(204)
	w.get(w.admin, path).want(404)
	var left struct{ Items []shownMessage }
	if w.get(w.admin, "/api/v1/messages").want(200).into(&left); len(left.Items) != 0 {
		t.Errorf("messages that are left: %+v", left)
	}
	acts := fmt.Sprint(w.actions("endpoint."))
	if want := "[endpoint.create endpoint.ping endpoint.rotate endpoint.change endpoint.change endpoint.redeliver endpoint.remove]"; acts != want {
		t.Errorf("acts %s, want %s", acts, want)
	}
}

// actions are the acts that begin so, in order.
func (w *world) actions(prefix string) (acts []string) {
	w.t.Helper()
	rows, err := w.db.Pool().Query(context.Background(), `SELECT action FROM audit_log WHERE org_id = $1 AND action LIKE $2 || '%' ORDER BY seq`, w.org.ID, prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var act string
		if err := rows.Scan(&act); err != nil {
			w.t.Fatal(err)
		}
		acts = append(acts, act)
	}
	return acts
}

func TestMessagesAreListedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	endpoint, _ := w.makeEndpoint()
	other, _ := w.makeEndpoint()
	by := access.CLI(w.org.ID)
	for range 5 {
		if _, err := w.db.PingEndpoint(t.Context(), by, uuid.MustParse(endpoint)); err != nil {
			t.Fatal(err)
		}
	}
	for _, sql := range []string{
		`INSERT INTO message_attempts (org_id, message_id, number, at, took_ms, status, error, answer)
		 SELECT org_id, id, n, now(), 3, 500, 'no', 'answer ' || n FROM messages, generate_series(1, 30) n`,
		`UPDATE messages SET state = 'failed' WHERE id IN (SELECT id FROM messages WHERE endpoint_id = '` + endpoint + `' ORDER BY id LIMIT 2)`,
	} {
		if _, err := w.db.Pool().Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	list := func(query string) (items []shownMessage) {
		next := ""
		for {
			var page struct {
				Items      []shownMessage
				NextCursor *string `json:"next_cursor"`
			}
			w.get(w.admin, "/api/v1/messages?limit=2"+query+next).want(200).into(&page)
			items = append(items, page.Items...)
			if page.NextCursor == nil {
				return items
			}
			next = "&cursor=" + *page.NextCursor
		}
	}
	for query, want := range map[string]int{"": 7, "&endpoint=" + endpoint: 6, "&endpoint=" + other: 1, "&state=failed": 2, "&state=failed&endpoint=" + other: 0,
		"&type=ping": 7, "&type=push.refused": 0, "&endpoint=" + uuid.NewString(): 0} {
		items := list(query)
		if len(items) != want {
			t.Errorf("%q lists %d, want %d", query, len(items), want)
		}
		for i, m := range items {
			if i > 0 && m.ID >= items[i-1].ID || len(m.Attempts) != 20 || m.Attempts[0].Number != 30 || m.Attempts[0].Answer != "answer 30" {
				t.Errorf("%q: %d is %+v", query, i, m)
			}
		}
	}
}
