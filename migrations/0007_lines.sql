-- Whose the added lines of commits are: per commit (commit_lines, commit_owners),
-- per file (added_files) and per run of lines (added_runs); what is to be
-- classified anew (line_demands), how far a repository is (line_tips), and what
-- it all adds up to by day and month. Paths are git's bytes.

-- +goose Up
-- Globs of paths whose lines do not count, as lines.NewExcluder reads them.
ALTER TABLE repos ADD COLUMN excluded_paths text[] NOT NULL DEFAULT '{}';

-- Receipts that recorded the very content that a commit has.
CREATE INDEX receipt_files_blob ON receipt_files (org_id, blob_hash) WHERE blob_hash <> '';

-- Every writing of a commit's classes gets the next number. One transaction at a
-- time writes those of a repository, so that whoever has seen its greatest number
-- has seen all lower ones.
CREATE SEQUENCE line_revisions;

-- A commit of a default branch. added = ai + human + unknown; trailer is a part
-- of ai; excluded is beside it.
CREATE TABLE commit_lines (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    commit       text NOT NULL,
    -- Whether the default branch's tip reaches it; a row may outlive that.
    on_default   boolean NOT NULL,
    merge        boolean NOT NULL,
    committed_at timestamptz NOT NULL,
    -- The day of committed_at in the organisation's time zone.
    day          date NOT NULL,
    author_email text NOT NULL CHECK (author_email = lower(author_email)),
    added        bigint NOT NULL,
    ai           bigint NOT NULL,
    human        bigint NOT NULL,
    unknown      bigint NOT NULL,
    trailer      bigint NOT NULL,
    excluded     bigint NOT NULL,
    deleted      bigint NOT NULL,
    -- Whether a note that could be read, or a posted receipt, speaks of it.
    noted        boolean NOT NULL,
    -- The agent that its trailers or identities name, or ''.
    agent        text NOT NULL,
    bot          boolean NOT NULL,
    state        text NOT NULL CHECK (state IN ('classified', 'unreadable', 'cut')),
    -- SHA-256 of everything that was found, so that finding it again writes nothing.
    digest       bytea NOT NULL,
    revision     bigint NOT NULL DEFAULT nextval('line_revisions'),
    PRIMARY KEY (org_id, repo_id, commit),
    CHECK (added = ai + human + unknown)
);
CREATE INDEX commit_lines_time ON commit_lines (org_id, committed_at DESC, repo_id, commit) WHERE on_default;
CREATE INDEX commit_lines_repo ON commit_lines (org_id, repo_id, committed_at DESC, commit) WHERE on_default;
CREATE INDEX commit_lines_author ON commit_lines (org_id, author_email, committed_at DESC, repo_id, commit) WHERE on_default;
-- AI-marked commits that no note speaks of.
CREATE INDEX commit_lines_marked ON commit_lines (org_id, committed_at DESC, repo_id, commit)
    WHERE on_default AND agent <> '' AND NOT noted AND NOT bot;
-- When a person's commits last had a note.
CREATE INDEX commit_lines_noted ON commit_lines (org_id, author_email, committed_at DESC) WHERE on_default AND noted;
CREATE INDEX commit_lines_revision ON commit_lines (org_id, repo_id, revision);
CREATE INDEX commit_lines_unreadable ON commit_lines (org_id, repo_id) WHERE state = 'unreadable';

-- The files of a commit that have added lines. Of an excluded one added is their
-- number and the classes are zero.
CREATE TABLE added_files (
    org_id   uuid NOT NULL,
    repo_id  uuid NOT NULL,
    commit   text NOT NULL,
    path     bytea NOT NULL,
    -- The path in the first parent where git saw a rename, else empty.
    old_path bytea NOT NULL,
    blob     text NOT NULL,
    -- Why its lines do not count, or ''.
    excluded text NOT NULL,
    added    bigint NOT NULL,
    ai       bigint NOT NULL,
    human    bigint NOT NULL,
    unknown  bigint NOT NULL,
    trailer  bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit, path)
);
CREATE INDEX added_files_blob ON added_files (org_id, repo_id, blob);

-- Runs of added lines of one owner, ascending and disjoint. Lines that nothing
-- speaks for are in no run: an added line without one is unknown.
CREATE TABLE added_runs (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    commit     text NOT NULL,
    path       bytea NOT NULL,
    first      integer NOT NULL,
    last       integer NOT NULL CHECK (last >= first),
    class      text NOT NULL CHECK (class IN ('ai', 'human')),
    source     text NOT NULL CHECK (source IN ('blameprompt', 'git-ai', 'trailer')),
    confidence text NOT NULL CHECK (confidence IN ('exact', 'attested', 'envelope', 'trailer')),
    -- Empty for human lines and those of a trailer.
    receipt_id text NOT NULL,
    -- The name behind attested human lines, the agent of a trailer.
    author     text NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit, path, first)
);
CREATE INDEX added_runs_receipt ON added_runs (org_id, receipt_id) WHERE receipt_id <> '';

-- The AI lines of a commit by who wrote them: provider and model of the receipt,
-- or the agent that a trailer names. What rollups need of the commit is repeated.
CREATE TABLE commit_owners (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    commit       text NOT NULL,
    provider     text NOT NULL,
    model        text NOT NULL,
    on_default   boolean NOT NULL,
    day          date NOT NULL,
    author_email text NOT NULL,
    ai           bigint NOT NULL,
    trailer      bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit, provider, model)
);

-- What has to be classified: a commit, or all that a receipt may speak of.
-- Demands are only added, so that nobody waits for another; whoever has met some
-- removes exactly those that it saw before it read the evidence.
CREATE TABLE line_demands (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    commit     text NOT NULL DEFAULT '',
    receipt_id text NOT NULL DEFAULT '',
    -- The commit is on the default branch and has no row yet. A demand that is
    -- not planned is only for commits with a row.
    planned    boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, repo_id, seq)
);
CREATE INDEX line_demands_commit ON line_demands (org_id, repo_id, commit);
CREATE INDEX line_demands_receipt ON line_demands (org_id, repo_id, seq) WHERE receipt_id <> '';

-- The tip by which on_default was last set and the rules of exclusion by which
-- files are judged.
CREATE TABLE line_tips (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    ref        text NOT NULL,
    tip        text NOT NULL,
    globs      text[] NOT NULL,
    -- A fingerprint of globs and of the attributes at the tip.
    rules      text NOT NULL,
    planned_at timestamptz NOT NULL DEFAULT now(),
    -- When nothing was left to be done last.
    done_at    timestamptz,
    PRIMARY KEY (org_id, repo_id)
);

-- Sums over commits of default branches by day of commit. repo_id is the zero
-- uuid in rows over all repositories. Dimensions 'all', 'user' (author), 'agent'
-- (the one that commits name) and 'user_agent' sum commit_lines; the others sum
-- commit_owners and have ai, trailer and commits, of whatever kind, alone.
CREATE TABLE line_rollups (
    org_id         uuid NOT NULL,
    dimension      text NOT NULL CHECK (dimension IN ('all', 'user', 'agent', 'user_agent', 'provider', 'model', 'user_provider', 'user_model')),
    repo_id        uuid NOT NULL,
    key            text NOT NULL,
    key2           text NOT NULL,
    day            date NOT NULL,
    added          bigint NOT NULL DEFAULT 0,
    ai             bigint NOT NULL DEFAULT 0,
    human          bigint NOT NULL DEFAULT 0,
    unknown        bigint NOT NULL DEFAULT 0,
    trailer        bigint NOT NULL DEFAULT 0,
    excluded       bigint NOT NULL DEFAULT 0,
    deleted        bigint NOT NULL DEFAULT 0,
    -- Neither by bots nor merges without lines of their own, which are counted beside.
    commits        bigint NOT NULL DEFAULT 0,
    commits_noted  bigint NOT NULL DEFAULT 0,
    -- AI-marked and without a note.
    commits_marked bigint NOT NULL DEFAULT 0,
    bot_commits    bigint NOT NULL DEFAULT 0,
    merge_commits  bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, dimension, repo_id, key, key2, day)
);
CREATE INDEX line_rollups_day ON line_rollups (org_id, dimension, day);

-- The same sums by month; day is the first of the month.
CREATE TABLE line_rollup_months (LIKE line_rollups INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE line_rollup_months ADD PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

-- What one write adds to or takes from a day of one repository and author.
CREATE TYPE line_delta AS (
    org_id uuid, repo_id uuid, day date, author text, agent text, provider text, model text, owner boolean,
    added bigint, ai bigint, human bigint, unknown bigint, trailer bigint, excluded bigint, deleted bigint,
    commits bigint, commits_noted bigint, commits_marked bigint, bot_commits bigint, merge_commits bigint
);

-- +goose StatementBegin
CREATE FUNCTION line_dimensions(d line_delta) RETURNS TABLE (dimension text, repo_id uuid, key text, key2 text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT e.dimension, r.repo_id, e.key, e.key2
    FROM (VALUES ('all', '', '', false, true), ('user', d.author, '', false, true), ('agent', d.agent, '', false, d.agent <> ''),
                 ('user_agent', d.author, d.agent, false, d.agent <> ''),
                 ('provider', d.provider, '', true, true), ('model', d.model, '', true, true),
                 ('user_provider', d.author, d.provider, true, true), ('user_model', d.author, d.model, true, true))
             AS e (dimension, key, key2, owner, wanted),
         (VALUES (d.repo_id), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE e.owner = d.owner AND e.wanted
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION line_sums(deltas line_delta[], grain text) RETURNS SETOF line_rollups LANGUAGE sql STABLE AS $$
    SELECT s.* FROM (
        SELECT d.org_id, e.dimension, e.repo_id, e.key, e.key2, date_trunc(grain, d.day::timestamp)::date,
               sum(d.added)::bigint AS added, sum(d.ai)::bigint AS ai, sum(d.human)::bigint AS human,
               sum(d.unknown)::bigint AS unknown, sum(d.trailer)::bigint AS trailer, sum(d.excluded)::bigint AS excluded,
               sum(d.deleted)::bigint AS deleted, sum(d.commits)::bigint AS commits,
               sum(d.commits_noted)::bigint AS commits_noted, sum(d.commits_marked)::bigint AS commits_marked,
               sum(d.bot_commits)::bigint AS bot_commits, sum(d.merge_commits)::bigint AS merge_commits
        FROM unnest(deltas) d, line_dimensions(d) e
        GROUP BY 1, 2, 3, 4, 5, 6) s
    WHERE (added, ai, human, unknown, trailer, excluded, deleted, commits, commits_noted, commits_marked, bot_commits,
           merge_commits) <> (0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION line_rollups_apply(deltas line_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(deltas) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO line_rollups AS r SELECT * FROM line_sums(deltas, 'day')
    -- One order for all writers, so that two of them cannot wait for each other.
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
    SET added = r.added + excluded.added, ai = r.ai + excluded.ai, human = r.human + excluded.human,
        unknown = r.unknown + excluded.unknown, trailer = r.trailer + excluded.trailer,
        excluded = r.excluded + excluded.excluded, deleted = r.deleted + excluded.deleted,
        commits = r.commits + excluded.commits, commits_noted = r.commits_noted + excluded.commits_noted,
        commits_marked = r.commits_marked + excluded.commits_marked, bot_commits = r.bot_commits + excluded.bot_commits,
        merge_commits = r.merge_commits + excluded.merge_commits;
    INSERT INTO line_rollup_months AS r SELECT * FROM line_sums(deltas, 'month')
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
    SET added = r.added + excluded.added, ai = r.ai + excluded.ai, human = r.human + excluded.human,
        unknown = r.unknown + excluded.unknown, trailer = r.trailer + excluded.trailer,
        excluded = r.excluded + excluded.excluded, deleted = r.deleted + excluded.deleted,
        commits = r.commits + excluded.commits, commits_noted = r.commits_noted + excluded.commits_noted,
        commits_marked = r.commits_marked + excluded.commits_marked, bot_commits = r.bot_commits + excluded.bot_commits,
        merge_commits = r.merge_commits + excluded.merge_commits;
END $$;
-- +goose StatementEnd

-- What a commit counts as, times sign.
-- +goose StatementBegin
CREATE FUNCTION commit_lines_delta(c commit_lines, sign integer) RETURNS line_delta LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(c.org_id, c.repo_id, c.day, c.author_email, c.agent, '', '', false, sign * c.added, sign * c.ai, sign * c.human,
               sign * c.unknown, sign * c.trailer, sign * c.excluded, sign * c.deleted, sign * counts.one,
               sign * counts.one * c.noted::integer, sign * counts.one * (c.agent <> '' AND NOT c.noted)::integer,
               sign * c.bot::integer, sign * (NOT c.bot AND c.merge AND c.added + c.excluded = 0)::integer)::line_delta
    FROM (SELECT (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0))::integer) AS counts (one)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION commit_owners_delta(o commit_owners, sign integer) RETURNS line_delta LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(o.org_id, o.repo_id, o.day, o.author_email, '', o.provider, o.model, true, 0, sign * o.ai, 0, 0,
               sign * o.trailer, 0, 0, sign, 0, 0, 0, 0)::line_delta
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION commit_lines_rollup() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deltas line_delta[] := '{}';
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP <> 'DELETE' THEN
        deltas := ARRAY(SELECT commit_lines_delta(n, 1) FROM new_rows n WHERE n.on_default);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        deltas := deltas || ARRAY(SELECT commit_lines_delta(o, -1) FROM old_rows o WHERE o.on_default);
    END IF;
    PERFORM line_rollups_apply(deltas);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION commit_owners_rollup() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deltas line_delta[] := '{}';
BEGIN
    IF TG_OP <> 'DELETE' THEN
        deltas := ARRAY(SELECT commit_owners_delta(n, 1) FROM new_rows n WHERE n.on_default);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        deltas := deltas || ARRAY(SELECT commit_owners_delta(o, -1) FROM old_rows o WHERE o.on_default);
    END IF;
    PERFORM line_rollups_apply(deltas);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER commit_lines_rollup_insert AFTER INSERT ON commit_lines
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_rollup();
CREATE TRIGGER commit_lines_rollup_update AFTER UPDATE ON commit_lines
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_rollup();
CREATE TRIGGER commit_lines_rollup_delete AFTER DELETE ON commit_lines
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_rollup();
CREATE TRIGGER commit_owners_rollup_insert AFTER INSERT ON commit_owners
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_owners_rollup();
CREATE TRIGGER commit_owners_rollup_update AFTER UPDATE ON commit_owners
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_owners_rollup();
CREATE TRIGGER commit_owners_rollup_delete AFTER DELETE ON commit_owners
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_owners_rollup();

-- What coverage asks for beside: versions of notes that were replaced or left,
-- notes refs that left their tip, and pushes by time.
CREATE INDEX note_versions_left ON note_versions (org_id, committed_at DESC) WHERE NOT current AND blob IS NOT NULL;
CREATE INDEX findings_refs ON findings (org_id, code, found_at DESC) WHERE code IN ('notes_ref_rewritten', 'notes_ref_deleted');
CREATE INDEX pushed_commits_time ON pushed_commits (org_id, pushed_at DESC);

-- A receipt that comes, changes or goes is demanded in every repository that it
-- stands in. What it says of files is written behind it, in the same transaction,
-- and read when the demand is met.

-- +goose StatementBegin
CREATE FUNCTION receipts_demand_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        -- Those of git-ai speak of their own commit alone, which is demanded anyway.
        INSERT INTO line_demands (org_id, repo_id, receipt_id)
        SELECT DISTINCT c.org_id, c.repo_id, c.receipt_id
        FROM new_rows n JOIN receipt_commits c ON c.org_id = n.org_id AND c.receipt_id = n.id
        WHERE n.source <> 'git-ai';
    ELSIF TG_OP = 'UPDATE' THEN
        INSERT INTO line_demands (org_id, repo_id, receipt_id)
        SELECT DISTINCT c.org_id, c.repo_id, c.receipt_id
        FROM old_rows o JOIN new_rows n ON n.org_id = o.org_id AND n.id = o.id
        JOIN receipt_commits c ON c.org_id = n.org_id AND c.receipt_id = n.id
        WHERE (n.content_hash, n.timestamp, n.source, n.provider, n.model)
              IS DISTINCT FROM (o.content_hash, o.timestamp, o.source, o.provider, o.model);
    ELSE
        INSERT INTO line_demands (org_id, repo_id, receipt_id)
        SELECT DISTINCT a.org_id, a.repo_id, a.receipt_id
        FROM old_rows o JOIN added_runs a ON a.org_id = o.org_id AND a.receipt_id = o.id AND a.receipt_id <> '';
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER receipts_demand_lines_insert AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_demand_lines();
CREATE TRIGGER receipts_demand_lines_update AFTER UPDATE ON receipts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_demand_lines();
CREATE TRIGGER receipts_demand_lines_delete AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_demand_lines();

-- A receipt that is known elsewhere and stands in this repository too from now on.
-- +goose StatementBegin
CREATE FUNCTION receipt_repos_demand_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, receipt_id) SELECT org_id, repo_id, receipt_id FROM new_rows;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER receipt_repos_demand_lines_insert AFTER INSERT ON receipt_repos
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_demand_lines();

-- A receipt that is taken out of a note for good.
-- +goose StatementBegin
CREATE FUNCTION receipt_commits_demand_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, commit) SELECT DISTINCT org_id, repo_id, commit FROM old_rows;
    INSERT INTO line_demands (org_id, repo_id, receipt_id) SELECT DISTINCT org_id, repo_id, receipt_id FROM old_rows;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER receipt_commits_demand_lines_delete AFTER DELETE ON receipt_commits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_commits_demand_lines();

-- Who is a bot may be said anew, and who the author is.
-- +goose StatementBegin
CREATE FUNCTION commits_demand_lines() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, commit)
    SELECT n.org_id, n.repo_id, n.commit
    FROM old_rows o JOIN new_rows n ON n.org_id = o.org_id AND n.repo_id = o.repo_id AND n.commit = o.commit
    WHERE (n.bot, n.author_email, n.agents) IS DISTINCT FROM (o.bot, o.author_email, o.agents);
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER commits_demand_lines_update AFTER UPDATE ON commits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commits_demand_lines();
