package store

import (
	"slices"
	"strings"
)

// dataClass says what a column may hold of a person, and so what an erasure
// does with it.
type dataClass string

const (
	// impersonal: ids, hashes, enumerations, names that the program or a model has.
	impersonal dataClass = "impersonal"
	// fromGit: names of repositories, refs and paths. They stay, since lines,
	// policies and git itself know them by these.
	fromGit dataClass = "git"
	// settings: what administrators write about the organisation itself.
	settings dataClass = "settings"
	// address: what identifies a person, an e-mail address or an account. The
	// pseudonym takes its place.
	address dataClass = "address"
	// addresses: several of them, in an array.
	addresses dataClass = "addresses"
	// joined: which addresses are of one person. An erased person has one
	// pseudonym for all, so that the rows are removed.
	joined dataClass = "joined"
	// ended: what is known of a sign-in; it goes with the session.
	ended dataClass = "ended"
	// nameBeside: the name of the person whose address stands in another column.
	nameBeside dataClass = "name"
	// words: text or JSON in which people may be named. Addresses and names are
	// replaced wherever they stand.
	words dataClass = "words"
	// said: what was said to a model, and by it. It is taken out.
	said dataClass = "said"
	// sumKey: the key of sums, which may be an address.
	sumKey dataClass = "sum"
	// sealed: encrypted, or a hash.
	sealed dataClass = "sealed"
)

// dataClasses are all of them.
var dataClasses = []dataClass{impersonal, fromGit, settings, address, addresses, joined, ended, nameBeside, words, said, sumKey, sealed}

// personal lists every column that holds text, by table and class; a name has
// the column of its address behind an @. docs/privacy.md says the same in
// words, and a test fails for a column that is missing here.
var personal = readPersonal(map[string]string{
	"api_keys":             "impersonal: prefix scopes; words: name created_by; sealed: hash",
	"attestations":         "git: ref commit blob path; impersonal: class receipt_id; words: key author",
	"audit_links":          "impersonal: kind; sealed: digests hash",
	"audit_log":            "impersonal: action request_id; words: principal target detail; sealed: commitment",
	"branch_commits":       "git: ref commit",
	"branch_refs":          "git: ref tip",
	"commit_statuses":      "git: commit; impersonal: state posted; words: description error posted_description",
	"account_links":        "impersonal: kind role; sealed: hash; address: email; name: name@email; words: created_by",
	"added_files":          "git: commit path old_path blob; impersonal: excluded",
	"added_runs":           "git: commit from_commit path; impersonal: class source confidence receipt_id; words: author",
	"bot_rules":            "settings: pattern liked; words: created_by",
	"claims_due":           "impersonal: receipt_id",
	"commit_lines":         "git: commit; address: author_email; impersonal: agent state; sealed: digest",
	"commit_owners":        "git: commit; impersonal: provider model; address: author_email",
	"commit_patches":       "git: commit base patch_id",
	"commits":              "git: commit parents; address: author_email committer_email; addresses: co_authors; name: author_name@author_email committer_name@committer_email; words: subject agents",
	"identities":           "joined: email person; impersonal: source",
	"identity_rules":       "joined: email person; words: created_by",
	"late_noted":           "git: commit",
	"line_branches":        "git: ref tip base; words: requested_by",
	"line_demands":         "git: commit; impersonal: receipt_id",
	"line_rollup_months":   "impersonal: dimension key2; sum: key",
	"line_rollups":         "impersonal: dimension key2; sum: key",
	"line_tips":            "git: ref tip; settings: globs rules",
	"live_cohorts":         "impersonal: dimension class; sum: key",
	"live_commits":         "git: commit_id; address: author_email",
	"live_directories":     "git: path parent",
	"live_files":           "git: path directory blob; impersonal: kind reason",
	"live_receipts":        "impersonal: receipt_id model provider session_id",
	"live_runs":            "git: path commit_id origin_path; impersonal: class source confidence receipt_id; words: author",
	"live_sums":            "impersonal: dimension; sum: key",
	"live_tips":            "git: ref tip building_tip exclude_revision rules_tip boundary; impersonal: git_version",
	"login_failures":       "sealed: subject",
	"mailmap_addresses":    "joined: email person",
	"mailmaps":             "git: blob",
	"open_pushes":          "impersonal: place session",
	"passwords":            "sealed: hash",
	"price_aliases":        "impersonal: alias model; words: created_by",
	"price_due":            "impersonal: model before_id",
	"price_entries":        "impersonal: model source; words: created_by",
	"price_models":         "impersonal: model edition",
	"price_periods":        "impersonal: model",
	"prices":               "impersonal: model source",
	"prompt_reads":         "words: principal",
	"prompt_sessions":      "impersonal: provider session_id models; addresses: users",
	"sessions":             "sealed: hash; ended: address user_agent",
	"decision_events":      "impersonal: event state; words: principal detail",
	"decision_inputs":      "words: push input",
	"decisions":            "git: repo refs; impersonal: forge via outcome state receipt_mode request_id; address: pusher; name: pusher_name@pusher; words: override verdict late_verdict",
	"endpoints":            "settings: name origin types; impersonal: disabled; words: created_by; sealed: url secret previous_secret",
	"erasures":             "sealed: person; impersonal: pseudonym",
	"findings":             "git: ref commit blob; impersonal: code severity receipt_id; words: location message",
	"forge_connections":    "impersonal: forge; settings: api_url owner include exclude; words: created_by problem; sealed: sealed",
	"grants":               "impersonal: subject permission; words: created_by",
	"holds":                "git: ref commits; address: pusher; impersonal: release; words: released_by reason",
	"message_attempts":     "words: error answer",
	"messages":             "impersonal: type state; words: data",
	"note_archives":        "git: ref tip",
	"note_bodies":          "git: ref commit blob; impersonal: format format_version tool_version",
	"note_refs":            "git: ref tip",
	"note_uploads":         "git: commit blob; said: content; words: uploaded_by",
	"note_versions":        "git: ref commit notes_commit blob; address: author_email; name: author_name@author_email",
	"orgs":                 "settings: name title time_zone; impersonal: prompts prompts_applied",
	"path_rollup_months":   "git: path parent",
	"path_rollups":         "git: path parent",
	"policies":             "settings: name; words: document",
	"policy_versions":      "impersonal: change; words: document author",
	"prompt_rollup_months": "impersonal: dimension key2; sum: key",
	"prompt_rollups":       "impersonal: dimension key2; sum: key",
	"prompts":              "impersonal: provider session_id receipt_id model source category; address: user_email",
	"pushed_commits":       "git: commit patch_id; address: author_email",
	"pushed_prompts":       "address: user_email",
	"pushed_spend":         "impersonal: dimension; sum: key",
	"reattach_states":      "impersonal: state",
	"reattached_lines":     "git: to_commit from_commit path from_path",
	"reattachments":        "git: ref from_commit blob to_commit; impersonal: how",
	"receipt_commits":      "git: ref commit blob notes_commit; impersonal: receipt_id; sealed: content_hash",
	"receipt_files":        "git: path blob_hash; impersonal: receipt_id",
	"receipt_repos":        "impersonal: receipt_id",
	"receipt_results":      "impersonal: receipt_id result; said: prompt_summary",
	"receipts":             "git: repo ref commit_hash blob notes_commit file_path; impersonal: id source format_version provider model session_id cost_basis timestamp_basis parent_receipt_id; address: user_email; name: user_name@user_email; said: prompt_summary response_summary prompt_hash raw_timestamps detail conversation; sealed: content_hash",
	"removed_runs":         "git: commit_id origin_path ended_tip; impersonal: class source confidence receipt_id; words: author",
	"repos":                "impersonal: notes_protection; git: name default_branch notes_refs forge_path; settings: excluded_paths remote_url url_key object_format mode receipt_mode gateway; words: fetch_error; sealed: credential",
	"retention":            "settings: class",
	"reports":              "impersonal: type format paper state; git: repos; settings: teams; words: created_by error; sealed: sha256",
	"report_schedules":     "impersonal: type format paper every; git: repos; settings: teams; words: created_by",
	"reviews":              "git: commit patch_id; address: reviewer; name: name@reviewer; words: comment principal",
	"rollup_months":        "impersonal: dimension key2; sum: key",
	"rollups":              "impersonal: dimension key2; sum: key",
	"ssh_keys":             "words: name public_key; sealed: fingerprint",
	"team_members":         "address: email; impersonal: role",
	"teams":                "settings: name",
	"users":                "address: email; name: name@email; said: logins; impersonal: role",
	"violations":           "git: repo commit; address: pusher; settings: policy_name; impersonal: rule outcome; words: finding",
	"waivers":              "git: commit patch_id; address: pusher; words: reason created_by revoked_by",
	"webhook_deliveries":   "impersonal: forge delivery_id event outcome; git: repo; words: updates",
	"webhook_secrets":      "impersonal: forge; sealed: sealed",
})

// personalColumn is one column of the list.
type personalColumn struct {
	table, name string
	class       dataClass
	// beside is the column with the address of a name.
	beside string
}

func readPersonal(list map[string]string) map[string]personalColumn {
	columns := map[string]personalColumn{}
	for table, text := range list {
		for _, group := range strings.Split(text, "; ") {
			class, names, _ := strings.Cut(group, ": ")
			if !slices.Contains(dataClasses, dataClass(class)) {
				panic("store: there is no class " + class + " of data")
			}
			for _, name := range strings.Fields(names) {
				name, beside, _ := strings.Cut(name, "@")
				columns[table+"."+name] = personalColumn{table: table, name: name, class: dataClass(class), beside: beside}
			}
		}
	}
	return columns
}
