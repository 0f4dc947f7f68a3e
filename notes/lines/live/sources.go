package live

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/blameprompt/enterprise/notes"
)

// source is a file at which git blame stopped, because the old tip reaches its
// commit.
type source struct {
	// asked are the lines of it that came through.
	asked []notes.LineRange
	// runs are the origins of those at least.
	runs []Run
	// fault is why they are not known.
	fault *unreadableError
}

// sources finds out where the lines come from that git did not follow.
func (u *update) sources(ctx context.Context, jobs []job) (map[pair]*source, error) {
	sources := map[pair]*source{}
	for _, j := range jobs {
		for _, p := range j.pieces {
			if !p.boundary {
				continue
			}
			at := pair{p.Commit, p.Path}
			if sources[at] == nil {
				sources[at] = &source{}
			}
			s := sources[at]
			s.asked = append(s.asked, notes.LineRange{First: p.Line, Last: p.Line + (p.Last - p.First)})
		}
	}
	if err := u.meet(ctx, sources); err != nil {
		return nil, fmt.Errorf("updating the live map: %w", err)
	}
	if err := u.fromOld(ctx, sources); err != nil {
		return nil, err
	}
	if err := u.fromHistory(ctx, sources); err != nil {
		return nil, fmt.Errorf("updating the live map: %w", err)
	}
	return sources, nil
}

// meet finds out which of the files have the same lines as those at the old tip.
func (u *update) meet(ctx context.Context, sources map[pair]*source) error {
	var ask []pair
	for at := range sources {
		if _, asked := u.met[at]; asked {
			continue
		}
		if u.met[at] = at.commit == u.old; !u.met[at] {
			ask = append(ask, at)
		}
	}
	met, err := meet(ctx, u.repo, u.trees, u.old, ask)
	for at := range met {
		u.met[at] = true
	}
	return err
}

// fromOld takes what the old map knows out of it.
func (u *update) fromOld(ctx context.Context, sources map[pair]*source) error {
	wanted := map[string]bool{}
	for at := range sources {
		if u.met[at] {
			wanted[at.path] = true
		}
	}
	files, err := u.lookUp(ctx, slices.Sorted(maps.Keys(wanted)))
	if err != nil {
		return err
	}
	for at, s := range sources {
		if f := files[at.path]; u.met[at] && f != nil && f.Kind == KindText && s.within(f.Lines) {
			s.runs = f.Runs
		}
	}
	return nil
}

func (s *source) within(lines uint32) bool {
	return !slices.ContainsFunc(s.asked, func(r notes.LineRange) bool { return r.Last > lines })
}

// fromHistory follows the lines that the old map does not know on from where git
// stopped.
func (u *update) fromHistory(ctx context.Context, sources map[pair]*source) error {
	var open []pair
	for at, s := range sources {
		if s.runs == nil {
			open = append(open, at)
		}
	}
	return u.parallel(ctx, len(open), func(ctx context.Context, i int) error {
		at, s := open[i], sources[open[i]]
		pieces, err := u.blame(ctx, string(at.commit), at.path, united(s.asked))
		if fault := new(unreadableError); errors.As(err, fault) {
			s.fault, err = fault, nil
		}
		s.runs = runsOf(pieces)
		return err
	})
}

// compose gives the file of a job its runs.
func (j *job) compose(sources map[pair]*source) {
	if j.file.Kind != KindText {
		return
	}
	var runs []Run
	for _, p := range j.pieces {
		if !p.boundary {
			runs = append(runs, p.Run)
			continue
		}
		s := sources[pair{p.Commit, p.Path}]
		if s.fault != nil {
			j.file.unreadable(s.fault.code, s.fault.message)
			return
		}
		part, _ := cutOut(s.runs, p.Line, p.Last-p.First+1, p.First)
		runs = append(runs, part...)
	}
	j.file.setRuns(runs)
}
