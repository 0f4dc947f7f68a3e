package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/ingest"
)

// PostReceipts implements the operation.
func (s *server) PostReceipts(ctx context.Context, in PostReceiptsRequestObject) (PostReceiptsResponseObject, error) {
	body, err := readBody(in.Body, in.Params.ContentEncoding, maxBody["postReceipts"])
	if err != nil {
		return nil, err
	}
	posted, err := s.cfg.Intake.PostReceipts(ctx, principal(ctx), in.Params.Repo, strings.ToLower(in.Params.Commit), body)
	if errors.Is(err, notes.ErrNotReceipts) {
		return nil, fmt.Errorf("%w (%w)", respond.InvalidField("body",
			"must be an array of receipts, an object {repo, commit_hash, receipts}, or a note payload, in JSON"), err)
	}
	if err != nil {
		return nil, err
	}
	rejected := each(posted.Rejected, func(r ingest.Rejection) Rejection { return Rejection{Index: r.Index, Error: r.Error} })
	return PostReceipts200JSONResponse{Accepted: posted.Accepted, Duplicates: posted.Duplicates, Rejected: rejected}, nil
}

// UploadNotes implements the operation.
func (s *server) UploadNotes(ctx context.Context, in UploadNotesRequestObject) (UploadNotesResponseObject, error) {
	entries, total, err := readUploads(in.Body)
	if err != nil {
		return nil, err
	}
	stored, err := s.cfg.Intake.UploadNotes(ctx, principal(ctx), entries)
	return UploadNotes200JSONResponse{SuccessCount: stored, FailureCount: total - stored}, err
}

// readUploads reads {"entries": [{"commit_sha", "content"}]} entry by entry:
// one that is malformed is left out and counted in total.
func readUploads(body io.Reader) (entries []ingest.Upload, total int, err error) {
	dec := json.NewDecoder(body)
	found := false
	if err := wantToken(dec, json.Delim('{')); err != nil {
		return nil, 0, err
	}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil, 0, uploadError(err)
		}
		if name != "entries" || found {
			if err := dec.Decode(new(json.RawMessage)); err != nil {
				return nil, 0, uploadError(err)
			}
			continue
		}
		found = true
		if entries, total, err = readEntries(dec); err != nil {
			return nil, 0, err
		}
	}
	if err := wantToken(dec, json.Delim('}')); err != nil {
		return nil, 0, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, 0, respond.InvalidField("body", "must end after one JSON object")
	}
	if !found {
		return nil, 0, respond.InvalidField("entries", "is missing")
	}
	return entries, total, nil
}

func readEntries(dec *json.Decoder) (entries []ingest.Upload, total int, err error) {
	if err := wantToken(dec, json.Delim('[')); err != nil {
		return nil, 0, err
	}
	for ; dec.More(); total++ {
		var entry struct {
			CommitSHA *string `json:"commit_sha"`
			Content   *string `json:"content"`
		}
		var wrongType *json.UnmarshalTypeError
		err := dec.Decode(&entry)
		if err != nil && !errors.As(err, &wrongType) {
			return nil, 0, uploadError(err)
		}
		if err == nil && entry.CommitSHA != nil && entry.Content != nil {
			entries = append(entries, ingest.Upload{Commit: *entry.CommitSHA, Content: []byte(*entry.Content)})
		}
	}
	return entries, total, wantToken(dec, json.Delim(']'))
}

func wantToken(dec *json.Decoder, want json.Delim) error {
	token, err := dec.Token()
	if err == nil && token != want {
		err = respond.InvalidField("body", `must be an object {"entries": [{"commit_sha", "content"}]}`)
	}
	return uploadError(err)
}

func uploadError(err error) error {
	var problem *respond.Problem
	var syntax *json.SyntaxError
	switch {
	case err == nil, errors.As(err, &problem):
		return err
	case errors.As(err, &syntax):
		return respond.InvalidField("body", notJSON(err))
	}
	return readError(err)
}

// maxCommits is how many notes may be asked for at once (git-ai's
// notes-backend-spec).
const maxCommits = 100

// ReadNotes implements the operation. Notes may be large: one at a time is in
// memory.
func (s *server) ReadNotes(ctx context.Context, in ReadNotesRequestObject) (ReadNotesResponseObject, error) {
	org, commits := principal(ctx).Org, strings.Split(in.Params.Commits, ",")
	if len(commits) > maxCommits {
		return nil, respond.InvalidField("commits", "must be at most 100 commit ids")
	}
	if err := s.cfg.DB.Ping(ctx); err != nil {
		return nil, err
	}
	return answerFunc(func(w http.ResponseWriter) error {
		w.Header().Set("Content-Type", "application/json")
		out := bufio.NewWriter(w)
		sent := map[string]bool{}
		_, _ = out.WriteString(`{"notes":{`)
		for _, commit := range commits {
			if sent[commit] {
				continue
			}
			found, err := s.cfg.DB.UploadedNotes(ctx, org, []string{commit})
			if err != nil {
				return err
			}
			content, ok := found[commit]
			if !ok {
				continue
			}
			if err := writeMember(out, len(sent) > 0, commit, string(content)); err != nil {
				return err
			}
			sent[commit] = true
		}
		_, _ = out.WriteString("}}\n")
		return out.Flush()
	}), nil
}

// writeMember writes one member of a JSON object.
func writeMember(out *bufio.Writer, more bool, name, value string) error {
	text, err := json.Marshal(map[string]string{name: value})
	if err != nil {
		return err
	}
	text = text[1 : len(text)-1]
	if more {
		_ = out.WriteByte(',')
	}
	_, err = out.Write(text)
	return err
}
