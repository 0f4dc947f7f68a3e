package price

import (
	"regexp"
	"slices"
	"strings"
)

// localVendors are prefixes of models that run on the organisation's own
// machines.
var localVendors = []string{
	"ollama", "ollama-chat", "lmstudio", "lm-studio", "llamacpp", "llama-cpp", "llama.cpp", "local",
	"gpt4all", "mlx",
}

// vendors are prefixes in front of ":" and "." that name who serves a model. In
// front of "/" any word counts.
var vendors = []string{
	"openrouter", "bedrock", "vertex", "vertex-ai", "azure", "openai", "anthropic", "google", "gemini", "mistral",
	"mistralai", "deepseek", "xai", "groq", "models",
}

var (
	bedrockPrefix = regexp.MustCompile(`^(?:[a-z]{2,6}\.)?([a-z0-9]+)\.`)
	bedrockSuffix = regexp.MustCompile(`-v[0-9]+:[0-9]+$`)
	contextSuffix = regexp.MustCompile(`\[[0-9]+[km]\]$`)
	dateSuffix    = regexp.MustCompile(`[-@]20[0-9]{2}(?:[01][0-9][0-3][0-9]|-[01][0-9]-[0-3][0-9])$`)
	hyphens       = regexp.MustCompile(`-{2,}`)
	separators    = strings.NewReplacer(".", "-", "_", "-", " ", "-", "@", "-")
)

// Key is the form in which models' names are compared: two with the same key are
// one name in a book.
func Key(name string) string { return key(name) }

// key is the form in which names are compared: without case, surrounding
// blanks and quotes, and with hyphens for dots, underscores, blanks and @.
func key(name string) string {
	return strings.Trim(hyphens.ReplaceAllString(separators.Replace(clean(name)), "-"), "-")
}

func clean(name string) string {
	return strings.ToLower(strings.Trim(name, " \t\r\n\"'`"))
}

// spellings are the keys under which a model may be in the book, the closest
// first: as written; without who serves it ("anthropic/", "openai:",
// "us.anthropic."), Bedrock's version ("-v1:0") and the size of the context
// ("[1m]"); without a date ("-20250929", "@20250929", "-2024-08-06"); without
// or with "-latest". So a release with an entry of its own has its own price,
// and any other one that of its family. An alias stands before the spelling
// that it is for. A local model is itself alone: served by a vendor, the same
// name has a price.
func (b *Book) spellings(model string) []string {
	text := clean(model)
	forms := []string{text}
	if vendor, _ := splitLocal(text); vendor == "" {
		bare := withoutVendor(text)
		bare = bedrockSuffix.ReplaceAllString(contextSuffix.ReplaceAllString(bare, ""), "")
		family := strings.TrimSuffix(dateSuffix.ReplaceAllString(bare, ""), "-latest")
		forms = append(forms, bare, dateSuffix.ReplaceAllString(bare, ""), family, family+"-latest")
	}
	keys := make([]string, 0, 2*len(forms))
	for _, form := range forms {
		k := key(form)
		if target, ok := b.aliases[k]; ok {
			keys = append(keys, key(target))
		}
		keys = append(keys, k)
	}
	return keys
}

func withoutVendor(text string) string {
	text = text[strings.LastIndexByte(text, '/')+1:]
	if before, behind, ok := strings.Cut(text, ":"); ok && slices.Contains(vendors, before) {
		text = behind
	}
	if m := bedrockPrefix.FindStringSubmatch(text); m != nil && slices.Contains(vendors, m[1]) {
		text = text[len(m[0]):]
	}
	return text
}

// splitLocal takes "ollama:", "ollama/" and their like off the front.
func splitLocal(text string) (vendor, rest string) {
	end := strings.IndexAny(text, ":/")
	if end < 0 || !slices.Contains(localVendors, text[:end]) {
		return "", text
	}
	return text[:end], text[end+1:]
}

// LocalSource is the source of the entry of models that run locally.
const LocalSource = "local model: no price per token"

// localEntry is the price of a model behind a local prefix: nothing. Ollama's
// "-cloud" models run elsewhere.
func localEntry(model string) (Entry, bool) {
	vendor, rest := splitLocal(clean(model))
	if vendor == "" || rest == "" || strings.HasSuffix(rest, "cloud") {
		return Entry{}, false
	}
	free := func() *Rate { return new(Rate) }
	return Entry{
		Model: model, Source: LocalSource,
		Input: free(), Output: free(), CacheRead: free(), CacheWrite: free(),
	}, true
}
