// Command cluster runs a command beside one PostgreSQL server for tests:
//
//	go run ./store/storetest/cluster -- go test ./...
//
// The command finds the server in BLAMEPROMPT_TEST_DATABASE_URL; if that is set
// already, no server is started. The exit code is the command's own.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
	"time"

	"github.com/blameprompt/enterprise/store/storetest"
)

// Exit codes beside the command's own, as shells use them.
const (
	exitUsage   = 2
	exitFailed  = 125
	exitNoStart = 127
	exitSignal  = 128
)

func main() {
	args := os.Args[1:]
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		fmt.Fprintln(os.Stderr, "usage: cluster [--] command [argument ...]")
		os.Exit(exitUsage)
	}
	code, err := run(args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "cluster:", err)
	}
	os.Exit(code)
}

func run(args []string) (code int, err error) {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if os.Getenv(storetest.EnvURL) != "" {
		return runCommand(args, nil, signals)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	server, err := storetest.StartServer(ctx)
	if err != nil {
		return exitFailed, err
	}
	code, err = runCommand(args, []string{storetest.EnvURL + "=" + server.URL}, signals)
	if stopErr := server.Stop(context.Background()); stopErr != nil {
		return max(code, exitFailed), errors.Join(err, stopErr)
	}
	return code, err
}

// runCommand runs the command and hands it the signals that would otherwise
// end this process; a terminal's Ctrl-C reaches the command by itself, too.
func runCommand(args, env []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), env...)
	if err := cmd.Start(); err != nil {
		return exitNoStart, err
	}
	ended := make(chan struct{})
	go forward(cmd.Process, signals, ended)
	err := cmd.Wait()
	close(ended)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return exitFailed, err
	}
	return exitCode(cmd.ProcessState), nil
}

func forward(to *os.Process, signals <-chan os.Signal, ended <-chan struct{}) {
	for {
		select {
		case s := <-signals:
			// The command may have ended just now; then there is nobody to tell.
			_ = to.Signal(s)
		case <-ended:
			return
		}
	}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return exitSignal + int(status.Signal())
	}
	return state.ExitCode()
}
