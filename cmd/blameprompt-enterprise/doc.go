// Command blameprompt-enterprise is the small program for people at a shell and
// for CI jobs: it asks a BlamePrompt Enterprise server, and brings it receipts.
//
// # The tour
//
// A command (one per file) finds out whom to ask as whom (config.go: flags, the
// environment, the table [enterprise] of .blameprompt/config.toml, what
// "login" keeps in credentials.go), asks through the one client (client.go),
// whose errors are sentences for people, and prints a table, or with --json
// what the server answered (output.go).
//
// "check" reads the checkout of the working directory (local.go), describes the
// push that has not happened yet by the same code as the git server's hook
// (hooks.Preview), and prints the verdict in the hook's words. "sync" brings the
// notes that the server does not have (syncsend.go) and remembers what it
// brought (syncstate.go), so that it can be ended at any moment.
//
// Nothing is written but by "login" and "logout", which keep keys, and by
// "sync", below the git directory. A key is sent to the server that it is for
// and nowhere else. Text from servers and repositories is hostile and is
// printed without what a terminal would act upon.
//
// # Scripts
//
// testdata/script holds the end-to-end scripts: this program, real git, and the
// real daemon with a database of its own for each.
package main
