package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// scene is something that happens once, on a day of the story.
type scene struct {
	day int
	// play begins early: nobody works on the main branches yet.
	play func(s *story, n int, at time.Time)
}

// scenes are all of them.
func scenes() []scene {
	all := []scene{
		{1, func(s *story, _ int, _ time.Time) { s.rules(); s.reports() }},
		{26, (*story).strange},
		{63, (*story).unapprovedModel},
		{66, (*story).needsReview},
		{68, (*story).heldAndReleased},
		{70, (*story).withoutReceipt},
		{72, (*story).squash},
		{74, (*story).override},
		{75, (*story).secret},
		{77, (*story).tampered},
		{79, (*story).rebase},
		{80, (*story).expensive},
		{82, (*story).lateNotes},
		{84, (*story).unrecorded},
		{86, (*story).needsInfraReview},
		{87, (*story).stillHeld},
		{89, (*story).rejected},
		{storyDays, (*story).unfinished},
	}
	for _, day := range []int{20, 34, 48, 62, 69, 76, 83, 88} {
		all = append(all, scene{day, (*story).dependencies})
	}
	return all
}

// after is a moment some minutes later.
func after(at time.Time, minutes int) time.Time { return at.Add(time.Duration(minutes) * time.Minute) }

// by makes a commit of one prompt that writes about so many blocks.
func (s *story) by(l *line, who *person, at time.Time, with tool, message, ask string, blocks int, f *source) *commit {
	c := s.commit(l, who, at, message)
	p := s.newPrompt(who, at.Add(-3*time.Minute), with, ask)
	w := written{file: f}
	for range blocks {
		b := f.of.write(s.rng)
		f.blocks = append(f.blocks, b)
		w.blocks = append(w.blocks, b)
	}
	p.wrote = append(p.wrote, w)
	c.prompts = append(c.prompts, p)
	s.settle(l, c)
	return c
}

// dependencies are brought up to date by automation.
func (s *story) dependencies(n int, at time.Time) {
	p := s.named([]string{repoPayments, repoStorefront}[n%2])
	name, text := "go.sum", "github.com/jackc/pgx/v5 v5.7.%d h1:demo\n"
	if p.name == repoStorefront {
		name, text = "package-lock.json", "{\"lockfileVersion\": 3, \"packages\": {\"node_modules/htmx\": {\"version\": \"2.0.%d\"}}}\n"
	}
	c := s.commit(p.main, s.bot, at, fmt.Sprintf("Update dependency to version %d\n\nSigned-off-by: renovate[bot] <29139614+renovate[bot]@users.noreply.github.com>", n))
	c.files[name] = fmt.Sprintf(text, n)
	s.then(after(at, 1), func(w *world) error { return w.push(s.bot, p, push{tip: c, ref: mainRef}) })
}

// strange is what people type who mean no good, and some who do.
func (s *story) strange(_ int, at time.Time) {
	p, who := s.named(repoDesign), s.find("Ursula")
	texts := []string{
		"Make the button say <script>alert('prompt')</script> and nothing else",
		"תקן את הצבעים של הכפתור \u202e)txt.evil(\u202c ואל תיגע בשאר",
		"Colours are wrong in my terminal: \x1b[31mred\x1b[0m \x07 and a NUL \x00 after it",
		"=HYPERLINK(\"https://evil.example\";\"click\") | [a](javascript:alert(1)) **bold**",
	}
	paths := []string{"docs/<img src=x onerror=alert(1)>.md", "docs/\u202egnp.exe.md", "docs/tab\there \x1b[31mred.md", "docs/שלום & \"quotes\".md"}
	for i, path := range paths {
		c := s.commit(p.main, who, after(at, 3*i), fmt.Sprintf("Explain <b>page %d</b>\n\nWith <script>alert('message')</script>, \x1b[1mbold\x1b[0m, \u202eesrever\u202c and שלום.", i+1))
		f := markdown.begin(s.rng, path, "docs", "strange", 1)
		f.head = append(f.head, "", "<script>alert('file')</script> \x1b[31mred\x1b[0m \u202eesrever\u202c")
		p.main.files = append(p.main.files, f)
		c.files[path] = f.text()
		ask := s.newPrompt(who, after(at, 3*i-2), tool{"claude <u>beta</u>", "claude-sonnet-5 <i>preview</i> \x1b[7m\u202e5-tennos"}, texts[i])
		ask.wrote = []written{{f, f.blocks}}
		c.prompts = append(c.prompts, ask)
		s.settle(p.main, c)
		s.note(p, refBlamePrompt, who, after(at, 3*i), map[*commit]func() string{c: c.blamePrompt})
	}
	tip, notes := p.main.tip, p.tips[refBlamePrompt]
	s.then(after(at, 15), func(w *world) error { return w.push(who, p, push{tip: tip, ref: mainRef, notes: notes}) })
}

// unapprovedModel is refused, waived and pushed again.
func (s *story) unapprovedModel(_ int, at time.Time) {
	p, who := s.named(repoPipeline), s.find("Quentin")
	l := s.branch(p, "feature/lifetime-value")
	f := l.files[0]
	c := s.by(l, who, at, tool{"cursor", "deepseek-chat"}, "Estimate the lifetime value of a customer", "Estimate the lifetime value in "+f.path, 3, f)
	notes := s.annotateAs(c, who, after(at, 1))
	again := push{tip: c, ref: l.ref, notes: notes}
	refused := again
	refused.refused = true
	s.then(after(at, 5), func(w *world) error { return w.push(who, p, refused) })
	s.then(after(at, 55), func(w *world) error {
		return w.waive(who, p, "Trial of the model until the end of the quarter, agreed with Priya")
	})
	s.then(after(at, 62), func(w *world) error { return w.push(who, p, again) })
}

func (w *world) waive(who *person, p *project, reason string) error {
	id, err := w.lastDecision(who, p)
	if err != nil {
		return err
	}
	const days = 60
	_, err = w.cfg.DB.WaiveDecision(w.ctx, w.as(w.story.people[0]), id, reason, time.Now().AddDate(0, 0, days))
	if err != nil {
		return err
	}
	return w.enforcer.Reconsider(w.ctx, w.org.ID, p.repo.ID, store.EventWaiver)
}

// needsReview is refused for its size, approved and pushed again.
func (s *story) needsReview(_ int, at time.Time) {
	p, who, reader := s.named(repoPayments), s.find("Hiro"), s.find("Ines")
	l := s.branch(p, "feature/settlement-batches")
	f := s.file(l, golang, 1)
	l.files = append(l.files, f)
	c := s.by(l, who, at, opus, "Settle payouts in batches", "Build the batches of "+f.path+" as the design says, with tests", 30, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 4), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref, notes: notes, refused: true}) })
	s.then(after(at, 50), func(w *world) error {
		return w.review(who, reader, p, true, "Read it twice; the rounding is right. <b>Nice</b> tests.")
	})
	s.then(after(at, 54), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref, notes: notes}) })
}

func (w *world) review(who, reader *person, p *project, approved bool, comment string) error {
	id, err := w.lastDecision(who, p)
	if err != nil {
		return err
	}
	in := store.NewReview{Decision: id, Approved: approved, Comment: comment}
	if _, err := w.cfg.DB.CreateReviews(w.ctx, w.as(reader), in); err != nil {
		return err
	}
	return w.enforcer.Reconsider(w.ctx, w.org.ID, p.repo.ID, store.EventReview)
}

// heldAndReleased is a branch that an administrator lets go, stillHeld one that
// nobody has looked at yet.
func (s *story) heldAndReleased(_ int, at time.Time) {
	second := s.held(at, "feature/checkout-v2")
	p, who := second.of, second.author
	s.then(after(at, 75), func(w *world) error {
		return w.release(p, "One time: the model was on last year's list, and the change is small.")
	})
	s.then(after(at, 80), func(w *world) error { return w.push(who, p, push{tip: second, ref: "refs/heads/feature/checkout-v2"}) })
}

func (s *story) stillHeld(_ int, at time.Time) {
	s.held(at, `fix/<img/src=x>-"totals"-`+"\u202e"+`סכום`)
}

// held is accepted, held when its receipts come, and keeps its pusher out. It
// returns the commit that was kept out.
func (s *story) held(at time.Time, branch string) *commit {
	p, who := s.named(repoStorefront), s.find("Keiko")
	l := s.branch(p, branch)
	f := l.files[1]
	first := s.by(l, who, at, tool{"cursor", "grok-code-fast-1"}, "Ask for the address only once", "Ask for the address once, in "+f.path, 2, f)
	notes := s.annotateAs(first, who, after(at, 1))
	second := s.byHand(l, who, after(at, 30))
	s.then(after(at, 2), func(w *world) error { return w.push(who, p, push{tip: first, ref: l.ref}) })
	s.then(after(at, 4), func(w *world) error { return w.pushNotes(who, p, notes) })
	s.then(after(at, 31), func(w *world) error { return w.push(who, p, push{tip: second, ref: l.ref, refused: true}) })
	return second
}

func (w *world) release(p *project, reason string) error {
	active := true
	holds, err := w.cfg.DB.Holds(w.ctx, w.org.ID, store.HoldFilter{Repos: []uuid.UUID{p.repo.ID}, Active: &active}, uuid.Nil, 10)
	if err != nil {
		return err
	}
	for _, h := range holds {
		if _, err := w.cfg.DB.ReleaseHold(w.ctx, w.as(w.story.people[0]), h.ID, reason); err != nil {
			return err
		}
	}
	return nil
}

const agentTrailer = "\n\nCo-Authored-By: Claude <noreply@anthropic.com>"

// withoutReceipt is refused by the stricter policy, and passes with its notes.
func (s *story) withoutReceipt(_ int, at time.Time) {
	s.change(after(at, -20), rule{policyReceipts, map[string]any{"require_receipts": true}, map[string][]string{"repos": {repoPayments, repoInfra}}, "block", true})
	p, who := s.named(repoPayments), s.find("Fatima")
	f := p.main.files[2]
	c := s.by(p.main, who, at, sonnet, "Retry webhooks that time out"+agentTrailer, "Retry what times out in "+f.path, 2, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 3), func(w *world) error { return w.push(who, p, push{tip: c, ref: mainRef, refused: true}) })
	s.then(after(at, 9), func(w *world) error { return w.push(who, p, push{tip: c, ref: mainRef, notes: notes}) })
}

// squash brings a branch of three commits to main as one; their notes stay with
// the commits that nobody has any more.
func (s *story) squash(_ int, at time.Time) {
	p, who := s.named(repoMobile), s.find("Mei")
	l := s.branch(p, "feature/scan-vouchers")
	f := s.file(l, kotlin, 1)
	l.files = append(l.files, f)
	for i := range 3 {
		c := s.by(l, who, after(at, 6*i), opus, fmt.Sprintf("Scan vouchers, step %d", i+1), fmt.Sprintf("Step %d of the plan, in %s", i+1, f.path), 2, f)
		s.annotateAs(c, who, after(at, 6*i+1))
	}
	tip, notes := l.tip, p.tips[p.notes]
	one := s.commit(p.main, s.captain(p), after(at, 70), "Scan vouchers (#482)\n\n* Scan vouchers, step 1\n* Scan vouchers, step 2\n* Scan vouchers, step 3")
	one.files[f.path] = f.text()
	p.main.files = append(p.main.files, f.copied())
	s.then(after(at, 20), func(w *world) error { return w.push(who, p, push{tip: tip, ref: l.ref, notes: notes}) })
	s.then(after(at, 21), func(w *world) error { return w.sync(p) })
	s.then(after(at, 71), func(w *world) error { return w.push(s.captain(p), p, push{tip: one, ref: mainRef}) })
	s.then(after(at, 72), func(w *world) error { return w.push(who, p, push{ref: l.ref}) })
}

// override goes ahead although a policy refuses.
func (s *story) override(_ int, at time.Time) {
	p, who := s.named(repoInfra), s.people[0]
	l := s.branch(p, "hotfix/queue-depth")
	f := s.file(l, terraform, 1)
	l.files = append(l.files, f)
	c := s.by(l, who, at, opus, "Raise the depth of the order queue", "The queue runs full. Raise its depth in "+f.path, 1, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 2), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref, notes: notes, refused: true}) })
	s.then(after(at, 4), func(w *world) error {
		return w.push(who, p, push{tip: c, ref: l.ref, notes: notes, options: []string{`blameprompt.override=Orders are being lost <b>now</b>; review follows`}})
	})
}

// secret is a prompt with a key in it, which is masked before it is stored. It
// is put together here, so that nobody's scanner finds it in this file.
func (s *story) secret(_ int, at time.Time) {
	p, who := s.named(repoPayments), s.find("Greta")
	f := p.main.files[3]
	key := "sk_live_" + strings.Repeat("4eC39HqLyjWDarjt", 2)
	c := s.by(p.main, who, at, codex, "Charge through the new account", "The charge fails with STRIPE_KEY="+key+" since this morning. Repair it in "+f.path, 1, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 3), func(w *world) error { return w.push(who, p, push{tip: c, ref: mainRef, notes: notes}) })
}

// tampered is a receipt of a colleague, made cheaper by somebody else's push.
func (s *story) tampered(n int, at time.Time) {
	p, who := s.named(repoPayments), s.find("Emeka")
	var victim *commit
	for _, c := range p.commits {
		if len(c.prompts) > 0 && c.author != who && c.at.After(s.day(n-14)) {
			victim = c
			break
		}
	}
	if victim == nil {
		return
	}
	body := func() string {
		cheaper := *victim.prompts[0]
		cheaper.cost, cheaper.with = 0.01, haiku
		return blamePromptNote([]*prompt{&cheaper})
	}
	notes := s.aside(p, refBlamePrompt, who, at, map[*commit]func() string{victim: body})
	s.then(after(at, 2), func(w *world) error { return w.pushNotes(who, p, notes) })
}

// aside is a notes commit that the project's own do not follow: the gateway
// merges it.
func (s *story) aside(p *project, ref string, by *person, at time.Time, bodies map[*commit]func() string) *noteCommit {
	n := &noteCommit{ref: ref, parent: p.tips[ref], by: by, at: at, bodies: bodies, mark: len(p.noted) + 1}
	p.noted = append(p.noted, n)
	return n
}

// rebase moves a branch onto a newer main and forces it.
func (s *story) rebase(_ int, at time.Time) {
	p, who := s.named(repoPipeline), s.find("Rosa")
	l := s.branch(p, "feature/forecast-by-region")
	f := s.file(l, python, 1)
	l.files = append(l.files, f)
	old := s.by(l, who, at, gemini, "Forecast by region", "Forecast by region in "+f.path, 3, f)
	notes := s.annotateAs(old, who, after(at, 1))
	other := s.byHand(p.main, s.find("Tomasz"), after(at, 10))
	moved := s.commit(p.main, who, after(at, 40), old.message)
	moved.files = old.files
	p.main.files = append(p.main.files, f.copied())
	s.then(after(at, 2), func(w *world) error { return w.push(who, p, push{tip: old, ref: l.ref, notes: notes}) })
	s.then(after(at, 3), func(w *world) error { return w.sync(p) })
	s.then(after(at, 11), func(w *world) error { return w.push(s.find("Tomasz"), p, push{tip: other, ref: mainRef}) })
	s.then(after(at, 41), func(w *world) error { return w.push(who, p, push{tip: moved, ref: l.ref, force: true}) })
	s.then(after(at, 44), func(w *world) error { return w.push(who, p, push{tip: moved, ref: mainRef}) })
}

// expensive is a prompt that is above the day's budget.
func (s *story) expensive(_ int, at time.Time) {
	p, who := s.named(repoMobile), s.find("Mei")
	f := p.main.files[1]
	c := s.by(p.main, who, at, opus, "Move the basket to the new storage", "Read the whole app and move the basket to the new storage, file by file. Begin with "+f.path, 6, f)
	c.prompts[0].cacheRead, c.prompts[0].output = 52_000_000, 410_000
	c.prompts[0].charge()
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 3), func(w *world) error { return w.push(who, p, push{tip: c, ref: mainRef, notes: notes}) })
}

// lateNotes come three days behind their commit.
func (s *story) lateNotes(_ int, at time.Time) {
	p, who := s.named(repoMobile), s.find("Liam")
	f := p.main.files[4]
	c := s.by(p.main, who, at, copilot, "Show what is left in stock", "Show the stock in "+f.path, 2, f)
	s.then(after(at, 2), func(w *world) error { return w.push(who, p, push{tip: c, ref: mainRef}) })
	late := at.AddDate(0, 0, 3)
	notes := s.aside(p, refBlamePrompt, who, late, map[*commit]func() string{c: c.blamePrompt})
	s.then(after(late, 1), func(w *world) error { return w.pushNotes(who, p, notes) })
}

// unrecorded are commits that say that an agent made them, and have no receipt.
func (s *story) unrecorded(_ int, at time.Time) {
	p, who := s.named(repoDesign), s.find("Viktor")
	for i := range 2 {
		f := p.main.files[i]
		c := s.commit(p.main, who, after(at, 4*i), "Rework the "+f.path[strings.LastIndexByte(f.path, '/')+1:]+agentTrailer)
		f.blocks = append(f.blocks, f.of.write(s.rng))
		c.files[f.path] = f.text()
	}
	tip := p.main.tip
	s.then(after(at, 10), func(w *world) error { return w.push(who, p, push{tip: tip, ref: mainRef}) })
}

// needsInfraReview waits for somebody to read it.
func (s *story) needsInfraReview(_ int, at time.Time) {
	p, who := s.named(repoInfra), s.find("Chiara")
	l := s.branch(p, "feature/replica-per-region")
	f := s.file(l, terraform, 1)
	l.files = append(l.files, f)
	c := s.by(l, who, at, codex, "A replica in each region", "Add a replica for each region to "+f.path, 4, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 2), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref, notes: notes, refused: true}) })
}

// rejected was read, and is not wanted.
func (s *story) rejected(_ int, at time.Time) {
	p, who := s.named(repoPayments), s.find("Greta")
	l := s.branch(p, "feature/ledger-rewrite")
	f := s.file(l, golang, 1)
	l.files = append(l.files, f)
	c := s.by(l, who, at, codex, "Write the ledger anew", "Write "+f.path+" anew, without the old tables", 30, f)
	notes := s.annotateAs(c, who, after(at, 1))
	s.then(after(at, 3), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref, notes: notes, refused: true}) })
	s.then(after(at, 40), func(w *world) error {
		return w.review(who, s.find("Ines"), p, false, "The old tables are read by the auditors. Let us talk first.")
	})
}

// unfinished is what happened in the last hour: a push whose receipts have not
// come yet.
func (s *story) unfinished(int, time.Time) {
	p, who := s.named(repoStorefront), s.find("Jonas")
	at := s.last.Add(-40 * time.Minute)
	l := s.branch(p, "feature/gift-cards")
	f := l.files[2]
	c := s.by(l, who, at, sonnet, "Sell gift cards"+agentTrailer, "Sell gift cards, begin in "+f.path, 2, f)
	s.then(after(at, 5), func(w *world) error { return w.push(who, p, push{tip: c, ref: l.ref}) })
}
