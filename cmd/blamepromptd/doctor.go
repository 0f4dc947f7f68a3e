package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/pglocal"
)

const (
	// checkTimeout bounds each single check.
	checkTimeout = 15 * time.Second
	// wantFree and needFree are the bytes of disk below which doctor warns and
	// fails: a mirror, its rows and a repack of it need room at the same time.
	wantFree = 5 << 30
	needFree = 512 << 20
	// wantClock and needClock bound the difference to the database's clock:
	// signed webhooks are refused when it is too large.
	wantClock = 5 * time.Second
	needClock = 2 * time.Minute
)

// verdict is the outcome of a check.
type verdict string

const (
	good verdict = "ok"
	warn verdict = "warn"
	fail verdict = "fail"
)

// finding is a line of doctor's answer.
type finding struct {
	Check   string  `json:"check"`
	Verdict verdict `json:"verdict"`
	Text    string  `json:"text"`
	// Mend says what to do; empty when all is well.
	Mend string `json:"mend,omitempty"`
}

// patient is what doctor looks at.
type patient struct {
	cfg *Config
	log zerolog.Logger
	// database and db are nil when the database cannot be reached.
	database *database
	db       *store.DB
	// migrated says that the database has all of this program's tables.
	migrated bool
	// hookProgram finds blameprompt-hook.
	hookProgram func() (string, error)
}

func newDoctor(a *app) *cobra.Command {
	var numbers bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check what the daemon needs, and say how to mend what is wrong",
		Long: "Check what the daemon needs, and say how to mend what is wrong. Each line is ok, warn or fail;\n" +
			"the exit code is 1 when one of them is fail.\n\n" +
			"With --numbers, recompute instead every stored sum of every organisation from its rows, and list those that differ;\n" +
			"the exit code is 1 when one does. It reads all rows of one moment, and the daemon goes on beside it.",
		Args: exactly(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if numbers {
				return a.doctorNumbers(cmd.Context())
			}
			return a.doctor(cmd.Context())
		},
	}
	cmd.Flags().BoolVar(&numbers, "numbers", false, "Recompute all stored sums and compare")
	return cmd
}

func (a *app) doctor(ctx context.Context) error {
	cfg, err := a.config()
	if err != nil {
		return err
	}
	p := &patient{cfg: cfg, log: zerolog.Nop(), hookProgram: func() (string, error) { return a.hookProgram(cfg, "") }}
	findings := p.examine(ctx)
	rows := make([][]string, len(findings))
	failed := false
	for i, f := range findings {
		text := f.Text
		if f.Mend != "" {
			text += ": " + f.Mend
		}
		rows[i] = []string{string(f.Verdict), f.Check, text}
		failed = failed || f.Verdict == fail
	}
	if err := a.print(findings, []string{"", "CHECK", ""}, rows); err != nil {
		return err
	}
	if failed {
		return errSilent
	}
	return nil
}

// examine runs the checks in the order in which one builds on another.
func (p *patient) examine(ctx context.Context) []finding {
	all := []finding{p.checkGit(ctx), p.checkDataDir(), p.checkDisk()}
	all = append(all, p.checkDatabase(ctx)...)
	defer p.close(ctx)
	all = append(all, p.checkPort(ctx))
	all = append(all, p.checkGateway(ctx)...)
	all = append(all, p.checkEnvironment())
	if p.db == nil {
		return all
	}
	all = append(all, p.checkClock(ctx))
	if !p.migrated {
		return all
	}
	orgs, err := p.db.Orgs(ctx)
	if err != nil {
		return append(all, finding{"organisations", fail, err.Error(), "look at the database's log"})
	}
	for _, org := range orgs {
		all = append(all, p.checkOrg(ctx, org)...)
	}
	return all
}

func (p *patient) close(ctx context.Context) {
	if p.db != nil {
		p.db.Close()
	}
	if p.database != nil {
		// Whatever is wrong with it has been said.
		_ = p.database.close(ctx)
	}
}

func (p *patient) checkGit(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	if err := gitcmd.Require(ctx); err != nil {
		return finding{"git", fail, err.Error(), "run \"./install.sh --deps\""}
	}
	version, err := gitcmd.Version(ctx)
	if err != nil {
		return finding{"git", fail, err.Error(), "run \"./install.sh --deps\""}
	}
	return finding{Check: "git", Verdict: good, Text: "git " + version}
}

func (p *patient) checkDataDir() finding {
	const name = "data directory"
	dir := p.cfg.DataDir
	if err := makeDataDir(dir); err != nil {
		return finding{name, fail, err.Error(), "create it for this account, or set BLAMEPROMPT_DATA_DIR"}
	}
	probe, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return finding{name, fail, err.Error(), "give " + dir + " to the account that runs the daemon"}
	}
	defer os.Remove(probe.Name())
	if err := probe.Close(); err != nil {
		return finding{name, fail, err.Error(), "look at the disk"}
	}
	if f, bad := checkSecretFile(p.cfg.sealKeyFile()); bad {
		return f
	}
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o066 != 0 {
		return finding{name, warn, dir + " can be listed or written by others", "run \"chmod go-rw " + dir + "\""}
	}
	return finding{Check: name, Verdict: good, Text: dir}
}

// checkSecretFile wants a file that only its owner reads, if there is one.
func checkSecretFile(path string) (finding, bool) {
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm()&0o077 == 0 {
		return finding{}, false
	}
	return finding{"data directory", fail, path + " can be read by others", "run \"chmod 600 " + path + "\""}, true
}

func (p *patient) checkDisk() finding {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(p.cfg.DataDir, &fs); err != nil {
		return finding{"disk", fail, fmt.Sprintf("reading the free space of %s: %v", p.cfg.DataDir, err), "look at the disk"}
	}
	free := fs.Bavail * uint64(fs.Bsize)
	text := fmt.Sprintf("%.1f GB free", float64(free)/1e9)
	switch {
	case free < needFree:
		return finding{"disk", fail, text, "make room, or move the data directory"}
	case free < wantFree:
		return finding{"disk", warn, text, "mirrors and database grow; make room"}
	}
	return finding{Check: "disk", Verdict: good, Text: text}
}

// checkDatabase connects, and leaves the database to the later checks.
func (p *patient) checkDatabase(ctx context.Context) []finding {
	all := []finding{}
	if p.cfg.DatabaseURL == "" {
		programs, err := pglocal.FindBinaries(ctx, p.cfg.PostgresBinDir)
		if err != nil {
			return append(all, finding{"PostgreSQL programs", fail, err.Error(), "run \"./install.sh --deps\""})
		}
		all = append(all, finding{Check: "PostgreSQL programs", Verdict: good, Text: programs.Version + " in " + programs.Dir})
	}
	database, err := findDatabase(ctx, p.cfg, p.log)
	if err != nil {
		return append(all, finding{"database", fail, err.Error(), "start it, or look at BLAMEPROMPT_DATABASE_URL"})
	}
	p.database = database
	db, err := openStore(ctx, p.cfg, database.dsn)
	if err != nil {
		return append(all, finding{"database", fail, err.Error(), "look at BLAMEPROMPT_DATABASE_URL and the key file"})
	}
	p.db = db
	return append(all, p.checkServer(ctx)...)
}

func (p *patient) checkServer(ctx context.Context) []finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	health, err := p.db.Health(ctx)
	if err != nil {
		return []finding{{"database", fail, err.Error(), "look at the database's log"}}
	}
	all := []finding{{Check: "database", Verdict: good, Text: "PostgreSQL " + health.Version}}
	if !health.Extensions {
		all = append(all, finding{"extensions", fail, "pg_trgm or btree_gin is neither there nor can it be made",
			"install PostgreSQL's contrib package on the database's server"})
	} else {
		all = append(all, finding{Check: "extensions", Verdict: good, Text: "pg_trgm, btree_gin"})
	}
	switch {
	case health.Schema > health.WantSchema:
		all = append(all, finding{"migrations", fail, "the database is newer than this program", "run the newer program"})
	case health.Schema < health.WantSchema:
		all = append(all, finding{"migrations", warn, fmt.Sprintf("the database is at %d of %d", health.Schema, health.WantSchema),
			"run \"blamepromptd migrate\", or start the daemon"})
	default:
		p.migrated = true
		all = append(all, finding{Check: "migrations", Verdict: good, Text: fmt.Sprintf("at %d", health.Schema)})
	}
	return all
}

func (p *patient) checkClock(ctx context.Context) finding {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	asked := time.Now()
	health, err := p.db.Health(ctx)
	if err != nil {
		return finding{"clock", fail, err.Error(), "look at the database"}
	}
	// The answer was made somewhere between asking and now.
	took := time.Since(asked)
	apart := health.Now.Sub(asked.Add(took / 2)).Abs()
	text := fmt.Sprintf("%s apart from the database's", apart.Round(time.Millisecond))
	switch {
	case apart > needClock+took:
		return finding{"clock", fail, text, "let both machines keep time (systemd-timesyncd, chrony)"}
	case apart > wantClock+took:
		return finding{"clock", warn, text, "let both machines keep time (systemd-timesyncd, chrony)"}
	}
	return finding{Check: "clock", Verdict: good, Text: text}
}

// checkPort wants the HTTP address free, or served by a daemon of this program.
func (p *patient) checkPort(ctx context.Context) finding {
	addr := p.cfg.HTTPAddr
	listener, err := net.Listen("tcp", addr)
	if err == nil {
		if err := listener.Close(); err != nil {
			return finding{"HTTP address", warn, err.Error(), "try again"}
		}
		if p.database != nil && p.database.daemon {
			return finding{"HTTP address", warn, "a daemon runs on the data directory, but not on " + addr, "look at its http_addr"}
		}
		return finding{Check: "HTTP address", Verdict: good, Text: addr + " is free"}
	}
	if ready, text := askReadiness(ctx, addr); ready {
		return finding{Check: "HTTP address", Verdict: good, Text: addr + ": " + text}
	} else if text != "" {
		return finding{"HTTP address", fail, addr + ": " + text, "mend what it says"}
	}
	return finding{"HTTP address", fail, err.Error(), "stop what uses it, or set BLAMEPROMPT_HTTP_ADDR"}
}

// askReadiness asks a daemon at addr; the text is empty if there is none.
func askReadiness(ctx context.Context, addr string) (ready bool, text string) {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return false, ""
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return false, ""
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false, ""
	}
	defer resp.Body.Close()
	var body struct {
		Status   string   `json:"status"`
		Problems []string `json:"problems"`
	}
	err = json.NewDecoder(http.MaxBytesReader(nil, resp.Body, 64<<10)).Decode(&body)
	if err != nil || body.Status == "" {
		return false, ""
	}
	if resp.StatusCode != http.StatusOK {
		return false, "the daemon is not ready: " + strings.Join(body.Problems, "; ")
	}
	return true, "a daemon is ready there"
}

// checkEnvironment finds misspelt variables: nothing else would tell.
func (p *patient) checkEnvironment() finding {
	known := map[string]bool{
		envConfig: true, envPrefix + "API_KEY": true, envPrefix + "API_KEY_FILE": true, envPrefix + "API_URL": true, envPrefix + "TEST_DATABASE_URL": true,
	}
	for _, s := range settings(&Config{}) {
		known[s.env()] = true
		known[s.env()+"_FILE"] = s.Secret
	}
	var unknown []string
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	if len(unknown) > 0 {
		return finding{"environment", warn, "not known: " + strings.Join(unknown, ", "),
			"see \"blamepromptd config\" for the names"}
	}
	return finding{Check: "environment", Verdict: good, Text: "no unknown variables"}
}

// checkOrg looks at an organisation's remotes and webhook secrets.
func (p *patient) checkOrg(ctx context.Context, org store.Org) []finding {
	repos, err := p.db.Repos(ctx, org.ID)
	if err != nil {
		return []finding{{"repositories of " + org.Name, fail, err.Error(), "look at the database"}}
	}
	var all []finding
	fetched := 0
	for _, repo := range repos {
		if repo.RemoteURL != nil {
			fetched++
			all = append(all, p.checkRemote(ctx, org.ID, repo))
		}
	}
	if fetched > 0 {
		all = append(all, p.checkWebhooks(ctx, org))
	}
	return append(all, p.checkConnections(ctx, org)...)
}

// checkConnections asks each forge whether it takes the token.
func (p *patient) checkConnections(ctx context.Context, org store.Org) []finding {
	rows, err := p.db.Connections(ctx, org.ID)
	if err != nil {
		return []finding{{"connections of " + org.Name, fail, err.Error(), "look at the database"}}
	}
	connector, err := (&session{cfg: p.cfg, log: p.log, db: p.db}).connector()
	if err != nil {
		return []finding{{"connections of " + org.Name, fail, err.Error(), "look at ca_file"}}
	}
	var all []finding
	for _, row := range rows {
		all = append(all, p.checkConnection(ctx, connector, row))
	}
	return all
}

func (p *patient) checkConnection(ctx context.Context, connector *connect.Connector, row store.Connection) finding {
	name := "connection to " + plain(row.Owner) + " at " + row.APIURL
	again := "run \"blamepromptd org connect " + row.Forge + " " + plain(row.Owner) + "\" again"
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	err := connector.Check(ctx, row)
	backlog, counting := p.db.StatusBacklog(ctx, row.OrgID, row.ID)
	switch {
	case errors.Is(err, forge.ErrToken), errors.Is(err, forge.ErrForbidden), errors.Is(err, forge.ErrMissing):
		return finding{name, fail, plain(err.Error()), again + " with a token that is allowed what docs/forges.md lists"}
	case err != nil:
		return finding{name, fail, plain(err.Error()), "see that the forge answers, and look at private_addresses and ca_file"}
	case counting != nil:
		return finding{name, fail, counting.Error(), "look at the database"}
	case row.Problem != "":
		return finding{name, warn, plain(row.Problem), again}
	case backlog.GivenUp > 0:
		return finding{name, warn, fmt.Sprintf("takes the token, but refused %d statuses of commits", backlog.GivenUp),
			"see that the token may set statuses"}
	}
	return finding{Check: name, Verdict: good, Text: "takes the token"}
}

func (p *patient) checkRemote(ctx context.Context, org uuid.UUID, repo store.Repo) finding {
	name := "remote of " + plain(repo.Name)
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	mend := "see \"blamepromptd repo status " + plain(repo.Name) + "\""
	if err := p.probeRemote(ctx, org, repo); err != nil {
		return finding{name, fail, plain(err.Error()), mend}
	}
	if repo.FetchFailures > 0 {
		return finding{name, warn, fmt.Sprintf("answers now, but %d fetches failed: %s", repo.FetchFailures, plain(repo.FetchError)), mend}
	}
	return finding{Check: name, Verdict: good, Text: "answers"}
}

// noRef is a name below which no remote has a ref.
const noRef = "refs/notes/blameprompt-doctor"

// probeRemote lists the remote the way a fetch does, with the same rules and
// credential, into a mirror of its own that takes nothing.
func (p *patient) probeRemote(ctx context.Context, org uuid.UUID, repo store.Repo) error {
	remote, err := p.cfg.rules().Check(ctx, *repo.RemoteURL)
	if err != nil {
		return err
	}
	user, secret, err := p.db.Credential(ctx, org, repo.ID)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(p.cfg.DataDir, ".doctor-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	m, err := mirror.Open(dir, repo.ID.String())
	if err != nil {
		return err
	}
	options := mirror.FetchOptions{Remote: remote, NotesRefs: []string{noRef}, Timeout: checkTimeout}
	if user != "" || secret != "" {
		options.Credential = &mirror.Credential{User: user, Secret: secret}
	}
	_, err = m.Fetch(ctx, options)
	return err
}

func (p *patient) checkWebhooks(ctx context.Context, org store.Org) finding {
	name := "webhooks of " + org.Name
	secrets, err := p.db.WebhookSecrets(ctx, org.ID)
	if err != nil {
		return finding{name, fail, err.Error(), "look at the database"}
	}
	valid := 0
	for _, secret := range secrets {
		if secret.RevokedAt == nil {
			valid++
		}
	}
	for _, f := range forge.Names() {
		if _, _, err := p.db.OpenWebhookSecrets(ctx, org.Name, string(f)); err != nil {
			return finding{name, fail, err.Error(), "give every daemon on the database the same " + p.cfg.sealKeyFile() +
				", or make new secrets"}
		}
	}
	if valid == 0 {
		return finding{name, warn, "no secret, so pushes are seen by sweeps alone",
			"run \"blamepromptd webhook secret create FORGE\" and enter it at the forge"}
	}
	return finding{Check: name, Verdict: good, Text: fmt.Sprintf("%d secrets", valid)}
}
