package compliance

import (
	"bufio"
	"context"
	"flag"
	"os"
	"runtime/metrics"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var benchReceipts = flag.Int("receipts", 1_000_000, "receipts in the larger database of BenchmarkReports; the smaller has a tenth")

// BenchmarkReports measures reports over a million receipts with their commits,
// lines, pushes and violations, from taking a request up to the file with its
// SHA-256:
//
//	go test -run '^$' -bench BenchmarkReports -benchtime 1x -timeout 60m ./httpapi/report/compliance
//
// The same over a tenth of them shows whether memory grows with the rows. The
// floor is the database and its driver: the rows are read and only counted.
func BenchmarkReports(b *testing.B) {
	for _, n := range []int{*benchReceipts / 10, *benchReceipts} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			dsn, org := storetest.Filled(b, n)
			w := &world{db: storetest.OpenDSN(b, dsn), org: org, by: access.CLI(org.ID)}
			b.Run("floor", func(b *testing.B) { measureFloor(b, w) })
			for _, made := range []store.Report{{Type: "audit", Format: "csv"}, {Type: "audit", Format: "json"},
				{Type: "soc2", Format: "pdf"}, {Type: "gdpr", Format: "pdf"}} {
				b.Run(made.Type+"."+made.Format, func(b *testing.B) { measureReport(b, w, made) })
			}
		})
	}
}

// always is a period with everything.
func always(r store.Report) store.Report {
	r.FirstDay, r.LastDay = day(2020, 1, 1), time.Now().UTC().Truncate(24*time.Hour)
	return r
}

func measureReport(b *testing.B, w *world, asked store.Report) {
	writer := &Writer{DB: w.db, Dir: b.TempDir(), Log: zerolog.Nop()}
	desk := &Desk{DB: w.db, Dir: writer.Dir}
	for b.Loop() {
		r, err := desk.Ask(b.Context(), w.by, always(asked))
		if err != nil {
			b.Fatal(err)
		}
		heap := watchHeap()
		resetPeak(b)
		start := time.Now()
		if err := writer.Work(b.Context()); err != nil {
			b.Fatal(err)
		}
		took, top, rss := time.Since(start), heap(), peakRSS(b)
		r = w.finished(b, r.ID)
		b.ReportMetric(took.Seconds(), "s")
		b.ReportMetric(float64(r.Rows)/took.Seconds(), "rows/s")
		b.ReportMetric(float64(r.Bytes)/(1<<20), "MB")
		b.ReportMetric(top, "MB-heap")
		b.ReportMetric(rss, "MB-rss")
		b.ReportMetric(0, "ns/op")
		// The database is shared, and stays.
		if err := desk.Remove(b.Context(), w.by, r.ID); err != nil {
			b.Fatal(err)
		}
	}
}

func measureFloor(b *testing.B, w *world) {
	period := always(store.Report{})
	scope := store.ReportScope{Org: w.org, FirstDay: period.FirstDay, LastDay: period.LastDay, From: period.FirstDay, To: period.LastDay.AddDate(0, 0, 1)}
	for b.Loop() {
		start, n := time.Now(), 0
		err := w.db.ReadReport(b.Context(), scope, func(data *store.ReportData) error {
			for _, err := range data.Rows(b.Context(), store.ReportTrail) {
				if err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(time.Since(start).Seconds(), "s")
		b.ReportMetric(float64(n)/time.Since(start).Seconds(), "rows/s")
		b.ReportMetric(0, "ns/op")
	}
}

// watchHeap returns what ends the watch and tells the most that live and dead
// objects took, in megabytes.
func watchHeap() func() float64 {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	var most uint64
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	wg.Go(func() {
		for tick := time.Tick(5 * time.Millisecond); ctx.Err() == nil; {
			select {
			case <-ctx.Done():
			case <-tick:
				metrics.Read(sample)
				most = max(most, sample[0].Value.Uint64())
			}
		}
	})
	return func() float64 {
		cancel()
		wg.Wait()
		return float64(most) / (1 << 20)
	}
}

// resetPeak has the kernel forget the most memory that the process had (proc(5),
// clear_refs).
func resetPeak(b *testing.B) {
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		b.Fatal(err)
	}
}

// peakRSS is the most memory that the process had since, in megabytes.
func peakRSS(b *testing.B) float64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			kb, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			if err != nil {
				b.Fatal(err)
			}
			return float64(kb) / 1024
		}
	}
	b.Fatal("the kernel does not say VmHWM")
	return 0
}
