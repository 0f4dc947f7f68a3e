package store

import (
	"crypto/md5"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
)

// A term is a hash of something that receipts are filtered by: a kind and a
// value, or a path. The index receipts_terms finds the receipts that have all
// of several terms, and one of several others, without reading any other. Two
// values may hash alike, so that what was found is compared once more.
const receiptTerms = `receipt_terms(r.org_id, r.repo_id, r.user_email, r.user_name, r.provider, r.model, r.source, r.current, r.day,
	r.cost_usd, r.path_keys)`

// terms collects the conditions of a filter that the index answers.
type terms struct {
	c *conditions
	// all must be had, and of each of the lists any one.
	all          []string
	steps, lists []string
}

// have asks for a value of a kind; value is an SQL expression.
func (t *terms) have(kind, value string) {
	t.all = append(t.all, "receipt_term($1, '"+kind+"', "+value+")")
}

// oneOf asks for one of several values of a kind.
func (t *terms) oneOf(kind string, values []string) {
	if len(values) == 1 {
		t.have(kind, t.c.arg(values[0]))
		return
	}
	t.lists = append(t.lists, t.list(kind, values))
}

func (t *terms) list(kind string, values []string) string {
	return "receipt_term_list($1, '" + kind + "', " + t.c.arg(values) + ")"
}

// where is the condition on the terms. The index meets the first conditions with
// each other before it looks at the next, so that days and costs come first: they
// lie in one place of the table or are few.
func (t *terms) where() string {
	if len(t.all)+len(t.steps)+len(t.lists) == 0 {
		t.have("org", "''")
	}
	var parts []string
	for _, list := range t.steps {
		parts = append(parts, receiptTerms+" && ("+list+")")
	}
	if len(t.all) > 0 {
		parts = append(parts, receiptTerms+" @> ARRAY["+strings.Join(t.all, ", ")+"]")
	}
	for _, list := range t.lists {
		parts = append(parts, receiptTerms+" && ("+list+")")
	}
	return strings.Join(parts, " AND ")
}

// days asks for the days from first to last, by whole months where they are
// whole.
func (t *terms) days(first, last time.Time) {
	var days, months []string
	for day := first; !day.After(last); {
		if next := day.AddDate(0, 1, 0); day.Day() == 1 && !next.AddDate(0, 0, -1).After(last) {
			months, day = append(months, strconv.Itoa(day.Year()*12+int(day.Month()))), next
			continue
		}
		days, day = append(days, strconv.Itoa(int(day.Sub(dayZero)/(24*time.Hour)))), day.AddDate(0, 0, 1)
	}
	t.step("day", days, "month", months)
}

var dayZero = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// Costs are terms in steps, of which an octave has costSteps, and in whole
// octaves. Costs beyond the outermost ones count as these.
const (
	costSteps = 32
	leastCost = 0.000001
	mostCost  = 1_000_000
	leastStep = -20 * costSteps
	// nearly is more than the logarithms of PostgreSQL and ours may differ by.
	nearly = 1e-9
)

// costs asks for costs between least and most, by whole octaves where they are
// whole.
func (t *terms) costs(least, most float64) {
	first, last := costStep(least*(1-nearly)), costStep(most*(1+nearly))
	var steps, octaves []string
	for step := first; step <= last; {
		if step%costSteps == 0 && step+costSteps-1 <= last {
			octaves, step = append(octaves, strconv.Itoa(step/costSteps)), step+costSteps
			continue
		}
		steps, step = append(steps, strconv.Itoa(step)), step+1
	}
	t.step("cost", steps, "octave", octaves)
}

func costStep(cost float64) int {
	if cost <= leastCost {
		return leastStep
	}
	return int(math.Floor(costSteps * math.Log2(min(cost, mostCost))))
}

// stepCost is where a step surely begins.
func stepCost(step int) float64 { return math.Exp2(float64(step)/costSteps) * (1 + 2*nearly) }

// step asks for one of the fine or the coarse steps. No receipt has one of none.
func (t *terms) step(fine string, fines []string, coarse string, coarses []string) {
	var lists []string
	if len(fines)+len(coarses) == 0 {
		lists = append(lists, "ARRAY[]::integer[]")
	}
	if len(fines) > 0 {
		lists = append(lists, t.list(fine, fines))
	}
	if len(coarses) > 0 {
		lists = append(lists, t.list(coarse, coarses))
	}
	t.steps = append(t.steps, strings.Join(lists, " || "))
}

// paths asks for one of the terms of paths.
func (t *terms) paths(keys []int32) { t.lists = append(t.lists, t.c.arg(keys)+"::integer[]") }

// pathTerms are the terms of which a receipt has one if it has the path, or the
// directory down to which a pattern is plain; nil if there is none.
func pathTerms(org uuid.UUID, pattern string) []int32 {
	plain, _, isPattern := strings.Cut(pattern, "*")
	if isPattern {
		plain = plain[:strings.LastIndex(plain, "/")+1]
	}
	if plain == "" {
		return nil
	}
	return []int32{pathKey(org, plain), manyPaths}
}

// Of a receipt with more paths and directories than maxPathKeys the index knows
// only that it has many.
const (
	maxPathKeys = 1000
	manyPaths   = 0
)

// pathKeys are the terms of files' paths and of the directories above them.
func pathKeys(org uuid.UUID, files []notes.FileChange) []int32 {
	keys := []int32{}
	for _, f := range files {
		path := f.Path
		keys = append(keys, pathKey(org, path))
		for i := range len(path) {
			if path[i] == '/' {
				keys = append(keys, pathKey(org, path[:i+1]))
			}
		}
		slices.Sort(keys)
		if keys = slices.Compact(keys); len(keys) > maxPathKeys {
			return []int32{manyPaths}
		}
	}
	return keys
}

// pathKey is the term of a path, or of a directory with the slash at its end.
func pathKey(org uuid.UUID, path string) int32 { return hash32(path) ^ hash32(org.String()) }

// hash32 is as easily had in SQL.
func hash32(text string) int32 {
	sum := md5.Sum([]byte(text))
	return int32(binary.BigEndian.Uint32(sum[:4]))
}
