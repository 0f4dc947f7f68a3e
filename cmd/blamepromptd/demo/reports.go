package demo

import (
	"time"

	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/store"
)

// reports are asked for by the administrator, on the days of the story.
func (s *story) reports() {
	s.report(61, store.Report{Type: "soc2", Format: "pdf", Paper: "A4"})
	s.report(75, store.Report{Type: "gdpr", Format: "html", Paper: "A4", Teams: []string{teamData}})
	s.report(89, store.Report{Type: "audit", Format: "csv", Paper: "A4", Repos: []string{repoPayments, repoInfra}})
}

// report is of the month before.
func (s *story) report(n int, r store.Report) {
	if s.cfg.ReportDir == "" {
		return
	}
	r.FirstDay, r.LastDay = s.day(n-30), s.day(n-1)
	s.then(s.day(n).Add(7*time.Hour+45*time.Minute), func(w *world) error {
		err := w.cfg.DB.InTx(w.ctx, func(tx *store.Tx) error {
			_, err := tx.CreateReport(w.ctx, w.as(s.people[0]), r)
			return err
		})
		if err != nil {
			return err
		}
		writer := &compliance.Writer{DB: w.cfg.DB, Dir: w.cfg.ReportDir, Log: w.cfg.Log, Now: w.clock}
		return writer.Work(w.ctx)
	})
}
