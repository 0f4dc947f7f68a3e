package httpapi

import (
	"cmp"
	"slices"
	"time"

	openapi_types "github.com/oapi-codegen/runtime/types"

	"github.com/blameprompt/enterprise/store"
)

const (
	oneDay  = 24 * time.Hour
	oneWeek = 7 * oneDay
)

// reworkDays are the lifetimes that rework is counted by.
var reworkDays = []int{14, 30, 90}

// within counts the lines that came while their map was there, and those that
// were removed within each of reworkDays. A week counts when the youngest of its
// commits is so old.
func within(cohorts []store.Cohort, today time.Time) []RemovedWithin {
	out := make([]RemovedWithin, len(reworkDays))
	for i, days := range reworkDays {
		until := today.Add(-time.Duration(days) * oneDay)
		w := RemovedWithin{Days: days, Through: openapi_types.Date{Time: until.Add(-oneDay)}}
		for _, c := range cohorts {
			if c.Watched && !c.Week.Add(oneWeek).After(until) {
				lines := w.class(c.Class)
				lines.Landed += c.Live + c.Removed
				lines.Removed += []int64{c.Removed14, c.Removed30, c.Removed90}[i]
			}
		}
		for _, lines := range []*RemovedLines{&w.Ai, &w.Human, &w.Unknown} {
			lines.Share = share(lines.Removed, lines.Landed)
		}
		out[i] = w
	}
	return out
}

func (w *RemovedWithin) class(name string) *RemovedLines {
	return map[string]*RemovedLines{"ai": &w.Ai, "human": &w.Human, "unknown": &w.Unknown}[name]
}

// withinGroups is within for each key, those with most AI lines first.
func withinGroups(cohorts []store.Cohort, today time.Time) []ReworkGroup {
	byKey := map[string][]store.Cohort{}
	for _, c := range cohorts {
		byKey[c.Key] = append(byKey[c.Key], c)
	}
	groups := []ReworkGroup{}
	for key, cohorts := range byKey {
		groups = append(groups, ReworkGroup{Key: key, Within: within(cohorts, today)})
	}
	slices.SortFunc(groups, func(a, b ReworkGroup) int {
		return cmp.Or(cmp.Compare(b.Within[0].Ai.Landed, a.Within[0].Ai.Landed), cmp.Compare(a.Key, b.Key))
	})
	return groups
}

// survival lists how many lines the commits of each week added, and how many of
// them are alive.
func survival(added []store.AddedWeek, cohorts []store.Cohort) []WeekSurvival {
	byWeek := map[time.Time]*WeekSurvival{}
	at := func(week time.Time) *WeekSurvival {
		if byWeek[week] == nil {
			byWeek[week] = &WeekSurvival{Week: openapi_types.Date{Time: week}}
		}
		return byWeek[week]
	}
	for _, a := range added {
		w := at(a.Week)
		w.Ai.Added, w.Human.Added, w.Unknown.Added = a.AI, a.Human, a.Unknown
	}
	for _, c := range cohorts {
		w := at(c.Week)
		map[string]*Survival{"ai": &w.Ai, "human": &w.Human, "unknown": &w.Unknown}[c.Class].Live += c.Live
	}
	weeks := make([]WeekSurvival, 0, len(byWeek))
	for _, w := range byWeek {
		weeks = append(weeks, *w)
	}
	slices.SortFunc(weeks, func(a, b WeekSurvival) int { return a.Week.Compare(b.Week.Time) })
	return weeks
}

// halfLifeWeeks is over how many weeks lines are taken together, so that a week
// with few of them says little.
const halfLifeWeeks = 4

// halfLife is the age in days, at its middle, of the youngest halfLifeWeeks weeks
// of whose lines at most half are alive.
func halfLife(weeks []WeekSurvival, today time.Time, of func(*WeekSurvival) Survival) *int {
	// Counted from the year 1, which began with a Monday.
	monday := today.Truncate(oneWeek)
	for end := monday; len(weeks) > 0 && end.After(weeks[0].Week.Time); end = end.Add(-oneWeek) {
		begin := end.Add(-halfLifeWeeks * oneWeek)
		var sum Survival
		for i := range weeks {
			if week := weeks[i].Week.Time; !week.Before(begin) && !week.Add(oneWeek).After(end) {
				s := of(&weeks[i])
				sum.Added, sum.Live = sum.Added+s.Added, sum.Live+s.Live
			}
		}
		if sum.Added > 0 && sum.Live*2 <= sum.Added {
			days := int(today.Sub(end.Add(-halfLifeWeeks*oneWeek/2)) / oneDay)
			return &days
		}
	}
	return nil
}
