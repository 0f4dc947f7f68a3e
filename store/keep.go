package store

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/secrets"
)

// Prompts says what is kept of the text of prompts and answers.
type Prompts string

// PromptsStored keeps it, PromptsHashed keeps hashes by which equal texts are
// known, PromptsDropped keeps nothing.
const (
	PromptsStored  Prompts = "stored"
	PromptsHashed  Prompts = "hashed"
	PromptsDropped Prompts = "dropped"
)

// hashedPrefix begins a text that only its hash is kept of.
const hashedPrefix = "hashed:"

// CodeSecret is the finding about a secret in a note.
const CodeSecret = "secret_found"

// keeper makes of a receipt what may be stored of it: without people who were
// erased, without secrets, and as little of what was said as the organisation
// wants. What it makes depends on the receipt and the settings alone.
type keeper struct {
	rows *Rows
	at   Pair
	// receipt is the id of the receipt that is being read, "" for none.
	receipt string
}

// kept is what is stored of a receipt.
type kept struct {
	notes.Receipt
	files        []notes.FileChange
	conversation []byte
}

func (k keeper) keep(r *notes.Receipt, files []notes.FileChange) kept {
	org := &k.rows.src.Org
	out := kept{Receipt: *org.erased.receipt(r), files: files}
	for _, t := range []struct {
		place string
		text  *string
	}{
		{"/provider", &out.Provider}, {"/model", &out.Model}, {"/session_id", &out.SessionID}, {"/prompt_hash", &out.PromptHash},
		{"/parent_receipt_id", &out.ParentReceiptID}, {"/user", &out.UserName}, {"/user", &out.UserEmail}, {"/prompt_summary", &out.PromptSummary},
		{"/response_summary", &out.ResponseSummary},
	} {
		*t.text = k.text(t.place, *t.text)
	}
	out.Detail = k.json("detail", out.Detail)
	out.RawTimestamps = k.timestamps(out.RawTimestamps)
	out.files = k.paths(files)
	if _, gone := org.erased.pseudonym(r.UserEmail); org.StoreConversations && !gone && r.Conversation != nil {
		out.conversation = bytes.Clone(k.json("/conversation", r.Conversation))
	} else {
		// A secret in a conversation was given away whether or not it is stored.
		k.found("/conversation", secrets.Default().Rules(string(r.Conversation)))
	}
	org.reduce(&out)
	return out
}

// text masks the secrets in a text, and adds a finding for them.
func (k keeper) text(place, text string) string {
	masked, rules := secrets.Default().Mask(text)
	k.found(place, rules)
	return masked
}

func (k keeper) json(place string, doc json.RawMessage) json.RawMessage {
	if len(doc) == 0 {
		return doc
	}
	masked, rules := secrets.Default().MaskJSON(doc)
	k.found(place, rules)
	return masked
}

func (k keeper) timestamps(raw map[string]string) map[string]string {
	for field, text := range raw {
		if masked, rules := secrets.Default().Mask(text); len(rules) > 0 {
			k.found("/"+field, rules)
			out := map[string]string{}
			for other, as := range raw {
				out[other], _ = secrets.Default().Mask(as)
			}
			out[field] = masked
			return out
		}
	}
	return raw
}

func (k keeper) paths(files []notes.FileChange) []notes.FileChange {
	out := files
	for i, f := range files {
		masked := k.text("/files_changed", f.Path)
		if masked == f.Path {
			continue
		}
		if &out[0] == &files[0] {
			out = slices.Clone(files)
		}
		out[i].Path = masked
	}
	return out
}

// found adds a finding per rule, which says what to do and never what the
// secret was.
func (k keeper) found(place string, rules []string) {
	for _, rule := range rules {
		k.rows.AddFault(Fault{k.at, notes.Finding{Code: CodeSecret, Severity: notes.Error, ReceiptID: k.receipt, Where: place + " " + rule,
			Message: "The note holds what looks like a secret (rule " + rule + "): " + secrets.Default().Describe(rule) +
				" It is masked here and stands in git for all who can read the notes: end its validity and make a new one."}})
	}
}

// reduce takes out of a receipt what the organisation does not keep.
func (o *Org) reduce(r *kept) {
	if o.Prompts == PromptsStored || o.Prompts == "" {
		return
	}
	r.PromptSummary, r.ResponseSummary = o.reduced(r.PromptSummary), o.reduced(r.ResponseSummary)
	r.Detail, r.conversation = nil, nil
	if o.Prompts == PromptsDropped {
		r.PromptHash = ""
	}
}

// reduced is what is kept of a text: nothing, or a hash with a key, from which
// nobody finds a short text by trying.
func (o *Org) reduced(text string) string {
	if o.Prompts != PromptsHashed || text == "" {
		return ""
	}
	h := hmac.New(sha256.New, o.erased.sealer.names)
	h.Write(o.ID[:])
	h.Write([]byte(text))
	return hashedPrefix + hex.EncodeToString(h.Sum(nil))
}
