package gateway

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/pktline"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// errAdvertisement says that receive-pack did not begin as git does.
var errAdvertisement = errors.New("advertisement of receive-pack is not readable")

// advertisement is what receive-pack says first (gitprotocol-pack(5), in
// versions 0 and 1) with some refs hidden: clients then push these without
// comparing, and proc-receive merges what comes. Nobody loses a race for a ref
// that nobody sees.
type advertisement struct {
	// hide are full names of refs.
	hide []string
	// haves are commits that stand for a hidden ref, so that clients do not send
	// what is here already.
	haves func(ref string, tip gitcmd.OID) ([]gitcmd.OID, error)

	out          bytes.Buffer
	capabilities string
	// seen and sent say that the first ref was read and that one was written.
	seen, sent bool
}

const (
	// noRefs stands for a ref where there is none.
	noRefs = "capabilities^{}"
	// have is the name in a line that tells of an object and of no ref.
	have = ".have"
)

// copy hands the advertisement on, and then all that follows as it is.
func (a *advertisement) copy(w io.Writer, r io.Reader) error {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if err := a.filter(buffered); err != nil {
		return err
	}
	if _, err := a.out.WriteTo(w); err != nil {
		return err
	}
	_, err := io.Copy(w, buffered)
	return err
}

// filter reads up to the flush packet and no further.
func (a *advertisement) filter(r io.Reader) error {
	in := pktline.NewScanner(r)
	for in.Scan() {
		if len(in.Bytes()) == 0 {
			return a.end()
		}
		if err := a.line(strings.TrimSuffix(string(in.Bytes()), "\n")); err != nil {
			return err
		}
	}
	// An error packet ends the talk, and the client is to read it.
	var refused *pktline.ErrorLine
	if errors.As(in.Err(), &refused) {
		return a.write("ERR " + refused.Text)
	}
	return fmt.Errorf("it has no end: %w", errors.Join(errAdvertisement, in.Err()))
}

// line takes one packet.
func (a *advertisement) line(line string) error {
	if !a.seen && line == "version 1" {
		return a.write(line)
	}
	if !a.seen {
		line, a.capabilities, _ = strings.Cut(line, "\x00")
		a.seen = true
	}
	// Where history ends is told behind all refs.
	if strings.HasPrefix(line, "shallow ") {
		return errors.Join(a.putNoRefs(), a.write(line))
	}
	id, name, ok := strings.Cut(line, " ")
	oid, err := gitcmd.ParseOID(id)
	if !ok || err != nil {
		return fmt.Errorf("line %.100q: %w", line, errAdvertisement)
	}
	switch {
	case name == noRefs:
		return nil
	case slices.Contains(a.hide, name):
		return a.putHaves(name, oid)
	}
	return a.put(oid, name)
}

func (a *advertisement) putHaves(ref string, tip gitcmd.OID) error {
	haves, err := a.haves(ref, tip)
	if err != nil {
		return err
	}
	for _, oid := range haves {
		if err := a.put(oid, have); err != nil {
			return err
		}
	}
	return nil
}

// put writes a ref, the first with the capabilities.
func (a *advertisement) put(oid gitcmd.OID, name string) error {
	line := string(oid) + " " + name
	if !a.sent {
		line += "\x00" + a.capabilities
	}
	a.sent = true
	return a.write(line)
}

func (a *advertisement) putNoRefs() error {
	if a.sent {
		return nil
	}
	return a.put(gitcmd.ZeroOID, noRefs)
}

func (a *advertisement) end() error {
	if !a.seen {
		return fmt.Errorf("it has no capabilities: %w", errAdvertisement)
	}
	return errors.Join(a.putNoRefs(), pktline.NewEncoder(&a.out).Flush())
}

func (a *advertisement) write(line string) error {
	return pktline.NewEncoder(&a.out).EncodeString(line + "\n")
}
