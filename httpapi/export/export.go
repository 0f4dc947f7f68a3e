// Package export writes lists of the store, whole, as files that people take away.
//
// It owns the columns of an export and how each format has them. It reads
// nothing itself: rows come in page by page.
//
// Promises: memory is bounded by one page of rows; a cell never runs as a
// formula; the formats of one list have the same rows and columns.
package export
