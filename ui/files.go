package ui

import (
	"bytes"
	"context"
	"errors"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store"
)

// Folder is a folder of a repository with whose its live lines are.
type Folder struct {
	Base
	Repo  store.Repo
	Path  string
	Trail []View
	Here  store.LivePath
	Rows  []PathRow
	Pager Pager
	// Classes is the bar of the whole folder, Map its parts on this page.
	Classes Share
	Map     Map
}

// PathRow is a folder or file.
type PathRow struct {
	store.LivePath
	Name, Link string
	Classes    Share
}

// Total is all of its lines that count.
func (r PathRow) Total() int64 { return r.AI + r.Human + r.Unknown }

// Share is the part of the lines that are AI.
func (r PathRow) Share() string { return percent(r.AI, r.Total()) }

// File is a file at the tip with the owner of each line.
type File struct {
	Base
	Repo  store.Repo
	Path  string
	Trail []View
	store.LiveFileHead
	Classes Share
	Lines   []FileLine
	Pager   Pager
	// Without says why no text is shown.
	Without string
}

// FileLine is a line of a file. Owner is of the run that begins with it.
type FileLine struct {
	Number      int
	Text, Class string
	Owner       *store.LineOwner
}

// Bounds of a file's page.
const (
	maxFileBytes = 2 << 20
	maxFileLines = 200
	maxFileShown = 30 << 10
)

func (p *pages) files(w http.ResponseWriter, r *http.Request) error {
	repo, err := p.repoAt(r)
	if err != nil {
		return err
	}
	path := r.URL.Query().Get("path")
	if path != "" && !strings.HasSuffix(path, "/") {
		return p.file(w, r, repo, path)
	}
	base, err := p.newBase(r, "/repositories", repo.Name)
	if err != nil {
		return err
	}
	page := &Folder{Base: base, Repo: repo, Path: path, Trail: trail(repo, path)}
	err = p.readFolder(r, page)
	if errors.Is(err, store.ErrNotFound) && path == "" {
		// The first map is still to come.
		return p.show(w, r, http.StatusOK, "files", page)
	}
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "files", page)
}

func (p *pages) readFolder(r *http.Request, page *Folder) error {
	seal := cursor.Seal(page.Viewer.Org, "files page", page.Repo.ID.String()+" "+page.Path)
	var after *store.LivePathPosition
	if err := cursor.Open(r.URL.Query().Get("cursor"), seal, &after); err != nil {
		return err
	}
	here, rows, err := p.cfg.DB.LiveFolder(r.Context(), page.Viewer.Org, page.Repo.ID, page.Path, after, pageSize+1)
	if err != nil {
		return err
	}
	rows, more := cut(rows)
	page.Here, page.Classes = here, lineShare(here.AI, here.Human, here.Unknown)
	for _, row := range rows {
		page.Rows = append(page.Rows, PathRow{row, strings.TrimPrefix(string(row.Path), page.Path), filesPath(page.Repo.ID, string(row.Path)),
			lineShare(row.AI, row.Human, row.Unknown)})
	}
	page.Map = newMap(pathParts(page.Rows))
	page.Pager.Shown = count(len(rows)) + " shown"
	if more {
		last := rows[len(rows)-1]
		page.Pager.Next = filesPath(page.Repo.ID, page.Path) + "&cursor=" +
			url.QueryEscape(cursor.Make(seal, store.LivePathPosition{File: last.Kind != "folder", Path: last.Path}))
	}
	return nil
}

// pathParts are the paths as parts of a map.
func pathParts(rows []PathRow) []mapPart {
	return each(rows, func(row PathRow) mapPart { return mapPart{plain(row.Name), row.AI, row.Total()} })
}

func filesPath(repo uuid.UUID, path string) string {
	return "/repositories/" + repo.String() + "/files?path=" + url.QueryEscape(path)
}

// trail is the way from the root to a path.
func trail(repo store.Repo, path string) []View {
	out := []View{{Name: repo.Name, Path: filesPath(repo.ID, ""), Current: path == ""}}
	for i, c := range path {
		if c == '/' {
			start := strings.LastIndexByte(path[:i], '/') + 1
			out = append(out, View{Name: path[start:i], Path: filesPath(repo.ID, path[:i+1]), Current: i+1 == len(path)})
		}
	}
	return out
}

// file shows a file at the tip of the live map.
func (p *pages) file(w http.ResponseWriter, r *http.Request, repo store.Repo, path string) error {
	base, err := p.newBase(r, "/repositories", path[strings.LastIndexByte(path, '/')+1:])
	if err != nil {
		return err
	}
	page := &File{Base: base, Repo: repo, Path: path, Trail: trail(repo, path)}
	f := queryOf(r)
	from := f.line("line")
	if err := f.err(); err != nil {
		return err
	}
	lines, err := p.cfg.DB.LiveFileLines(r.Context(), base.Viewer.Org, repo.ID, path, 0, maxRunsRead)
	if err != nil {
		return err
	}
	page.LiveFileHead, page.Classes = lines.LiveFileHead, lineShare(lines.AI, lines.Human, lines.Unknown)
	content, err := p.blob(r.Context(), repo.ID, lines.Blob)
	if err != nil {
		return err
	}
	page.lay(content, from, lines.Runs)
	return p.show(w, r, http.StatusOK, "file", page)
}

// maxRunsRead bounds the runs of a file that are read for a page.
const maxRunsRead = 20_000

// line is the number of a line, 1 if none is given.
func (f *form) line(name string) int {
	text := f.text(name, 9)
	if text == "" {
		return 1
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		f.refuse(name, "must be the number of a line")
		return 1
	}
	return n
}

// blob reads a file's content from the mirror; nil without one.
func (p *pages) blob(ctx context.Context, repo uuid.UUID, id string) ([]byte, error) {
	oid, err := gitcmd.ParseOID(id)
	if err != nil || p.cfg.MirrorRoot == "" {
		return nil, nil
	}
	m, err := mirror.Open(p.cfg.MirrorRoot, repo.String())
	if err != nil {
		return nil, err
	}
	git, err := m.Repo()
	if errors.Is(err, gitcmd.ErrNotRepository) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	content, err := git.Command(ctx, "cat-file", "blob", string(oid)).Output(maxFileBytes)
	if errors.Is(err, gitcmd.ErrOutputTooLarge) {
		return nil, &respond.Problem{Status: http.StatusRequestEntityTooLarge, Code: "too_large", Detail: "The file is larger than a page shows."}
	}
	return content, err
}

// lay lays lines and owners side by side, from a line on.
func (p *File) lay(content []byte, from int, runs []store.LineOwner) {
	if content == nil {
		p.Without = "The mirror does not have it."
		return
	}
	size, number := 0, 0
	for line := range bytes.Lines(content) {
		number++
		if number < from {
			continue
		}
		text := clip(strings.TrimRight(string(line), "\r\n"), maxDiffLine)
		size += len(template.HTMLEscapeString(text))
		if len(p.Lines) == maxFileLines || size > maxFileShown {
			p.Pager.Next = filesPath(p.Repo.ID, p.Path) + "&line=" + strconv.Itoa(number)
			break
		}
		p.Lines = append(p.Lines, ownedLine(number, text, runs, len(p.Lines) == 0))
	}
	p.Pager.Shown = count(len(p.Lines)) + " lines shown"
	if from > 1 {
		p.Pager.First = filesPath(p.Repo.ID, p.Path)
	}
}

// ownedLine is a line with its class; the owner is named where its run begins,
// and on the first line of a page.
func ownedLine(number int, text string, runs []store.LineOwner, first bool) FileLine {
	out := FileLine{Number: number, Text: text, Class: "unknown"}
	for i := range runs {
		if number >= int(runs[i].First) && number <= int(runs[i].Last) {
			out.Class = runs[i].Class
			if first || number == int(runs[i].First) {
				out.Owner = &runs[i]
			}
			return out
		}
	}
	return out
}
