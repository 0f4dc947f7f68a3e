package mirror

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Link is how git reaches one remote, and nothing else: settings, an
// environment, and files of mode 0600 for what must not be seen in a list of
// processes. It is for one command at a time.
type Link struct {
	remote     Remote
	credential *Credential
	dir        string
	env        []string
	config     []string
}

// Link prepares to reach the remote. dir is a directory of mode 0700 for the
// link alone, which the caller removes behind the last command. A nil
// credential uses what the URL carried.
func (r Remote) Link(dir string, credential *Credential) (*Link, error) {
	if credential == nil {
		credential = r.credential
	}
	l := &Link{remote: r, credential: credential, dir: dir}
	if err := l.writeConfig(); err != nil {
		return nil, fmt.Errorf("writing git's configuration: %w", err)
	}
	return l, nil
}

// Command returns a git command in repo that may talk to the remote, which it
// names as Remote.String does.
func (l *Link) Command(ctx context.Context, repo *gitcmd.Repo, args ...string) *gitcmd.Command {
	c := repo.Command(ctx, args...)
	c.Protocols = []string{l.remote.scheme}
	c.Config = l.config
	c.Env = l.env
	if l.credential != nil {
		secret := l.credential.Secret
		if secret == "" {
			secret = l.credential.User
		}
		c.Secrets = []string{secret, url.QueryEscape(secret), url.PathEscape(secret)}
	}
	return c
}

// Judge gives the error of a command of the link its sentinel: ErrUnreachable,
// ErrAccess, ErrRemote, ErrDamaged, ErrFormat or ErrRefused. A command that
// ended well is an error too when it did not talk to a git server.
func (l *Link) Judge(ctx context.Context, repo *gitcmd.Repo, err error) error {
	if err != nil {
		return explain(ctx, repo, err)
	}
	return l.requireGitProtocol()
}

// requireGitProtocol looks into the trace of the last command for the protocol
// version, which git notes when it speaks to a git server over http. Without
// one it reads files by the old "dumb" way, in which any empty page stands
// for a repository without refs, and would make us delete ours.
func (l *Link) requireGitProtocol() error {
	if l.remote.scheme == "ssh" || l.remote.scheme == "file" {
		return nil
	}
	trace, err := os.ReadFile(l.trace())
	if err != nil {
		return fmt.Errorf("reading git's trace: %w", err)
	}
	if !bytes.Contains(trace, []byte(`"negotiated-version"`)) {
		return fmt.Errorf("%w: the server's answer is not git's smart protocol", ErrRemote)
	}
	if err := os.Remove(l.trace()); err != nil {
		return fmt.Errorf("clearing git's trace: %w", err)
	}
	return nil
}

func (l *Link) trace() string { return filepath.Join(l.dir, "trace") }

// writeConfig says how git reaches the remote.
func (l *Link) writeConfig() error {
	l.config = []string{
		"protocol.version=2", "transfer.fsckObjects=false", "fetch.recurseSubmodules=false",
		"fetch.writeCommitGraph=false", "transfer.bundleURI=false",
	}
	switch l.remote.scheme {
	case "http", "https":
		return l.writeWebConfig()
	case "ssh":
		l.env = []string{"GIT_SSH_VARIANT=ssh", "GIT_SSH_COMMAND=" + l.remote.sshCommand()}
		return nil
	}
	// The server side of a local transport starts from a clean environment and
	// takes leave to use another owner's repository from a global file only.
	path := filepath.Join(l.dir, "gitconfig")
	l.env = []string{"GIT_CONFIG_GLOBAL=" + path}
	return os.WriteFile(path, []byte("[safe]\n\tdirectory = *\n"), 0o600)
}

func (l *Link) writeWebConfig() error {
	remote := l.remote
	l.config = append(l.config,
		"http.followRedirects=false", "http.proxy=", "http.lowSpeedLimit=1000", "http.lowSpeedTime=60")
	if _, isAddress, _ := literalAddress(remote.host); !isAddress {
		// Git before 2.37 passes this over and resolves the name once more.
		l.config = append(l.config, "http.curloptResolve="+remote.pin())
	}
	l.env = append(l.env, "GIT_TRACE2_EVENT="+l.trace(), "GIT_TRACE2_EVENT_NESTING=20")
	if remote.rules.CAFile != "" {
		l.env = append(l.env, "GIT_SSL_CAINFO="+remote.rules.CAFile)
	}
	if l.credential == nil {
		return nil
	}
	if err := l.credential.check(); err != nil {
		return err
	}
	path := filepath.Join(l.dir, "credentials")
	line := url.URL{Scheme: remote.scheme, Host: joinPort(remote.host, remote.port),
		User: url.UserPassword(l.credential.User, l.credential.Secret)}
	l.config = append(l.config, "credential.helper=store --file="+quoteShell(path))
	return os.WriteFile(path, []byte(line.String()+"\n"), 0o600)
}

// pin is HOST:PORT:ADDRESS of curl's CURLOPT_RESOLVE.
func (r Remote) pin() string {
	port := r.port
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[r.scheme]
	}
	return r.host + ":" + port + ":" + pinned(r.addr)
}

// sshCommand is read by a shell. All in it is ours, or was checked to hold
// nothing but letters, digits and a few marks.
func (r Remote) sshCommand() string {
	checking := "yes"
	if r.rules.AcceptNewHosts {
		checking = "accept-new"
	}
	// Host keys are looked up by the name that was registered.
	alias := strings.Trim(r.host, "[]")
	if r.port != "" && r.port != "22" {
		alias = "[" + alias + "]:" + r.port
	}
	words := []string{"ssh", "-F", "/dev/null", "-i", r.rules.SSHKeyFile}
	for _, option := range []string{
		"BatchMode=yes", "IdentitiesOnly=yes", "IdentityAgent=none", "PreferredAuthentications=publickey",
		"StrictHostKeyChecking=" + checking, "UserKnownHostsFile=" + r.rules.KnownHostsFile,
		"GlobalKnownHostsFile=/dev/null", "UpdateHostKeys=no", "CheckHostIP=no",
		"HostName=" + r.addr.String(), "HostKeyAlias=" + alias,
		"ClearAllForwardings=yes", "PermitLocalCommand=no", "ProxyCommand=none", "ControlPath=none",
		"ConnectTimeout=20", "ServerAliveInterval=15", "ServerAliveCountMax=4", "LogLevel=ERROR",
	} {
		words = append(words, "-o", option)
	}
	for i, word := range words {
		words[i] = quoteShell(word)
	}
	return strings.Join(words, " ")
}

func quoteShell(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
