// Package migrations owns the schema of the program's tables: the numbered
// goose files, which only ever grow in number, and a dump of what they add up
// to, for readers. Package store applies them.
package migrations

import "embed"

//go:generate go test . -run TestSchema -update

// FS holds the numbered SQL files, in goose's format.
//
//go:embed *_*.sql
var FS embed.FS

// Schema is the schema after the last migration, as pg_dump tells it, without
// the tables that goose and River keep for themselves. A test holds it to be
// true.
//
//go:embed schema.sql
var Schema string
