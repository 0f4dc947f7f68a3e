package push

import (
	"regexp"
	"strings"
	"sync"
)

// SecretKind names what looks like a secret.
type SecretKind string

// The kinds that FindSecrets reports. The redacted ones are markers that the
// BlamePrompt client left where it took something out before it wrote the
// receipt: the secret is not there any more but was given to a model.
const (
	RedactedAPIKey      SecretKind = "redacted_api_key"
	RedactedAWSKey      SecretKind = "redacted_aws_key"
	RedactedSecret      SecretKind = "redacted_secret"
	RedactedToken       SecretKind = "redacted_token"
	RedactedBearer      SecretKind = "redacted_bearer"
	RedactedHighEntropy SecretKind = "redacted_high_entropy"
	RedactedHash        SecretKind = "redacted_hash"
	RedactedOther       SecretKind = "redacted_other"
	PrivateKey          SecretKind = "private_key"
	AWSKey              SecretKind = "aws_key"
	AnthropicKey        SecretKind = "anthropic_key"
	OpenAIKey           SecretKind = "openai_key"
	GitHubToken         SecretKind = "github_token"
	GitLabToken         SecretKind = "gitlab_token"
	GoogleKey           SecretKind = "google_key"
	SlackToken          SecretKind = "slack_token"
	StripeKey           SecretKind = "stripe_key"
	NPMToken            SecretKind = "npm_token"
	PyPIToken           SecretKind = "pypi_token"
	JWT                 SecretKind = "jwt"
	URLPassword         SecretKind = "url_password"
	Password            SecretKind = "password"
)

// secretPattern is one kind. Every match holds the word, so that texts without
// it need no regular expression.
type secretPattern struct {
	kind SecretKind
	word string
	expr string
}

// secretPatterns are in the order in which kinds are reported. The markers are
// those of the BlamePrompt client's redaction; the others are the prefixes that
// vendors document for their credentials.
var secretPatterns = []secretPattern{
	{RedactedAPIKey, "[REDACTED_API_KEY]", ""},
	{RedactedAWSKey, "[REDACTED_AWS_KEY]", ""},
	{RedactedSecret, "[REDACTED_SECRET]", ""},
	{RedactedToken, "[REDACTED_TOKEN]", ""},
	{RedactedBearer, "Bearer [REDACTED]", ""},
	{RedactedHighEntropy, "[REDACTED_HIGH_ENTROPY]", ""},
	{RedactedHash, "[SHA256:", `\[SHA256:[0-9a-f]{12}\.\.\.\]`},
	{PrivateKey, "PRIVATE KEY", `-----BEGIN (?:[A-Z]+ ){0,2}PRIVATE KEY(?: BLOCK)?-----`},
	{AWSKey, "A", `\b(?:AKIA|ASIA)[A-Z0-9]{16}\b`},
	{AnthropicKey, "sk-ant-", `\bsk-ant-[A-Za-z0-9_-]{20,}`},
	{OpenAIKey, "sk-", `\bsk-(?:(?:proj|svcacct|admin)-[A-Za-z0-9_-]{20,}|[A-Za-z0-9]{20,})`},
	{GitHubToken, "_", `\b(?:gh[opusr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{40,})`},
	{GitLabToken, "gl", `\bgl(?:pat|dt|rt|ptt|agent|cbt|ft|soat)-[A-Za-z0-9_-]{20,}`},
	{GoogleKey, "AIza", `\bAIza[A-Za-z0-9_-]{35}`},
	{SlackToken, "xox", `\bxox[abeoprs]-[A-Za-z0-9-]{10,}`},
	{StripeKey, "_live_", `\b[sr]k_live_[A-Za-z0-9]{20,}`},
	{NPMToken, "npm_", `\bnpm_[A-Za-z0-9]{36}`},
	{PyPIToken, "pypi-", `\bpypi-[A-Za-z0-9_-]{50,}`},
	{JWT, "eyJ", `\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}`},
	{URLPassword, "://", `://[^\s/:@]{1,64}:[^\s/:@\[\]<>{}$*]{3,256}@[A-Za-z0-9]`},
	{Password, "", `(?i)\b(?:password|passwd|secret|api_?key|access_?token)["']?\s*[:=]\s*` +
		`["'][^"'\s\[\]<>{}$*]{6,256}["']`},
}

// notSecrets are markers for what the client takes out that is no secret.
var notSecrets = []string{"[REDACTED_HOST]", "[REDACTED_HOME]"}

var secretExprs = sync.OnceValue(func() map[SecretKind]*regexp.Regexp {
	exprs := make(map[SecretKind]*regexp.Regexp)
	for _, p := range secretPatterns {
		if p.expr != "" {
			exprs[p.kind] = regexp.MustCompile(p.expr)
		}
	}
	exprs[RedactedOther] = regexp.MustCompile(`\[REDACTED_[A-Z0-9_]{1,64}\]`)
	return exprs
})

// SecretKinds returns all kinds in the order in which FindSecrets reports them.
func SecretKinds() []SecretKind {
	kinds := make([]SecretKind, 0, len(secretPatterns)+1)
	for _, p := range secretPatterns {
		kinds = append(kinds, p.kind)
	}
	return append(kinds, RedactedOther)
}

// FindSecrets returns the kinds of secrets in the texts of a receipt (prompt,
// answer, conversation), each once. It takes time linear in the texts and keeps
// nothing of them.
func FindSecrets(texts ...string) []SecretKind {
	var found []SecretKind
	for _, p := range secretPatterns {
		if anyText(texts, p.in) {
			found = append(found, p.kind)
		}
	}
	if anyText(texts, customMarker) {
		found = append(found, RedactedOther)
	}
	return found
}

func anyText(texts []string, holds func(string) bool) bool {
	for _, text := range texts {
		if holds(text) {
			return true
		}
	}
	return false
}

func (p secretPattern) in(text string) bool {
	if !strings.Contains(text, p.word) {
		return false
	}
	return p.expr == "" || secretExprs()[p.kind].MatchString(text)
}

// customMarker looks for a marker of the client's own patterns that has no kind.
func customMarker(text string) bool {
	if !strings.Contains(text, "[REDACTED_") {
		return false
	}
	for _, p := range secretPatterns {
		if p.expr == "" {
			text = strings.ReplaceAll(text, p.word, "")
		}
	}
	for _, marker := range notSecrets {
		text = strings.ReplaceAll(text, marker, "")
	}
	return secretExprs()[RedactedOther].MatchString(text)
}
