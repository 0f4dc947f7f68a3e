package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"
	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// hookProgram is blameprompt-hook, built once for all tests.
var hookProgram = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gateway-test-*")
	if err != nil {
		return "", err
	}
	program := filepath.Join(dir, "blameprompt-hook")
	out, err := exec.Command("go", "build", "-o", program, "../../cmd/blameprompt-hook").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building the hook: %w: %s", err, out)
	}
	return program, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if program, err := hookProgram(); err == nil {
		_ = os.RemoveAll(filepath.Dir(program))
	}
	os.Exit(code)
}

// world is a gateway on a port of its own, over a database of its own.
type world struct {
	t      testing.TB
	db     *store.DB
	org    store.Org
	root   string
	repos  *Repos
	server *Server
	host   gossh.PublicKey
	port   string
	judge  *judge
	log    *lockedBuffer
}

// judge is the real enforcement, which a test may watch and overrule.
type judge struct {
	Decider
	mu       sync.Mutex
	decided  []hooks.Push
	by       []access.Principal
	received []hooks.Push
	// first, if set, is asked first; errPass leaves it to the real one.
	first func(p hooks.Push) (hooks.Answer, error)
	// wait, if set, is closed by the first push, which is then never judged.
	wait chan struct{}
}

var errPass = errors.New("let the real one decide")

func (j *judge) Decide(ctx context.Context, by access.Principal, repo string, p hooks.Push) (hooks.Answer, error) {
	j.mu.Lock()
	j.decided, j.by = append(j.decided, p), append(j.by, by)
	first, wait := j.first, j.wait
	j.mu.Unlock()
	if wait != nil {
		close(wait)
		<-ctx.Done()
		return hooks.Answer{}, ctx.Err()
	}
	if first != nil {
		if answer, err := first(p); !errors.Is(err, errPass) {
			return answer, err
		}
	}
	return j.Decider.Decide(ctx, by, repo, p)
}

func (j *judge) Received(ctx context.Context, by access.Principal, repo string, p hooks.Push) error {
	j.mu.Lock()
	j.received = append(j.received, p)
	j.mu.Unlock()
	return j.Decider.Received(ctx, by, repo, p)
}

type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

func (b *lockedBuffer) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.String()
}

func newWorld(t testing.TB, change ...func(*Config, *ReposConfig)) *world {
	t.Helper()
	program, err := hookProgram()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, db: storetest.Open(t), root: t.TempDir(), log: &lockedBuffer{}}
	w.org = storetest.MustOrg(t, w.db, "acme")
	log := zerolog.New(w.log)
	w.judge = &judge{Decider: enforce.New(enforce.Config{DB: w.db, Log: log})}
	key, err := HostKey(filepath.Join(w.root, "host_key"))
	if err != nil {
		t.Fatal(err)
	}
	repos := ReposConfig{DB: w.db, Root: filepath.Join(w.root, "gateway"), Log: log,
		Remotes: mirror.Rules{FileRoots: []string{w.root}, AllowPrivate: true}}
	cfg := Config{DB: w.db, Decider: w.judge, HostKey: key, HookProgram: program, HooksDir: filepath.Join(w.root, "hooks"), Log: log}
	for _, c := range change {
		c(&cfg, &repos)
	}
	w.repos = NewRepos(repos)
	cfg.Repos = w.repos
	if w.server, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	w.host = key.PublicKey()
	w.serve()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the gateway says:\n%s", w.log.text())
		}
	})
	return w
}

func (w *world) serve() {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	_, w.port, _ = net.SplitHostPort(listener.Addr().String())
	served := make(chan error, 1)
	go func() { served <- w.server.Serve(listener) }()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := errors.Join(w.server.Shutdown(ctx), <-served); err != nil {
			w.t.Errorf("stopping the gateway: %v", err)
		}
		w.repos.Close()
	})
}

// host adds a hosted repository.
func (w *world) hosted(name string) store.Repo {
	w.t.Helper()
	return w.addRepo(store.NewRepo{Name: name, Gateway: store.GatewayHosted})
}

func (w *world) addRepo(in store.NewRepo) store.Repo {
	w.t.Helper()
	repo, err := w.db.CreateRepo(w.t.Context(), access.CLI(w.org.ID), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

// at is the gateway's own copy of a repository.
func (w *world) at(row store.Repo) *gitcmd.Repo {
	w.t.Helper()
	repo, err := gitcmd.Open(w.repos.dir(row.ID))
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

// dev is a developer with a key.
type dev struct {
	w     *world
	email string
	home  string
	user  store.User
	// wrapper runs ssh, if set.
	wrapper []string
	key     store.SSHKey
}

// dev adds somebody who may do that with every repository; "" for nothing.
func (w *world) dev(email string, permission access.Permission) *dev {
	w.t.Helper()
	d := &dev{w: w, email: email, home: w.t.TempDir(), user: storetest.MustUser(w.t, w.db, w.org, email)}
	d.key = d.addKey("id")
	if permission != "" {
		_, err := w.db.SetGrant(w.t.Context(), access.CLI(w.org.ID), store.NewGrant{
			Subject: store.SubjectUser, SubjectID: d.user.ID, Permission: permission})
		if err != nil {
			w.t.Fatal(err)
		}
	}
	known := fmt.Sprintf("[127.0.0.1]:%s %s", w.port, gossh.MarshalAuthorizedKey(w.host))
	if err := os.WriteFile(filepath.Join(d.home, "known_hosts"), []byte(known), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return d
}

// addKey makes a key pair in the file, and registers it.
func (d *dev) addKey(name string) store.SSHKey {
	d.w.t.Helper()
	line := d.makeKey(name)
	key, err := d.w.db.AddSSHKey(d.w.t.Context(), access.CLI(d.w.org.ID), store.NewSSHKey{UserID: d.user.ID, Line: line, Name: name})
	if err != nil {
		d.w.t.Fatal(err)
	}
	return key
}

// makeKey makes a key pair in the file that nobody knows, and returns the line
// of its public key.
func (d *dev) makeKey(name string) string {
	d.w.t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		d.w.t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(private, "")
	if err != nil {
		d.w.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(d.home, name), pem.EncodeToMemory(block), 0o600); err != nil {
		d.w.t.Fatal(err)
	}
	sshPublic, err := gossh.NewPublicKey(public)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return string(gossh.MarshalAuthorizedKey(sshPublic))
}

// sshCommand is what the developer's ssh is run with, without the host.
func (d *dev) sshCommand(key string) []string {
	return []string{"ssh", "-F", "/dev/null", "-i", filepath.Join(d.home, key), "-p", d.w.port, "-o", "IdentitiesOnly=yes",
		"-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR",
		"-o", "UserKnownHostsFile=" + filepath.Join(d.home, "known_hosts")}
}

// ssh runs a command line at the gateway, "" for a login.
func (d *dev) ssh(command string) (string, error) {
	args := append(d.sshCommand("id"), "git@127.0.0.1")
	if command != "" {
		args = append(args, command)
	}
	out, err := exec.CommandContext(d.w.t.Context(), args[0], args[1:]...).CombinedOutput()
	return string(out), err
}

// address is the URL of a repository.
func (d *dev) address(name string) string { return "ssh://git@127.0.0.1:" + d.w.port + "/" + name }

// tryGit runs git as the developer's own.
func (d *dev) tryGit(dir string, args ...string) (string, error) {
	c := exec.CommandContext(d.w.t.Context(), "git", args...)
	c.Dir = dir
	name, _, _ := strings.Cut(d.email, "@")
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + d.home, "TMPDIR=" + os.TempDir(), "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0",
		"GIT_SSH_COMMAND=" + strings.Join(append(slices.Clone(d.wrapper), d.sshCommand("id")...), " "),
		"GIT_AUTHOR_NAME=" + name, "GIT_AUTHOR_EMAIL=" + d.email, "GIT_COMMITTER_NAME=" + name, "GIT_COMMITTER_EMAIL=" + d.email,
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=gc.auto", "GIT_CONFIG_VALUE_0=0",
	}
	out, err := c.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (d *dev) git(dir string, args ...string) string {
	d.w.t.Helper()
	out, err := d.tryGit(dir, args...)
	if err != nil {
		d.w.t.Fatalf("%s: git %s: %v\n%s", d.email, strings.Join(args, " "), err, out)
	}
	return out
}

// clone clones a repository through the gateway.
func (d *dev) clone(name string) string {
	d.w.t.Helper()
	dir := filepath.Join(d.w.t.TempDir(), "clone")
	d.git(d.home, "clone", "-q", d.address(name), dir)
	return dir
}

// commit adds one to the current branch and returns its id.
func (d *dev) commit(dir, text string) string {
	d.w.t.Helper()
	if err := os.WriteFile(filepath.Join(dir, strings.ReplaceAll(text, "/", "_")), []byte(text+"\n"), 0o600); err != nil {
		d.w.t.Fatal(err)
	}
	d.git(dir, "add", "-A")
	d.git(dir, "commit", "-q", "-m", text)
	return d.git(dir, "rev-parse", "HEAD")
}

// notesRef is the ref that most tests push.
const notesRef = "refs/notes/blameprompt"

// receiptJSON is a receipt as the stock client writes it.
func receiptJSON(id, email, model string) string {
	return fmt.Sprintf(`{"id":%q,"provider":"claude","model":%q,"session_id":"s-%s","prompt_number":1,"prompt_summary":"p",`+
		`"response_summary":"r","prompt_hash":"sha256:00","message_count":2,"cost_usd":0.25,"timestamp":"2026-03-01T10:00:00Z",`+
		`"session_start":"2026-03-01T09:59:00Z","user":"Somebody <%s>","files_changed":[]}`, id, model, id, email)
}

func payload(receipts ...string) string {
	return `{"blameprompt_version":"1.0.1","receipts":[` + strings.Join(receipts, ",") + `]}`
}

// note annotates a commit with receipts, replacing the note that is there.
func (d *dev) note(dir, commit string, receipts ...string) {
	d.w.t.Helper()
	d.git(dir, "notes", "--ref=blameprompt", "add", "-f", "-m", payload(receipts...), commit)
}

// noteIDs is note with receipts of the developer by their ids.
func (d *dev) noteIDs(dir, commit string, ids ...string) {
	d.w.t.Helper()
	var receipts []string
	for _, id := range ids {
		receipts = append(receipts, receiptJSON(id, d.email, "claude-opus-4"))
	}
	d.note(dir, commit, receipts...)
}

// receiptsAt reads a notes ref: the receipts' text by commit and id.
func receiptsAt(t testing.TB, repo *gitcmd.Repo, treeish gitcmd.OID) map[string]map[string]string {
	t.Helper()
	all := map[string]map[string]string{}
	reader := repo.NewBatchReader(t.Context())
	defer reader.Close()
	err := repo.Tree(t.Context(), treeish, func(e gitcmd.TreeEntry) error {
		commit := annotated(e.Path)
		if commit == "" {
			return nil
		}
		object, err := reader.Read(e.OID, notes.MaxBody)
		if err != nil {
			return err
		}
		receipts, err := receiptsOf(object.Data)
		if err != nil {
			return fmt.Errorf("note of %s: %w", commit, err)
		}
		if all[commit] == nil {
			all[commit] = map[string]string{}
		}
		maps.Copy(all[commit], receipts)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// receiptsOf reads the receipts of a note: their text by id.
func receiptsOf(note []byte) (map[string]string, error) {
	var body struct{ Receipts []json.RawMessage }
	if err := json.Unmarshal(note, &body); err != nil {
		return nil, err
	}
	texts := map[string]string{}
	for _, raw := range body.Receipts {
		var receipt struct{ ID string }
		if err := json.Unmarshal(raw, &receipt); err != nil {
			return nil, err
		}
		texts[receipt.ID] = string(raw)
	}
	return texts, nil
}

// ids are the receipts of the notes ref in the gateway's copy, sorted.
func (w *world) ids(row store.Repo) []string {
	w.t.Helper()
	tip, err := tipOf(w.t.Context(), w.at(row), notesRef)
	if err != nil {
		w.t.Fatal(err)
	}
	var ids []string
	if tip == "" {
		return ids
	}
	for _, receipts := range receiptsAt(w.t, w.at(row), tip) {
		for id := range receipts {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// tip is what a ref points at in the gateway's copy.
func (w *world) tip(row store.Repo, ref string) string {
	w.t.Helper()
	tip, err := tipOf(w.t.Context(), w.at(row), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(tip)
}

// fsck wants the gateway's copy whole.
func (w *world) fsck(row store.Repo) {
	w.t.Helper()
	if out, err := w.at(row).Command(w.t.Context(), "fsck", "--strict", "--full").Output(1 << 20); err != nil {
		w.t.Errorf("fsck of %s: %v\n%s", row.Name, err, out)
	}
}

// findings are the codes of the findings of a repository.
func (w *world) findings(row store.Repo) []string {
	w.t.Helper()
	found, err := w.db.Findings(w.t.Context(), w.org.ID, row.ID, "", nil, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	var codes []string
	for _, f := range found {
		codes = append(codes, f.Code+" "+f.ReceiptID)
	}
	slices.Sort(codes)
	return codes
}

func writeFile(t testing.TB, path, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

// writeScript makes a program of the test's own.
func writeScript(t testing.TB, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

func contextFor(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}
