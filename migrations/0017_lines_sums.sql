-- Sums of added lines that cost what changed, not what was written.

-- +goose Up
-- One expression, so that it becomes a part of the query that calls it.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION commit_lines_delta(c commit_lines, sign integer) RETURNS line_delta LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(c.org_id, c.repo_id, c.day, c.author_email, c.agent, '', '', false, sign * c.added, sign * c.ai, sign * c.human,
               sign * c.unknown, sign * c.trailer, sign * c.excluded, sign * c.deleted,
               -- Neither by a bot nor a merge without lines of its own.
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0))::integer,
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0) AND c.noted)::integer,
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0) AND c.agent <> '' AND NOT c.noted)::integer,
               sign * c.bot::integer, sign * (NOT c.bot AND c.merge AND c.added + c.excluded = 0)::integer)::line_delta
$$;
-- +goose StatementEnd

-- Commits of one day and author are one delta before they become rows of every
-- dimension, and their days one of their month.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION line_rollups_apply(deltas line_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(deltas) = 0 THEN
        RETURN;
    END IF;
    deltas := ARRAY(
        SELECT ROW(d.org_id, d.repo_id, d.day, d.author, d.agent, d.provider, d.model, d.owner, sum(d.added), sum(d.ai), sum(d.human),
                   sum(d.unknown), sum(d.trailer), sum(d.excluded), sum(d.deleted), sum(d.commits), sum(d.commits_noted),
                   sum(d.commits_marked), sum(d.bot_commits), sum(d.merge_commits))::line_delta
        FROM unnest(deltas) d GROUP BY d.org_id, d.repo_id, d.day, d.author, d.agent, d.provider, d.model, d.owner);
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

-- What is removed is looked up by key: the cost no longer grows with receipts.
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION live_apply(deltas live_delta[]) RETURNS void LANGUAGE plpgsql AS $$
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

    -- Rows without lines are of no use, whosever they are; of the keys alone the
    -- index is certain to be used.
    DELETE FROM live_receipts r
    WHERE r.org_id = ANY(ARRAY(SELECT DISTINCT org_id FROM unnest(deltas)))
      AND r.receipt_id = ANY(ARRAY(SELECT DISTINCT receipt_id FROM unnest(deltas) WHERE receipt_id <> ''))
      AND r.repo_id = ANY(ARRAY(SELECT DISTINCT repo_id FROM unnest(deltas))) AND r.lines = 0 AND r.removed = 0;
END $$;
-- +goose StatementEnd

-- What tools say of a prompt beside its cost: how good it was, of what kind, and
-- how long it took. A prompt has those of its largest report.
ALTER TABLE prompts
    -- From 0 to 100; NULL if nobody says.
    ADD COLUMN score smallint,
    ADD COLUMN category text NOT NULL DEFAULT '',
    ADD COLUMN seconds bigint;

-- The score of a receipt's prompt_quality. A prompt that only says "go on", or none
-- at all, is given a number by its tool that says nothing of it.
-- +goose StatementBegin
CREATE FUNCTION receipt_score(detail jsonb) RETURNS smallint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN jsonb_typeof(detail -> 'prompt_quality' -> 'score') = 'number'
                 AND coalesce(detail -> 'prompt_quality' ->> 'rating', '') NOT IN ('Continuation', 'No prompt')
                 AND (detail -> 'prompt_quality' ->> 'score')::numeric BETWEEN 0 AND 100
           THEN (detail -> 'prompt_quality' ->> 'score')::numeric::smallint END
$$;
-- +goose StatementEnd

-- Kinds are words of tools, never free text.
-- +goose StatementBegin
CREATE FUNCTION receipt_category(detail jsonb) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN detail -> 'prompt_quality' ->> 'category' ~ '^[a-z][a-z_]{0,39}$'
           THEN detail -> 'prompt_quality' ->> 'category' ELSE '' END
$$;
-- +goose StatementEnd

-- Nobody works on one prompt for more than a day: such a duration is a mistake.
-- +goose StatementBegin
CREATE FUNCTION receipt_seconds(duration bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN duration BETWEEN 0 AND 86400 THEN duration END
$$;
-- +goose StatementEnd

-- Sums over prompts by their day: how many have a score and how good they are, how
-- many a duration and how long they took; by what receipts are summed up by, by
-- category and by hour of the day in the organisation's time zone. repo_id is the
-- zero uuid in rows over all repositories; of 'user_model' key2 is the model.
CREATE TABLE prompt_rollups (
    org_id    uuid NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'user', 'user_model', 'category', 'hour')),
    repo_id   uuid NOT NULL,
    key       text NOT NULL,
    key2      text NOT NULL,
    day       date NOT NULL,
    prompts   bigint NOT NULL DEFAULT 0,
    cost_usd  numeric NOT NULL DEFAULT 0,
    scored    bigint NOT NULL DEFAULT 0,
    -- The sum of scores, and how many are at least 90, from 70 to 89 and from 50 to 69.
    score     bigint NOT NULL DEFAULT 0,
    excellent bigint NOT NULL DEFAULT 0,
    good      bigint NOT NULL DEFAULT 0,
    fair      bigint NOT NULL DEFAULT 0,
    timed     bigint NOT NULL DEFAULT 0,
    seconds   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, dimension, repo_id, key, key2, day)
);
CREATE INDEX prompt_rollups_day ON prompt_rollups (org_id, dimension, day);

-- The same sums by month; day is the first of the month.
CREATE TABLE prompt_rollup_months (LIKE prompt_rollups INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE prompt_rollup_months ADD PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

-- What prompts of one day add. facet is 'hour' or 'category' and key which one, or
-- both are empty; person, provider and model are empty with a facet.
CREATE TYPE prompt_delta AS (
    org_id uuid, repo_id uuid, day date, email text, provider text, model text, facet text, key text,
    prompts bigint, cost_usd numeric, scored bigint, score bigint, excellent bigint, good bigint, fair bigint, timed bigint, seconds bigint
);

-- +goose StatementBegin
CREATE FUNCTION prompt_deltas(rows prompts[], sign integer) RETURNS SETOF prompt_delta LANGUAGE sql STABLE AS $$
    SELECT org_id, repo_id, day, coalesce(email, ''), coalesce(provider, ''), coalesce(model, ''),
           CASE 0 WHEN grouping(hour) THEN 'hour' WHEN grouping(category) THEN 'category' ELSE '' END, coalesce(hour, category, ''),
           sign * count(*), sign * coalesce(sum(cost_usd), 0), sign * count(score), sign * coalesce(sum(score), 0),
           sign * count(*) FILTER (WHERE score >= 90), sign * count(*) FILTER (WHERE score >= 70 AND score < 90),
           sign * count(*) FILTER (WHERE score >= 50 AND score < 70), sign * count(seconds), (sign * coalesce(sum(seconds), 0))::bigint
    FROM (SELECT x.*, lower(x.user_email) AS email, to_char(x.timestamp AT TIME ZONE o.time_zone, 'HH24') AS hour
          FROM unnest(rows) x JOIN orgs o ON o.id = x.org_id) p
    GROUP BY GROUPING SETS ((org_id, repo_id, day, email, provider, model), (org_id, repo_id, day, hour), (org_id, repo_id, day, category))
    HAVING grouping(category) = 1 OR category <> ''
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompt_dimensions(d prompt_delta) RETURNS TABLE (dimension text, repo_id uuid, key text, key2 text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT e.dimension, r.repo_id, e.key, e.key2
    FROM (VALUES ('all', '', '', d.facet = ''), ('model', d.model, '', d.facet = ''), ('provider', d.provider, '', d.facet = ''),
                 ('user', d.email, '', d.facet = ''), ('user_model', d.email, d.model, d.facet = ''),
                 (d.facet, d.key, '', d.facet <> ''))
             AS e (dimension, key, key2, wanted),
         (VALUES (d.repo_id), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE e.wanted
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompt_rollups_apply(deltas prompt_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    WITH days AS MATERIALIZED (
        SELECT s.* FROM (
            SELECT d.org_id, e.dimension, e.repo_id, e.key, e.key2, d.day, sum(d.prompts)::bigint AS prompts, sum(d.cost_usd) AS cost_usd,
                   sum(d.scored)::bigint AS scored, sum(d.score)::bigint AS score, sum(d.excellent)::bigint AS excellent,
                   sum(d.good)::bigint AS good, sum(d.fair)::bigint AS fair, sum(d.timed)::bigint AS timed, sum(d.seconds)::bigint AS seconds
            FROM unnest(deltas) d, prompt_dimensions(d) e
            GROUP BY 1, 2, 3, 4, 5, 6) s
        WHERE (prompts, cost_usd, scored, score, excellent, good, fair, timed, seconds) <> (0, 0, 0, 0, 0, 0, 0, 0, 0)
        -- One order for all writers, so that two of them cannot wait for each other.
        ORDER BY 1, 2, 3, 4, 5, 6
    ), taken AS (
        INSERT INTO prompt_rollups AS r SELECT * FROM days
        ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
        SET prompts = r.prompts + excluded.prompts, cost_usd = r.cost_usd + excluded.cost_usd, scored = r.scored + excluded.scored,
            score = r.score + excluded.score, excellent = r.excellent + excluded.excellent, good = r.good + excluded.good,
            fair = r.fair + excluded.fair, timed = r.timed + excluded.timed, seconds = r.seconds + excluded.seconds
    )
    INSERT INTO prompt_rollup_months AS r
    SELECT org_id, dimension, repo_id, key, key2, date_trunc('month', day::timestamp)::date, sum(prompts), sum(cost_usd), sum(scored), sum(score),
           sum(excellent), sum(good), sum(fair), sum(timed), sum(seconds)
    FROM days GROUP BY 1, 2, 3, 4, 5, 6
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
    SET prompts = r.prompts + excluded.prompts, cost_usd = r.cost_usd + excluded.cost_usd, scored = r.scored + excluded.scored,
        score = r.score + excluded.score, excellent = r.excellent + excluded.excellent, good = r.good + excluded.good,
        fair = r.fair + excluded.fair, timed = r.timed + excluded.timed, seconds = r.seconds + excluded.seconds;
END $$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompts_facets() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    deltas prompt_delta[] := '{}';
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP <> 'DELETE' THEN
        deltas := ARRAY(SELECT d FROM prompt_deltas(ARRAY(SELECT n::prompts FROM new_rows n), 1) d);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        deltas := deltas || ARRAY(SELECT d FROM prompt_deltas(ARRAY(SELECT o::prompts FROM old_rows o), -1) d);
    END IF;
    IF cardinality(deltas) > 0 THEN
        PERFORM prompt_rollups_apply(deltas);
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Added lines by folder: a folder's are those of all files below it. The root is
-- the empty path; others end in a slash.
CREATE TABLE path_rollups (
    org_id   uuid NOT NULL,
    repo_id  uuid NOT NULL,
    path     bytea NOT NULL,
    parent   bytea,
    day      date NOT NULL,
    added    bigint NOT NULL,
    ai       bigint NOT NULL,
    human    bigint NOT NULL,
    unknown  bigint NOT NULL,
    trailer  bigint NOT NULL,
    excluded bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id, path, day)
);
CREATE INDEX path_rollups_parent ON path_rollups (org_id, repo_id, md5(parent), day);

CREATE TABLE path_rollup_months (LIKE path_rollups);
ALTER TABLE path_rollup_months ADD PRIMARY KEY (org_id, repo_id, path, day);
CREATE INDEX path_rollup_months_parent ON path_rollup_months (org_id, repo_id, md5(parent), day);

-- A commit that begins or ceases to count.
CREATE TYPE path_commit AS (org_id uuid, repo_id uuid, commit text, day date, sign integer);

CREATE TYPE path_delta AS (
    org_id uuid, repo_id uuid, path bytea, parent bytea, day date,
    added bigint, ai bigint, human bigint, unknown bigint, trailer bigint, excluded bigint
);

-- The folders of many files are looked up once each. encode writes every byte
-- but a slash so that none is taken for one.
-- +goose StatementBegin
CREATE FUNCTION path_rollups_apply(counted path_commit[]) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    deltas path_delta[];
BEGIN
    IF cardinality(counted) = 0 THEN
        RETURN;
    END IF;
    deltas := ARRAY(
        SELECT ROW(f.org_id, f.repo_id, d.folder, d.parent, f.day, sum(f.added), sum(f.ai), sum(f.human), sum(f.unknown), sum(f.trailer),
                   sum(f.excluded))::path_delta
        FROM (SELECT c.org_id, c.repo_id, c.day, regexp_replace(encode(a.path, 'escape'), '[^/]*$', '') AS folder,
                     sum(c.sign * a.added) FILTER (WHERE a.excluded = '') AS added, sum(c.sign * a.ai) AS ai, sum(c.sign * a.human) AS human,
                     sum(c.sign * a.unknown) AS unknown, sum(c.sign * a.trailer) AS trailer,
                     sum(c.sign * a.added) FILTER (WHERE a.excluded <> '') AS excluded
              FROM unnest(counted) c JOIN added_files a ON a.org_id = c.org_id AND a.repo_id = c.repo_id AND a.commit = c.commit
              GROUP BY 1, 2, 3, 4) f,
             live_folders(decode(f.folder, 'escape')) d
        GROUP BY f.org_id, f.repo_id, d.folder, d.parent, f.day);
    INSERT INTO path_rollups AS r (org_id, repo_id, path, parent, day, added, ai, human, unknown, trailer, excluded)
    SELECT org_id, repo_id, path, parent, day, coalesce(added, 0), ai, human, unknown, trailer, coalesce(excluded, 0) FROM unnest(deltas)
    -- One order for all writers, so that two of them cannot wait for each other.
    ORDER BY 1, 2, 3, 5
    ON CONFLICT (org_id, repo_id, path, day) DO UPDATE
    SET added = r.added + excluded.added, ai = r.ai + excluded.ai, human = r.human + excluded.human, unknown = r.unknown + excluded.unknown,
        trailer = r.trailer + excluded.trailer, excluded = r.excluded + excluded.excluded;
    INSERT INTO path_rollup_months AS r (org_id, repo_id, path, parent, day, added, ai, human, unknown, trailer, excluded)
    SELECT org_id, repo_id, path, parent, date_trunc('month', day::timestamp)::date, coalesce(sum(added), 0), sum(ai), sum(human),
           sum(unknown), sum(trailer), coalesce(sum(excluded), 0)
    FROM unnest(deltas) GROUP BY 1, 2, 3, 4, 5
    ORDER BY 1, 2, 3, 5
    ON CONFLICT (org_id, repo_id, path, day) DO UPDATE
    SET added = r.added + excluded.added, ai = r.ai + excluded.ai, human = r.human + excluded.human, unknown = r.unknown + excluded.unknown,
        trailer = r.trailer + excluded.trailer, excluded = r.excluded + excluded.excluded;
END $$;
-- +goose StatementEnd

-- The files of a commit are there before it is inserted and until it is deleted.
-- +goose StatementBegin
CREATE FUNCTION commit_lines_paths() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    counted path_commit[];
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP = 'INSERT' THEN
        counted := ARRAY(SELECT ROW(org_id, repo_id, commit, day, 1)::path_commit FROM new_rows WHERE on_default);
    ELSIF TG_OP = 'DELETE' THEN
        counted := ARRAY(SELECT ROW(org_id, repo_id, commit, day, -1)::path_commit FROM old_rows WHERE on_default);
    ELSE
        counted := ARRAY(SELECT ROW(org_id, repo_id, commit, day, sum(sign))::path_commit
            FROM (SELECT org_id, repo_id, commit, day, 1 AS sign FROM new_rows WHERE on_default
                  UNION ALL SELECT org_id, repo_id, commit, day, -1 FROM old_rows WHERE on_default) c
            GROUP BY org_id, repo_id, commit, day HAVING sum(sign) <> 0);
    END IF;
    PERFORM path_rollups_apply(counted);
    RETURN NULL;
END $$;
-- +goose StatementEnd

-- Branches beside the default one whose commits are classified because somebody
-- asked for it. tip and base are where the branch and the default branch were when
-- branch_commits was made: what the one reaches and the other does not.
CREATE TABLE line_branches (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    ref          text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamptz NOT NULL DEFAULT now(),
    tip          text NOT NULL DEFAULT '',
    base         text NOT NULL DEFAULT '',
    -- Whether it has more commits than are kept: the oldest are left out.
    cut          boolean NOT NULL DEFAULT false,
    planned_at   timestamptz,
    PRIMARY KEY (org_id, repo_id, ref)
);

CREATE TABLE branch_commits (
    org_id  uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref     text NOT NULL,
    commit  text NOT NULL,
    PRIMARY KEY (org_id, repo_id, ref, commit)
);
CREATE INDEX branch_commits_commit ON branch_commits (org_id, repo_id, commit);

-- A planned demand for a commit that the default branch does not reach.
ALTER TABLE line_demands ADD COLUMN off_default boolean NOT NULL DEFAULT false;
