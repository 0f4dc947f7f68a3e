package push

// Outcome is what a verdict, or one policy, comes to.
type Outcome string

// The outcomes, from the mildest to the strongest. Pending means that receipts
// may still arrive and the push is to be judged again then; it is accepted
// until then.
const (
	Accept  Outcome = "accept"
	Warn    Outcome = "warn"
	Pending Outcome = "pending"
	Refuse  Outcome = "refuse"
)

var strength = map[Outcome]int{Accept: 0, Warn: 1, Pending: 2, Refuse: 3}

// Stronger returns the stronger of both outcomes.
func (o Outcome) Stronger(p Outcome) Outcome {
	if strength[p] > strength[o] {
		return p
	}
	return o
}

// Problem says what kind of finding it is.
type Problem string

// Violated: the rule is broken. Awaited: receipts are missing that may decide
// it. Failed: the rule could not be evaluated.
const (
	Violated Problem = "violated"
	Awaited  Problem = "awaited"
	Failed   Problem = "failed"
)

// Finding is one thing that one policy found. Its texts never hold prompt text
// or secrets, and text of the push stands in them quoted, without control
// characters.
type Finding struct {
	// PolicyID is empty, and Version 0, where no policy is broken but what holds
	// without any; PolicyName then names that.
	PolicyID   string  `json:"policy_id"`
	PolicyName string  `json:"policy_name"`
	Version    int     `json:"version"`
	Rule       string  `json:"rule"`
	Problem    Problem `json:"problem"`
	Outcome    Outcome `json:"outcome"`
	// Commit, File, Receipt, Model and Account are set where the finding is about
	// one; they are as the push has them, unquoted.
	Commit  string   `json:"commit,omitempty"`
	File    string   `json:"file,omitempty"`
	Receipt string   `json:"receipt,omitempty"`
	Model   string   `json:"model,omitempty"`
	Account *Account `json:"account,omitempty"`
	// Limit and Found are the two sides that were compared, in words.
	Limit string `json:"limit,omitempty"`
	Found string `json:"found,omitempty"`
	// Message says what is wrong in one sentence, Next what the developer can do.
	Message string `json:"message"`
	Next    string `json:"next"`
	// Waiver is the id of the waiver that took the finding's force away, and
	// Overridden says that the pusher's override did.
	Waiver     string `json:"waiver,omitempty"`
	Overridden bool   `json:"overridden,omitempty"`
}

// Judged names a policy that was in scope, with the version that was used.
type Judged struct {
	PolicyID   string  `json:"policy_id"`
	PolicyName string  `json:"policy_name"`
	Version    int     `json:"version"`
	Outcome    Outcome `json:"outcome"`
	// More counts the findings beyond the first MaxFindings, which are left out.
	More int `json:"more,omitempty"`
}

// MaxFindings bounds the findings of one policy in a verdict.
const MaxFindings = 20

// Verdict is the answer to an Input.
type Verdict struct {
	// Outcome is the strongest of the policies'.
	Outcome Outcome `json:"outcome"`
	// Findings are ordered: strongest outcome first, then by policy, then by
	// commit in the order of the push.
	Findings []Finding `json:"findings"`
	// Policies are those in scope, by name and id.
	Policies []Judged `json:"policies"`
}
