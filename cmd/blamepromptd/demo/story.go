package demo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/store"
)

// The notes refs of the two formats.
const (
	refBlamePrompt = "refs/notes/blameprompt"
	refGitAI       = "refs/notes/ai"
)

const mainRef = "refs/heads/main"

// project is a repository and the history that is made up for it.
type project struct {
	name, team string
	languages  []*language
	// byHand are languages that tools write no more once they are protected.
	byHand *language
	// notes is the ref that the team's tools write to.
	notes    string
	settings store.RepoSettings
	// share is how many of ten commits come of prompts at the end of the story.
	share int
	// weight is how many of the working days' topics are the project's.
	weight int

	main    *line
	commits []*commit
	noted   []*noteCommit
	tips    map[string]*noteCommit
	// unpushed says that main has what the gateway has not; busy is when the last
	// work on main was done.
	unpushed bool
	busy     time.Time

	repo store.Repo
	work *gitcmd.Repo
}

// line is a branch while it is written.
type line struct {
	of    *project
	ref   string
	tip   *commit
	files []*source
}

// commit is a commit of the made-up history.
type commit struct {
	of      *project
	mark    int
	parent  *commit
	author  *person
	at      time.Time
	message string
	files   map[string]string
	prompts []*prompt
	// byHand are the files whose changes are a person's own.
	byHand []touched
	oid    string
}

// noteCommit is a commit of a notes ref.
type noteCommit struct {
	ref    string
	mark   int
	parent *noteCommit
	by     *person
	at     time.Time
	// bodies are the notes by annotated commit, made when its id is known.
	bodies map[*commit]func() string
	oid    string
}

// step is something that happens at a moment.
type step struct {
	at time.Time
	do func(*world) error
}

// story is everything that happens in the organisation.
type story struct {
	cfg      Config
	rng      *rand.Rand
	people   []*person
	bot      *person
	projects []*project
	steps    []step
	sessions map[*person]*session
	// first and last are the bounds of the time that is told of.
	first, last time.Time
}

// session is a conversation that goes on.
type session struct {
	id      string
	prompts int
	began   time.Time
	tool    tool
}

// Days that a story tells of, and from which day on each topic is pushed when
// it is done; before that a team's work is pushed together.
const (
	storyDays = 90
	dailyFrom = 60
	// batchDays is how many days' work is pushed together.
	batchDays = 5
	// protectedFrom is when tools stop to write what the policy protects.
	protectedFrom = 40
)

func newStory(cfg Config) *story {
	s := &story{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0x626c616d65)), people: staff(), bot: bot(), projects: projects(), sessions: map[*person]*session{}}
	s.last = cfg.Now.Truncate(time.Second)
	s.first = s.day(0)
	return s
}

// day is the midnight of a day of the story in UTC; the last day is today.
func (s *story) day(n int) time.Time {
	return s.cfg.Now.UTC().Truncate(24*time.Hour).AddDate(0, 0, n-storyDays)
}

func (s *story) then(at time.Time, do func(*world) error) { s.steps = append(s.steps, step{at, do}) }

// tell makes up everything.
func (s *story) tell() {
	s.found()
	for n := 1; n <= storyDays; n++ {
		for _, one := range scenes() {
			if one.day == n {
				one.play(s, n, s.day(n).Add(6*time.Hour))
			}
		}
		s.topics(n)
		if n%batchDays == 0 || n == storyDays {
			for _, p := range s.projects {
				s.pushTogether(p, s.day(n).Add(19*time.Hour+time.Duration(s.rng.IntN(50))*time.Minute))
			}
		}
		if n%batchDays == 0 || n > dailyFrom && n%3 == 0 || n == storyDays {
			s.then(s.day(n).Add(20*time.Hour), func(w *world) error { return w.catchUp() })
		}
	}
	s.steps = slices.DeleteFunc(s.steps, func(one step) bool { return one.at.After(s.last) })
	slices.SortStableFunc(s.steps, func(a, b step) int { return a.at.Compare(b.at) })
}

// found begins the repositories on the first day.
func (s *story) found() {
	for i, p := range s.projects {
		p.tips = map[string]*noteCommit{}
		p.main = &line{of: p, ref: mainRef}
		at := s.day(0).Add(8*time.Hour + time.Duration(i)*11*time.Minute)
		for range 10 {
			p.main.files = append(p.main.files, s.file(p.main, pick(s.rng, p.languages), 2+s.rng.IntN(4)))
		}
		c := s.commit(p.main, s.captain(p), at, "Bring "+p.name+" over from the old server\n\nHistory before this day stays there.")
		for _, f := range p.main.files {
			c.files[f.path] = f.text()
		}
		c.files["README.md"] = "# " + p.name + "\n\nSee the handbook for how to build and release.\n"
		if p.team == teamPayments {
			c.files[".mailmap"] = "Hiro Tanaka <hiro.tanaka@acme.example> <hiro@laptop.local>\n"
		}
		p.unpushed = true
		s.pushMain(p, s.captain(p), at.Add(4*time.Minute))
	}
}

func (s *story) captain(p *project) *person {
	return s.people[slices.IndexFunc(s.people, func(one *person) bool { return one.captain && one.team == p.team })]
}

// file makes a new file of a language.
func (s *story) file(l *line, of *language, blocks int) *source {
	for {
		folder := pick(s.rng, of.folders)
		w := draw(s.rng)
		name := w.thing
		if s.rng.IntN(2) == 0 {
			name = w.verb + "_" + w.thing
		}
		path := folder + "/" + name + of.extension
		if !slices.ContainsFunc(l.files, func(f *source) bool { return f.path == path }) {
			return of.begin(s.rng, path, folder, name, blocks)
		}
	}
}

func (s *story) commit(l *line, author *person, at time.Time, message string) *commit {
	c := &commit{of: l.of, mark: len(l.of.commits) + 1, parent: l.tip, author: author, at: at, message: message, files: map[string]string{}}
	l.of.commits = append(l.of.commits, c)
	l.tip = c
	return c
}

// branch begins a line of its own.
func (s *story) branch(p *project, name string) *line {
	l := &line{of: p, ref: "refs/heads/" + name, tip: p.main.tip}
	for _, f := range p.main.files {
		l.files = append(l.files, f.copied())
	}
	return l
}

// topics are the work of a day: one to three commits of one person each.
func (s *story) topics(n int) {
	day := s.day(n)
	count := 5 + s.rng.IntN(5)
	if weekday := day.Weekday(); weekday == time.Saturday || weekday == time.Sunday {
		count = s.rng.IntN(2)
	}
	var minutes []int
	for range count {
		minutes = append(minutes, s.rng.IntN(9*60))
	}
	slices.Sort(minutes)
	for _, m := range minutes {
		at := day.Add(9*time.Hour + time.Duration(m)*time.Minute + time.Duration(s.rng.IntN(60))*time.Second)
		if at.Before(s.last.Add(-30 * time.Minute)) {
			s.topic(n, s.project(), at)
		}
	}
}

func (s *story) project() *project {
	sum := 0
	for _, p := range s.projects {
		sum += p.weight
	}
	at := s.rng.IntN(sum)
	for _, p := range s.projects {
		if at -= p.weight; at < 0 {
			return p
		}
	}
	return s.projects[0]
}

// topic is done by somebody of the team, now and then by somebody else.
func (s *story) topic(n int, p *project, at time.Time) {
	who := s.member(p)
	if at.Before(p.busy) {
		at = p.busy
	}
	for range 1 + s.rng.IntN(3) {
		s.work(n, p.main, who, at)
		at = at.Add(time.Duration(4+s.rng.IntN(9)) * time.Minute)
	}
	p.unpushed, p.busy = true, at.Add(2*time.Minute)
	if n > dailyFrom {
		s.pushMain(p, who, at)
	}
}

func (s *story) member(p *project) *person {
	var team []*person
	for _, one := range s.people {
		if one.team == p.team && one.role != "viewer" || s.rng.IntN(25) == 0 && one.role != "viewer" {
			team = append(team, one)
		}
	}
	return pick(s.rng, team)
}

// work makes one commit, by prompts or by hand. The share of prompts rises.
func (s *story) work(n int, l *line, who *person, at time.Time) *commit {
	share := l.of.share * (40 + 60*n/storyDays) / 100
	if len(who.tools) == 0 || s.rng.IntN(10) >= share {
		return s.byHand(l, who, at)
	}
	return s.prompted(n, l, who, at, who.tools[min(s.rng.IntN(4)/3, len(who.tools)-1)])
}

// byHand changes some lines, and writes a block now and then.
func (s *story) byHand(l *line, who *person, at time.Time) *commit {
	f := pick(s.rng, l.files)
	c := s.commit(l, who, at, s.message(f, "Correct", "Tidy", "Rename", "Simplify", "Explain"))
	for range 1 + s.rng.IntN(2) {
		b := pick(s.rng, f.blocks)
		f.of.touch(s.rng, b)
	}
	if s.rng.IntN(3) == 0 {
		b := f.of.write(s.rng)
		f.blocks = append(f.blocks, b)
		first, last := f.lines(b)
		c.byHand = append(c.byHand, touched{path: f.path, first: first, last: last})
	}
	c.files[f.path] = f.text()
	if l.of.notes == refGitAI && len(c.byHand) > 0 {
		// Git-ai writes down what people typed, too.
		s.annotate(c, at.Add(2*time.Second))
	}
	return c
}

// prompted makes a commit of one or two prompts.
func (s *story) prompted(n int, l *line, who *person, at time.Time, with tool) *commit {
	f := s.target(n, l)
	c := s.commit(l, who, at, s.message(f, "Add", "Handle", "Cover", "Speed up", "Rework"))
	for i := range 1 + s.rng.IntN(2) {
		if i > 0 && s.rng.IntN(2) == 0 {
			f = s.target(n, l)
		}
		s.prompt(c, f, who, at.Add(time.Duration(i-4)*time.Minute), with, s.ask(f))
	}
	s.settle(l, c)
	s.annotate(c, at.Add(3*time.Second))
	return c
}

// target is the file of a prompt: a new one at times.
func (s *story) target(n int, l *line) *source {
	fits := func(of *language) bool { return n < protectedFrom || of != l.of.byHand }
	if s.rng.IntN(5) == 0 {
		of := pick(s.rng, l.of.languages)
		for !fits(of) {
			of = pick(s.rng, l.of.languages)
		}
		f := s.file(l, of, 1)
		l.files = append(l.files, f)
		return f
	}
	f := pick(s.rng, l.files)
	for !fits(f.of) {
		f = pick(s.rng, l.files)
	}
	return f
}

// prompt lets a tool write one to three blocks, or write one anew.
func (s *story) prompt(c *commit, f *source, who *person, at time.Time, with tool, ask string) *prompt {
	p := s.newPrompt(who, at, with, ask)
	var wrote []*block
	for range 1 + s.rng.IntN(3) {
		b := f.of.write(s.rng)
		if len(f.blocks) > 3 && s.rng.IntN(3) == 0 {
			f.blocks[s.rng.IntN(len(f.blocks))] = b
		} else {
			at := s.rng.IntN(len(f.blocks) + 1)
			f.blocks = slices.Insert(f.blocks, at, b)
		}
		wrote = append(wrote, b)
	}
	p.wrote = append(p.wrote, written{f, wrote})
	c.prompts = append(c.prompts, p)
	return p
}

// settle puts the files of a commit's prompts into it, and the lines that they
// have there into the prompts.
func (s *story) settle(l *line, c *commit) {
	for _, p := range c.prompts {
		for _, w := range p.wrote {
			c.files[w.file.path] = w.file.text()
			t := touched{path: w.file.path, blob: blobID(c.files[w.file.path])}
			for _, b := range w.blocks {
				// A later prompt may have replaced the block.
				first, last := w.file.lines(b)
				if first == 0 {
					continue
				}
				if t.first == 0 || first < t.first {
					t.first = first
				}
				t.last = max(t.last, last)
				t.additions += len(b.lines)
				t.runs = append(t.runs, [2]int{first, last})
			}
			if t.first > 0 {
				p.files = append(p.files, t)
			}
		}
		p.meter(s.rng)
	}
}

// annotate writes the commit's note in the format of the project's tools.
func (s *story) annotate(c *commit, at time.Time) { s.annotateAs(c, c.author, at) }

func (s *story) annotateAs(c *commit, by *person, at time.Time) *noteCommit {
	if c.of.notes == refGitAI {
		return s.note(c.of, refGitAI, by, at, map[*commit]func() string{c: c.gitAI})
	}
	return s.note(c.of, refBlamePrompt, by, at, map[*commit]func() string{c: c.blamePrompt})
}

func (s *story) note(p *project, ref string, by *person, at time.Time, bodies map[*commit]func() string) *noteCommit {
	n := &noteCommit{ref: ref, parent: p.tips[ref], by: by, at: at, bodies: bodies, mark: len(p.noted) + 1}
	p.noted, p.tips[ref] = append(p.noted, n), n
	return n
}

func (s *story) message(f *source, verbs ...string) string {
	w := draw(s.rng)
	subject := pick(s.rng, verbs) + " the " + w.field + " of the " + w.thing
	if s.rng.IntN(3) > 0 {
		return subject
	}
	return subject + "\n\nWithout it a " + w.thing + " could be lost in " + f.path[strings.LastIndexByte(f.path, '/')+1:] + " while we " + w.verb + " it."
}

// asks are what people type; each names a file.
var asks = []string{
	"Add a way to {v} a {t} in {file}, with the errors wrapped like the others there",
	"The {f} of a {t} is lost when we {v} it twice. Find out why in {file} and repair it",
	"Write tests for {file}: an empty {t}, one without {f}, and a {t} that somebody else changed meanwhile",
	"Rework {file} so that it can {v} {n} {t}s at once without reading all of them",
	"Why does {file} read the {f} before it can {v} the {t}? Make it the other way round",
	"please {v} the {t}",
	"Make {file} faster, a page of {n} {t}s takes two seconds",
	"Take the {t} apart from its {f} in {file}; keep the public names as they are",
}

func (s *story) ask(f *source) string {
	text := strings.Join(fill(s.rng, pick(s.rng, asks)), "\n")
	return strings.ReplaceAll(text, "{file}", f.path)
}

// uuid draws a random UUID.
func (s *story) uuid() string {
	var id uuid.UUID
	for i := range id {
		id[i] = byte(s.rng.IntN(256))
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	return id.String()
}

// pushMain pushes what is done, with its notes: beside it, or behind it where
// receipts may be late, as the client does.
func (s *story) pushMain(p *project, who *person, at time.Time) {
	s.pushLine(p.main, who, at)
	p.unpushed = false
}

func (s *story) pushLine(l *line, who *person, at time.Time) {
	p, tip, notes := l.of, l.tip, l.of.tips[l.of.notes]
	if p.settings.ReceiptMode != store.ReceiptsDeferred {
		s.then(at, func(w *world) error { return w.push(who, p, push{tip: tip, ref: l.ref, notes: notes}) })
		return
	}
	s.then(at, func(w *world) error { return w.push(who, p, push{tip: tip, ref: l.ref}) })
	if notes != nil {
		s.then(at.Add(40*time.Second), func(w *world) error { return w.pushNotes(who, p, notes) })
	}
}

// pushTogether pushes what the team has done, by one of them.
func (s *story) pushTogether(p *project, at time.Time) {
	if !p.unpushed || at.After(s.last) {
		return
	}
	who, tip, notes := s.captain(p), p.main.tip, p.tips[p.notes]
	p.unpushed = false
	s.then(at, func(w *world) error { return w.push(who, p, push{tip: tip, ref: mainRef, notes: notes}) })
}

// find is somebody by the beginning of the name.
func (s *story) find(name string) *person {
	i := slices.IndexFunc(s.people, func(p *person) bool { return strings.HasPrefix(p.name, name) })
	if i < 0 {
		panic(fmt.Sprintf("nobody is called %s", name))
	}
	return s.people[i]
}
