package ui

import (
	"net/http"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store/storetest"
)

// TestPushesAreCountedAfterTheRestOfCoverage: the page comes without their number and
// asks for it, and has a link for who runs no scripts.
func TestPushesAreCountedAfterTheRestOfCoverage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storetest.FillHistory(t, w.db.Pool(), w.org.ID, 1000)
	b := w.person(w.org, "ada@example.com", access.RoleViewer)
	const there = "<dt>Pushes without notes</dt>"
	first := b.get("/coverage").want(http.StatusOK).says(`hx-get="/coverage?days=30&amp;events=on"`).says(`<a href="/coverage?days=30&amp;events=on#events">`).
		says(`id="repos"`)
	if strings.Contains(first.body, there) {
		t.Error("pushes are counted before anybody asked")
	}
	counted := b.get("/coverage?days=30&events=on").want(http.StatusOK).says(there).says(`id="repos"`)
	if strings.Contains(counted.body, "hx-get=\"/coverage") {
		t.Error("the page asks again for what it has")
	}
	b.get("/coverage?days=365&events=on").want(http.StatusOK).says("the last 90 days")
	b.header.Set("HX-Request", "true")
	b.header.Set("HX-Target", "live")
	part := b.get("/coverage?days=30&events=on").want(http.StatusOK).says(there)
	if strings.Contains(part.body, "<html") || strings.Contains(part.body, `id="repos"`) {
		t.Errorf("the part is more than the counts: %.300s", part.body)
	}
}
