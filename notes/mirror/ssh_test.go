package mirror_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/blameprompt/enterprise/notes/mirror"
)

func writeCertificate(t *testing.T, path string, certificate *x509.Certificate) {
	t.Helper()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newKey writes a private key and returns its signer.
func newKey(t *testing.T, path string) gossh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := gossh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	signer, err := gossh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// serveSSH serves the repositories in dir to the user git with the client's key
// and returns its address.
func serveSSH(t *testing.T, dir string, host gossh.Signer, client gossh.PublicKey) string {
	t.Helper()
	server := &ssh.Server{
		PublicKeyHandler: func(ctx ssh.Context, key ssh.PublicKey) bool {
			return ctx.User() == "git" && ssh.KeysEqual(key, client)
		},
		Handler: func(s ssh.Session) {
			words := s.Command()
			if len(words) != 2 || words[0] != "git-upload-pack" {
				_ = s.Exit(1)
				return
			}
			cmd := exec.CommandContext(s.Context(), "git", "upload-pack", filepath.Join(dir, words[1]))
			cmd.Stdout, cmd.Stderr = s, s.Stderr()
			stdin, err := cmd.StdinPipe()
			if err == nil {
				err = cmd.Start()
			}
			if err != nil {
				_ = s.Exit(1)
				return
			}
			go func() {
				_, _ = io.Copy(stdin, s)
				_ = stdin.Close()
			}()
			_ = cmd.Wait()
			_ = s.Exit(cmd.ProcessState.ExitCode())
		},
	}
	server.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go server.Serve(listener)
	t.Cleanup(func() { server.Close() })
	return listener.Addr().String()
}

func TestFetchBySSH(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 20)
	tip := w.note("a")
	keys := t.TempDir()
	client, stranger := newKey(t, filepath.Join(keys, "client")), filepath.Join(keys, "stranger")
	newKey(t, stranger)
	host := newKey(t, filepath.Join(keys, "host"))
	other := newKey(t, filepath.Join(keys, "other"))
	address := serveSSH(t, filepath.Dir(w.Dir), host, client.PublicKey())
	hosts := func(name string, key gossh.Signer) string {
		path := filepath.Join(keys, name)
		line := ""
		if key != nil {
			line = knownhosts.Line([]string{address}, key.PublicKey()) + "\n"
		}
		if err := os.WriteFile(path, []byte(line), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := mirror.Rules{AllowPrivate: true, SSHKeyFile: filepath.Join(keys, "client"), KnownHostsFile: hosts("good", host)}
	fetch := func(r mirror.Rules, user string) error {
		remote := mustCheck(t, r, "ssh://"+user+"@"+address+"/remote.git")
		_, err := w.mirror.Fetch(t.Context(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
		return err
	}

	wrongHost, unknownHost, wrongKey := good, good, good
	wrongHost.KnownHostsFile = hosts("wrong", other)
	unknownHost.KnownHostsFile = hosts("empty", nil)
	wrongKey.SSHKeyFile = stranger
	for name, test := range map[string]struct {
		rules mirror.Rules
		user  string
		want  error
	}{
		"changed host key": {wrongHost, "git", mirror.ErrUnreachable},
		"unknown host key": {unknownHost, "git", mirror.ErrUnreachable},
		"unknown key":      {wrongKey, "git", mirror.ErrAccess},
		"unknown user":     {good, "eve", mirror.ErrAccess},
	} {
		if err := fetch(test.rules, test.user); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", name, err, test.want)
		}
	}

	if err := fetch(good, "git"); err != nil {
		t.Fatal(err)
	}
	w.wantState(tip)
	unknownHost.AcceptNewHosts = true
	if err := fetch(unknownHost, "git"); err != nil {
		t.Errorf("accepting a new host: %v", err)
	}
	if learnt, err := os.ReadFile(unknownHost.KnownHostsFile); err != nil || len(learnt) == 0 {
		t.Errorf("known hosts after accepting one = %q, %v", learnt, err)
	}
	wrongHost.AcceptNewHosts = true
	if err := fetch(wrongHost, "git"); !errors.Is(err, mirror.ErrUnreachable) {
		t.Errorf("accepting new hosts, with a changed key: %v, want ErrUnreachable", err)
	}
}
