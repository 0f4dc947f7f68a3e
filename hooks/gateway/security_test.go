package gateway

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// signer reads a private key of a developer.
func (d *dev) signer(name string) gossh.Signer {
	d.w.t.Helper()
	text, err := os.ReadFile(filepath.Join(d.home, name))
	if err != nil {
		d.w.t.Fatal(err)
	}
	signer, err := gossh.ParsePrivateKey(text)
	if err != nil {
		d.w.t.Fatal(err)
	}
	return signer
}

// dial connects with a Go client, which does what OpenSSH would not.
func (w *world) dial(auth ...gossh.AuthMethod) (*gossh.Client, error) {
	return gossh.Dial("tcp", "127.0.0.1:"+w.port, &gossh.ClientConfig{
		User: "git", Auth: auth, HostKeyCallback: gossh.FixedHostKey(w.host), Timeout: 10 * time.Second})
}

// run runs a command on a connection and returns all that is said.
func run(t testing.TB, client *gossh.Client, command string) (string, error) {
	t.Helper()
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	out, err := session.CombinedOutput(command)
	return string(out), err
}

// liar shows one key and signs with another.
type liar struct {
	shown gossh.PublicKey
	gossh.Signer
}

func (l liar) PublicKey() gossh.PublicKey { return l.shown }

// TestAnOfferedKeyIsNoIdentity has an attacker, who is a user with less rights,
// offer the public key of somebody else before using the own one.
func TestAnOfferedKeyIsNoIdentity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/secret")
	victim, mallory := w.dev("victim@example.com", access.WriteRepo), w.dev("mallory@example.com", "")
	shown := victim.signer("id").PublicKey()
	if _, err := w.dial(gossh.PublicKeys(liar{shown, mallory.signer("id")})); err == nil {
		t.Fatal("a signature by another key let somebody in")
	}
	// OpenSSH offers the public key beside a file, finds that the private one is
	// another, and goes on to the next file, on the same connection.
	private, err := os.ReadFile(filepath.Join(mallory.home, "id"))
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(mallory.home, "forged"), string(private))
	writeFile(t, filepath.Join(mallory.home, "forged.pub"), string(gossh.MarshalAuthorizedKey(shown)))
	args := append(mallory.sshCommand("forged"), "-v", "-o", "LogLevel=DEBUG1", "-i", filepath.Join(mallory.home, "id"), "git@127.0.0.1")
	for command, want := range map[string]string{
		"git-upload-pack 'acme/secret'": "You are mallory@example.com", "": "Hi mallory@example.com",
	} {
		out, _ := exec.Command(args[0], append(slices.Clone(args[1:]), command)...).CombinedOutput()
		if !strings.Contains(string(out), want) || !strings.Contains(string(out), "Server accepts key: "+filepath.Join(mallory.home, "forged")) {
			t.Errorf("%q: %s", command, out)
		}
	}
}

func TestWhoGetsIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	by := access.CLI(w.org.ID)
	if out, err := ada.ssh("git-upload-pack 'acme/api'"); err != nil && !strings.Contains(out, "refs/heads") && len(out) == 0 {
		t.Fatalf("the right key: %v: %s", err, out)
	}
	ada.makeKey("stranger")
	if out, err := w.dial(gossh.PublicKeys(ada.signer("stranger"))); err == nil {
		t.Errorf("an unknown key: %v", out)
	}
	if _, err := w.dial(gossh.Password("secret")); err == nil {
		t.Error("a password")
	}
	if _, err := w.dial(gossh.KeyboardInteractive(func(string, string, []string, []bool) ([]string, error) { return nil, nil })); err == nil {
		t.Error("keyboard-interactive")
	}
	if _, err := w.dial(); err == nil {
		t.Error("nothing at all")
	}
	// An open connection ends with its key, at the next command.
	client, err := w.dial(gossh.PublicKeys(ada.signer("id")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := w.db.RevokeSSHKey(t.Context(), by, ada.key.ID); err != nil {
		t.Fatal(err)
	}
	if out, err := run(t, client, "git-upload-pack 'acme/api'"); err == nil || !strings.Contains(out, "key is not known here any more") {
		t.Errorf("a key that was revoked meanwhile: %v: %s", err, out)
	}
	if _, err := w.dial(gossh.PublicKeys(ada.signer("id"))); err == nil {
		t.Error("a revoked key")
	}
	bob := w.dev("bob@example.com", access.WriteRepo)
	if _, err := w.db.DisableUser(t.Context(), by, bob.user.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := w.dial(gossh.PublicKeys(bob.signer("id"))); err == nil {
		t.Error("the key of a disabled user")
	}
}

func TestKeysAreOfferedOnlySoOften(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config, _ *ReposConfig) { c.Limits.AuthTries = 3 })
	ada := w.dev("ada@example.com", "")
	var signers []gossh.Signer
	for _, name := range []string{"a", "b", "c", "d"} {
		ada.makeKey(name)
		signers = append(signers, ada.signer(name))
	}
	if _, err := w.dial(gossh.PublicKeys(append(signers, ada.signer("id"))...)); err == nil {
		t.Error("the fifth key of a client that may offer three let it in")
	}
	if _, err := w.dial(gossh.PublicKeys(append(signers[:2], ada.signer("id"))...)); err != nil {
		t.Errorf("the third key: %v", err)
	}
}

func TestWhatAUserMayDo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	w.hosted("acme/secret")
	writer, reader, nobody := w.dev("writer@example.com", access.WriteRepo), w.dev("reader@example.com", ""), w.dev("nobody@example.com", "")
	_, err := w.db.SetGrant(t.Context(), access.CLI(w.org.ID), store.NewGrant{
		Subject: store.SubjectUser, SubjectID: reader.user.ID, RepoID: api.ID, Permission: access.ReadRepo})
	if err != nil {
		t.Fatal(err)
	}
	dir := writer.clone("acme/api")
	first := writer.commit(dir, "first")
	writer.git(dir, "push", "-q", "origin", "HEAD:refs/heads/main")

	copied := reader.clone("acme/api")
	reader.commit(copied, "mine")
	out, err := reader.tryGit(copied, "push", "origin", "HEAD:refs/heads/main")
	want := `BlamePrompt: you may read "acme/api" and not write to it. Ask an administrator: blamepromptd grant add reader@example.com acme/api --write.`
	if err == nil || !strings.Contains(out, want) {
		t.Errorf("a reader pushes: %v: %s", err, out)
	}
	if got := w.tip(api, "refs/heads/main"); got != first {
		t.Errorf("main is %s", got)
	}
	if out, err := reader.tryGit(copied, "archive", "--remote="+reader.address("acme/api"), "main"); err != nil || !strings.Contains(out, "first") {
		t.Errorf("an archive: %v: %.100q", err, out)
	}
	for who, name := range map[*dev]string{reader: "acme/secret", nobody: "acme/api", writer: "acme/none"} {
		out, err := who.tryGit(who.home, "ls-remote", who.address(name))
		if err == nil || !strings.Contains(out, `there is no repository "`+name+`", or you have no access to it. You are `+who.email) {
			t.Errorf("%s at %s: %v: %s", who.email, name, err, out)
		}
	}
}

func TestAnotherOrganisationIsNotSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	other := storetest.MustOrg(t, w.db, "other")
	w.org = other
	w.hosted("acme/theirs")
	eve := w.dev("ada@example.com", access.WriteRepo) // the same address, of another organisation
	if out, err := eve.tryGit(eve.home, "ls-remote", eve.address("acme/api")); err == nil || !strings.Contains(out, "organisation other") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := ada.tryGit(ada.home, "ls-remote", ada.address("acme/theirs")); err == nil {
		t.Errorf("%s", out)
	}
	if out, err := eve.tryGit(eve.home, "ls-remote", eve.address("acme/theirs")); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

// TestOnlyGitRuns has what else a client may try on a connection.
func TestOnlyGitRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	for _, command := range []string{
		"id", "git-upload-pack '../../etc'", "git-upload-pack 'acme/api'; id", "git-upload-pack --upload-pack=id 'acme/api'",
		"git-receive-pack 'acme/api' 'x'", "git-upload-pack '/proc/self/root'", "sh -c 'git-upload-pack acme/api'", "git-lfs-authenticate acme/api download",
		"git-upload-pack " + strings.Repeat("x", 900),
	} {
		out, err := ada.ssh(command)
		if err == nil || !strings.HasPrefix(out, "BlamePrompt: ") || strings.Contains(out, "uid=") {
			t.Errorf("%s: %v: %s", command, err, out)
		}
	}
	if out, err := ada.ssh(""); err != nil || !strings.Contains(out, "Hi ada@example.com, your key works.") {
		t.Errorf("a login: %v: %s", err, out)
	}
	args := append(ada.sshCommand("id"), "-tt", "git@127.0.0.1")
	if out, _ := exec.Command(args[0], args[1:]...).CombinedOutput(); !strings.Contains(string(out), "opens no shell") {
		t.Errorf("a login with a terminal: %s", out)
	}
	client, err := w.dial(gossh.PublicKeys(ada.signer("id")))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.Dial("tcp", "127.0.0.1:"+w.port); err == nil {
		t.Error("the server forwards connections")
	}
	if l, err := client.Listen("tcp", "127.0.0.1:0"); err == nil {
		t.Errorf("the server listens at %s", l.Addr())
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	if err := session.RequestSubsystem("sftp"); err == nil {
		t.Error("the server has sftp")
	}
	for name, value := range map[string]string{"LD_PRELOAD": "/tmp/x.so", "GIT_TRACE": "1", "GIT_DIR": "/tmp", "GIT_PROTOCOL": "version=2:x=$(id)",
		"BLAMEPROMPT_SOCKET": "/tmp/x", "GIT_CONFIG_COUNT": "1"} {
		if err := session.Setenv(name, value); err == nil {
			t.Errorf("the variable %s=%s was accepted", name, value)
		}
	}
	if err := session.Setenv("GIT_PROTOCOL", "version=2"); err != nil {
		t.Errorf("the version of git's protocol: %v", err)
	}
	for range maxVariables + 5 {
		err = session.Setenv("GIT_PROTOCOL", "version=2")
	}
	if err == nil {
		t.Error("variables without end were accepted")
	}
	for range maxChannels + 5 {
		if _, err = client.NewSession(); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("sessions without end were opened on one connection")
	}
}

func TestTooManySessionsAndConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config, _ *ReposConfig) { c.Limits.PerUser, c.Limits.PerAddress = 2, 4 })
	w.hosted("acme/api")
	ada, bob := w.dev("ada@example.com", access.WriteRepo), w.dev("bob@example.com", access.WriteRepo)
	hold := func(d *dev) *gossh.Client {
		client, err := w.dial(gossh.PublicKeys(d.signer("id")))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		session, err := client.NewSession()
		if err != nil {
			t.Fatal(err)
		}
		out, err := session.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := session.StdinPipe(); err != nil {
			t.Fatal(err)
		}
		if err := session.Start("git-receive-pack 'acme/api'"); err != nil {
			t.Fatal(err)
		}
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("the session does not begin: %v", err)
		}
		return client
	}
	first, _ := hold(ada), hold(ada)
	if out, err := ada.ssh("git-upload-pack 'acme/api'"); err == nil || !strings.Contains(out, "you have 2 sessions open") {
		t.Errorf("a third session of a user: %v: %s", err, out)
	}
	hold(bob)
	hold(bob)
	if _, err := w.dial(gossh.PublicKeys(bob.signer("id"))); err == nil {
		t.Error("a fifth connection of an address was taken")
	}
	first.Close()
	within(t, "a session to end", func() bool {
		client, err := w.dial(gossh.PublicKeys(ada.signer("id")))
		if err != nil {
			return false
		}
		defer client.Close()
		out, _ := run(t, client, "git-upload-pack 'acme/api'")
		return !strings.Contains(out, "sessions open")
	})
}

// within polls for what comes from another process.
func within(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestClientsThatDoNothingAreEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config, _ *ReposConfig) {
		c.Limits.Handshake, c.Limits.Idle = 300*time.Millisecond, 400*time.Millisecond
	})
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	ended := func(what string, conn io.Reader) {
		t.Helper()
		began := time.Now()
		_, err := io.Copy(io.Discard, conn)
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("%s was left alone for %s (%v)", what, took, err)
		}
	}
	conn, err := net.Dial("tcp", "127.0.0.1:"+w.port)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ended("a client that says nothing", conn)
	// A client that proves who it is and then asks for nothing.
	client, err := w.dial(gossh.PublicKeys(ada.signer("id")))
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error, 1)
	go func() { gone <- client.Wait() }()
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("a client that asks for nothing was left alone")
	}
	// A client that pushes and falls silent.
	client, err = w.dial(gossh.PublicKeys(ada.signer("id")))
	if err != nil {
		t.Fatal(err)
	}
	session, err := client.NewSession()
	if err != nil {
		t.Fatal(err)
	}
	out, err := session.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := session.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := session.Start("git-receive-pack 'acme/api'"); err != nil {
		t.Fatal(err)
	}
	ended("a client that falls silent", out)
}

// TestChildrenEndWithTheirSession has a client go away while its push is judged.
func TestChildrenEndWithTheirSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	ada.commit(dir, "first")
	asked, left := make(chan struct{}), make(chan struct{})
	w.judge.first = func(hooks.Push) (hooks.Answer, error) {
		close(asked)
		<-left
		return hooks.Answer{}, errors.New("too late")
	}
	c := exec.Command("git", "-C", dir, "push", "origin", "HEAD:refs/heads/main")
	c.Env = append(os.Environ(), "GIT_SSH_COMMAND="+strings.Join(ada.sshCommand("id"), " "))
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	<-asked
	if len(childrenOf(t, w.repos.dir(api.ID))) == 0 {
		t.Fatal("no child of git is there")
	}
	if err := syscall.Kill(-c.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait()
	within(t, "the children of git to end", func() bool { return len(childrenOf(t, w.repos.dir(api.ID))) == 0 })
	close(left)
	within(t, "the session's socket to go", func() bool {
		entries, err := os.ReadDir(w.server.sockets)
		return err == nil && len(entries) == 0
	})
	if tip := w.tip(api, "refs/heads/main"); tip != "" {
		t.Errorf("main is %s", tip)
	}
	within(t, "the quarantine to go", func() bool {
		left, _ := filepath.Glob(filepath.Join(w.repos.dir(api.ID), "objects", quarantinePrefix+"*"))
		return len(left) == 0
	})
	w.judge.mu.Lock()
	w.judge.first = nil
	w.judge.mu.Unlock()
	ada.git(dir, "push", "-q", "origin", "HEAD:refs/heads/main")
}

// childrenOf are the processes that name dir in their command line or work in
// it.
func childrenOf(t testing.TB, dir string) []string {
	t.Helper()
	entries, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(entries, func(proc string) bool {
		line, _ := os.ReadFile(filepath.Join(proc, "cmdline"))
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd"))
		return !strings.Contains(string(line), dir) && cwd != dir
	})
}

func TestAHookOnTheSocketCannotSayWhoPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	ada.commit(dir, "first")
	// The environment of a hook is what the gateway says, and even that is not read.
	ada.git(dir, "push", "-q", "-o", "BLAMEPROMPT_GATEWAY_EMAIL=eve@example.com", "origin", "HEAD:refs/heads/main")
	r := &receiving{session: &session{id: identity{KeyOwner: store.KeyOwner{Email: "ada@example.com"}}, row: store.Repo{Name: "acme/api"},
		repo: w.at(w.hostedRow("acme/api"))}}
	p, err := r.push(strings.NewReader(`{"version":1,"forge":"github","user":"eve","email":"eve@example.com","repo":"other","via":"merge",
		"dry_run":true,"wiki":true,"object_format":"sha1","refs":[]}`))
	if err != nil {
		t.Fatal(err)
	}
	if p.Email != "ada@example.com" || p.Repo != "acme/api" || p.Via != hooks.Pushed || p.DryRun || p.Wiki || p.Forge != hooks.Gateway {
		t.Errorf("taken from the hook: %+v", p.Environment)
	}
}

func (w *world) hostedRow(name string) store.Repo {
	w.t.Helper()
	row, err := w.db.Repo(w.t.Context(), w.org.ID, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

func TestTheHostKeyIsMadeOnceAndKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "key")
	first, err := HostKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if first.PublicKey().Type() != gossh.KeyAlgoED25519 {
		t.Errorf("a key of type %s", first.PublicKey().Type())
	}
	again, err := HostKey(path)
	if err != nil || string(again.PublicKey().Marshal()) != string(first.PublicKey().Marshal()) {
		t.Errorf("another key: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := HostKey(path); !errors.Is(err, ErrHostKeyOpen) {
		t.Errorf("a key that the group may read: %v", err)
	}
	writeFile(t, path+"2", "garbage")
	if _, err := HostKey(path + "2"); err == nil {
		t.Error("garbage is a key")
	}
}

func TestADatabaseThatIsAwayIsSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	w.db.Close()
	out, err := ada.ssh("git-upload-pack 'acme/api'")
	if err == nil || !strings.Contains(out, "BlamePrompt: "+textDatabase) {
		t.Errorf("%v: %s", err, out)
	}
}
