package live

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/blameprompt/enterprise/notes/lines/live/livetest"
)

// BenchmarkLiveBuild makes the live map of a tip and compares with a shell that
// blames the same files, as many at a time; at most 1.15 times as long is
// promised.
func BenchmarkLiveBuild(b *testing.B) {
	f, tips := livetest.Mainline(b)
	tip := tips[len(tips)-1]
	m := memory{}
	var git, own livetest.Cost
	for b.Loop() {
		own.Of(func() {
			if err := Build(b.Context(), f.Repo, tip, Options{Workers: livetest.Processes}, m.put); err != nil {
				b.Fatal(err)
			}
		})
		paths := slices.Sorted(maps.Keys(m))
		git.Of(func() { livetest.Shell(b, f, livetest.Processes, string(tip), paths) })
	}
	livetest.Report(b, git, own)
}

// BenchmarkLiveUpdate brings a live map over a merge of ten changed files, whose
// branch began before the old tip, and compares with a shell that blames the same
// files within the range; at most 1.5 times as long is promised.
func BenchmarkLiveUpdate(b *testing.B) {
	f, tips := livetest.Mainline(b)
	old, tip := tips[len(tips)-2], tips[len(tips)-1]
	m := memory{}
	if err := Build(b.Context(), f.Repo, old, Options{}, m.put); err != nil {
		b.Fatal(err)
	}
	for _, processes := range []int{1, livetest.Processes} {
		b.Run(fmt.Sprintf("processes=%d", processes), func(b *testing.B) {
			var git, own livetest.Cost
			for b.Loop() {
				var paths []string
				own.Of(func() {
					err := Update(b.Context(), f.Repo, old, tip, m.stored, Options{Workers: processes}, func(f *File) error {
						paths = append(paths, f.Path)
						return nil
					})
					if err != nil || len(paths) != livetest.LargeChanged {
						b.Fatal(paths, err)
					}
				})
				git.Of(func() { livetest.Shell(b, f, processes, string(old)+".."+string(tip), paths) })
			}
			livetest.Report(b, git, own)
		})
	}
}
