package main

import (
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress shows how much of a known amount is done, to a person only.
type progress struct{ bar *progressbar.ProgressBar }

func (a *app) newProgress(name string, total int) *progress {
	if !a.watched || total == 0 {
		return &progress{}
	}
	return &progress{bar: progressbar.NewOptions(total,
		progressbar.OptionSetWriter(a.stderr),
		progressbar.OptionSetDescription(name),
		progressbar.OptionSetWidth(30),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionShowCount(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionClearOnFinish(),
	)}
}

func (p *progress) add(n int) {
	if p.bar != nil {
		// A terminal that is gone is no reason to stop the work.
		_ = p.bar.Add(n)
	}
}

// end takes the bar off the terminal.
func (p *progress) end() {
	if p.bar != nil {
		_ = p.bar.Finish()
	}
}
