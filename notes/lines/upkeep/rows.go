package upkeep

import (
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/store"
)

func toRow(f *live.File) *store.LiveFile {
	row := &store.LiveFile{Path: f.Path, Blob: string(f.Blob), Kind: string(f.Kind), Excluded: string(f.Excluded), Lines: int32(f.Lines),
		Runs: make([]store.LiveRun, len(f.Runs)), Finding: f.Finding}
	for i, r := range f.Runs {
		row.Runs[i] = store.LiveRun{First: int32(r.First), Last: int32(r.Last), Commit: string(r.Commit), OriginPath: r.Path, OriginLine: int32(r.Line)}
	}
	return row
}

// fromRow is a stored file. Its runs are split where classes change.
func fromRow(row *store.LiveFile) *live.File {
	f := &live.File{Path: row.Path, Blob: gitcmd.OID(row.Blob), Kind: live.Kind(row.Kind), Excluded: lines.Reason(row.Excluded),
		Lines: uint32(row.Lines), Runs: make([]live.Run, len(row.Runs))}
	for i, r := range row.Runs {
		f.Runs[i] = live.Run{
			LineRange: notes.LineRange{First: uint32(r.First), Last: uint32(r.Last)},
			Origin:    live.Origin{Commit: gitcmd.OID(r.Commit), Path: r.OriginPath, Line: uint32(r.OriginLine)},
		}
	}
	return f
}
