package demo

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"time"
)

// prompt is what somebody asked a tool, and what came of it.
type prompt struct {
	id, session, ask, response string
	number                     int
	by                         *person
	at, began                  time.Time
	with                       tool
	wrote                      []written
	files                      []touched
	input, output              int64
	cacheRead, cacheWrite      int64
	seconds                    int
	cost                       float64
}

// written is what a tool wrote into a file.
type written struct {
	file   *source
	blocks []*block
}

// touched is a file that was changed, and where.
type touched struct {
	path, blob  string
	first, last int
	additions   int
	runs        [][2]int
}

// newPrompt goes on with the person's session, or begins one.
func (s *story) newPrompt(by *person, at time.Time, with tool, ask string) *prompt {
	running := s.sessions[by]
	if running == nil || running.tool != with || at.Sub(running.began) > 5*time.Hour || s.rng.IntN(6) == 0 {
		running = &session{id: s.uuid(), began: at.Add(-2 * time.Minute), tool: with}
		s.sessions[by] = running
	}
	running.prompts++
	return &prompt{id: s.uuid(), session: running.id, number: running.prompts, ask: ask, by: by, at: at, began: running.began, with: with,
		response: "Done. The change is in the files below; I ran the tests that were there and they pass."}
}

// rates are US dollars per million tokens, as a client has them built in.
var rates = map[string][4]float64{
	"claude-opus-5": {5, 25, 0.5, 6.25}, "claude-sonnet-5": {2, 10, 0.2, 2.5}, "claude-haiku-4-5-20251001": {1, 5, 0.1, 1.25},
	"gpt-5": {1.25, 10, 0.125, 0}, "gpt-5-mini": {0.25, 2, 0.025, 0}, "gemini-2.5-pro": {1.25, 10, 0.125, 0}, "gemini-3.6-flash": {1.5, 7.5, 0.15, 0},
	"anthropic/claude-sonnet-5": {2, 10, 0.2, 2.5},
}

// meter draws the tokens, by what was written.
func (p *prompt) meter(r *rand.Rand) {
	lines := 0
	for _, f := range p.files {
		lines += f.additions
	}
	p.output = int64(lines*60 + 4_000 + r.IntN(18_000))
	p.input = int64(2_000 + r.IntN(30_000))
	p.cacheRead = int64(300_000 + r.IntN(3_200_000))
	p.cacheWrite = int64(20_000 + r.IntN(140_000))
	p.seconds = 20 + r.IntN(240)
	p.charge()
}

func (p *prompt) charge() {
	rate := rates[p.with.model]
	cost := (float64(p.input)*rate[0] + float64(p.output)*rate[1] + float64(p.cacheRead)*rate[2] + float64(p.cacheWrite)*rate[3]) / 1e6
	p.cost = math.Round(cost*1e6) / 1e6
}

// fileChange, receipt and payload are what the client writes, in its order.
type fileChange struct {
	Path      string `json:"path"`
	LineRange [2]int `json:"line_range"`
	BlobHash  string `json:"blob_hash,omitempty"`
	Additions int    `json:"additions,omitempty"`
}

type quality struct {
	Score    int      `json:"score"`
	Rating   string   `json:"rating"`
	Issues   []string `json:"issues,omitempty"`
	Category string   `json:"category,omitempty"`
}

type receipt struct {
	ID                  string       `json:"id"`
	Provider            string       `json:"provider"`
	Model               string       `json:"model"`
	SessionID           string       `json:"session_id"`
	PromptSummary       string       `json:"prompt_summary"`
	ResponseSummary     string       `json:"response_summary,omitempty"`
	PromptHash          string       `json:"prompt_hash"`
	MessageCount        int          `json:"message_count"`
	CostUSD             float64      `json:"cost_usd"`
	InputTokens         int64        `json:"input_tokens,omitempty"`
	OutputTokens        int64        `json:"output_tokens,omitempty"`
	CacheReadTokens     int64        `json:"cache_read_tokens,omitempty"`
	CacheCreationTokens int64        `json:"cache_creation_tokens,omitempty"`
	Timestamp           time.Time    `json:"timestamp"`
	SessionStart        time.Time    `json:"session_start"`
	PromptSubmittedAt   time.Time    `json:"prompt_submitted_at"`
	PromptDurationSecs  int          `json:"prompt_duration_secs"`
	AcceptedLines       int          `json:"accepted_lines"`
	OverriddenLines     int          `json:"overridden_lines"`
	User                string       `json:"user"`
	FilePath            string       `json:"file_path"`
	LineRange           [2]int       `json:"line_range"`
	FilesChanged        []fileChange `json:"files_changed,omitempty"`
	PromptNumber        int          `json:"prompt_number"`
	TotalAdditions      int          `json:"total_additions,omitempty"`
	ToolsUsed           []string     `json:"tools_used,omitempty"`
	PromptQuality       *quality     `json:"prompt_quality,omitempty"`
}

type payload struct {
	Version  string    `json:"blameprompt_version"`
	Receipts []receipt `json:"receipts"`
}

// blamePrompt is the commit's note as the BlamePrompt client writes it.
func (c *commit) blamePrompt() string { return blamePromptNote(c.prompts) }

func blamePromptNote(prompts []*prompt) string {
	note := payload{Version: "1.0.1", Receipts: []receipt{}}
	for _, p := range prompts {
		note.Receipts = append(note.Receipts, p.receipt())
	}
	return encoded(note)
}

func encoded(v any) string {
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		panic(err) // plain structs always encode
	}
	return text.String()
}

func (p *prompt) receipt() receipt {
	sum := sha256.Sum256([]byte(p.session + p.ask))
	r := receipt{ID: p.id, Provider: p.with.provider, Model: p.with.model, SessionID: p.session, PromptSummary: p.ask, ResponseSummary: p.response,
		PromptHash: "sha256:" + hex.EncodeToString(sum[:]), MessageCount: 4 + 3*p.number, CostUSD: p.cost, InputTokens: p.input, OutputTokens: p.output,
		CacheReadTokens: p.cacheRead, CacheCreationTokens: p.cacheWrite, Timestamp: p.at, SessionStart: p.began, PromptSubmittedAt: p.at,
		PromptDurationSecs: p.seconds, User: p.by.mark(), PromptNumber: p.number, ToolsUsed: []string{"Bash", "Edit", "Read"}, PromptQuality: judged(p.ask)}
	for _, f := range p.files {
		r.FilesChanged = append(r.FilesChanged, fileChange{Path: f.path, LineRange: [2]int{f.first, f.last}, BlobHash: f.blob, Additions: f.additions})
		r.TotalAdditions += f.additions
	}
	r.AcceptedLines = r.TotalAdditions
	if len(p.files) > 0 {
		r.FilePath, r.LineRange = p.files[0].path, [2]int{p.files[0].first, p.files[0].last}
	}
	return r
}

// judged is the client's opinion of a prompt.
func judged(ask string) *quality {
	switch n := len(ask); {
	case n < 30:
		return &quality{Score: 45, Rating: "Poor", Issues: []string{"too_short", "no_file_reference"}, Category: "command"}
	case strings.Contains(ask, "Why") || strings.Contains(ask, "Find out"):
		return &quality{Score: 78, Rating: "Good", Category: "bug_fix"}
	case strings.Contains(ask, "/"):
		return &quality{Score: 92, Rating: "Excellent", Category: "code_generation"}
	}
	return &quality{Score: 64, Rating: "Fair", Issues: []string{"no_file_reference"}, Category: "refactor"}
}

// gitAI is the commit's note as git-ai writes it: attestations by file, and the
// prompts and people behind them.
func (c *commit) gitAI() string {
	entries := map[string][]string{}
	humans, prompts := map[string]any{}, map[string]any{}
	for _, f := range c.byHand {
		key := "h_" + shortHash(c.author.email)[:14]
		humans[key] = map[string]any{"author": c.author.mark()}
		entries[f.path] = append(entries[f.path], "  "+key+" "+ranges([][2]int{{f.first, f.last}}))
	}
	for _, p := range c.prompts {
		key := shortHash(p.with.provider + p.session + strconv.Itoa(p.number))
		prompts[key] = p.gitAI()
		for _, f := range p.files {
			entries[f.path] = append(entries[f.path], "  "+key+" "+ranges(f.runs))
		}
	}
	var b strings.Builder
	for _, path := range slices.Sorted(maps.Keys(entries)) {
		b.WriteString(gitAIPath(path) + "\n" + strings.Join(entries[path], "\n") + "\n")
	}
	meta := map[string]any{"schema_version": "authorship/3.0.0", "git_ai_version": "1.3.5", "base_commit_sha": c.oid, "prompts": prompts}
	if len(humans) > 0 {
		meta["humans"] = humans
	}
	return b.String() + "---\n" + encoded(meta)
}

// gitAI is git-ai's record of a prompt.
func (p *prompt) gitAI() map[string]any {
	additions := 0
	for _, f := range p.files {
		additions += f.additions
	}
	return map[string]any{
		"agent_id":     map[string]any{"tool": p.with.provider, "id": p.session, "model": p.with.model},
		"human_author": p.by.mark(),
		"messages": []any{map[string]any{"type": "user", "text": p.ask, "timestamp": p.at},
			map[string]any{"type": "assistant", "text": p.response, "timestamp": p.at.Add(time.Duration(p.seconds) * time.Second)}},
		"total_additions": additions, "total_deletions": 0, "accepted_lines": additions, "overriden_lines": 0,
	}
}

// gitAIPath quotes a path that holds blanks, as git-ai does.
func gitAIPath(path string) string {
	if strings.ContainsAny(path, " \t\n") {
		return `"` + path + `"`
	}
	return path
}

func ranges(runs [][2]int) string {
	sorted := slices.SortedFunc(slices.Values(runs), func(a, b [2]int) int { return a[0] - b[0] })
	parts := make([]string, len(sorted))
	for i, run := range sorted {
		parts[i] = fmt.Sprintf("%d-%d", run[0], run[1])
	}
	return strings.Join(parts, ",")
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])[:16]
}

// blobID is git's id of a file's content.
func blobID(text string) string {
	sum := sha1.Sum(fmt.Appendf(nil, "blob %d\x00%s", len(text), text))
	return hex.EncodeToString(sum[:])
}
