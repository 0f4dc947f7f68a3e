package notes

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// benchPayload is a note of n receipts of about 1.5 KB, as a client writes it.
func benchPayload(n int) []byte {
	var out bytes.Buffer
	out.WriteString("{\n  \"blameprompt_version\": \"1.0.1\",\n  \"receipts\": [")
	for i := range n {
		if i > 0 {
			out.WriteByte(',')
		}
		fmt.Fprintf(&out, benchReceipt, i, i%7, 1000+i)
	}
	out.WriteString("\n  ]\n}\n")
	return out.Bytes()
}

const benchReceipt = `
    {
      "id": "9943646b-717d-4498-9f5a-%012d",
      "provider": "claude",
      "model": "claude-opus-4-6",
      "session_id": "633dd148-8b7a-494b-8ce0-d4fea3b49ded",
      "prompt_summary": "make the parser tolerant of \"odd\" values\nand keep every receipt that can be read — no exceptions",
      "response_summary": "The parser now reads each receipt on its own and records what it could not read.",
      "prompt_hash": "sha256:f8f226966e486edb9eec6e39f4c9d5273518e347ae04aa455abb71d192f919aa",
      "message_count": 42,
      "cost_usd": 0.012345,
      "input_tokens": %d,
      "output_tokens": %d,
      "cache_read_tokens": 120000,
      "cache_creation_tokens": 4000,
      "timestamp": "2026-03-22T11:42:36.002470Z",
      "session_start": "2026-03-22T06:28:17.467Z",
      "prompt_submitted_at": "2026-03-22T11:40:36.002470Z",
      "user": "Dev One <dev.one@example.com>",
      "file_path": "src/parser.rs",
      "line_range": [
        1,
        40
      ],
      "files_changed": [
        {
          "path": "src/parser.rs",
          "line_range": [
            1,
            40
          ],
          "blob_hash": "49333699c6330ed1f4ad1a5f34d6b8bfa4e7f1b6",
          "additions": 40
        }
      ],
      "prompt_number": 3,
      "total_additions": 40,
      "tools_used": [
        "Edit",
        "Read"
      ],
      "prompt_quality": {
        "score": 80,
        "rating": "Good",
        "category": "refactor"
      }
    }`

func BenchmarkBlamePrompt(b *testing.B) {
	small := benchPayload(3)
	b.Run("30000 receipts in 10000 notes", func(b *testing.B) {
		b.SetBytes(int64(10_000 * len(small)))
		b.ReportAllocs()
		for b.Loop() {
			for range 10_000 {
				if note := Parse(FormatBlamePrompt, "", small); len(note.Receipts) != 3 {
					b.Fatal("receipts lost")
				}
			}
		}
	})
	large := benchPayload(10_000)
	b.Run("10000 receipts in one note", func(b *testing.B) {
		b.SetBytes(int64(len(large)))
		b.ReportAllocs()
		for b.Loop() {
			if note := Parse(FormatBlamePrompt, "", large); len(note.Receipts) != 10_000 {
				b.Fatal("receipts lost", note.Findings)
			}
		}
	})
}

func BenchmarkGitAI(b *testing.B) {
	samples := readSamples(b)
	size := 0
	for _, s := range samples {
		size += len(s.Note)
	}
	b.Run("363 real notes", func(b *testing.B) {
		b.SetBytes(int64(size))
		for b.Loop() {
			for _, s := range samples {
				Parse(FormatGitAI, s.Commit, []byte(s.Note))
			}
		}
	})
	// Overlapping claims of one file: the case that is quadratic when done by
	// comparing entries.
	var many strings.Builder
	many.WriteString("a.go\n")
	for i := range 50_000 {
		fmt.Fprintf(&many, "  %016x %d-%d\n", i, 1+i, 100_000-i)
	}
	body := []byte(many.String() + "---\n{}")
	b.Run("50000 nested claims", func(b *testing.B) {
		b.SetBytes(int64(len(body)))
		for b.Loop() {
			Parse(FormatGitAI, "", body)
		}
	})
	transcript := []byte("---\n" + `{"prompts":{"k":{"agent_id":{"tool":"claude"},"messages":[` +
		strings.Repeat(`{"type":"user","text":"`+strings.Repeat("word ", 40)+`"},`, 4000) + `{}]}}}`)
	b.Run("transcript", func(b *testing.B) {
		b.SetBytes(int64(len(transcript)))
		for b.Loop() {
			Parse(FormatGitAI, "", transcript)
		}
	})
}
