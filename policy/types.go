package policy

import (
	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/blameprompt/enterprise/policy/push"
)

// The object types of expressions. Their fields are documented in
// docs/policies.md; a test holds both equal.
var (
	personType = newRecordType("Person",
		textField("user", func(p *push.Person) string { return p.User }),
		textField("name", func(p *push.Person) string { return p.Name }),
		textField("email", func(p *push.Person) string { return p.Email }),
		textsField("teams", func(p *push.Person) []string { return p.Teams }),
	)
	repoType = newRecordType("Repo",
		textField("name", func(r *push.Repo) string { return r.Name }),
		textField("default_branch", func(r *push.Repo) string { return r.DefaultBranch }),
	)
	refType = newRecordType("Ref",
		textField("name", func(r *push.Ref) string { return r.Name }),
		textField("branch", func(r *push.Ref) string { return r.Branch() }),
		textField("kind", func(r *push.Ref) string { return string(r.Kind) }),
		textField("origin", originOf),
	)
	fileType = newRecordType("File",
		textField("path", func(f *push.File) string { return f.Path }),
		intField("added", func(f *push.File) int64 { return f.Lines().Added }),
		intField("deleted", func(f *push.File) int64 { return max(0, f.Deleted) }),
		intField("ai", func(f *push.File) int64 { return f.Lines().AI }),
		intField("human", func(f *push.File) int64 { return f.Lines().Human }),
		intField("unknown", func(f *push.File) int64 { return f.Lines().Unknown() }),
		boolField("excluded", func(f *push.File) bool { return f.Excluded }),
	)
	commitType = newRecordType("Commit",
		textField("oid", func(c *commit) string { return c.OID }),
		recordField("author", personType, func(c *commit) any { return &c.Author }),
		recordField("committer", personType, func(c *commit) any { return &c.Committer }),
		boolField("merge", func(c *commit) bool { return c.Merged() }),
		boolField("bot", func(c *commit) bool { return c.Bot }),
		boolField("noted", func(c *commit) bool { return c.Noted || len(c.receipts) > 0 }),
		intField("receipts", func(c *commit) int64 { return int64(len(c.receipts)) }),
		textsField("agents", agents),
		trailersField("trailers", trailersOf),
		recordsField("files", fileType, func(c *commit) []any { return pointers(c.Files) }),
		intField("added", func(c *commit) int64 { return c.lines.Added }),
		intField("deleted", deletedLines),
		intField("ai", func(c *commit) int64 { return c.lines.AI }),
		intField("human", func(c *commit) int64 { return c.lines.Human }),
		intField("unknown", func(c *commit) int64 { return c.lines.Unknown() }),
	)
	receiptType = newRecordType("Receipt",
		textField("id", func(r *receipt) string { return r.ID }),
		textField("commit", func(r *receipt) string { return r.commit.OID }),
		textField("provider", func(r *receipt) string { return r.Provider }),
		textField("model", func(r *receipt) string { return r.Model }),
		textField("model_name", func(r *receipt) string { return r.model.String() }),
		textField("prompt", func(r *receipt) string { return r.prompt }),
		textField("user", func(r *receipt) string { return r.user }),
		textsField("teams", func(r *receipt) []string { return r.teams }),
		textField("day", func(r *receipt) string { return r.day }),
		// Costs are what expressions ask for most, so that they are made once.
		field{"cost_usd", cel.DoubleType, func(v any) ref.Val { return v.(*receipt).cost }},
		boolField("cost_known", func(r *receipt) bool { return r.CostUSD != nil }),
		intField("input_tokens", func(r *receipt) int64 { return r.InputTokens }),
		intField("output_tokens", func(r *receipt) int64 { return r.OutputTokens }),
		intField("cache_read_tokens", func(r *receipt) int64 { return r.CacheReadTokens }),
		intField("cache_creation_tokens", func(r *receipt) int64 { return r.CacheCreationTokens }),
		textsField("files", func(r *receipt) []string { return r.Files }),
		textsField("secrets", secretsOf),
	)
	pushType = newRecordType("Push",
		textsField("files", changedFiles),
		intField("added", func(v *view) int64 { return v.lines.Added }),
		intField("ai", func(v *view) int64 { return v.lines.AI }),
		intField("human", func(v *view) int64 { return v.lines.Human }),
		intField("unknown", func(v *view) int64 { return v.lines.Unknown() }),
		doubleField("ai_percentage", aiPercentage),
		intField("prompts", func(v *view) int64 { return int64(len(v.prompts())) }),
		doubleField("cost_usd", promptsCost),
	)
	totalsType = newRecordType("Totals",
		totalField("org_day", push.PerOrg, false),
		totalField("org_month", push.PerOrg, true),
		totalField("repo_day", push.PerRepo, false),
		totalField("repo_month", push.PerRepo, true),
		totalField("user_day", push.PerUser, false),
		totalField("user_month", push.PerUser, true),
		teamsField("team_day", false),
		teamsField("team_month", true),
	)
	recordTypes = []*recordType{
		personType, repoType, refType, fileType, commitType, receiptType, pushType, totalsType,
	}
)

func trailersField(name string, get func(*commit) map[string][]string) field {
	typ := cel.MapType(cel.StringType, cel.ListType(cel.StringType))
	return field{name, typ, func(v any) ref.Val {
		return types.NewDynamicMap(types.DefaultTypeAdapter, get(v.(*commit)))
	}}
}

// totalField is what the owner has spent with this push.
func totalField(name string, per push.Per, monthly bool) field {
	return doubleField(name, func(v *view) float64 {
		for _, o := range totalOwners(v) {
			if o.per == per {
				return v.total(per, o.name, monthly).Float64()
			}
		}
		return 0
	})
}

// teamsField is what each team of the pusher has spent with this push.
func teamsField(name string, monthly bool) field {
	return field{name, cel.MapType(cel.StringType, cel.DoubleType), func(value any) ref.Val {
		v, spent := value.(*view), map[string]float64{}
		for _, team := range v.in.Pusher.Teams {
			spent[team] = v.total(push.PerTeam, team, monthly).Float64()
		}
		return types.NewDynamicMap(types.DefaultTypeAdapter, spent)
	}}
}

func aiPercentage(v *view) float64 {
	if v.lines.Added == 0 {
		return 0
	}
	return 100 * float64(v.lines.AI) / float64(v.lines.Added)
}

func promptsCost(v *view) float64 {
	var sum push.Decimal
	for _, p := range v.prompts() {
		sum = sum.Add(p.cost)
	}
	return sum.Float64()
}
