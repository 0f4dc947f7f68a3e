package gateway

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// errProcReceive says that the other side does not speak as receive-pack does
// with a proc-receive hook (githooks(5)).
var errProcReceive = errors.New("input of proc-receive is not readable")

// procRequest is what receive-pack asks of a proc-receive hook.
type procRequest struct {
	commands []procCommand
	options  []string
}

// procCommand is one update. old is what the client believes, which saw no
// such ref.
type procCommand struct {
	old, new gitcmd.OID
	ref      string
}

// procReport is what became of a command.
type procReport struct {
	ref string
	// refusal is why nothing was done, empty for success.
	refusal string
	// old and new are the true values behind a success.
	old, new gitcmd.OID
}

// The bounds of what is read. Only few refs are handed to the hook at all.
const (
	maxProcCommands = 100
	maxProcOptions  = 100
)

// readProcRequest does the handshake and reads the commands: what it wants to
// know comes in r, and what it says to that goes to w.
func readProcRequest(r io.Reader, w io.Writer) (procRequest, error) {
	in := packets{pktline.NewScanner(r)}
	hello, err := in.section(2)
	if err != nil {
		return procRequest{}, err
	}
	features, err := greet(hello, w)
	if err != nil {
		return procRequest{}, err
	}
	var request procRequest
	lines, err := in.section(maxProcCommands)
	if err != nil {
		return procRequest{}, err
	}
	for _, line := range lines {
		command, err := parseProcCommand(line)
		if err != nil {
			return procRequest{}, err
		}
		request.commands = append(request.commands, command)
	}
	if slices.Contains(features, "push-options") {
		request.options, err = in.section(maxProcOptions)
	}
	return request, err
}

// greet answers "version=1" and returns the features that both sides have.
// Without any the line has no NUL.
func greet(hello []string, w io.Writer) ([]string, error) {
	if len(hello) == 0 {
		return nil, fmt.Errorf("nothing is said of the version: %w", errProcReceive)
	}
	version, offered, _ := strings.Cut(hello[0], "\x00")
	if version != "version=1" {
		return nil, fmt.Errorf("version %.40q is not known: %w", version, errProcReceive)
	}
	var common []string
	for _, feature := range strings.Fields(offered) {
		if feature == "push-options" || feature == "atomic" {
			common = append(common, feature)
		}
	}
	answer := version
	if len(common) > 0 {
		answer += "\x00" + strings.Join(common, " ")
	}
	out := pktline.NewEncoder(w)
	return common, errors.Join(out.EncodeString(answer+"\n"), out.Flush())
}

func parseProcCommand(line string) (procCommand, error) {
	fields := strings.Split(line, " ")
	if len(fields) != 3 {
		return procCommand{}, fmt.Errorf("%.100q is not an old id, a new id and a ref: %w", line, errProcReceive)
	}
	command := procCommand{old: gitcmd.OID(fields[0]), new: gitcmd.OID(fields[1]), ref: fields[2]}
	for _, oid := range []gitcmd.OID{command.old, command.new} {
		if _, err := gitcmd.ParseOID(string(oid)); err != nil {
			return procCommand{}, fmt.Errorf("%w: %w", err, errProcReceive)
		}
	}
	if !strings.HasPrefix(command.ref, "refs/") {
		return procCommand{}, fmt.Errorf("%.100q is not the name of a ref: %w", command.ref, errProcReceive)
	}
	return command, nil
}

// packets reads pkt-lines up to a flush.
type packets struct{ *pktline.Scanner }

// section returns the lines before the next flush, at most limit.
func (p packets) section(limit int) ([]string, error) {
	var lines []string
	for p.Scan() {
		if len(p.Bytes()) == 0 {
			return lines, nil
		}
		if len(lines) == limit {
			return nil, fmt.Errorf("more than %d lines: %w", limit, errProcReceive)
		}
		lines = append(lines, strings.TrimSuffix(string(p.Bytes()), "\n"))
	}
	return nil, fmt.Errorf("it ends too early: %w", errors.Join(errProcReceive, p.Err()))
}

// writeProcReports says what became of the commands. The true values reach the
// client, and the post-receive hook, as options.
func writeProcReports(w io.Writer, reports []procReport) error {
	out := pktline.NewEncoder(w)
	for _, r := range reports {
		lines := []string{"ng " + r.ref + " " + r.refusal}
		if r.refusal == "" {
			lines = []string{"ok " + r.ref, "option old-oid " + string(r.old), "option new-oid " + string(r.new)}
		}
		for _, line := range lines {
			if err := out.EncodeString(line + "\n"); err != nil {
				return fmt.Errorf("reporting: %w", err)
			}
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("reporting: %w", err)
	}
	return nil
}
