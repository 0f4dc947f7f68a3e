package main

import (
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/blameprompt/enterprise/notes/ingest"
)

// progress shows how far a fetch is, on a terminal only. It is used by one
// goroutine at a time.
type progress struct {
	app  *app
	name string
	max  int
	// counted says that the bar shows how many are done.
	counted bool
	bar     *progressbar.ProgressBar
}

func (a *app) newProgress() *progress { return &progress{app: a} }

// stage shows that something goes on whose end is not known.
func (p *progress) stage(name string) { p.show(name, 0, 0) }

// ingest is an ingest.Progress.
func (p *progress) ingest(stage ingest.Stage, done, total int) { p.show(string(stage), done, total) }

func (p *progress) show(name string, done, total int) {
	if !p.app.terminal {
		return
	}
	counted := done > 0 || total > 0
	if p.bar == nil || p.name != name || p.max != total || p.counted != counted {
		p.begin(name, total, counted)
	}
	// A terminal that is gone is no reason to stop the work.
	_ = p.bar.Set(done)
}

func (p *progress) begin(name string, total int, counted bool) {
	p.end()
	shown := total
	if shown <= 0 {
		shown = -1
	}
	p.name, p.max, p.counted = name, total, counted
	options := []progressbar.Option{
		progressbar.OptionSetWriter(p.app.stderr),
		progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionSetPredictTime(total > 0),
		progressbar.OptionClearOnFinish(),
	}
	if counted {
		options = append(options, progressbar.OptionShowCount())
	}
	p.bar = progressbar.NewOptions(shown, options...)
}

// end takes the bar off the terminal.
func (p *progress) end() {
	if p.bar == nil {
		return
	}
	_ = p.bar.Finish()
	p.bar = nil
}
