package store

import (
	"context"
	"regexp"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/notes"
)

// erased knows the people who were erased from an organisation, by hashes. The
// zero value knows nobody.
type erased struct {
	org    uuid.UUID
	sealer Sealer
	people map[string]string // hash to pseudonym
}

func erasedPeople(ctx context.Context, q querier, sealer Sealer, org uuid.UUID) (erased, error) {
	e := erased{org: org, sealer: sealer}
	rows, err := q.Query(ctx, `SELECT person, pseudonym FROM erasures WHERE org_id = $1`, org)
	if err != nil {
		return e, translate(err, "reading who was erased")
	}
	var hash []byte
	var pseudonym string
	_, err = pgx.ForEachRow(rows, []any{&hash, &pseudonym}, func() error {
		if e.people == nil {
			e.people = map[string]string{}
		}
		e.people[string(hash)] = pseudonym
		return nil
	})
	return e, translate(err, "reading who was erased")
}

// pseudonym is what stands in the place of the address of somebody who was erased.
func (e erased) pseudonym(email string) (string, bool) {
	if len(e.people) == 0 || email == "" {
		return "", false
	}
	hash, err := e.sealer.hashPerson(e.org, email)
	if err != nil {
		return "", false
	}
	pseudonym, ok := e.people[string(hash)]
	return pseudonym, ok
}

// person is a name and an address as they may be stored.
func (e erased) person(name, email string) (string, string) {
	pseudonym, ok := e.pseudonym(email)
	if !ok {
		return name, email
	}
	if name != "" {
		name = erasedName
	}
	return name, pseudonym
}

// receipt is a receipt as it may be stored: of somebody who was erased, what is
// counted and nothing that was said.
func (e erased) receipt(r *notes.Receipt) *notes.Receipt {
	name, email := e.person(r.UserName, r.UserEmail)
	if email == r.UserEmail {
		return r
	}
	kept := *r
	kept.UserName, kept.UserEmail = name, email
	kept.PromptSummary, kept.ResponseSummary, kept.PromptHash = "", "", ""
	kept.RawTimestamps, kept.Detail = nil, nil
	return &kept
}

// addressIn finds what looks like addresses in a text.
var addressIn = regexp.MustCompile(`[^\s<>"'(),;:]+@[^\s<>"'(),;:]+`)

// text is a text as it may be stored; of "Name <address>" nothing but the
// pseudonym is left.
func (e erased) text(text string) string {
	if len(e.people) == 0 || !strings.Contains(text, "@") {
		return text
	}
	out := addressIn.ReplaceAllStringFunc(text, func(found string) string {
		if pseudonym, ok := e.pseudonym(found); ok {
			return pseudonym
		}
		return found
	})
	if open := strings.LastIndexByte(out, '<'); open > 0 && out != text && strings.HasSuffix(out, ">") && !strings.Contains(out[:open], "\n") {
		return erasedName + " " + out[open:]
	}
	return out
}

// texts is text for several.
func (e erased) texts(list []string) []string {
	if len(e.people) == 0 {
		return list
	}
	out := make([]string, len(list))
	for i, text := range list {
		out[i] = e.text(text)
	}
	return out
}
