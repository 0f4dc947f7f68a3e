// Command blameprompt-hook is what a git server runs before and after a push:
// pre-receive asks the daemon whether the push may be accepted, post-receive
// tells it that it was, and proc-receive hands git's dialogue to the gateway
// whose session it is in.
//
// "blamepromptd hooks install" puts it in place; package hooks is the work.
// The program holds no database credentials and reads no configuration: all
// that it is told stands on its command line, in a file that the server's
// administrator owns. The one variable that it heeds, BLAMEPROMPT_SOCKET, is
// read where the command line names no daemon, as in the gateway's sessions.
//
// It is static, small and quick to start, since every push waits for it; tests
// keep it so.
package main
