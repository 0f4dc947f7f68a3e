// Command blamepromptd is the daemon of BlamePrompt Enterprise and the tool to
// administer it.
//
// # The tour
//
// "serve" (serve.go) is the whole daemon in one process. It starts a private
// PostgreSQL unless it is given a database (database.go), migrates it, and then
// runs side by side
//
//   - the HTTP server: REST API, webhooks, health and metrics, all from package
//     httpapi, and a second one on a Unix socket for the hooks of this machine;
//   - the queue of package store/queue, whose workers fetch a repository into
//     its mirror (notes/mirror) and take its notes in (notes/ingest). Its tasks
//     judge what is due (hooks/enforce) and keep connections to forges in step
//     (hooks/connect).
//
// A webhook becomes a row and a demand in one transaction; a worker meets the
// demand; the receipts are in the store and in the API. What no event tells,
// the queue's sweeps find. Each part starts and stops by itself; when one
// fails, or a signal comes, the others are stopped in the order that loses
// nothing: no more requests, no more jobs, then the database.
//
// The other subcommands, one per file, do one thing each and talk to the
// database directly: through the daemon's private PostgreSQL while the daemon
// runs, else through one that they start for as long as they need it. They act
// as "cli" in the audit log: whoever may read the data directory is an
// administrator.
//
// # Configuration
//
// Config (config.go) is the one list of settings, and docs/configuration.md its
// table. A setting comes from its default, blamepromptd.toml, the environment
// or a flag, the later ones winning; settings.go does that for every field
// alike, and "blamepromptd config" shows the result. Nothing else in the
// program reads the environment.
//
// # Scripts
//
// testdata/script holds the end-to-end scripts: the real daemon, real git, a
// git server over HTTP, and a database of its own for each.
package main
