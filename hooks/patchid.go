package hooks

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"hash"
)

// patchID computes what git patch-id --stable (2.39 and later) prints for
// a patch. It is done here and not by a child so that one reading of the diff
// gives counts and id, and so that the id does not depend on the version of
// git: reviews are bound to it.
//
// The id is the sum of the hashes of all files, each with its header, without
// white space and line numbers. Files without hunks are hashed with the next
// one.
type patchID struct {
	hash hash.Hash
	sum  []byte
	used bool
	buf  []byte
}

func newPatchID(format string) *patchID {
	p := &patchID{hash: sha1.New()}
	if format == "sha256" {
		p.hash = sha256.New()
	}
	p.sum = make([]byte, p.hash.Size())
	return p
}

// add takes a line or a part of one.
func (p *patchID) add(line []byte) {
	p.used = true
	p.buf = p.buf[:0]
	for len(line) > 0 {
		blank := bytes.IndexAny(line, " \t\r\n")
		if blank < 0 {
			blank = len(line)
		}
		p.buf = append(p.buf, line[:blank]...)
		line = line[min(blank+1, len(line)):]
	}
	p.hash.Write(p.buf)
}

// endFile adds the hash of what came since the last end to the sum.
func (p *patchID) endFile() {
	carry := 0
	for i, b := range p.hash.Sum(p.buf[:0]) {
		carry += int(p.sum[i]) + int(b)
		p.sum[i] = byte(carry)
		carry >>= 8
	}
	p.hash.Reset()
}

// take returns the id of the patch, "" for an empty one, and starts anew.
func (p *patchID) take() string {
	p.endFile()
	id := hex.EncodeToString(p.sum)
	if !p.used {
		id = ""
	}
	clear(p.sum)
	p.used = false
	return id
}
