package policy

import (
	"errors"
	"regexp"
	"slices"
	"strings"
)

// modelName is a reported model, taken apart so that spellings of one model
// compare as equal. Sources of the spellings: Anthropic's and OpenAI's dated
// ids, Bedrock ("us.anthropic.claude-…-v1:0"), Vertex ("claude-…@20250929",
// "models/gemini-…"), OpenRouter ("anthropic/claude-sonnet-4.5:free"), Ollama
// ("ollama:llama3:8b", "llama3:latest") and Claude Code's "[1m]".
type modelName struct {
	// vendor is what stood in front: "anthropic", "ollama"; may be empty.
	vendor string
	// name is in lower case with hyphens only; bare is name without its date.
	name, bare string
	// date has eight digits, or is empty.
	date    string
	unknown bool
}

// vendors are prefixes in front of ":" or "." that name who serves a model.
// In front of "/" any word counts.
var vendors = []string{
	"ollama", "ollama-chat", "lmstudio", "lm-studio", "local", "vllm", "llamacpp", "openrouter", "bedrock", "vertex",
	"vertex-ai", "azure", "openai", "anthropic", "google", "gemini", "mistral", "mistralai", "meta", "amazon", "cohere",
	"ai21", "deepseek", "xai", "groq", "together", "fireworks", "models", "qwen", "nvidia",
}

// noModels are values that stand where the client did not know the model: its
// own words for that, and the names of agents.
var noModels = []string{
	"", "unknown", "none", "null", "<synthetic>", "synthetic", "default", "auto",
	"cursor", "windsurf", "codex", "amp", "continue", "droid", "junie", "rovo-dev", "opencode", "copilot", "claude",
	"claude-code", "gemini", "gemini-cli", "antigravity",
}

var (
	bedrockPrefix = regexp.MustCompile(`^(?:[a-z]{2,6}\.)?([a-z0-9]+)\.`)
	bedrockSuffix = regexp.MustCompile(`-v[0-9]+:[0-9]+(?::[0-9a-z]+)?$`)
	contextSuffix = regexp.MustCompile(`\[[0-9]+[km]\]$`)
	dateSuffix    = regexp.MustCompile(`[-@](20[0-9]{2})(-?)([0-9]{2})(-?)([0-9]{2})$`)
	hyphens       = regexp.MustCompile(`-{2,}`)
	separators    = strings.NewReplacer(".", "-", "_", "-", " ", "-", "@", "-")
)

// readModel takes a reported model apart.
func readModel(reported string) modelName {
	text := cleanModel(reported)
	m := modelName{}
	m.vendor, text = splitVendor(text)
	for _, suffix := range []string{":latest", "-latest", ":free"} {
		text = strings.TrimSuffix(text, suffix)
	}
	text = bedrockSuffix.ReplaceAllString(contextSuffix.ReplaceAllString(text, ""), "")
	bare, date := splitDate(text)
	m.name, m.bare, m.date = hyphenate(text), hyphenate(bare), date
	m.unknown = slices.Contains(noModels, m.bare)
	return m
}

// cleanModel removes what surrounds a name: blanks, quotes, upper case.
func cleanModel(text string) string {
	const around = " \t\r\n\"'`“”‘’"
	return strings.ToLower(strings.Trim(text, around))
}

// splitVendor takes "anthropic/", "ollama:" and "us.anthropic." off the front.
func splitVendor(text string) (vendor, rest string) {
	if i := strings.LastIndexByte(text, '/'); i >= 0 {
		vendor, text = text[:i], text[i+1:]
		if j := strings.LastIndexByte(vendor, '/'); j >= 0 {
			vendor = vendor[j+1:]
		}
	}
	if before, behind, ok := strings.Cut(text, ":"); ok && slices.Contains(vendors, hyphenate(before)) {
		vendor, text = before, behind
	}
	if m := bedrockPrefix.FindStringSubmatch(text); m != nil && slices.Contains(vendors, m[1]) {
		vendor, text = m[1], text[len(m[0]):]
	}
	return hyphenate(vendor), text
}

// splitDate takes a release date off the end: "-20250929", "@20250929",
// "-2024-08-06".
func splitDate(text string) (bare, date string) {
	m := dateSuffix.FindStringSubmatchIndex(text)
	if m == nil || text[m[4]:m[5]] != text[m[8]:m[9]] {
		return text, ""
	}
	return text[:m[0]], text[m[2]:m[3]] + text[m[6]:m[7]] + text[m[10]:m[11]]
}

func hyphenate(text string) string {
	text = separators.Replace(text)
	return strings.Trim(hyphens.ReplaceAllString(text, "-"), "-")
}

// String is the name as expressions see it: without vendor, quotes and date,
// "" when the model is unknown.
func (m modelName) String() string {
	if m.unknown {
		return ""
	}
	return m.bare
}

// modelPattern matches models. A pattern with a date matches that release alone;
// one without matches every release. A vendor counts only where the rest of
// the pattern is "*".
type modelPattern struct {
	vendor *regexp.Regexp
	name   *regexp.Regexp
	date   string
}

// readModelPattern compiles a name with the wildcards "*" (anything) and "?" (one
// character).
func readModelPattern(text string) (modelPattern, error) {
	if strings.HasPrefix(text, "!") {
		return modelPattern{}, errors.New("begins with !, which lists of models do not have")
	}
	m := readModel(text)
	p := modelPattern{date: m.date}
	switch {
	case m.bare == "":
		return p, errors.New("names no model")
	case m.unknown:
		return p, errors.New("stands for an unknown model; use the option unknown_models")
	}
	p.name = wildcardExpr(m.bare)
	if m.vendor != "" && strings.Trim(m.bare, "*") == "" {
		p.vendor = wildcardExpr(m.vendor)
	}
	return p, nil
}

// match reports whether the pattern names the model. Unknown models match no
// pattern.
func (p modelPattern) match(m modelName) bool {
	switch {
	case m.unknown:
		return false
	case p.vendor != nil:
		return p.vendor.MatchString(m.vendor)
	case p.date != "" && p.date != m.date:
		return false
	}
	return p.name.MatchString(m.bare) || p.name.MatchString(m.name)
}

// wildcardExpr compiles a pattern in which "*" and "?" are the only wildcards.
func wildcardExpr(pattern string) *regexp.Regexp {
	text := regexp.QuoteMeta(pattern)
	text = strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(text)
	return regexp.MustCompile(`(?s)\A` + text + `\z`)
}

// readProvider is the form in which providers are compared.
func readProvider(text string) string { return hyphenate(cleanModel(text)) }

// noProviders are values that name no provider.
var noProviders = []string{"", "unknown", "none", "null"}

// readProviderPattern compiles a name of a provider with "*" and "?".
func readProviderPattern(text string) (*regexp.Regexp, error) {
	name := readProvider(text)
	switch {
	case strings.HasPrefix(text, "!"):
		return nil, errors.New("begins with !, which lists of providers do not have")
	case slices.Contains(noProviders, name):
		return nil, errors.New("names no provider; use the option unknown_providers")
	}
	return wildcardExpr(name), nil
}
