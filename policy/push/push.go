// Package push owns the values that policies are judged by: what is known of a
// push (Input) and what judging it says (Verdict).
//
// It does no I/O, knows no clock and imports no expression engine, so that a
// server hook can fill an Input from git, and print a Verdict, while staying
// small; the daemon adds receipts, reviews and stored totals. Both values
// travel as JSON and can be recorded for a backtest. All text in an Input is
// hostile.
package push

import (
	"strings"
	"time"
)

// Input is everything that a verdict depends on. Equal inputs give equal
// verdicts. The zero value of every field means "not known" or "none".
type Input struct {
	// Now is the present moment; only expressions read it.
	Now time.Time `json:"now"`
	// Today is the present day in the organisation's time zone, "2026-11-23".
	// The current month is its first seven characters.
	Today  string `json:"today"`
	Pusher Person `json:"pusher"`
	Repo   Repo   `json:"repo"`
	Refs   []Ref  `json:"refs"`
	// Commits are those that no ref of the repository reached before, children
	// after their parents.
	Commits []Commit `json:"commits,omitempty"`
	// Receipts are those of the Commits; others are ignored.
	Receipts []Receipt `json:"receipts,omitempty"`
	// Await says that receipts of commits without a note may still arrive. It is
	// false when no more are expected: in a late verdict, behind a wait, in a
	// backtest.
	Await  bool   `json:"await,omitempty"`
	Totals Totals `json:"totals"`
}

// Person is somebody whom the caller has looked up as far as possible.
type Person struct {
	// User is the key under which the organisation knows the person, as
	// receipts and totals use it; usually the e-mail address in lower case.
	User  string   `json:"user,omitempty"`
	Name  string   `json:"name,omitempty"`
	Email string   `json:"email,omitempty"`
	Teams []string `json:"teams,omitempty"`
}

// Same reports whether both are known to be one person: the same user or the
// same e-mail address, in any case of letters.
func (p Person) Same(q Person) bool {
	return sameWord(p.User, q.User) || sameWord(p.Email, q.Email) ||
		sameWord(p.User, q.Email) || sameWord(p.Email, q.User)
}

func sameWord(a, b string) bool {
	a, b = strings.TrimSpace(a), strings.TrimSpace(b)
	return a != "" && strings.EqualFold(a, b)
}

// Repo is the repository that is pushed to.
type Repo struct {
	Name          string `json:"name"`
	DefaultBranch string `json:"default_branch,omitempty"`
}

// RefKind says what happens to a ref.
type RefKind string

// The kinds of ref updates. Every change of a tag is Tag and every change of a
// notes ref is Notes, deletions included; the others are of branches and of
// refs elsewhere.
const (
	Create RefKind = "create"
	Update RefKind = "update"
	Force  RefKind = "force"
	Delete RefKind = "delete"
	Tag    RefKind = "tag"
	Notes  RefKind = "notes"
)

// Origin says who made the ref update.
type Origin string

// Direct updates come from a developer's machine; Merge and Web are made by the
// forge itself, from its merge button and its editor. Empty means Direct.
const (
	Direct Origin = "push"
	Merge  Origin = "merge"
	Web    Origin = "web"
)

// Ref is one ref update of the push.
type Ref struct {
	Name string `json:"name"`
	// Old and New are object ids, of zeros only where the ref did not or does not
	// exist.
	Old    string  `json:"old,omitempty"`
	New    string  `json:"new,omitempty"`
	Kind   RefKind `json:"kind"`
	Origin Origin  `json:"origin,omitempty"`
}

// Branch is the name of a branch without refs/heads/, else "".
func (r Ref) Branch() string {
	branch, ok := strings.CutPrefix(r.Name, "refs/heads/")
	if !ok {
		return ""
	}
	return branch
}

// Judged reports whether rules on commits apply to the update: not to notes,
// which have rules of their own, and not where the ref goes away.
func (r Ref) Judged() bool {
	gone := r.New != "" && strings.Trim(r.New, "0") == ""
	return r.Kind != Notes && r.Kind != Delete && !gone
}

// Commit is one new commit.
type Commit struct {
	OID       string   `json:"oid"`
	Parents   []string `json:"parents,omitempty"`
	Author    Person   `json:"author"`
	Committer Person   `json:"committer"`
	// Refs names the refs of the push that reach the commit; empty means all.
	Refs     []string  `json:"refs,omitempty"`
	Trailers []Trailer `json:"trailers,omitempty"`
	// Marks are the signs of AI agents in the commit itself.
	Marks []Mark `json:"marks,omitempty"`
	// Bot says that the author is automation that is no coding agent.
	Bot bool `json:"bot,omitempty"`
	// Noted says that a note of the commit was read, whatever it holds.
	Noted bool `json:"noted,omitempty"`
	// Files are those that differ from the first parent; of a merge only with
	// lines that are in no parent.
	Files   []File   `json:"files,omitempty"`
	PatchID string   `json:"patch_id,omitempty"`
	Reviews []Review `json:"reviews,omitempty"`
}

// Trailer is one "Key: value" of a commit message.
type Trailer struct {
	Key   string `json:"key"`
	Value string `json:"value"`
}

// Mark is a sign in a commit that an AI agent had a part in it.
type Mark struct {
	Agent    string `json:"agent"`
	Evidence string `json:"evidence,omitempty"`
}

// File counts the lines of one file of a commit.
type File struct {
	Path    string `json:"path"`
	Added   int64  `json:"added,omitempty"`
	Deleted int64  `json:"deleted,omitempty"`
	// AI and Human are the added lines of these classes; the rest of Added is
	// unknown.
	AI    int64 `json:"ai,omitempty"`
	Human int64 `json:"human,omitempty"`
	// Excluded files (lock files, vendored, generated) count in no sum of lines.
	Excluded bool `json:"excluded,omitempty"`
}

// Lines are sums of added lines by class.
type Lines struct {
	Added int64 `json:"added"`
	AI    int64 `json:"ai"`
	Human int64 `json:"human"`
}

// Unknown is what is neither AI nor human.
func (l Lines) Unknown() int64 { return max(0, l.Added-l.AI-l.Human) }

// Plus adds both sums.
func (l Lines) Plus(m Lines) Lines {
	return Lines{Added: l.Added + m.Added, AI: l.AI + m.AI, Human: l.Human + m.Human}
}

// Lines returns the counts of one file; negative counts are taken as 0 and
// Added as at least what AI and Human sum to.
func (f File) Lines() Lines {
	l := Lines{AI: max(0, f.AI), Human: max(0, f.Human)}
	l.Added = max(0, f.Added, l.AI+l.Human)
	return l
}

// Lines sums the files of a commit that are not excluded.
func (c *Commit) Lines() Lines {
	var sum Lines
	for i := range c.Files {
		if !c.Files[i].Excluded {
			sum = sum.Plus(c.Files[i].Lines())
		}
	}
	return sum
}

// Review is somebody's recorded judgement of a change.
type Review struct {
	Reviewer Person `json:"reviewer"`
	// PatchID binds the review to a change wherever it is rebased to; OID binds it
	// to one commit, for changes without a patch id.
	PatchID  string    `json:"patch_id,omitempty"`
	OID      string    `json:"oid,omitempty"`
	Approved bool      `json:"approved"`
	At       time.Time `json:"at,omitzero"`
}

// Receipt is what policies ask of a receipt. Everything but Prompt, User and
// Counted is the client's claim.
type Receipt struct {
	ID string `json:"id"`
	// Commit is the OID of the commit whose note holds the receipt.
	Commit   string `json:"commit"`
	Provider string `json:"provider,omitempty"`
	Model    string `json:"model,omitempty"`
	// Prompt identifies the prompt, which several receipts may report; empty means
	// that the receipt stands for itself.
	Prompt string `json:"prompt,omitempty"`
	// User is the key of the person who prompted; empty means the pusher.
	User string `json:"user,omitempty"`
	// Teams are those of the User.
	Teams []string `json:"teams,omitempty"`
	// Day is the day of the prompt in the organisation's time zone; empty means
	// today.
	Day string `json:"day,omitempty"`
	// CostUSD is nil when the cost is not known.
	CostUSD *Decimal `json:"cost_usd,omitempty"`
	// CountedUSD is what Totals already hold for the receipt's prompt; nil is
	// nothing.
	CountedUSD          *Decimal `json:"counted_usd,omitempty"`
	InputTokens         int64    `json:"input_tokens,omitempty"`
	OutputTokens        int64    `json:"output_tokens,omitempty"`
	CacheReadTokens     int64    `json:"cache_read_tokens,omitempty"`
	CacheCreationTokens int64    `json:"cache_creation_tokens,omitempty"`
	Files               []string `json:"files,omitempty"`
	// Secrets are the kinds that FindSecrets found in the texts of the receipt.
	Secrets []SecretKind `json:"secrets,omitempty"`
}

// Per says whose spending an account holds.
type Per string

// The owners of accounts.
const (
	PerOrg  Per = "org"
	PerTeam Per = "team"
	PerRepo Per = "repo"
	PerUser Per = "user"
)

// Account names one sum of costs.
type Account struct {
	Per Per `json:"per"`
	// Key is the team, the repository or the user; empty for the organisation.
	Key string `json:"key,omitempty"`
	// Period is a day, "2026-11-23", or a month, "2026-11".
	Period string `json:"period"`
}

// Spent is the sum of one account: each prompt once, with its largest cost.
type Spent struct {
	Account
	USD Decimal `json:"usd"`
}

// Window is what the repository's commits of the last Days added, without this
// push.
type Window struct {
	Days  int   `json:"days"`
	Lines Lines `json:"lines"`
}

// Totals are stored sums. Accounts and windows that are not there are zero:
// the caller supplies those that Set.Needs names.
type Totals struct {
	Spent   []Spent  `json:"spent,omitempty"`
	Windows []Window `json:"windows,omitempty"`
}

// Needs are the totals that judging an Input reads. A caller that reads them,
// and records what it accepted, under one lock per account lets no two pushes
// pass below the same limit.
type Needs struct {
	// Accounts are sorted and each named once.
	Accounts []Account `json:"accounts,omitempty"`
	// Windows are lengths in days, ascending.
	Windows []int `json:"windows,omitempty"`
}

// Marked reports whether the commit shows an AI agent's hand by itself.
func (c *Commit) Marked() bool { return len(c.Marks) > 0 }

// Merged reports whether the commit has several parents.
func (c *Commit) Merged() bool { return len(c.Parents) > 1 }
