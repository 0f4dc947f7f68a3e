package enforce

import (
	"cmp"
	"math"
	"slices"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// classifier gives the added lines of a push's commits to their owners, from
// what the hook measured and the notes say.
type classifier struct {
	notes map[gitcmd.OID][]*hooks.Note
	// byBlob are the claims of all receipts with a blob: an exact content is known
	// wherever its receipt is attached.
	byBlob map[gitcmd.OID][]claim
	// agents says that what commits say of themselves counts where no note speaks:
	// not while a note may still come, nor for what the forge made itself.
	agents bool
	paths  lines.Excluder
}

// claim is a receipt's claim with the commit whose note holds it.
type claim struct {
	lines.Claim
	at     int64
	commit gitcmd.OID
}

func newClassifier(found []hooks.Note, agents bool) *classifier {
	c := &classifier{notes: map[gitcmd.OID][]*hooks.Note{}, byBlob: map[gitcmd.OID][]claim{}, agents: agents}
	for i := range found {
		note := &found[i]
		c.notes[note.Commit] = append(c.notes[note.Commit], note)
		for _, claimed := range claimsOf(note) {
			if !claimed.Blob.IsZero() {
				c.byBlob[claimed.Blob] = append(c.byBlob[claimed.Blob], claimed)
			}
		}
	}
	return c
}

// claimsOf are the claims of the receipts of a BlamePrompt note. Git-ai logs
// attest lines instead.
func claimsOf(note *hooks.Note) []claim {
	if notes.RefFormats[note.Ref] == notes.FormatGitAI || note.Ref == store.UploadRef || note.Unread != "" {
		return nil
	}
	var claims []claim
	for _, r := range note.Receipts {
		for _, f := range r.Files {
			one := claim{at: r.Timestamp.UnixNano(), commit: note.Commit, Claim: lines.Claim{
				ReceiptID: r.ID, Path: f.Path, First: f.Lines[0], Last: f.Lines[1], Blob: gitcmd.OID(f.Blob)}}
			if r.Timestamp.IsZero() {
				one.at = math.MinInt64
			}
			// Importers write line 1 for every file whose lines they do not know.
			if f.Lines == (hooks.Run{1, 1}) && f.Blob == "" {
				one.First, one.Last = 0, 0
			}
			claims = append(claims, one)
		}
	}
	return claims
}

// classify sets the classes of the files of a commit.
func (c *classifier) classify(measured *hooks.Commit, to *push.Commit) {
	files := make([]lines.File, len(measured.Files))
	at := make(map[*lines.File]*push.File, len(files))
	reasons := make(map[*lines.File]lines.Reason, len(files))
	for i, f := range measured.Files {
		files[i] = lines.File{Path: f.Path, OldPath: f.From, Blob: f.Blob, Added: ranges(f.Runs), Binary: f.Binary}
		at[&files[i]] = &to.Files[i]
		reasons[&files[i]] = c.paths.Reason(f.Path, false, lines.Attributes{})
		to.Files[i].Excluded = reasons[&files[i]] != ""
	}
	evidence := c.evidence(measured)
	classed, _ := lines.Classify(files, evidence, func(f *lines.File) lines.Reason { return reasons[f] })
	for _, f := range classed {
		at[f.File].AI, at[f.File].Human = f.Counts.AI, f.Counts.Human
	}
	to.Noted = evidence.Noted
}

// evidence gathers what speaks for the lines of a commit.
func (c *classifier) evidence(commit *hooks.Commit) lines.Evidence {
	var e lines.Evidence
	var claims []claim
	for _, note := range c.notes[commit.OID] {
		if note.Unread != "" {
			continue
		}
		e.Noted = true
		for _, a := range note.Attestations {
			e.Attestations = append(e.Attestations, notes.Attestation{
				Path: a.Path, Class: a.Class, ReceiptID: a.ReceiptID, Lines: ranges(a.Runs)})
		}
		for _, own := range claimsOf(note) {
			own.Attached = true
			claims = append(claims, own)
		}
	}
	for _, f := range commit.Files {
		for _, other := range c.byBlob[f.Blob] {
			if other.commit != commit.OID {
				claims = append(claims, other)
			}
		}
	}
	slices.SortStableFunc(claims, func(a, b claim) int { return cmp.Compare(a.at, b.at) })
	for _, one := range claims {
		e.Claims = append(e.Claims, one.Claim)
	}
	if c.agents && len(commit.Marks) > 0 {
		e.Agent = commit.Marks[0].Agent
	}
	return e
}

// ranges are runs as package lines has them; runs that no file can have are
// left out.
func ranges(runs []hooks.Run) []notes.LineRange {
	out := make([]notes.LineRange, 0, len(runs))
	for _, r := range runs {
		first, last := max(r[0], 1), min(r[1], notes.MaxLine)
		if first <= last {
			out = append(out, notes.LineRange{First: uint32(first), Last: uint32(last)})
		}
	}
	return out
}
