-- Live lines: where every line of a default branch's tip comes from and whose
-- it is, what became of lines that were there once, and what both add up to.
--
-- live_runs and removed_runs are the facts; all other tables but live_tips
-- follow them in the same transaction, by triggers. Whoever writes them holds
-- the organisation's write lock, as whoever writes receipts does.

-- +goose Up

-- The live map of a repository: of its default branch, whatever that is called.
CREATE TABLE live_tips (
    org_id           uuid NOT NULL,
    repo_id          uuid NOT NULL,
    ref              text NOT NULL,
    -- The tip that the map is that of; empty until the first one is whole.
    tip              text NOT NULL DEFAULT '',
    tip_at           timestamptz,
    -- The tip that a map is being made of from nothing, else empty: files of this
    -- generation are done, of so many in all.
    building_tip     text NOT NULL DEFAULT '',
    generation       integer NOT NULL DEFAULT 0,
    total            integer NOT NULL DEFAULT 0,
    -- What else a map depends on; where one of them changes it is made anew.
    git_version      text NOT NULL,
    exclude_revision text NOT NULL,
    -- The tip at which exclude_revision was last found to hold, or empty.
    rules_tip        text NOT NULL DEFAULT '',
    boundary         text NOT NULL,
    -- The revision of commit_lines up to which lines have the classes of their
    -- commits.
    class_revision   bigint NOT NULL DEFAULT 0,
    -- The tip's time when the map was first whole: from then on it is known when
    -- lines are removed.
    began_at         timestamptz,
    updated_at       timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id)
);

-- Every path of the tip; only text has lines. Paths are raw bytes, at most 2,000,
-- and directory is the one that the file lies in, with its slash.
CREATE TABLE live_files (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    path       bytea NOT NULL CHECK (length(path) <= 2000),
    directory  bytea NOT NULL,
    blob       text NOT NULL,
    kind       text NOT NULL,
    -- Why the lines of an excluded file do not count.
    reason     text NOT NULL,
    generation integer NOT NULL,
    lines      integer NOT NULL,
    ai         integer NOT NULL DEFAULT 0,
    human      integer NOT NULL DEFAULT 0,
    unknown    integer NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, repo_id, path)
);
CREATE INDEX live_files_directory ON live_files (org_id, repo_id, md5(directory), path);

-- Lines that stand side by side in a file and where they come from, and have
-- one owner. author is the name behind human lines or the agent of a trailer.
CREATE TABLE live_runs (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    path        bytea NOT NULL,
    first       integer NOT NULL,
    last        integer NOT NULL,
    commit_id   text NOT NULL,
    origin_path bytea NOT NULL,
    origin_line integer NOT NULL,
    class       text NOT NULL,
    source      text NOT NULL,
    confidence  text NOT NULL,
    receipt_id  text NOT NULL,
    author      text NOT NULL,
    PRIMARY KEY (org_id, repo_id, path, first)
);
CREATE INDEX live_runs_receipt ON live_runs (org_id, receipt_id, repo_id, path, first) WHERE receipt_id <> '';
-- What a trailer alone gives to an agent.
CREATE INDEX live_runs_agent ON live_runs (org_id, author, repo_id, path, first) WHERE source = 'trailer';
-- Origins are of any length, so the index has their hash; folders of two paths
-- would be too much for one.
CREATE INDEX live_runs_origin ON live_runs (org_id, repo_id, commit_id, md5(origin_path));

-- Lines that were live and are no longer, by their origin. ended_at is the
-- committer time of the first tip without them.
CREATE TABLE removed_runs (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    id          bigint GENERATED ALWAYS AS IDENTITY,
    commit_id   text NOT NULL,
    origin_path bytea NOT NULL,
    first       integer NOT NULL,
    last        integer NOT NULL,
    ended_at    timestamptz NOT NULL,
    ended_tip   text NOT NULL,
    class       text NOT NULL,
    source      text NOT NULL,
    confidence  text NOT NULL,
    receipt_id  text NOT NULL,
    author      text NOT NULL,
    PRIMARY KEY (org_id, repo_id, id)
);
CREATE INDEX removed_runs_receipt ON removed_runs (org_id, receipt_id) WHERE receipt_id <> '';
CREATE INDEX removed_runs_origin ON removed_runs (org_id, repo_id, commit_id, md5(origin_path));

-- The commits that live and removed lines come from, as they are summed up by.
CREATE TABLE live_commits (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    commit_id    text NOT NULL,
    author_email text NOT NULL,
    committed_at timestamptz NOT NULL,
    day          date NOT NULL,
    -- The time of the tip that brought its lines; NULL: the first map had them.
    landed_at    timestamptz,
    PRIMARY KEY (org_id, repo_id, commit_id)
);

-- The receipts that live and removed lines come from, with what they say of the
-- model: as it was when their lines were summed up, which is as it is.
CREATE TABLE live_receipts (
    org_id     uuid NOT NULL,
    receipt_id text NOT NULL,
    repo_id    uuid NOT NULL,
    model      text NOT NULL,
    provider   text NOT NULL,
    session_id text NOT NULL,
    lines      bigint NOT NULL,
    removed    bigint NOT NULL,
    PRIMARY KEY (org_id, receipt_id, repo_id)
);
CREATE INDEX live_receipts_model ON live_receipts (org_id, model, receipt_id, repo_id) WHERE lines > 0;
CREATE INDEX live_receipts_provider ON live_receipts (org_id, provider, receipt_id, repo_id) WHERE lines > 0;
CREATE INDEX live_receipts_session ON live_receipts (org_id, session_id, receipt_id, repo_id) WHERE lines > 0;

-- Live lines by what they are asked for. repo_id is the zero uuid in rows over
-- all repositories. Of models and providers only AI lines are summed up; key is
-- empty where none is known.
CREATE TABLE live_sums (
    org_id    uuid NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'user', 'month')),
    repo_id   uuid NOT NULL,
    key       text NOT NULL,
    ai        bigint NOT NULL,
    human     bigint NOT NULL,
    unknown   bigint NOT NULL,
    PRIMARY KEY (org_id, dimension, repo_id, key)
);

-- What became of the lines of a week's commits. watched: the map was there
-- before their lines came, so that all that were removed are known. removed14
-- counts lines removed within 14 days of their commit.
CREATE TABLE live_cohorts (
    org_id    uuid NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'user')),
    repo_id   uuid NOT NULL,
    key       text NOT NULL,
    class     text NOT NULL,
    week      date NOT NULL,
    watched   boolean NOT NULL,
    live      bigint NOT NULL,
    removed14 bigint NOT NULL,
    removed30 bigint NOT NULL,
    removed90 bigint NOT NULL,
    removed   bigint NOT NULL,
    PRIMARY KEY (org_id, dimension, repo_id, key, class, week, watched)
);

-- Live lines of a folder and all below it. The root is the empty path; others
-- end in a slash.
CREATE TABLE live_directories (
    org_id  uuid NOT NULL,
    repo_id uuid NOT NULL,
    path    bytea NOT NULL,
    parent  bytea,
    files   bigint NOT NULL,
    ai      bigint NOT NULL,
    human   bigint NOT NULL,
    unknown bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id, path)
);
CREATE INDEX live_directories_parent ON live_directories (org_id, repo_id, md5(parent), path);

-- What one write adds to the lines of one commit and owner.
CREATE TYPE live_delta AS (
    org_id uuid, repo_id uuid, commit_id text, class text, receipt_id text, agent text,
    live bigint, removed14 bigint, removed30 bigint, removed90 bigint, removed bigint
);

-- What a delta is summed up by.
-- +goose StatementBegin
CREATE FUNCTION live_dimensions(repo uuid, class text, author_email text, day date, model text, provider text)
RETURNS TABLE (dimension text, repo_id uuid, key text)
LANGUAGE sql STABLE AS $$
    SELECT d.dimension, r.repo_id, d.key
    FROM (VALUES ('all', ''), ('user', author_email), ('month', to_char(day::timestamp, 'YYYY-MM')), ('model', model), ('provider', provider))
             AS d (dimension, key),
         (VALUES (repo), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE class = 'ai' OR d.dimension NOT IN ('model', 'provider')
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION live_apply(deltas live_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(deltas) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO live_receipts AS r (org_id, receipt_id, repo_id, model, provider, session_id, lines, removed)
    SELECT d.org_id, d.receipt_id, d.repo_id, coalesce(p.model, ''), coalesce(p.provider, ''), coalesce(p.session_id, ''), d.live, d.removed
    FROM (SELECT org_id, receipt_id, repo_id, sum(live) AS live, sum(removed) AS removed FROM unnest(deltas)
          WHERE receipt_id <> '' GROUP BY 1, 2, 3) d
    LEFT JOIN receipts p ON p.org_id = d.org_id AND p.id = d.receipt_id
    ORDER BY 1, 2, 3
    ON CONFLICT (org_id, receipt_id, repo_id) DO UPDATE
    SET lines = r.lines + excluded.lines, removed = r.removed + excluded.removed;

    INSERT INTO live_sums AS s (org_id, dimension, repo_id, key, ai, human, unknown)
    SELECT d.org_id, e.dimension, e.repo_id, e.key, coalesce(sum(d.live) FILTER (WHERE d.class = 'ai'), 0) AS ai,
           coalesce(sum(d.live) FILTER (WHERE d.class = 'human'), 0) AS human,
           coalesce(sum(d.live) FILTER (WHERE d.class = 'unknown'), 0) AS unknown
    FROM unnest(deltas) d
    JOIN live_commits c ON c.org_id = d.org_id AND c.repo_id = d.repo_id AND c.commit_id = d.commit_id
    LEFT JOIN live_receipts r ON r.org_id = d.org_id AND r.receipt_id = d.receipt_id AND r.repo_id = d.repo_id,
    live_dimensions(d.repo_id, d.class, c.author_email, c.day, coalesce(r.model, ''), coalesce(r.provider, d.agent)) e
    WHERE d.live <> 0
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4
    ON CONFLICT (org_id, dimension, repo_id, key) DO UPDATE
    SET ai = s.ai + excluded.ai, human = s.human + excluded.human, unknown = s.unknown + excluded.unknown;

    INSERT INTO live_cohorts AS s (org_id, dimension, repo_id, key, class, week, watched, live, removed14, removed30, removed90, removed)
    SELECT d.org_id, e.dimension, e.repo_id, e.key, d.class, date_trunc('week', c.day::timestamp)::date, c.landed_at IS NOT NULL,
           sum(d.live), sum(d.removed14), sum(d.removed30), sum(d.removed90), sum(d.removed)
    FROM unnest(deltas) d
    JOIN live_commits c ON c.org_id = d.org_id AND c.repo_id = d.repo_id AND c.commit_id = d.commit_id
    LEFT JOIN live_receipts r ON r.org_id = d.org_id AND r.receipt_id = d.receipt_id AND r.repo_id = d.repo_id,
    live_dimensions(d.repo_id, d.class, c.author_email, c.day, coalesce(r.model, ''), coalesce(r.provider, d.agent)) e
    WHERE e.dimension <> 'month'
    GROUP BY 1, 2, 3, 4, 5, 6, 7 ORDER BY 1, 2, 3, 4, 5, 6, 7
    ON CONFLICT (org_id, dimension, repo_id, key, class, week, watched) DO UPDATE
    SET live = s.live + excluded.live, removed14 = s.removed14 + excluded.removed14, removed30 = s.removed30 + excluded.removed30,
        removed90 = s.removed90 + excluded.removed90, removed = s.removed + excluded.removed;

    DELETE FROM live_receipts r USING (SELECT DISTINCT org_id, receipt_id, repo_id FROM unnest(deltas) WHERE receipt_id <> '') d
    WHERE r.org_id = d.org_id AND r.receipt_id = d.receipt_id AND r.repo_id = d.repo_id AND r.lines = 0 AND r.removed = 0;
END $$;
-- +goose StatementEnd

-- Sums up what a statement has changed: at once, or when the transaction says so,
-- which sets blameprompt.live_deltas and has the table stage_live_deltas.
-- Where a file has moved down by a line, little is left to be summed up then.
-- +goose StatementBegin
CREATE FUNCTION live_take(deltas live_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('blameprompt.live_deltas', true) = 'later' THEN
        INSERT INTO pg_temp.stage_live_deltas SELECT d.* FROM unnest(deltas) d;
    ELSE
        PERFORM live_apply(deltas);
    END IF;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION live_runs_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deltas live_delta[] := '{}';
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP = 'INSERT' THEN
        deltas := ARRAY(SELECT ROW(org_id, repo_id, commit_id, class, receipt_id, agent, sum(lines), 0, 0, 0, 0)::live_delta
            FROM (SELECT *, CASE source WHEN 'trailer' THEN author ELSE '' END AS agent, last - first + 1 AS lines FROM new_rows) n
            GROUP BY org_id, repo_id, commit_id, class, receipt_id, agent);
    ELSE
        deltas := ARRAY(SELECT ROW(org_id, repo_id, commit_id, class, receipt_id, agent, -sum(lines), 0, 0, 0, 0)::live_delta
            FROM (SELECT *, CASE source WHEN 'trailer' THEN author ELSE '' END AS agent, last - first + 1 AS lines FROM old_rows) o
            GROUP BY org_id, repo_id, commit_id, class, receipt_id, agent);
    END IF;
    PERFORM live_take(deltas);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- What lines of one lifetime count for: within 14, 30, 90 days, and at all.
-- +goose StatementBegin
CREATE FUNCTION removed_delta(org uuid, repo uuid, commit_id text, class text, receipt_id text, agent text, life interval, lines bigint)
RETURNS live_delta LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(org, repo, commit_id, class, receipt_id, agent, 0, CASE WHEN life <= '14 days' THEN lines ELSE 0 END,
               CASE WHEN life <= '30 days' THEN lines ELSE 0 END, CASE WHEN life <= '90 days' THEN lines ELSE 0 END, lines)::live_delta
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION removed_runs_sum() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deltas live_delta[] := '{}';
BEGIN
    IF TG_OP = 'INSERT' THEN
        deltas := ARRAY(SELECT removed_delta(n.org_id, n.repo_id, n.commit_id, n.class, n.receipt_id,
                CASE n.source WHEN 'trailer' THEN n.author ELSE '' END, n.ended_at - c.committed_at, n.last - n.first + 1)
            FROM new_rows n JOIN live_commits c USING (org_id, repo_id, commit_id));
    ELSE
        deltas := ARRAY(SELECT removed_delta(o.org_id, o.repo_id, o.commit_id, o.class, o.receipt_id,
                CASE o.source WHEN 'trailer' THEN o.author ELSE '' END, o.ended_at - c.committed_at, -(o.last - o.first + 1))
            FROM old_rows o JOIN live_commits c USING (org_id, repo_id, commit_id));
    END IF;
    PERFORM live_take(deltas);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Receipts whose model, provider or session is another now take their lines
-- along: what they were summed up by goes, row of live_receipts and all, and
-- comes again by what they say.
-- +goose StatementBegin
CREATE FUNCTION live_receipts_follow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    moved live_receipts[];
    deltas live_delta[];
BEGIN
    IF TG_OP = 'DELETE' THEN
        moved := ARRAY(SELECT r FROM old_rows o JOIN live_receipts r ON r.org_id = o.org_id AND r.receipt_id = o.id
                       WHERE (r.model, r.provider, r.session_id) <> ('', '', ''));
    ELSE
        moved := ARRAY(SELECT r FROM new_rows n JOIN live_receipts r ON r.org_id = n.org_id AND r.receipt_id = n.id
                       WHERE (r.model, r.provider, r.session_id) <> (n.model, n.provider, n.session_id));
    END IF;
    IF cardinality(moved) = 0 THEN
        RETURN NULL;
    END IF;
    deltas := ARRAY(
        SELECT ROW(l.org_id, l.repo_id, l.commit_id, l.class, l.receipt_id, '', sum(l.last - l.first + 1), 0, 0, 0, 0)::live_delta
        FROM unnest(moved) m JOIN live_runs l ON l.org_id = m.org_id AND l.receipt_id = m.receipt_id AND l.repo_id = m.repo_id
            AND l.receipt_id <> ''
        GROUP BY l.org_id, l.repo_id, l.commit_id, l.class, l.receipt_id
        UNION ALL
        SELECT removed_delta(l.org_id, l.repo_id, l.commit_id, l.class, l.receipt_id, '', l.ended_at - c.committed_at, l.last - l.first + 1)
        FROM unnest(moved) m JOIN removed_runs l ON l.org_id = m.org_id AND l.receipt_id = m.receipt_id AND l.repo_id = m.repo_id
            AND l.receipt_id <> ''
        JOIN live_commits c ON c.org_id = l.org_id AND c.repo_id = l.repo_id AND c.commit_id = l.commit_id);
    PERFORM live_apply(ARRAY(SELECT ROW(d.org_id, d.repo_id, d.commit_id, d.class, d.receipt_id, d.agent, -d.live, -d.removed14,
                                        -d.removed30, -d.removed90, -d.removed)::live_delta FROM unnest(deltas) d));
    PERFORM live_apply(deltas);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- The folders that a path lies in, of which 32 levels are summed up, and the one
-- that each lies in.
-- +goose StatementBegin
CREATE FUNCTION live_folders(path bytea) RETURNS TABLE (folder bytea, parent bytea) LANGUAGE sql IMMUTABLE AS $$
    SELECT f.folder, lag(f.folder) OVER (ORDER BY length(f.folder))
    FROM (SELECT ''::bytea AS folder
          UNION ALL
          (SELECT substring(path FROM 1 FOR i) FROM generate_series(1, length(path)) i WHERE get_byte(path, i - 1) = 47
           ORDER BY i LIMIT 32)) f
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION live_files_sum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO live_directories AS d (org_id, repo_id, path, parent, files, ai, human, unknown)
        SELECT n.org_id, n.repo_id, f.folder, f.parent, count(*), sum(n.ai), sum(n.human), sum(n.unknown)
        FROM new_rows n, live_folders(n.path) f WHERE n.kind = 'text' GROUP BY 1, 2, 3, 4
        ON CONFLICT (org_id, repo_id, path) DO UPDATE
        SET files = d.files + excluded.files, ai = d.ai + excluded.ai, human = d.human + excluded.human, unknown = d.unknown + excluded.unknown;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE live_directories d
        SET files = d.files - o.files, ai = d.ai - o.ai, human = d.human - o.human, unknown = d.unknown - o.unknown
        FROM (SELECT o.org_id, o.repo_id, f.folder, count(*) AS files, sum(o.ai) AS ai, sum(o.human) AS human, sum(o.unknown) AS unknown
              FROM old_rows o, live_folders(o.path) f WHERE o.kind = 'text' GROUP BY 1, 2, 3) o
        WHERE d.org_id = o.org_id AND d.repo_id = o.repo_id AND d.path = o.folder;
        -- Folders come and go; what is empty would be listed for ever.
        DELETE FROM live_directories d USING (SELECT DISTINCT o.org_id, o.repo_id, f.folder FROM old_rows o, live_folders(o.path) f) o
        WHERE d.org_id = o.org_id AND d.repo_id = o.repo_id AND d.path = o.folder AND d.files = 0;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER live_runs_sum_insert AFTER INSERT ON live_runs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live_runs_sum();
CREATE TRIGGER live_runs_sum_delete AFTER DELETE ON live_runs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION live_runs_sum();
CREATE TRIGGER removed_runs_sum_insert AFTER INSERT ON removed_runs
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION removed_runs_sum();
CREATE TRIGGER removed_runs_sum_delete AFTER DELETE ON removed_runs
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION removed_runs_sum();
CREATE TRIGGER live_receipts_follow_insert AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live_receipts_follow();
CREATE TRIGGER live_receipts_follow_update AFTER UPDATE ON receipts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live_receipts_follow();
CREATE TRIGGER live_receipts_follow_delete AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION live_receipts_follow();
CREATE TRIGGER live_files_sum_insert AFTER INSERT ON live_files
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live_files_sum();
CREATE TRIGGER live_files_sum_update AFTER UPDATE ON live_files
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION live_files_sum();
CREATE TRIGGER live_files_sum_delete AFTER DELETE ON live_files
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION live_files_sum();
