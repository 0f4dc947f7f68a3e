package demo

import (
	"crypto/ed25519"
	"crypto/sha256"
	"fmt"
	"strings"

	gossh "golang.org/x/crypto/ssh"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// person is somebody of the organisation.
type person struct {
	// name is what the organisation's list says, gitName what commits say.
	name, gitName string
	// email is the user's, gitEmail what commits say.
	email, gitEmail string
	team            string
	role            access.Role
	// captain pushes the work of the team while pushes are still gathered.
	captain  bool
	override bool
	// tools are what the person prompts with, the favourite first; none for those
	// who write everything by hand.
	tools []tool

	user   store.User
	signer gossh.Signer
}

// tool is a program that people prompt, and the model behind it.
type tool struct{ provider, model string }

var (
	opus    = tool{"claude", "claude-opus-5"}
	sonnet  = tool{"claude", "claude-sonnet-5"}
	haiku   = tool{"claude", "claude-haiku-4-5-20251001"}
	codex   = tool{"codex", "gpt-5"}
	copilot = tool{"copilot", "gpt-5-mini"}
	gemini  = tool{"gemini", "gemini-2.5-pro"}
	flash   = tool{"gemini", "gemini-3.6-flash"}
	cursor  = tool{"cursor", "anthropic/claude-sonnet-5"}
)

// The teams. Names may hold whatever can be printed, and one does.
const (
	teamPayments   = "Payments"
	teamStorefront = "Storefront"
	teamData       = "Data & Insights"
	teamPlatform   = "Platform"
	teamDesign     = `Design <b onclick="alert('team')">R&D</b> צוות עיצוב`
)

const domain = "@acme.example"

// staff is everybody, the administrator first.
func staff() []*person {
	all := []*person{
		{name: "Ada Okafor", team: teamPlatform, role: access.RoleAdmin, captain: true, override: true, tools: []tool{opus, sonnet}},
		{name: "Bruno Keller", team: teamPlatform, tools: []tool{sonnet}},
		{name: "Chiara Rossi", team: teamPlatform, tools: []tool{codex, sonnet}},
		{name: "Dmitri Volkov", team: teamPlatform},
		{name: "Emeka Nwosu", team: teamPayments, role: access.RoleAdmin, captain: true, tools: []tool{opus}},
		{name: "Fatima Zahra", team: teamPayments, tools: []tool{sonnet, haiku}},
		{name: "Greta Lindqvist", team: teamPayments, tools: []tool{codex}},
		{name: "Hiro Tanaka", gitEmail: "hiro@laptop.local", team: teamPayments, tools: []tool{sonnet}},
		{name: "Ines Carvalho", team: teamPayments},
		{name: "Jonas Weber", team: teamStorefront, captain: true, tools: []tool{sonnet, flash}},
		{name: "Keiko Mori", team: teamStorefront, tools: []tool{cursor, sonnet}},
		{name: "Liam O'Brien", team: teamStorefront, tools: []tool{copilot}},
		{name: "Mei Chen", team: teamStorefront, tools: []tool{opus, cursor}},
		{name: "Noor Haddad", team: teamStorefront, tools: []tool{haiku}},
		{name: "Oskar Nilsen", team: teamStorefront},
		{name: "Priya Raman", team: teamData, captain: true, tools: []tool{gemini, flash}},
		{name: "Quentin Dubois", team: teamData, tools: []tool{cursor}},
		{name: "Rosa Delgado", team: teamData, tools: []tool{gemini}},
		{name: "Samir Patel", team: teamData, tools: []tool{sonnet}},
		{name: "Tomasz Kowalski", team: teamData},
		{name: `Ursula <script>alert("name")</script> Brandt`, gitName: `Ursula "alert(1)" & Brandt`, email: "ursula.brandt", team: teamDesign,
			captain: true, tools: []tool{cursor, flash}},
		{name: "יעל כהן", gitName: "יעל \u202eכהן\u202c", email: "yael.cohen", team: teamDesign, tools: []tool{haiku}},
		{name: "Viktor Petrov", gitName: "Viktor \x1b[31mPetrov", team: teamDesign, tools: []tool{copilot}},
		{name: "Wanjiru Kamau", team: teamDesign},
		{name: "Xavier Moreau", team: teamPlatform, role: access.RoleViewer},
	}
	for _, p := range all {
		if p.gitName == "" {
			p.gitName = p.name
		}
		if p.email == "" {
			p.email = strings.ToLower(strings.NewReplacer(" ", ".", "'", "").Replace(p.name))
		}
		p.email += domain
		if p.gitEmail == "" {
			p.gitEmail = p.email
		}
		if p.role == "" {
			p.role = access.RoleMember
		}
	}
	return all
}

// bot is automation that updates dependencies.
func bot() *person {
	return &person{name: "Renovate", gitName: "renovate[bot]", email: "renovate" + domain,
		gitEmail: "29139614+renovate[bot]@users.noreply.github.com", role: access.RoleMember}
}

// mark is how receipts name the person.
func (p *person) mark() string { return p.gitName + " <" + p.email + ">" }

// key makes the person's SSH key, the same for a seed.
func (p *person) key(seed uint64) error {
	sum := sha256.Sum256(fmt.Appendf(nil, "demo %d %s", seed, p.email))
	signer, err := gossh.NewSignerFromSigner(ed25519.NewKeyFromSeed(sum[:]))
	if err != nil {
		return fmt.Errorf("making the key of %s: %w", p.email, err)
	}
	p.signer = signer
	return nil
}
