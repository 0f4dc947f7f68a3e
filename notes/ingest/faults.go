package ingest

import (
	"errors"
	"fmt"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/store"
)

// Codes of the findings about notes and refs as git holds them, documented in
// docs/findings.md; what bodies say wrong is found by package notes.
const (
	codeMissing    = store.CodeMissing
	codeTooLarge   = "note_too_large"
	codeNotABlob   = "note_not_a_blob"
	codeRewritten  = "notes_ref_rewritten"
	codeDeleted    = "notes_ref_deleted"
	codeNotACommit = "notes_ref_not_a_commit"
	codeIncomplete = "notes_history_incomplete"
)

// unreadable says why a note's object cannot be parsed. Its body is not noted
// as read, so that a later run tries again.
func unreadable(pair store.Pair, o gitcmd.Object) (store.Fault, bool) {
	finding := notes.Finding{Severity: notes.Error}
	switch {
	case o.Type == gitcmd.Missing:
		finding.Code = codeMissing
		finding.Message = "The mirror does not have this note's object. It is read when a later fetch brings it."
	case o.Type != "blob":
		finding.Code = codeNotABlob
		finding.Message = fmt.Sprintf("The note is a git %s, not a blob. Nothing was read from it.", o.Type)
	case o.Data == nil && o.Size > 0:
		finding.Code = codeTooLarge
		finding.Message = fmt.Sprintf("The note has %d bytes; notes above %d bytes are not read.", o.Size, notes.MaxBody)
	default:
		return store.Fault{}, false
	}
	return store.Fault{Pair: pair, Finding: finding}, true
}

// rewritten tells that the ref left its old tip behind.
func (r *refRun) rewritten() store.Fault {
	finding := notes.Finding{Code: codeRewritten, Severity: notes.Warning, Where: r.old,
		Message: fmt.Sprintf("%s moved from %.12s to %.12s, which does not descend from it. "+
			"The receipts of the old tip are kept as superseded versions.", r.src.Ref, r.old, r.tip)}
	if r.tip == "" {
		finding.Code = codeDeleted
		finding.Message = fmt.Sprintf("%s was deleted at %.12s. Its receipts are kept as superseded versions.", r.src.Ref, r.old)
	}
	return store.Fault{Finding: finding}
}

func (r *refRun) damaged(err error) store.Fault {
	var missing *gitcmd.MissingObjectError
	where := ""
	if errors.As(err, &missing) {
		where = string(missing.OID)
	}
	return store.Fault{Finding: notes.Finding{Code: codeIncomplete, Severity: notes.Error, Where: where,
		Message: fmt.Sprintf("The history of %s lacks an object, so older versions of notes may be missing. "+
			"The notes at its tip were read.", r.src.Ref)}}
}

func notACommit(ref gitcmd.Ref) store.Fault {
	return store.Fault{Finding: notes.Finding{Code: codeNotACommit, Severity: notes.Error, Where: string(ref.OID),
		Message: fmt.Sprintf("%s points at %.12s, which is no commit. Its notes stay as they were last read.", ref.Name, ref.OID)}}
}
