package upkeep

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/notes/lines/counted"
)

// rules reads which files of a tip count, of all its paths.
func (w *keeping) rules(ctx context.Context, tip string) (*counted.Rules, error) {
	rules, err := counted.Read(ctx, w.git, gitcmd.OID(tip), w.ExcludedPaths)
	if err != nil {
		return nil, err
	}
	var treeErr error
	err = rules.Learn(ctx, func(yield func(string) bool) {
		treeErr = w.git.Tree(ctx, gitcmd.OID(tip), func(e gitcmd.TreeEntry) error {
			if !yield(e.Path) {
				return errRead
			}
			return nil
		})
	})
	if treeErr != nil {
		err = treeErr
	}
	if err != nil {
		rules.Close()
		return nil, err
	}
	return rules, nil
}

// awaited are rules that are still being read.
type awaited struct {
	ready chan struct{}
	// read is nil if they could not be read.
	read *counted.Rules
}

// reason is the rules' own. Where they could not be read the whole work fails,
// and nothing that is said here is used.
func (a *awaited) reason(path string, generated bool) lines.Reason {
	<-a.ready
	if a.read == nil {
		return ""
	}
	return a.read.Reason(path, generated)
}

// revision stands for the rules. It begins with what stands for the setting,
// which can be told without reading a tip.
func (w *keeping) revision(rules *counted.Rules) string {
	return settingOf(w.ExcludedPaths) + rules.Fingerprint()
}

func settingOf(globs []string) string { return fingerprint([]byte(strings.Join(globs, "\x00"))) + " " }

// fingerprint is short and equal for equal texts; empty for none.
func fingerprint(text []byte) string {
	if len(text) == 0 {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16])
}
