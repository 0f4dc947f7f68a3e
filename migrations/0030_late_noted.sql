-- Commits of which a note speaks only since they were pushed: of each push it would
-- take a look at its commits to say so.

-- +goose Up
CREATE TABLE late_noted (
    org_id    uuid NOT NULL,
    repo_id   uuid NOT NULL,
    commit    text NOT NULL,
    -- That of pushed_commits, by which a period is found.
    pushed_at timestamptz NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit)
);
CREATE INDEX late_noted_time ON late_noted (org_id, pushed_at) INCLUDE (repo_id, commit);

-- Up to which revision of a repository's lines late_noted goes. Whoever reads it looks
-- at the lines behind that as well.
CREATE TABLE late_noted_marks (
    org_id   uuid NOT NULL,
    repo_id  uuid NOT NULL,
    revision bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id)
);
