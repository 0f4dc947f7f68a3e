-- Notes of commits that a squash, a rebase, an amend or a forced push left
-- behind, and the commits that have their content now (reattachments), line by
-- line where that can be told (reattached_lines). All of it is derived: no row
-- of notes, receipts or attestations is touched, and it can be switched off.

-- +goose Up
ALTER TABLE repos ADD COLUMN reattach boolean NOT NULL DEFAULT true;

-- The note body that from_commit had last speaks of to_commit as well. What is no
-- longer found, or switched off, stays as an inactive row.
CREATE TABLE reattachments (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    ref         text NOT NULL,
    from_commit text NOT NULL,
    -- The body of the note.
    blob        text NOT NULL,
    to_commit   text NOT NULL,
    how         text NOT NULL CHECK (how IN ('notes-history', 'blob', 'patch-id')),
    -- Whether to_commit has the changes of several commits in one.
    squash      boolean NOT NULL,
    active      boolean NOT NULL DEFAULT true,
    -- Rises with the time at which it was found, for lists.
    id          uuid NOT NULL,
    found_at    timestamptz NOT NULL DEFAULT now(),
    ended_at    timestamptz,
    PRIMARY KEY (org_id, repo_id, ref, from_commit, to_commit),
    CHECK (active = (ended_at IS NULL))
);
CREATE INDEX reattachments_to ON reattachments (org_id, repo_id, to_commit);
CREATE INDEX reattachments_from ON reattachments (org_id, repo_id, from_commit);
CREATE UNIQUE INDEX reattachments_id ON reattachments (org_id, repo_id, id);

-- Runs of lines that from_commit added and to_commit has: line first of path is
-- line from_first of from_path. Paths are git's bytes.
CREATE TABLE reattached_lines (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    to_commit   text NOT NULL,
    from_commit text NOT NULL,
    path        bytea NOT NULL,
    first       integer NOT NULL,
    last        integer NOT NULL CHECK (last >= first),
    from_path   bytea NOT NULL,
    from_first  integer NOT NULL,
    PRIMARY KEY (org_id, repo_id, to_commit, from_commit, path, first)
);

-- The commit whose note speaks for the lines, where it was left behind.
ALTER TABLE added_runs ADD COLUMN from_commit text NOT NULL DEFAULT '';

-- What git patch-id --stable says of the change from base to commit, '' for no
-- change. An empty base is the commit's parent. Kept, because the objects of
-- commits that were left behind go.
CREATE TABLE commit_patches (
    org_id   uuid NOT NULL,
    repo_id  uuid NOT NULL,
    commit   text NOT NULL,
    base     text NOT NULL,
    patch_id text NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit, base)
);
CREATE INDEX commit_patches_id ON commit_patches (org_id, repo_id, patch_id) WHERE patch_id <> '';

-- What the reattachments of a repository were last computed of: a fingerprint.
CREATE TABLE reattach_states (
    org_id  uuid NOT NULL,
    repo_id uuid NOT NULL,
    state   text NOT NULL,
    done_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id)
);

-- Notes that were moved or copied have one body.
CREATE INDEX note_versions_blob ON note_versions (org_id, repo_id, blob) WHERE blob IS NOT NULL;
-- Commits of a time, which may be what became of others.
CREATE INDEX commits_time ON commits (org_id, repo_id, committed_at);
