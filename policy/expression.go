package policy

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common"
	"cel.dev/cel-go/common/cost"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/interpreter"

	"github.com/blameprompt/enterprise/policy/push"
)

// The bounds of expressions. The cost is counted in cel-go's units, roughly one
// per operation and one per ten characters that are looked at.
const (
	maxExpression     = 4096
	maxExpressionCost = 5_000_000
	interruptEvery    = 100
)

// expressionRule is expression: CEL that is true for what is allowed.
type expressionRule struct {
	text    string
	message string
	// each evaluates once per commit instead of once per push.
	each bool
	// allowErrors lets a push pass for which the expression has no value.
	allowErrors bool
	use         usage
	// counted stops at maxExpressionCost. plain does not count, which doubles its
	// speed; it runs where the input is small and bounded says that the cost
	// of small inputs stays below the limit.
	counted, plain cel.Program
	bounded        bool
}

func readExpression(o *object) judge {
	rule := &expressionRule{
		text:        o.code(string(Expression), maxExpression),
		each:        o.choice("each", "push", "commit") == "commit",
		message:     o.text("message", maxText),
		allowErrors: o.choice("on_error", "violate", "allow") == "allow",
	}
	if rule.text == "" {
		return rule
	}
	problems, err := rule.compile()
	if err != nil {
		problems = []string{err.Error()}
	}
	for _, problem := range problems {
		o.problem(o.at(string(Expression)), problem)
	}
	return rule
}

// compile checks the text and plans its programs; problems name line and column.
func (rule *expressionRule) compile() (problems []string, err error) {
	env, err := environment(rule.each)
	if err != nil {
		return nil, fmt.Errorf("preparing expressions: %w", err)
	}
	ast, issues := env.Compile(rule.text)
	if issues.Err() != nil {
		for _, e := range issues.Errors() {
			problems = append(problems, place(e.Location)+oneLine(e.Message))
		}
		return problems, nil
	}
	if ast.OutputType() != cel.BoolType {
		return []string{fmt.Sprintf("gives a value of type %s; it must be true or false", ast.OutputType())}, nil
	}
	rule.use = analyse(ast.NativeRep().Expr())
	if rule.use.makesObjects {
		return []string{"makes an object; only lists and maps can be made"}, nil
	}
	return nil, rule.plan(env, ast)
}

// place is where an error is; the compiler gives none for limits of the whole.
func place(l common.Location) string {
	if l.Line() < 1 {
		return ""
	}
	return fmt.Sprintf("line %d, column %d: ", l.Line(), l.Column()+1)
}

func (rule *expressionRule) plan(env *cel.Env, ast *cel.Ast) error {
	options := []cel.ProgramOption{cel.EvalOptions(cel.OptOptimize), cel.InterruptCheckFrequency(interruptEvery)}
	var err error
	if rule.plain, err = env.Program(ast, options...); err != nil {
		return fmt.Errorf("planning the expression: %w", err)
	}
	options = append(options, cel.CostLimit(maxExpressionCost))
	if rule.counted, err = env.Program(ast, options...); err != nil {
		return fmt.Errorf("planning the expression: %w", err)
	}
	estimate, err := env.EstimateCost(ast, smallInput{})
	rule.bounded = err == nil && estimate.Max < maxExpressionCost
	return nil
}

// oneLine keeps a message of the compiler in one line of bounded length.
func oneLine(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	const limit = 300
	if len(text) > limit {
		text = strings.ToValidUTF8(text[:limit], "") + "…"
	}
	return text
}

func (rule *expressionRule) judge(ctx context.Context, v *view, r *report) {
	awaited := v.awaited(anyCommit)
	if len(awaited) > 0 && rule.use.wholePush(rule.each) {
		r.await(awaited)
		return
	}
	if !rule.each {
		rule.evaluate(ctx, v, nil, r)
		return
	}
	var late []*commit
	for _, c := range v.commits {
		switch {
		case ctx.Err() != nil:
			return
		case c.awaited && rule.use.receipts:
			late = append(late, c)
		default:
			rule.evaluate(ctx, v, c, r)
		}
	}
	r.await(late)
}

// evaluate runs the expression for the view, or for one commit of it.
func (rule *expressionRule) evaluate(ctx context.Context, v *view, c *commit, r *report) {
	program := rule.counted
	if rule.bounded && v.small() {
		program = rule.plain
	}
	value, _, err := program.ContextEval(ctx, &activation{view: v, commit: c, projection: rule.use.projection})
	switch {
	case ctx.Err() != nil:
		return
	case err != nil:
		r.failed(c, rule.failure(r), reason(err))
	case value != types.True:
		r.violated(c, rule.finding(c))
	}
}

// failure is the outcome of an expression without a value.
func (rule *expressionRule) failure(r *report) push.Outcome {
	if rule.allowErrors {
		return push.Warn
	}
	return r.policy.outcome()
}

// reason says in words why an expression has no value.
func reason(err error) string {
	var cancelled interpreter.EvalCancelledError
	if errors.As(err, &cancelled) && cancelled.Cause == interpreter.CostLimitExceeded {
		return fmt.Sprintf("the expression takes more than %d steps for this push", maxExpressionCost)
	}
	return "the expression has no value, " + quote(oneLine(err.Error()))
}

func (rule *expressionRule) finding(c *commit) push.Finding {
	subject := "The push"
	if c != nil {
		subject = "Commit " + short(c.OID)
	}
	expression := quote(oneLine(rule.text))
	f := push.Finding{
		Limit:   expression,
		Found:   "false",
		Message: subject + " does not meet the expression " + expression + ".",
		Next:    "Change the push so that the expression is true, or ask an administrator for a waiver.",
	}
	if rule.message != "" {
		f.Message = subject + " does not meet the policy. " + rule.message
	}
	return f
}

func (rule *expressionRule) needs(v *view, _ *Scope, n *needs) {
	if !rule.use.totals {
		return
	}
	for _, monthly := range []bool{false, true} {
		for _, owner := range totalOwners(v) {
			n.accounts[v.account(owner.per, owner.name, monthly)] = true
		}
	}
}

// The largest input of which smallInput speaks.
const (
	smallReceipts = 2000
	smallCommits  = 200
	smallFiles    = 2000
	smallList     = 100
	smallText     = 512
)

// smallInput bounds sizes for cel-go's estimate of costs.
type smallInput struct{}

func (smallInput) EstimateSize(node cost.AstNode) *cost.SizeEstimate {
	path := strings.Join(node.Path(), ".")
	size := uint64(smallList)
	switch {
	case path == "":
		// What functions make is of no known size.
		return nil
	case node.Type().Kind() == types.StringKind:
		size = smallText
	case path == "receipts":
		size = smallReceipts
	case path == "commits":
		size = smallCommits
	case path == "push.files":
		size = smallFiles
	}
	return &cost.SizeEstimate{Min: 0, Max: size}
}

func (smallInput) EstimateCallCost(_, _ string, _ *cost.AstNode, _ []cost.AstNode) *cost.CallEstimate {
	return nil
}

// small reports whether the view stays below the bounds of smallInput.
func (v *view) small() bool {
	if v.isSmall == nil {
		small := len(v.receipts) <= smallReceipts && len(v.commits) <= smallCommits && len(v.refs) <= smallList &&
			smallPerson(v.in.Pusher) && smallTexts(v.in.Repo.Name, v.in.Repo.DefaultBranch, v.in.Today)
		for _, r := range v.refs {
			small = small && smallTexts(r.Name, r.Old, r.New)
		}
		files := 0
		for _, c := range v.commits {
			small = small && smallCommit(c)
			files += len(c.Files)
		}
		small = small && files <= smallFiles
		for _, r := range v.receipts {
			small = small && smallReceipt(r)
		}
		v.isSmall = &small
	}
	return *v.isSmall
}

func smallTexts(texts ...string) bool {
	for _, text := range texts {
		if len(text) > smallText {
			return false
		}
	}
	return true
}

func smallPerson(p push.Person) bool {
	return smallTexts(p.User, p.Name, p.Email) && len(p.Teams) <= smallList && smallTexts(p.Teams...)
}

func smallCommit(c *commit) bool {
	if len(c.Files) > smallList || len(c.Trailers) > smallList || len(c.Marks) > smallList ||
		len(c.receipts) > smallReceipts || !smallTexts(c.OID) || !smallPerson(c.Author) || !smallPerson(c.Committer) {
		return false
	}
	for i := range c.Files {
		if len(c.Files[i].Path) > smallText {
			return false
		}
	}
	for _, m := range c.Marks {
		if !smallTexts(m.Agent) {
			return false
		}
	}
	for _, t := range c.Trailers {
		if !smallTexts(t.Key, t.Value) {
			return false
		}
	}
	return true
}

func smallReceipt(r *receipt) bool {
	return smallTexts(r.ID, r.Receipt.Model, r.Provider, r.prompt, r.user) && len(r.teams) <= smallList &&
		smallTexts(r.teams...) && len(r.Files) <= smallList && smallTexts(r.Files...) && len(r.Secrets) <= smallList
}
