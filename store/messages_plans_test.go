package store_test

import (
	"regexp"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// What the sender asks for every few seconds, what pages list, and what a decision
// asks for, is found by index among many messages.
func TestMessagesAreFoundByIndex(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	var endpoint uuid.UUID
	for range 20 {
		row, _, err := db.CreateEndpoint(t.Context(), access.CLI(org), "chat", store.EndpointURL{URL: "https://h.example.com/x", Origin: "https://h.example.com"}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		endpoint = row.ID
	}
	exec(t, db, `INSERT INTO messages (org_id, id, endpoint_id, type, at, data, state)
		SELECT $1, md5(e.id::text || i)::uuid, e.id, 'push.refused', now(), '{}', CASE WHEN i % 100 = 0 THEN 'failed' WHEN i % 101 = 0 THEN 'waiting' ELSE 'sent' END
		FROM endpoints e, generate_series(1, 5000) i`, org)
	exec(t, db, `INSERT INTO message_attempts (org_id, message_id, number, at, took_ms, status, error, answer)
		SELECT org_id, id, 1, now(), 1, 200, '', '' FROM messages WHERE org_id = $1`, org)
	exec(t, db, `ANALYZE`)
	plans, err := store.ExplainMessages(t.Context(), db, org, endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) < 10 {
		t.Errorf("%d plans", len(plans))
	}
	for _, plan := range plans {
		if found := messagesWalk.FindString(plan); found != "" {
			t.Errorf("%s in\n%s", found, plan)
		}
	}
}

var messagesWalk = regexp.MustCompile(`Seq Scan on (messages|message_attempts)\b`)
