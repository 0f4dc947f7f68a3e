package hooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// HookState says whose hook is in place.
type HookState string

// Installed hooks were written by Install. Idle ones were, but git does not
// run them, for want of permission to. Foreign ones are of others.
const (
	Installed HookState = "installed"
	Idle      HookState = "idle"
	Foreign   HookState = "foreign"
	Absent    HookState = "absent"
)

// InstalledHook is one hook of a repository as its file has it.
type InstalledHook struct {
	Hook  string
	Path  string
	State HookState
	// Program and Args are what a file of ours runs, without the name of the hook;
	// Mode is what it does while the program is not there.
	Program string
	Args    []string
	Mode    Mode
	// Chained is the hook of others that runs before it, "" for none.
	Chained string
}

// Inspect reads the hooks of a repository where Install puts them.
func Inspect(ctx context.Context, repoDir string, forge Forge, opts InstallOptions) ([]InstalledHook, error) {
	i, err := newInstallation(ctx, repoDir, forge, opts)
	if err != nil {
		return nil, fmt.Errorf("inspecting hooks: %w", err)
	}
	var all []InstalledHook
	for _, name := range hookNames {
		hook, err := i.inspect(name)
		if err != nil {
			return nil, fmt.Errorf("inspecting %s of %s: %w", name, repoDir, err)
		}
		all = append(all, hook)
	}
	return all, nil
}

func (i *installation) inspect(name string) (InstalledHook, error) {
	ours, kept := i.paths(name)
	hook := InstalledHook{Hook: name, Path: ours, State: Absent}
	there, err := readHook(ours)
	switch {
	case err != nil:
		return hook, err
	case !there.there:
		return hook, nil
	case !there.ours():
		hook.State = Foreign
		return hook, nil
	case !there.runs:
		hook.State = Idle
	default:
		hook.State = Installed
	}
	hook.readScript(there.text)
	if kept == "" {
		return hook, nil
	}
	info, err := os.Stat(kept)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return hook, err
	case info.Mode().Perm()&0o111 != 0:
		hook.Chained = kept
	}
	return hook, nil
}

// readScript takes from a script what installation.script put into it.
func (h *InstalledHook) readScript(text []byte) {
	h.Mode = Advisory
	if bytes.Contains(text, []byte("[ -n \"$program\" ] || exit 1")) {
		h.Mode = Enforcing
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if quoted, ok := strings.CutPrefix(line, "program="); ok && h.Program == "" {
			if words := unquoteWords(quoted); len(words) == 1 {
				h.Program = words[0]
			}
		}
		if _, rest, ok := strings.Cut(line, `"$program" '`); ok {
			words := unquoteWords("'" + rest)
			// The last one is the name of the hook.
			h.Args = words[:max(0, len(words)-1)]
		}
	}
}

// unquoteWords reads words as shellQuote writes them, separated by blanks.
func unquoteWords(text string) []string {
	var words []string
	var word strings.Builder
	quoted, open := false, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\'':
			quoted, open = !quoted, true
		case quoted:
			word.WriteByte(c)
		case c == ' ':
			if open {
				words = append(words, word.String())
			}
			word.Reset()
			open = false
		default:
			if c == '\\' && i+1 < len(text) {
				i++
			}
			word.WriteByte(text[i])
			open = true
		}
	}
	if open {
		words = append(words, word.String())
	}
	return words
}
