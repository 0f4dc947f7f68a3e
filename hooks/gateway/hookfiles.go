package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/store"
)

// Hooks run by core.hooksPath, which the gateway gives to receive-pack, so that
// nothing in a repository chooses them. What they do depends on the repository:
// there is a directory for each kind.

// hookKinds are the modes and kinds of repositories.
var hookKinds = []store.Repo{
	{Mode: store.ModeAdvisory, Gateway: store.GatewayHosted}, {Mode: store.ModeAdvisory, Gateway: store.GatewayForwarding},
	{Mode: store.ModeEnforcing, Gateway: store.GatewayHosted}, {Mode: store.ModeEnforcing, Gateway: store.GatewayForwarding},
}

// hooksOf is the directory of the hooks of a repository.
func hooksOf(dir string, row store.Repo) string {
	return filepath.Join(dir, row.Mode+"-"+string(row.Gateway))
}

// writeHooks writes the files, each as a whole, so that pushes through another
// server on the directory may go on.
func writeHooks(dir, program string) error {
	if !filepath.IsAbs(program) || strings.ContainsAny(program, "\x00\n\r") {
		return fmt.Errorf("%q is not the absolute path of a program", program)
	}
	for _, kind := range hookKinds {
		into := hooksOf(dir, kind)
		if err := os.MkdirAll(into, 0o700); err != nil {
			return err
		}
		for name, script := range hookScripts(program, kind) {
			if err := writeHook(filepath.Join(into, name), script); err != nil {
				return err
			}
		}
	}
	return nil
}

// hookScripts are the hooks of a kind. A program that is missing fails them,
// and with them the push.
func hookScripts(program string, kind store.Repo) map[string]string {
	judge := fmt.Sprintf("\"$program\" --mode %s pre-receive", kind.Mode)
	pre := "exec " + judge + "\n"
	if kind.Gateway == store.GatewayForwarding {
		pre = "updates=$(cat)\n" +
			"printf '%s\\n' \"$updates\" | " + judge + " || exit 1\n" +
			"printf '%s\\n' \"$updates\" | \"$program\" " + hooks.ForwardHook + "\n"
	}
	head := "#!/bin/sh\n# Written by the gateway of BlamePrompt Enterprise at each start.\n" +
		"program='" + strings.ReplaceAll(program, "'", `'\''`) + "'\n" +
		"if [ ! -x \"$program\" ]; then\n" +
		"\techo 'BlamePrompt: this push is refused because a program of the service is missing. Tell your administrator.' >&2\n" +
		"\texit 1\nfi\n"
	return map[string]string{
		"pre-receive":  head + pre,
		"proc-receive": head + "exec \"$program\" proc-receive\n",
		"post-receive": head + fmt.Sprintf("exec \"$program\" --mode %s post-receive\n", kind.Mode),
	}
}

func writeHook(path, script string) error {
	tmp, err := os.CreateTemp(filepath.Dir(path), ".hook-*")
	if err != nil {
		return err
	}
	_, err = tmp.WriteString(script)
	err = errors.Join(err, tmp.Chmod(0o700), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp.Name()))
	}
	return nil
}
