package main

import (
	"context"
	"net/http"
	"time"

	systemd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// supervised tells systemd (sd_notify(3)) that the daemon is ready, then that it
// is alive for as long as it answers over HTTP, and that it stops once ctx ends.
// Without systemd it does nothing.
func supervised(ctx context.Context, healthURL string, log zerolog.Logger) {
	interval, err := systemd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("systemd's watchdog cannot be served")
	}
	notify(log, systemd.SdNotifyReady)
	defer notify(log, systemd.SdNotifyStopping)
	if interval == 0 {
		<-ctx.Done()
		return
	}
	beat := time.NewTicker(interval / 3)
	defer beat.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			if err := answers(ctx, healthURL, interval/3); err != nil {
				log.Error().Err(err).Msg("the daemon does not answer itself; systemd will start it anew if it goes on")
				continue
			}
			notify(log, systemd.SdNotifyWatchdog)
		}
	}
}

func notify(log zerolog.Logger, state string) {
	if _, err := systemd.SdNotify(false, state); err != nil {
		log.Warn().Err(err).Str("state", state).Msg("systemd was not told")
	}
}

// answers asks whether the daemon serves requests, whatever the database does.
func answers(ctx context.Context, url string, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
