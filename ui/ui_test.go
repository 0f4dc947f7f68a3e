package ui

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/store"
)

func TestTheLinkOfADecisionSaysWhatToDo(t *testing.T) {
	t.Parallel()
	const id = "01a21502-e658-70f9-97d6-59906826ce0e"
	got := newWorld(t).browser().get("/decisions/" + id).want(http.StatusOK)
	for _, want := range []string{
		"blamepromptd decision show " + id, "http://blame.example.com/api/v1/decisions/" + id, `lang="en"`, "1.2.3",
	} {
		got.says(want)
	}
	const csp = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
		"form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if policy := got.header.Get("Content-Security-Policy"); policy != csp {
		t.Errorf("content security policy %q", policy)
	}
}

func TestOtherPathsAreNotThere(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	for _, path := range []string{"/nothing", "/decisions", "/decisions/17", "/decisions/%3Cscript%3E", "/static/", "/static/../ui.go", "/logout"} {
		if got := b.get(path); got.status == http.StatusOK || strings.Contains(got.body, "<script>") {
			t.Errorf("%s: status %d:\n%s", path, got.status, got.body)
		}
	}
}

func TestAssetsAreKeptForEver(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	page := b.get("/login").want(http.StatusOK)
	for name, mediaType := range map[string]string{"style.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8",
		"htmx.js": "text/javascript; charset=utf-8", "icon.svg": "image/svg+xml"} {
		address := regexp.MustCompile(`/static/[0-9a-f]{16}/` + regexp.QuoteMeta(name)).FindString(page.body)
		got := b.get(address).want(http.StatusOK)
		if got.header.Get("Content-Type") != mediaType || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s: %v", name, got.header)
		}
		for _, font := range regexp.MustCompile(`/static/[^)"]+woff2`).FindAllString(got.body, -1) {
			b.get(font).want(http.StatusOK)
		}
	}
	b.get("/static/0000000000000000/style.css").want(http.StatusNotFound)
}

func TestTimesAreInTheZoneOfTheBrowser(t *testing.T) {
	t.Parallel()
	for cookie, want := range map[string]string{"Europe%2FBerlin": "Europe/Berlin", "Etc%2FGMT%2B3": "Etc/GMT+3", "Local": "UTC", "..%2F..%2Fetc": "UTC",
		"%": "UTC", "": "UTC"} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.AddCookie(&http.Cookie{Name: zoneCookie, Value: cookie})
		if got := (Clock{Zone: zoneOf(r)}).zone().String(); got != want {
			t.Errorf("cookie %q shows times in %s, want %s", cookie, got, want)
		}
	}
}

func TestNumbersAreWrittenForPeople(t *testing.T) {
	t.Parallel()
	cost := store.Decimal("1234567.891")
	for got, want := range map[string]string{
		count(1234567): "1,234,567", count(int64(-1000)): "-1,000", count((*int64)(nil)): "–", count(0): "0",
		usd(&cost): "$1,234,567.89", usd(store.Decimal("0.0123")): "$0.0123", usd(store.Decimal("")): "$0.00", usd((*store.Decimal)(nil)): "–",
		percent(1, 3): "33.3 %", percent(0, 0): "–", amount(store.Decimal("12345678")): "12.3 M", amount(store.Decimal("999")): "999",
		plain("a\u202eb\x00c\td"): "a\ufffdb\ufffdc\td",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// A chart says what a bar of it is of.
func TestChartsSayWhatABarIsOf(t *testing.T) {
	t.Parallel()
	to := time.Date(2026, 11, 26, 0, 0, 0, 0, time.UTC)
	for days, want := range map[int]string{30: "day", 92: "day", 93: "week", 365: "week"} {
		from := to.AddDate(0, 0, 1-days)
		c := barChart("Cost", "US dollars", "cost", from, to, []point{{to, "1"}}, usd)
		shares := shareChart(from, to, []linePoint{{to, 1, 0, 0}})
		if c.Title != "Cost by "+want || !strings.HasSuffix(shares.Note, want+" by "+want) || !strings.EqualFold(c.Across, want) || !strings.EqualFold(shares.Across, want) {
			t.Errorf("%d days: %q, %q, %q", days, c.Title, shares.Note, c.Across)
		}
		if c.From == c.To || days == 365 && (c.From != "27 Nov 2025" || c.To != "26 Nov 2026") || days == 30 && c.From != "28 Oct" {
			t.Errorf("%d days: from %q to %q", days, c.From, c.To)
		}
	}
}

// Every kind of event has a name of its own.
func TestEventsHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, kind := range store.EventKinds {
		names[eventNames[kind]] = true
	}
	if names[""] || len(names) != len(store.EventKinds) {
		t.Errorf("the names of %d kinds are %v", len(store.EventKinds), names)
	}
}
