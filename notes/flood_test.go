package notes

import (
	"runtime"
	"strings"
	"testing"
	"time"
)

// TestFloods parses bodies made to hurt. A parser that is quadratic in any of
// them needs minutes; the limits leave room for a busy machine. It is not
// parallel because it measures the heap.
func TestFloods(t *testing.T) {
	const (
		size  = 1 << 20
		limit = 20 * time.Second
		heap  = 128 << 20
	)
	fill := func(head, unit, tail string) []byte {
		return []byte(head + strings.Repeat(unit, (size-len(head)-len(tail))/len(unit)) + tail)
	}
	floods := map[string][]byte{
		"objects":           fill("", "{}", ""),
		"objects on lines":  fill("", "{}\n", ""),
		"elements":          fill("[", "{},", "1]"),
		"receipts":          fill("[", `{"id":1},`, "1]"),
		"receipts, no id":   fill("[", `{"model":1},`, "1]"),
		"open objects":      fill("", "{\n", ""),
		"open arrays":       fill("", "[{\n", ""),
		"open payloads":     fill("", "{\"receipts\":[\n", ""),
		"broken payloads":   fill("", "{\"a\":[\n{\"receipts\":[]},\n", ""),
		"quotes":            fill("", "\"", ""),
		"backslashes":       fill(`{"id":"`, `\`, `"}`),
		"members":           fill(`{"id":"a"`, `,"k":1`, "}"),
		"files":             fill(`{"id":"a","files_changed":[`, `{"path":"a"},`, "1]}"),
		"turns":             fill(`{"id":"a","conversation":[`, "[],", "1]}"),
		"digits":            fill(`{"id":"a","cost_usd":1`, "9", "}"),
		"paths":             fill("", "a\n", ""),
		"entries":           fill("a\n", "  k 1\n", "---\n{}"),
		"ranges":            fill("a\n  k ", "1,", "\n---\n{}"),
		"nested ranges":     fill("a\n  k ", "1-9,3-20,2-4,", "\n---\n{}"),
		"dividers":          fill("", "---\n", ""),
		"logs":              fill("", "a\n  k 1\n---\n{}\n", ""),
		"records":           fill("---\n{\"prompts\":{", `"k":{},`, `"k":{}}}`),
		"records and space": fill("---\n{\"prompts\":{\"k\":{"+strings.Repeat(" ", size/2)+"},", `"k":{},`, `"k":{}}}`),
		"humans":            fill("---\n{\"humans\":{", `"h_":{"author":"x"},`, `"h":{}}}`),
	}
	for name, body := range floods {
		for _, format := range []Format{FormatBlamePrompt, FormatGitAI} {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			start := time.Now()
			note := Parse(format, annotated, body)
			took := time.Since(start)
			runtime.ReadMemStats(&after)
			grown := int64(after.HeapAlloc) - int64(before.HeapAlloc)
			if took > limit || grown > heap {
				t.Errorf("%s as %s: %v, %d MiB", name, format, took, grown>>20)
			}
			checkNote(t, note)
		}
	}
}
