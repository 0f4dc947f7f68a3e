package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

func main() { os.Exit(runMain()) }

// runMain is main without the exit.
func runMain() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	// From the first signal on the next one ends the process at once.
	context.AfterFunc(ctx, stop)
	return run(ctx, process(), os.Args[1:]...)
}
