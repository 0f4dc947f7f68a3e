package store

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/policy/access"
)

// The modes of a repository.
const (
	ModeAdvisory  = "advisory"
	ModeEnforcing = "enforcing"
)

// The receipt modes of a repository.
const (
	ReceiptsDeferred = "deferred"
	ReceiptsWait     = "wait"
	ReceiptsSamePush = "same-push"
)

// NotesProtection says what becomes of a push that deletes or rewinds a notes ref
// of a repository, or brings notes that are too large to be read.
type NotesProtection string

// By the mode, such a push is refused in an enforcing repository and warned of in
// an advisory one.
const (
	NotesByMode  NotesProtection = "mode"
	NotesRefuse  NotesProtection = "refuse"
	NotesWarn    NotesProtection = "warn"
	NotesWithout NotesProtection = "off"
)

var notesProtections = []NotesProtection{NotesByMode, NotesRefuse, NotesWarn, NotesWithout}

// RepoSettings change how a repository is judged, served and counted; nil and
// "" keep what is there.
type RepoSettings struct {
	Mode            string
	ReceiptMode     string
	Grace           *time.Duration
	Gateway         Gateway
	ForwardNotes    *bool
	NotesProtection NotesProtection
	// ExcludedPaths are all globs of paths whose lines do not count, in their
	// order; empty and not nil for none.
	ExcludedPaths []string
	// Reattach says whether notes of commits that were left behind may speak of
	// others.
	Reattach *bool
}

// Empty reports whether nothing is to be changed.
func (in *RepoSettings) Empty() bool {
	return in.Mode == "" && in.ReceiptMode == "" && in.Grace == nil && in.Gateway == "" && in.ForwardNotes == nil &&
		in.NotesProtection == "" && in.ExcludedPaths == nil && in.Reattach == nil
}

// MaxGrace is the longest time for which receipts may be late.
const MaxGrace = 7 * 24 * time.Hour

// UpdateRepo changes the settings of a repository, removed ones included: what
// is pushed to them is judged as well.
func (db *DB) UpdateRepo(ctx context.Context, by access.Principal, id uuid.UUID, in RepoSettings) (Repo, error) {
	if err := in.check(); err != nil {
		return Repo{}, err
	}
	var grace *int
	if in.Grace != nil {
		seconds := int(*in.Grace / time.Second)
		grace = &seconds
	}
	var repo Repo
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		repo, err = collectOne[Repo](ctx, tx, "changing repository "+id.String(), `
			UPDATE repos SET mode = coalesce(nullif($3, ''), mode), receipt_mode = coalesce(nullif($4, ''), receipt_mode),
				grace_seconds = coalesce($5, grace_seconds), gateway = coalesce(nullif($6, ''), gateway),
				forward_notes = coalesce($7, forward_notes), excluded_paths = coalesce($8, excluded_paths),
				notes_protection = coalesce(nullif($9, ''), notes_protection), reattach = coalesce($10, reattach)
			WHERE org_id = $1 AND id = $2 RETURNING `+repoColumns, by.Org, id, in.Mode, in.ReceiptMode, grace, in.Gateway, in.ForwardNotes,
			in.ExcludedPaths, in.NotesProtection, in.Reattach)
		if err != nil {
			return err
		}
		if in.Gateway == GatewayForwarding && repo.RemoteURL == nil {
			return &InvalidError{"gateway", "a forwarding repository needs a remote, and this one has none"}
		}
		return tx.Audit(ctx, by, "repo.update", repo.Name, map[string]any{
			"mode": repo.Mode, "receipt_mode": repo.ReceiptMode, "grace_seconds": repo.GraceSeconds,
			"gateway": repo.Gateway, "forward_notes": repo.ForwardNotes,
			"excluded_paths": repo.ExcludedPaths, "notes_protection": repo.NotesProtection,
			"reattach": repo.Reattach})
	})
	return repo, err
}

func (in RepoSettings) check() error {
	if err := checkGlobs(in.ExcludedPaths); err != nil {
		return err
	}
	switch {
	case in.Mode != "" && in.Mode != ModeAdvisory && in.Mode != ModeEnforcing:
		return &InvalidError{"mode", "use advisory or enforcing"}
	case in.ReceiptMode != "" && !slices.Contains([]string{ReceiptsDeferred, ReceiptsWait, ReceiptsSamePush}, in.ReceiptMode):
		return &InvalidError{"receipt_mode", "use deferred, wait or same-push"}
	case in.Grace != nil && (*in.Grace < 0 || *in.Grace > MaxGrace || *in.Grace%time.Second != 0):
		return &InvalidError{"grace", "use whole seconds from 0 to 168h"}
	case in.Gateway != "" && !in.Gateway.known():
		return &InvalidError{"gateway", "use off, hosted or forwarding"}
	case in.NotesProtection != "" && !slices.Contains(notesProtections, in.NotesProtection):
		return &InvalidError{"notes_protection", "use mode, refuse, warn or off"}
	}
	return nil
}

func checkGlobs(globs []string) error {
	for _, glob := range globs {
		if clean(glob) != glob {
			return &InvalidError{"excluded_paths", "use UTF-8 without U+0000"}
		}
	}
	if _, err := lines.NewExcluder(globs); err != nil {
		return &InvalidError{"excluded_paths", err.Error()}
	}
	return nil
}
