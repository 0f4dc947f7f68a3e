package gateway

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// service is what a client may ask for.
type service string

const (
	uploadPack    service = "git-upload-pack"
	receivePack   service = "git-receive-pack"
	uploadArchive service = "git-upload-archive"
)

// subcommand is the service as git names it.
func (s service) subcommand() string { return strings.TrimPrefix(string(s), "git-") }

// The bounds of what a client may send.
const (
	maxCommand = 1 << 10
	maxPath    = 256
)

// errCommand says that a command is none that the gateway runs. Its message is
// for the client.
var errCommand = errors.New("this server runs git-upload-pack, git-receive-pack and git-upload-archive, each with one path")

// parseCommand reads what a git client sends: the name of a service and one
// path, quoted as git quotes it for a shell (sq_quote_buf in quote.c) or plain.
// There is no shell, and what only a shell would make sense of is refused. The
// path comes back clean: without a slash at its ends and without "." and "..".
func parseCommand(raw string) (service, string, error) {
	if len(raw) > maxCommand {
		return "", "", fmt.Errorf("the command has more than %d bytes: %w", maxCommand, errCommand)
	}
	name, argument, _ := strings.Cut(raw, " ")
	asked := service(name)
	if asked != uploadPack && asked != receivePack && asked != uploadArchive {
		return "", "", errCommand
	}
	path, err := unquote(argument)
	if err != nil {
		return "", "", fmt.Errorf("%w: %w", err, errCommand)
	}
	path, err = cleanPath(path)
	return asked, path, err
}

// unquote reads one word, which quotes may surround. Within them git ends and
// begins the quotes anew for a quote and an exclamation mark: '\” and '\!'.
func unquote(word string) (string, error) {
	var out strings.Builder
	quoted := false
	for i := 0; i < len(word); i++ {
		c := word[i]
		switch {
		case c == '\'':
			quoted = !quoted
		case quoted:
			out.WriteByte(c)
		case c == '\\' && i+1 < len(word) && (word[i+1] == '\'' || word[i+1] == '!'):
			i++
			out.WriteByte(word[i])
		case strings.IndexByte(plainMarks, c) >= 0, '0' <= c && c <= '9', 'A' <= c && c <= 'Z', 'a' <= c && c <= 'z', c >= utf8.RuneSelf:
			out.WriteByte(c)
		default:
			return "", errors.New("the path is not quoted as git quotes it")
		}
	}
	if quoted {
		return "", errors.New("a quote is not closed")
	}
	return out.String(), nil
}

// plainMarks need no quotes.
const plainMarks = "/._-+@:,=~"

// cleanPath judges the path that names a repository.
func cleanPath(path string) (string, error) {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	switch {
	case path == "":
		return "", fmt.Errorf("the path is empty: %w", errCommand)
	case len(path) > maxPath:
		return "", fmt.Errorf("the path has more than %d bytes: %w", maxPath, errCommand)
	case !utf8.ValidString(path) || strings.IndexFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) >= 0:
		return "", fmt.Errorf("the path holds characters that cannot be seen: %w", errCommand)
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." || part[0] == '-' {
			return "", fmt.Errorf("the path %q is not clean: %w", path, errCommand)
		}
	}
	return path, nil
}
