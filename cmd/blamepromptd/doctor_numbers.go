package main

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/blameprompt/enterprise/store"
)

// numbersListed is how many differences of each table of an organisation are
// listed; all are counted.
const numbersListed = 100

// numberShown is a line of the answer of doctor --numbers.
type numberShown struct {
	Org        string `json:"org"`
	Table      string `json:"table"`
	Dimension  string `json:"dimension"`
	Repo       string `json:"repo"`
	Key        string `json:"key"`
	Day        string `json:"day"`
	Figure     string `json:"figure"`
	Stored     string `json:"stored"`
	Recomputed string `json:"recomputed"`
}

// doctorNumbers compares the sums of all organisations with their rows.
func (a *app) doctorNumbers(ctx context.Context) error {
	return a.inSession(ctx, func(ctx context.Context, s *session) error {
		orgs, err := s.db.Orgs(ctx)
		if err != nil {
			return err
		}
		bar := a.newProgress()
		defer bar.end()
		differ, found, tables := []numberShown{}, int64(0), 0
		for _, org := range orgs {
			report, err := s.db.CheckNumbers(ctx, org.ID, numbersListed, func(table string) { bar.stage(org.Name + ": " + table) })
			if err != nil {
				return err
			}
			found, tables = found+report.Found, tables+len(report.Tables)
			for _, d := range report.Differences {
				differ = append(differ, numberOf(org, d))
			}
		}
		bar.end()
		return a.printNumbers(differ, found, fmt.Sprintf("%d tables of sums of %d organisations", tables, len(orgs)))
	})
}

func numberOf(org store.Org, d store.NumberDifference) numberShown {
	day := ""
	if d.Day != nil {
		day = d.Day.Format(time.DateOnly)
	}
	return numberShown{org.Name, d.Table, d.Dimension, d.Repo, d.Key, day, d.Figure, d.Stored, d.Recomputed}
}

func (a *app) printNumbers(differ []numberShown, found int64, compared string) error {
	if found == 0 && !a.json {
		fmt.Fprintln(a.stdout, "Every number is what its rows make:", compared+".")
		return nil
	}
	rows := make([][]string, len(differ))
	for i, d := range differ {
		rows[i] = []string{d.Org, d.Table, d.Dimension, cmp.Or(d.Repo, "all"), d.Key, d.Day, d.Figure, d.Stored, d.Recomputed}
	}
	header := []string{"ORG", "TABLE", "DIMENSION", "REPO", "KEY", "DAY", "FIGURE", "STORED", "RECOMPUTED"}
	if err := a.print(differ, header, rows); err != nil || found == 0 {
		return err
	}
	if !a.json {
		fmt.Fprintf(a.stdout, "\n%d figures of %s are not what their rows make", found, compared)
		if more := found - int64(len(differ)); more > 0 {
			fmt.Fprintf(a.stdout, "; %d are not listed", more)
		}
		fmt.Fprintln(a.stdout, ".")
	}
	return errSilent
}
