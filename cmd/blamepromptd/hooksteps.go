package main

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path"
	"strings"

	"github.com/blameprompt/enterprise/hooks"
)

// filelessForge says that the hooks of a forge are not files in repositories.
func filelessForge(forge hooks.Forge) bool { return forge == hooks.GHES || forge == hooks.Bitbucket }

// Where hooks on another host find what they need.
const (
	remoteBin     = "/usr/local/bin"
	remoteKeyFile = "/etc/blameprompt/hook.key"
)

// remoteOptions are those of hooks on another host.
func (in *hookInstall) remoteOptions(cfg *Config) hooks.Options {
	out := in.options
	if out.Client.URL == "" {
		out.Client.URL = cfg.publicURL()
	}
	if out.Client.KeyFile == "" {
		out.Client.KeyFile = remoteKeyFile
	}
	if out.Mode = hooks.Mode(in.wanted.Mode); in.wanted.Mode == "" && filelessForge(hooks.Forge(in.forge)) {
		out.Mode = hooks.Advisory
	}
	return out
}

// printHostCommand prints one line that makes a key, brings the programs, and
// installs the hooks on another host.
func (a *app) printHostCommand(cfg *Config, in *hookInstall, dirs []string) error {
	program, err := a.hookProgram(cfg, in.program)
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	options := in.remoteOptions(cfg)
	install := []string{path.Join(remoteBin, "blamepromptd"), "hooks", "install"}
	if in.forge != "" {
		install = append(install, "--forge", in.forge)
	}
	if in.dir != "" {
		install = append(install, "--hooks-dir", in.dir)
	}
	install = append(append(install, options.Args()...), dirs...)
	key := options.Client.KeyFile
	// The key is for the account that git runs as, which owns the repositories.
	keep := fmt.Sprintf("umask 077 && mkdir -p %[1]s && chmod 755 %[1]s && cat >%[2]s && chown --reference=%[3]s %[2]s",
		word(path.Dir(key)), word(key), word(dirs[0]))
	line := strings.Join([]string{
		fmt.Sprintf("scp %s %s %s", word(self), word(program), word(in.host+":"+remoteBin+"/")),
		fmt.Sprintf("blamepromptd --org %s key create %s --scope hook | ssh %s %s", word(a.org), word("hooks on "+in.host), word(in.host), word(keep)),
		fmt.Sprintf("ssh %s %s", word(in.host), word(words(install))),
	}, " && ")
	a.warnLoopback(options.Client.URL)
	if a.json {
		return a.printJSON(map[string]string{"command": line})
	}
	_, err = fmt.Fprintln(a.stdout, line)
	return err
}

// warnLoopback says that no other host reaches the address.
func (a *app) warnLoopback(address string) {
	u, err := url.Parse(address)
	if err != nil {
		return
	}
	ip := net.ParseIP(u.Hostname())
	if u.Hostname() == "localhost" || ip != nil && ip.IsLoopback() {
		fmt.Fprintf(a.stderr, "warning: %s is this host alone; set public_url, or give --url\n", address)
	}
}

// word quotes what a shell would not take as it stands.
func word(text string) string {
	safe := func(r rune) bool {
		return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("-_./:=@,+%", r)
	}
	if text != "" && strings.IndexFunc(text, func(r rune) bool { return !safe(r) }) < 0 {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func words(list []string) string {
	quoted := make([]string, len(list))
	for i, text := range list {
		quoted[i] = word(text)
	}
	return strings.Join(quoted, " ")
}

// printSteps prints what to do at a forge whose hooks are no files.
func (a *app) printSteps(cfg *Config, in *hookInstall) error {
	options := in.remoteOptions(cfg)
	var text string
	switch hooks.Forge(in.forge) {
	case hooks.GHES:
		options.Client.KeyFile = "/blameprompt/hook.key"
		if options.Client.CAFile != "" {
			options.Client.CAFile = "/blameprompt/ca.pem"
		}
		text = ghesSteps
	case hooks.Bitbucket:
		text = bitbucketSteps
	default:
		return errors.New("this forge has hook files")
	}
	a.warnLoopback(options.Client.URL)
	text = strings.NewReplacer("ORG", a.org, "COMMAND", words(options.Args())).Replace(text)
	if a.json {
		return a.printJSON(map[string]string{"steps": text})
	}
	_, err := fmt.Fprint(a.stdout, text)
	return err
}

// ghesSteps follow GitHub's "Creating a pre-receive hook environment" and
// "Managing pre-receive hooks on your instance".
const ghesSteps = `GitHub Enterprise Server runs pre-receive hooks in an environment that you make, from a script in one of its
repositories. It ends all hooks of a push after 5 seconds; this one takes at most 4.

1. Make a key:

     blamepromptd --org ORG key create "hooks of GitHub Enterprise Server" --scope hook >hook.key

2. Make the environment, in a directory with blameprompt-hook, hook.key and, if you give --ca-file, ca.pem:

     printf '%s\n' 'FROM --platform=linux/amd64 debian:stable' \
       'RUN apt-get update && apt-get install -y git && rm -fr /etc/localtime /usr/share/zoneinfo/localtime' \
       'COPY . /blameprompt/' >Dockerfile
     docker build -t blameprompt-hook . && docker create --name blameprompt-hook blameprompt-hook /bin/true
     docker export blameprompt-hook | gzip >blameprompt-hook.tar.gz

   Every account in the environment must be able to read the key: chmod 644 hook.key.

3. Upload it: Site admin > Hooks > Manage environments > Add environment.

4. Put this script, executable, into a repository on the instance that only administrators write to:

     #!/bin/sh
     exec /blameprompt/blameprompt-hook COMMAND pre-receive

5. Register it: Site admin > Hooks > Add pre-receive hook, with the environment and the script. Choose "Use the
   exit-status to accept or reject pushes", and where it is enabled.

There is no post-receive hook; add a webhook, so that receipts show at once: blamepromptd webhook secret create github
`

// bitbucketSteps follow Atlassian's "Write hook scripts" and "Registering and
// maintaining hook scripts".
const bitbucketSteps = `Bitbucket Data Center runs hook scripts that an app has registered. Files in its repositories are not run.

1. Make a key, and keep it on every node where the account of Bitbucket alone can read it:

     blamepromptd --org ORG key create "hooks of Bitbucket" --scope hook >/etc/blameprompt/hook.key

2. Put blameprompt-hook on every node, at the same path: /usr/local/bin/blameprompt-hook

3. Since Bitbucket 8.18, set feature.hook.scripts=true in bitbucket.properties, and restart.

4. Register this as a hook script of type PRE, by an app of your own (HookScriptService) or one that does it for you,
   and enable it for the instance, a project or a repository:

     #!/bin/sh
     exec /usr/local/bin/blameprompt-hook COMMAND pre-receive

   and as one of type POST:

     #!/bin/sh
     exec /usr/local/bin/blameprompt-hook COMMAND post-receive
`
