package ui

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/policy/access"
)

// TestManyRepositoriesAreTurnedPageByPage follows Next to the last page and finds
// each repository once.
func TestManyRepositoriesAreTurnedPageByPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleViewer)
	var want []string
	for i := range 2*pageOfRepos + 5 {
		want = append(want, fmt.Sprintf("team/repo-%03d", i))
	}
	if _, err := w.db.Pool().Exec(t.Context(), `INSERT INTO repos (id, org_id, name) SELECT gen_random_uuid(), $1, unnest($2::text[])`, w.org.ID, want); err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`team/repo-\d{3}</`)
	var got []string
	pages := 0
	for path := "/repositories?q=repo-"; path != ""; pages++ {
		page := b.get(path).want(http.StatusOK)
		for _, found := range name.FindAllString(page.body, -1) {
			got = append(got, found[:len("team/repo-000")])
		}
		path = ""
		if next := regexp.MustCompile(`rel="next" href="([^"]+)"`).FindStringSubmatch(page.body); next != nil {
			path = html.UnescapeString(next[1])
		}
	}
	slices.Sort(got)
	if pages != 3 || !slices.Equal(got, want) {
		t.Errorf("%d pages with %d repositories; want 3 with %d", pages, len(got), len(want))
	}
	b.get("/repositories?q=repo-&page=2").says("81 to 160 of 165").says("First")
	// A page that is not there, or no number, is the first one.
	for _, page := range []string{"9", "-1", "x"} {
		b.get("/repositories?q=repo-&page=" + page).want(http.StatusOK).says("1 to 80 of 165")
	}
}
