package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/ui/chromium"
)

// A team works with nothing but the pages and git: from the link that the first
// start prints to a review that lets a branch go on. Each push is a real one,
// over SSH, and what it leads to is seen on pages that nobody loads anew.
func TestATeamAtWork(t *testing.T) {
	if raceDetector {
		t.Skip("what works here are other programs, which the detector does not look into")
	}
	t.Parallel()
	for name, width := range map[string]int64{"at a desk": chromium.Wide, "on a telephone": chromium.Narrow} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTeam(t, width)
			w.signUp()
			w.hostRepository()
			w.invite()
			w.addKeyAndGrant()
			w.fillWithReceipts()
			w.filterAndPage()
			w.forbidModels()
			w.waive(w.seeRefusal())
			w.demandReviews()
			w.approve(w.seeHold())
			w.changeColours()
			w.visitEverything()
		})
	}
}

// team is a daemon that was just started, Ada, who administers it, and Bea, who
// pushes.
type team struct {
	*loadWorld
	url      string
	ada, bea *chromium.Browser
	width    int64
	// link is where the first account is made.
	link string
	// dir is Bea's clone, and remote the gateway's address of the repository.
	dir, remote string
	// changes counts the commits, which differ by it.
	changes int
}

var firstLogin = regexp.MustCompile(`First login +(http\S+)`)

func newTeam(t *testing.T, width int64) *team {
	t.Helper()
	ada := chromium.New(t)
	w := &team{loadWorld: newLoadWorld(t), ada: ada, bea: ada.Another(), width: width}
	daemon := w.begin().ready()
	w.url, w.link = daemon.url, firstLogin.FindStringSubmatch(daemon.out.String())[1]
	w.dir, w.remote = filepath.Join(w.root, "clone"), "ssh://git@127.0.0.1:"+w.sshPort+"/shop/web"
	ada.Look(width, false)
	w.bea.Look(width, true)
	return w
}

const (
	adasPassword = "an apple a day, at least"
	beasPassword = "keeps the doctor at bay"
)

// signUp makes the first account, and signs in to it as on any other day.
func (w *team) signUp() {
	b := w.ada
	b.Visit(w.link)
	b.Accessible("the first account")
	b.Fill("#email", "ada@example.com")
	b.Fill("#name", "Ada")
	b.Fill("#password", adasPassword)
	b.Click("main button.main")
	w.at(b, "/")
	b.Visit(w.url + "/account")
	b.Click(`form[action="/logout"] button`)
	w.signIn(b, "ada@example.com", adasPassword)
	b.Quiet("signing up")
}

func (w *team) signIn(b *chromium.Browser, email, password string) {
	w.t.Helper()
	w.at(b, "/login")
	b.Accessible("signing in")
	b.Fill("#email", email)
	b.Fill("#password", password)
	b.Click("main button.main")
	w.at(b, "/")
}

// at wants a browser to be at a path.
func (w *team) at(b *chromium.Browser, path string) {
	w.t.Helper()
	if got := b.Ask("location.pathname"); got != path {
		w.t.Fatalf("the browser is at %s and not at %s: %s", got, path, b.Ask("document.body.innerText"))
	}
}

func (w *team) hostRepository() {
	b := w.ada
	b.Menu("/repositories")
	b.Click(`a[href="/repositories/new"]`)
	b.Fill("#name", "shop/web")
	b.Choose("#gateway", "hosted")
	b.Click("main button.main")
	b.See("main .notice")
	b.Quiet("adding a repository")
}

// invite has Bea make her account in a browser of her own.
func (w *team) invite() {
	b := w.ada
	b.Visit(w.url + "/settings/people")
	b.Fill("#email", "bea@example.com")
	b.Fill("#name", "Bea")
	b.Click(`button[value="invite"]`)
	link := b.Ask(`document.querySelector("#secret").textContent`)
	w.bea.Visit(link)
	w.bea.Accessible("an invitation")
	w.bea.Fill("#password", beasPassword)
	w.bea.Click("main button.main")
	w.at(w.bea, "/")
	w.bea.Visit(w.url + "/account")
	w.bea.Click(`form[action="/logout"] button`)
	w.signIn(w.bea, "bea@example.com", beasPassword)
	w.bea.Quiet("an invitation")
	b.Menu("/settings")
	b.Quiet("inviting")
}

// addKeyAndGrant lets Bea push: she adds the key, and Ada the grant.
func (w *team) addKeyAndGrant() {
	w.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", w.key)
	public, err := os.ReadFile(w.key + ".pub")
	if err != nil {
		w.t.Fatal(err)
	}
	w.bea.Visit(w.url + "/account")
	w.bea.Fill("#public_key", strings.TrimSpace(string(public)))
	w.bea.Click(`form[action="/account/ssh-keys"] button`)
	w.bea.See("main .notice")
	w.ada.Visit(w.url + "/settings/ssh-keys")
	w.ada.Fill("#subject", "bea@example.com")
	w.ada.Choose("#permission", "write")
	w.ada.Click(`button[value="grant"]`)
	w.ada.Quiet("a grant")
	w.run("git", "init", "-q", "-b", "main", w.dir)
}

// git runs git in Bea's clone, as she.
func (w *team) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "GIT_SSH_COMMAND=ssh -F none -i "+w.key+
		" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=Bea", "GIT_AUTHOR_EMAIL=bea@example.com",
		"GIT_COMMITTER_NAME=Bea", "GIT_COMMITTER_EMAIL=bea@example.com")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (w *team) mustGit(args ...string) string {
	w.t.Helper()
	out, err := w.git(args...)
	if err != nil {
		w.t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return out
}

// commit makes a commit of two lines of a new file, of which an agent says that
// it was there if it is marked.
func (w *team) commit(marked bool) {
	w.t.Helper()
	w.changes++
	name := fmt.Sprintf("file%d.go", w.changes)
	if err := os.WriteFile(filepath.Join(w.dir, name), fmt.Appendf(nil, "package main\n// %d\n", w.changes), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.mustGit("add", name)
	message := "Add " + name
	if marked {
		message += "\n\nCo-authored-by: Claude <noreply@anthropic.com>"
	}
	w.mustGit("commit", "-q", "-m", message)
}

// note writes n receipts to the note of the last commit, for the file that it
// added.
func (w *team) note(model string, n int) {
	w.t.Helper()
	var receipts []map[string]any
	for i := range n {
		receipts = append(receipts, map[string]any{"id": fmt.Sprintf("receipt-%d-%d", w.changes, i), "provider": "claude", "model": model,
			"session_id": fmt.Sprint("s-", w.changes), "prompt_number": i + 1, "prompt_summary": fmt.Sprintf("Write part %d of file %d", i, w.changes),
			"prompt_hash": "sha256:00", "message_count": 2, "cost_usd": 0.25, "timestamp": time.Now().UTC().Add(-time.Duration(i) * time.Second),
			"user": "Bea <bea@example.com>", "files_changed": []map[string]any{{"path": fmt.Sprintf("file%d.go", w.changes), "line_range": []int{1, 2}, "additions": 2}}})
	}
	body, err := json.Marshal(map[string]any{"blameprompt_version": "1.0.1", "receipts": receipts})
	if err != nil {
		w.t.Fatal(err)
	}
	file := filepath.Join(w.root, "note.json")
	if err := os.WriteFile(file, body, 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.mustGit("notes", "--ref=blameprompt", "add", "-f", "-F", file)
}

const notesRef = "refs/notes/blameprompt"

// fillWithReceipts pushes more receipts than a page shows.
func (w *team) fillWithReceipts() {
	w.commit(false)
	w.note("claude-opus-4-6", 60)
	w.mustGit("push", w.remote, "main", notesRef)
	eventually(w.t, "the receipts are taken in", func() bool {
		w.ada.Visit(w.url + "/receipts")
		return w.ada.Ask(`document.querySelectorAll("#live tbody tr").length`) == "50"
	})
}

// filterAndPage turns the page and filters by what is typed, without loading it.
func (w *team) filterAndPage() {
	b := w.ada
	b.Menu("/receipts")
	b.Mark()
	b.Press(`.pager a[rel="next"]`)
	b.Until(`document.querySelectorAll("#live tbody tr").length === 10`)
	b.Fill("#q", "part 59")
	b.Until(`document.querySelectorAll("#live tbody tr").length === 1`)
	if at := b.Ask("location.search"); !b.Marked() || !strings.Contains(at, "q=part") {
		w.t.Errorf("filtering and paging loaded the page anew (%t), or left the address as %s", !b.Marked(), at)
	}
	b.Click(`#live tbody a[href^="/receipts/receipt-"]`)
	if text := b.Ask(`document.querySelector("main").innerText`); !strings.Contains(text, "Write part 59 of file 1") {
		w.t.Errorf("the receipt does not say what was prompted: %s", text)
	}
	b.Quiet("filtering and paging")
}

// forbidModels makes a policy by the fields of its form.
func (w *team) forbidModels() {
	b := w.ada
	b.Menu("/policies")
	b.Click(`a[href^="/policies/new"]`)
	if b.Ask(`document.querySelector("#kind").value`) != "blocked_models" {
		b.Leave(b.Choosing("#kind", "blocked_models"))
	}
	b.Fill("#name", "No GPT-4")
	b.Fill(`[name="rule.blocked_models"]`, "gpt-4*")
	b.Tick(`input[name="action"][value="block"]`)
	b.Tick(`input[name="enabled"]`)
	b.See("#live .notice")
	b.Click(`button[value="save"]`)
	b.See(`a[href$="/edit"]`)
	b.Quiet("making a policy")
}

var decisionLink = regexp.MustCompile(`/decisions/[0-9a-f-]{36}`)

// seeRefusal has Bea push what the policy forbids, while Ada looks at the list of
// decisions, and returns the path of the decision.
func (w *team) seeRefusal() string {
	b := w.ada
	b.Menu("/enforcement")
	b.See("#live")
	b.Mark()
	w.commit(false)
	w.note("gpt-4o", 1)
	out, err := w.git("push", w.remote, "main", notesRef)
	if err == nil || !strings.Contains(out, "No GPT-4") {
		w.t.Fatalf("the push was not refused: %v: %s", err, out)
	}
	decision := decisionLink.FindString(out)
	b.See(fmt.Sprintf(`#live a[href=%q]`, decision))
	if !b.Marked() {
		w.t.Error("the page was loaded anew")
	}
	b.Quiet("a refusal")
	// Bea may look at what the link of her push leads to, and not waive it.
	w.bea.Visit(w.url + decision)
	if text := w.bea.Ask(`document.querySelector("pre.terminal").textContent`); !strings.Contains(text, "this push is refused") {
		w.t.Errorf("the page of the decision does not say what Bea saw: %s", text)
	}
	if w.bea.Ask(`document.querySelectorAll("form[action$='/waive']").length`) != "0" {
		w.t.Error("a member may waive")
	}
	w.bea.Quiet("what was refused")
	return decision
}

// waive lets the push pass, which is then made again.
func (w *team) waive(decision string) {
	b := w.ada
	b.Click(fmt.Sprintf(`#live a[href=%q]`, decision))
	b.Accessible("a refusal")
	b.Fill("#reason", "agreed with the team")
	b.Click(`form[action$="/waive"] button.main`)
	b.See("main .notice")
	w.mustGit("push", w.remote, "main", notesRef)
	b.Quiet("waiving")
}

// demandReviews makes a policy from its JSON.
func (w *team) demandReviews() {
	b := w.ada
	b.Visit(w.url + "/policies/new?as=json")
	b.Fill("#document", `{"name": "Eyes on it", "rule": {"require_review_above": 0}, "action": "block", "enabled": true}`)
	b.See("#live .notice")
	b.Click(`button[value="save"]`)
	b.See(`a[href$="/edit"]`)
	b.Quiet("making a policy from JSON")
}

// seeHold has Bea push a commit and then its receipts, as the stock client does,
// which hold the branch; it returns the path of the decision.
func (w *team) seeHold() string {
	b := w.ada
	b.Menu("/enforcement")
	b.Mark()
	w.commit(true)
	out := w.mustGit("push", w.remote, "main")
	decision := decisionLink.FindString(out)
	row := fmt.Sprintf(`document.querySelector('#live a[href=%q]')?.closest("tr").innerText`, decision)
	b.Until(row + `?.includes("pending")`)
	w.note("claude-opus-4-6", 1)
	w.mustGit("push", w.remote, notesRef)
	b.Until(row + `?.includes("held")`)
	if !b.Marked() {
		w.t.Error("the page was loaded anew")
	}
	w.commit(false)
	if out, err := w.git("push", w.remote, "main"); err == nil || !strings.Contains(out, "is held for you") {
		w.t.Fatalf("the branch is not held: %v: %s", err, out)
	}
	b.Quiet("a hold")
	return decision
}

// approve reviews the change that is held, and Bea goes on.
func (w *team) approve(decision string) {
	b := w.ada
	b.Click(`.tabs a[href="/enforcement/reviews"]`)
	b.Accessible("a review that is wanted")
	held := fmt.Sprintf(`article:has(a[href=%q])`, decision)
	b.Click(held + ` a[href^="/enforcement/reviews/"]`)
	if text := b.Ask(`document.querySelector("main").innerText`); !strings.Contains(text, "file3.go") {
		w.t.Errorf("the change is not to be seen: %s", text)
	}
	b.Accessible("the change")
	b.Fill(`input[name="comment"]`, "looks good")
	b.Click(`button[value="approve"]`)
	b.See("main .notice")
	b.Visit(w.url + decision)
	if text := b.Ask(`document.querySelector("main .lead").innerText`); !strings.Contains(text, "released") {
		w.t.Errorf("the approved change is not released: %s", text)
	}
	w.mustGit("push", w.remote, "main")
	b.Quiet("a review")
}

// changeColours switches them, which stays for the next page.
func (w *team) changeColours() {
	b := w.ada
	ink := `getComputedStyle(document.documentElement).backgroundColor`
	b.Theme("light")
	light := b.Ask(ink)
	b.Theme("dark")
	b.Menu("/teams")
	if theme, dark := b.Ask(`document.documentElement.dataset.theme`), b.Ask(ink); theme != "dark" || dark == light {
		w.t.Errorf("the next page has the theme %q on %s; light is %s", theme, dark, light)
	}
	b.Theme("system")
	b.Quiet("colours")
}

// visitEverything follows every link to a page of each kind.
func (w *team) visitEverything() {
	b := w.ada
	seen, queue := map[string]bool{}, []string{w.url + "/"}
	for len(queue) > 0 {
		address := queue[0]
		queue = queue[1:]
		if seen[kindOfPage(address)] {
			continue
		}
		seen[kindOfPage(address)] = true
		b.Visit(address)
		b.See("h1")
		b.Fits(address)
		b.Look(w.width, len(seen)%2 == 0)
		b.Accessible(address)
		b.Quiet(address)
		queue = append(queue, strings.Fields(b.Ask(`[...document.querySelectorAll("a[href]:not([download])")]
			.filter(a => a.origin === location.origin).map(a => a.href.replace(/#.*/, "")).join(" ")`))...)
	}
	if len(seen) < 30 {
		w.t.Errorf("only %d kinds of pages were found: %v", len(seen), seen)
	}
}

var oneOfMany = regexp.MustCompile(`\?.*$|help/api/.*$|[0-9a-f]{8,}(-[0-9a-f]+)*|receipt-[0-9-]+|[^/]+\.go$`)

// kindOfPage is an address without what makes the page one of many.
func kindOfPage(address string) string { return oneOfMany.ReplaceAllString(address, "*") }
