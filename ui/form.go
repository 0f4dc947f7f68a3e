package ui

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
)

// form reads the fields of a query or of a posted form, and collects what is
// wrong with them, so that everything is named at once.
type form struct {
	values url.Values
	faults []Fault
}

func queryOf(r *http.Request) *form { return &form{values: r.URL.Query()} }

func postOf(r *http.Request) *form { return &form{values: r.PostForm} }

func (f *form) refuse(field, problem string) {
	f.faults = append(f.faults, Fault{field, problem})
}

// text is a field of at most limit characters, without blanks around it.
func (f *form) text(name string, limit int) string {
	value := strings.TrimSpace(f.values.Get(name))
	switch {
	case !utf8.ValidString(value) || strings.ContainsRune(value, 0):
		f.refuse(name, "must be text")
		return ""
	case utf8.RuneCountInString(value) > limit:
		f.refuse(name, "is too long")
		return ""
	}
	return value
}

// wanted is text that must not be empty.
func (f *form) wanted(name string, limit int) string {
	value := f.text(name, limit)
	if value == "" && len(f.faults) == 0 {
		f.refuse(name, "must be given")
	}
	return value
}

// match is text that, unless it is empty, has a form; hint names it.
func (f *form) match(name string, pattern *regexp.Regexp, hint string) string {
	value := f.text(name, 1000)
	if value != "" && !pattern.MatchString(value) {
		f.refuse(name, "must be "+hint)
		return ""
	}
	return value
}

// choice is one of some values, or empty.
func (f *form) choice(name string, allowed ...string) string {
	value := f.text(name, 100)
	if value != "" && !slices.Contains(allowed, value) {
		f.refuse(name, "must be one of "+strings.Join(allowed, ", "))
		return ""
	}
	return value
}

// yesNo is true or false; nil if it is not given.
func (f *form) yesNo(name string) *bool {
	value := f.choice(name, "true", "false")
	if value == "" {
		return nil
	}
	yes := value == "true"
	return &yes
}

// on reports whether a box is ticked.
func (f *form) on(name string) bool { return f.values.Get(name) != "" }

// day is a date as the first moment of a day in a zone; zero if it is not given.
func (f *form) day(name string, zone *time.Location) time.Time {
	value := f.text(name, 40)
	if value == "" {
		return time.Time{}
	}
	at, err := time.ParseInLocation(time.DateOnly, value, zone)
	if err != nil || at.Year() < 1970 {
		f.refuse(name, "must be a date such as 2026-02-14")
		return time.Time{}
	}
	return at
}

// period is the days from and to: the first moment, and the first moment behind.
func (f *form) period(zone *time.Location) (from, to time.Time) {
	from, to = f.day("from", zone), f.day("to", zone)
	if !to.IsZero() {
		to = to.AddDate(0, 0, 1)
	}
	if !from.IsZero() && !to.IsZero() && !to.After(from) {
		f.refuse("to", "must not be before from")
	}
	return from, to
}

// id is a UUID; the nil UUID if it is not given.
func (f *form) id(name string) uuid.UUID {
	value := f.text(name, 100)
	if value == "" {
		return uuid.Nil
	}
	id, err := uuid.Parse(value)
	if err != nil {
		f.refuse(name, "must be an id")
	}
	return id
}

// lines are the lines of a text area without empty ones.
func (f *form) lines(name string, limit int) []string {
	var out []string
	for line := range strings.Lines(f.text(name, limit)) {
		if line = strings.TrimSpace(line); line != "" {
			out = append(out, line)
		}
	}
	return out
}

// err is everything that was refused; nil if nothing was.
func (f *form) err() error {
	if len(f.faults) == 0 {
		return nil
	}
	fields := make([]respond.Field, len(f.faults))
	for i, fault := range f.faults {
		fields[i] = respond.Field(fault)
	}
	return respond.Invalid(fields...)
}

// address is a path with the values that are not empty, in a fixed order.
func address(path string, values url.Values) string {
	kept := url.Values{}
	for name, list := range values {
		for _, value := range list {
			if value != "" {
				kept.Add(name, value)
			}
		}
	}
	if len(kept) == 0 {
		return path
	}
	return path + "?" + kept.Encode()
}

// changed is a copy of values with one set, or left out where it is empty.
// Changing a list leads back to its beginning.
func changed(values url.Values, name, value string) url.Values {
	out := url.Values{}
	for key, list := range values {
		out[key] = slices.Clone(list)
	}
	out.Del("cursor")
	out.Del("done")
	if value == "" {
		out.Del(name)
	} else {
		out.Set(name, value)
	}
	return out
}

// faultsOf are the fields that an error names, if it is about input.
func faultsOf(err error) ([]Fault, bool) {
	problem := respond.ProblemOf(err)
	switch {
	case problem.Status >= http.StatusInternalServerError || problem.Status == http.StatusNotFound:
		return nil, false
	case len(problem.Fields) == 0:
		return []Fault{{Problem: problem.Detail}}, true
	}
	faults := make([]Fault, len(problem.Fields))
	for i, field := range problem.Fields {
		faults[i] = Fault(field)
		if field.Field == "cursor" {
			// Nobody types it: the address is an old one, or was cut.
			faults[i] = Fault{Problem: "This address leads into a list that was filtered or ordered otherwise. Apply the filters to begin anew."}
		}
	}
	return faults, true
}

// statusFor is the status of a page that shows what was refused.
func statusFor(faults []Fault) int {
	if len(faults) > 0 {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// notices are what pages say behind a form that did something.
var notices = map[string]string{
	"waived":           "The waiver is made, and what waited was judged again.",
	"released":         "The branch is released.",
	"revoked":          "The waiver is revoked, and what it covered was judged again.",
	"approved":         "The change is approved, and what waited for it was judged again.",
	"rejected":         "The change is rejected.",
	"changed":          "The settings are changed.",
	"fetching":         "A fetch is demanded; it starts within seconds.",
	"added":            "The repository is registered and is being fetched.",
	"repo-removed":     "The repository is removed. What it brought stays.",
	"connected":        "The organisation is connected. Its repositories appear here as the forge lists them.",
	"disconnected":     "The connection is ended. Its repositories stay.",
	"team-made":        "The team is made.",
	"team-changed":     "The team is changed.",
	"team-removed":     "The team is removed.",
	"key-revoked":      "The key is revoked.",
	"secret-revoked":   "The secret is revoked.",
	"people-changed":   "Done.",
	"ssh-key-ended":    "The SSH key is revoked.",
	"grant-changed":    "The grants are changed.",
	"report-asked":     "The report is being made; it appears here as it grows.",
	"report-scheduled": "The report is made whenever its period is over.",
	"report-removed":   "The report is removed. That it was there is in the audit log.",
	"schedule-ended":   "The schedule is ended. Its reports stay.",
	"saved":            "The policy is saved.",
	"enabled":          "The policy is in force.",
	"disabled":         "The policy is switched off.",
	"removed":          "The policy is removed. Its versions stay readable from the decisions that they made.",
	"prices-changed":   "The prices are changed; costs are computed anew.",
	"people-joined":    "Done. Sums and filters follow within a minute.",
	"redelivered":      "What the delivery asked for is done once more.",
	"ignored-before":   "The delivery asked for nothing.",
	"endpoint-changed": "The endpoint is changed.",
	"endpoint-on":      "The endpoint is switched on.",
	"endpoint-off":     "The endpoint is switched off. What waited has failed.",
	"endpoint-removed": "The endpoint is removed.",
	"pinged":           "A ping is being sent; it appears among the messages.",
	"resent":           "The message is being sent once more.",
	"unknown-repo":     "No repository here has that name.",
}

// done leads back to a page behind a form that did something: what is shown
// then is a GET, which can be loaded again.
func done(w http.ResponseWriter, r *http.Request, path, notice string) error {
	target := path
	if notice != "" {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		target += separator + "done=" + notice
	}
	http.Redirect(w, r, target, http.StatusSeeOther)
	return nil
}
