package policy

import (
	"slices"

	"cel.dev/cel-go/common/ast"
	"cel.dev/cel-go/common/operators"
)

// usage is what an expression reads, found in its syntax tree.
type usage struct {
	variables []string
	totals    bool
	// receipts says that notes which arrive later may change the value.
	receipts bool
	// makesObjects says that the expression builds a value of an object type.
	makesObjects bool
	// projection are the fields of receipts that matter when all that the
	// expression asks of receipts is all() and exists(): receipts that are equal in
	// them count once. Nil means that the whole list is needed.
	projection []int
}

// noteFields are the fields whose values come from notes.
var noteFields = []string{
	"ai", "human", "unknown", "ai_percentage", "cost_usd", "prompts", "receipts", "noted",
}

func analyse(root ast.Expr) usage {
	var u usage
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			u.variables = append(u.variables, e.AsIdent())
		case ast.SelectKind:
			u.receipts = u.receipts || slices.Contains(noteFields, e.AsSelect().FieldName())
		case ast.CallKind:
			// A dynamic value hides which fields are read.
			u.receipts = u.receipts || e.AsCall().FunctionName() == "dyn"
		case ast.StructKind:
			u.makesObjects = true
		}
	}))
	u.totals = slices.Contains(u.variables, "totals")
	u.receipts = u.receipts || u.totals || slices.Contains(u.variables, "receipts")
	u.projection = projection(root)
	return u
}

// wholePush reports whether missing receipts of any commit leave the value open.
func (u usage) wholePush(each bool) bool {
	if !each {
		return u.receipts
	}
	beyond := func(name string) bool { return name == "commits" || name == "push" || name == "totals" }
	return u.receipts && slices.ContainsFunc(u.variables, beyond)
}

// projection returns the fields of receipts that the expression reads, or nil
// if it uses receipts in any way but receipts.all(r, …) and receipts.exists(r, …)
// with scalar fields of r.
func projection(root ast.Expr) []int {
	var uses, ranges int
	var fields []int
	plain := true
	ast.PreOrderVisit(root, ast.NewExprVisitor(func(e ast.Expr) {
		if e.Kind() == ast.IdentKind && e.AsIdent() == "receipts" {
			uses++
		}
		if e.Kind() != ast.ComprehensionKind || !isIdent(e.AsComprehension().IterRange(), "receipts") {
			return
		}
		ranges++
		read, ok := quantified(e.AsComprehension())
		fields, plain = append(fields, read...), plain && ok
	}))
	if !plain || ranges == 0 || uses != ranges {
		return nil
	}
	slices.Sort(fields)
	return slices.Compact(fields)
}

func isIdent(e ast.Expr, name string) bool { return e.Kind() == ast.IdentKind && e.AsIdent() == name }

// quantified returns the fields that an all() or exists() reads of its variable;
// ok is false for other comprehensions and other uses of the variable.
func quantified(c ast.ComprehensionExpr) (fields []int, ok bool) {
	step := c.LoopStep()
	if c.HasIterVar2() || step.Kind() != ast.CallKind || c.AccuInit().Kind() != ast.LiteralKind {
		return nil, false
	}
	call := step.AsCall()
	logical := call.FunctionName() == operators.LogicalAnd || call.FunctionName() == operators.LogicalOr
	if !logical || len(call.Args()) != 2 {
		return nil, false
	}
	if !isIdent(call.Args()[0], c.AccuVar()) || !isIdent(c.Result(), c.AccuVar()) {
		return nil, false
	}
	return fieldsOf(call.Args()[1], c.IterVar())
}

// fieldsOf returns the scalar fields of receipts that are selected from a
// variable; ok is false when the variable is used otherwise or named again.
func fieldsOf(predicate ast.Expr, name string) (fields []int, ok bool) {
	uses, selected, ok := 0, 0, true
	ast.PreOrderVisit(predicate, ast.NewExprVisitor(func(e ast.Expr) {
		switch e.Kind() {
		case ast.IdentKind:
			if e.AsIdent() == name {
				uses++
			}
		case ast.ComprehensionKind:
			c := e.AsComprehension()
			ok = ok && c.IterVar() != name && c.IterVar2() != name
		case ast.SelectKind:
			if !isIdent(e.AsSelect().Operand(), name) {
				return
			}
			selected++
			place, known := receiptType.index[e.AsSelect().FieldName()]
			ok = ok && known && receiptType.fields[place].scalar()
			fields = append(fields, place)
		}
	}))
	return fields, ok && uses == selected
}
