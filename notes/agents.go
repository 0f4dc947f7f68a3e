package notes

// agentMails are the addresses that coding agents put behind their name, as
// author or as co-author. Only an agent's own address counts: a name alone may
// be a person's.
var agentMails = map[string]string{
	"noreply@anthropic.com":       "claude",    // Claude Code's default co-author
	"cursoragent@cursor.com":      "cursor",    // Cursor agent and CLI
	"noreply@openai.com":          "codex",     // Codex CLI's commit attribution
	"codex@openai.com":            "codex",     // older Codex instructions
	"gemini-cli@google.com":       "gemini",    // Gemini CLI
	"jules@google.com":            "jules",     // Jules outside GitHub
	"aider@aider.chat":            "aider",     // aider --attribute-co-authored-by
	"noreply@aider.chat":          "aider",     // the same before 2025
	"noreply@opencode.ai":         "opencode",  // opencode
	"amp@ampcode.com":             "amp",       // Amp
	"crush@charm.land":            "crush",     // Crush
	"openhands@all-hands.dev":     "openhands", // OpenHands
	"qwen-coder@alibabacloud.com": "qwen-code", // Qwen Code
	"agent@warp.dev":              "warp",      // Warp
	"oz-agent@warp.dev":           "warp",      // Warp's cloud agent
	"agent@replit.com":            "replit",    // Replit Agent
	"traecli@bytedance.com":       "trae",      // Trae CLI
}

// agentLogins are the accounts under which agents act on forges: the part of a
// no-reply address behind "+", or an author's name ending in "[bot]".
var agentLogins = map[string]string{
	"claude[bot]":                  "claude",
	"copilot":                      "copilot", // CLI, editors and the coding agent, under several numbers
	"copilot-swe-agent[bot]":       "copilot",
	"chatgpt-codex-connector[bot]": "codex",
	"gemini-code-assist[bot]":      "gemini",
	"gemini-cli":                   "gemini",
	"google-labs-jules[bot]":       "jules",
	"devin-ai-integration[bot]":    "devin",
	"factory-droid[bot]":           "droid",
	"cursor[bot]":                  "cursor",
	"sweep-ai[bot]":                "sweep",
	"amazon-q-developer[bot]":      "amazon-q",
	"openhands-agent":              "openhands",
	"lovable-dev[bot]":             "lovable",
	"gpt-engineer-app[bot]":        "lovable",
	"v0[bot]":                      "v0",
	"coderabbitai[bot]":            "coderabbit",
}

// generators are the names that agents use in a line "Generated with NAME".
var generators = map[string]string{
	"claude code": "claude",
	"opencode":    "opencode",
	"crush":       "crush",
	"devin":       "devin",
	"codex":       "codex",
	"cursor":      "cursor",
	"gemini cli":  "gemini",
	"continue":    "continue",
}

// assistants are the names that stand in "Assisted-by" and "Generated-by"
// trailers, in the kernel's form AGENT:MODEL or alone. People stand there too,
// so that only these names count.
var assistants = map[string]string{
	"claude":         "claude",
	"claude code":    "claude",
	"codex":          "codex",
	"chatgpt":        "codex",
	"copilot":        "copilot",
	"github copilot": "copilot",
	"cursor":         "cursor",
	"gemini":         "gemini",
	"gemini cli":     "gemini",
	"opencode":       "opencode",
	"crush":          "crush",
	"aider":          "aider",
	"amp":            "amp",
	"devin":          "devin",
	"windsurf":       "windsurf",
	"junie":          "junie",
}

// sessionTrailer is a trailer that capture tools and agents alone write: its
// usual spelling and the agent behind it.
type sessionTrailer struct{ name, agent string }

var sessionTrailers = map[string]sessionTrailer{
	// Entire captures many agents; the value is the id of the session.
	"entire-checkpoint": {"Entire-Checkpoint", unknownAgent},
	// "73% agent (146/200 lines)"
	"entire-attribution": {"Entire-Attribution", unknownAgent},
	// gitvow captures Claude Code sessions.
	"gitvow-session": {"Gitvow-Session", "claude"},
	"claude-session": {"Claude-Session", "claude"},
	"amp-thread-id":  {"Amp-Thread-ID", "amp"},
}

// unknownAgent stands for an agent that a sign does not name.
const unknownAgent = "unknown"

// botMails and botLogins are automation that is no coding agent: its commits
// are expected to have no receipts. Any other account ending in "[bot]" counts
// as such too, unless it is in agentLogins.
var botMails = map[string]bool{
	"bot@renovateapp.com":                    true,
	"support@dependabot.com":                 true,
	"github-actions@github.com":              true,
	"action@github.com":                      true,
	"actions@github.com":                     true,
	"semantic-release-bot@martynus.net":      true,
	"bot@dependabot.com":                     true,
	"snyk-bot@snyk.io":                       true,
	"greenkeeper@greenkeeper.io":             true,
	"support@greenkeeper.io":                 true,
	"git-ai@local":                           true, // commits of git-ai's notes
	"pre-commit-ci@users.noreply.github.com": true,
}

var botLogins = map[string]bool{
	"dependabot":           true,
	"dependabot-preview":   true,
	"renovate":             true,
	"renovate-bot":         true,
	"github-actions":       true,
	"semantic-release-bot": true,
	"pre-commit-ci":        true,
	"snyk-bot":             true,
	"k8s-ci-robot":         true,
	"weblate":              true,
	"gitlab-bot":           true,
	"jenkins-bot":          true,
}
