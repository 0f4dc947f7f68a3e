package added

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// readBorder reads where a shallow history begins.
func readBorder(git *gitcmd.Repo) (map[gitcmd.OID]bool, error) {
	const most = 16 << 20
	file, err := os.Open(filepath.Join(git.Dir(), "shallow"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the border of the history: %w", err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, most))
	if err != nil {
		return nil, fmt.Errorf("reading the border of the history: %w", err)
	}
	border := map[gitcmd.OID]bool{}
	for _, line := range strings.Fields(string(text)) {
		border[gitcmd.OID(line)] = true
	}
	return border, nil
}
