-- Made by "go generate ./migrations" from the migrations; do not edit.

CREATE EXTENSION IF NOT EXISTS btree_gin WITH SCHEMA public;

COMMENT ON EXTENSION btree_gin IS 'support for indexing common datatypes in GIN';

CREATE EXTENSION IF NOT EXISTS pg_trgm WITH SCHEMA public;

COMMENT ON EXTENSION pg_trgm IS 'text similarity measurement and index searching based on trigrams';

CREATE TYPE public.line_delta AS (
	org_id uuid,
	repo_id uuid,
	day date,
	author text,
	agent text,
	provider text,
	model text,
	owner boolean,
	added bigint,
	ai bigint,
	human bigint,
	unknown bigint,
	trailer bigint,
	excluded bigint,
	deleted bigint,
	commits bigint,
	commits_noted bigint,
	commits_marked bigint,
	bot_commits bigint,
	merge_commits bigint
);

CREATE TYPE public.live_delta AS (
	org_id uuid,
	repo_id uuid,
	commit_id text,
	class text,
	receipt_id text,
	agent text,
	live bigint,
	removed14 bigint,
	removed30 bigint,
	removed90 bigint,
	removed bigint
);

CREATE TYPE public.path_commit AS (
	org_id uuid,
	repo_id uuid,
	commit text,
	day date,
	sign integer
);

CREATE TYPE public.path_delta AS (
	org_id uuid,
	repo_id uuid,
	path bytea,
	parent bytea,
	day date,
	added bigint,
	ai bigint,
	human bigint,
	unknown bigint,
	trailer bigint,
	excluded bigint
);

CREATE TYPE public.prompt_delta AS (
	org_id uuid,
	repo_id uuid,
	day date,
	email text,
	provider text,
	model text,
	facet text,
	key text,
	prompts bigint,
	cost_usd numeric,
	scored bigint,
	score bigint,
	excellent bigint,
	good bigint,
	fair bigint,
	timed bigint,
	seconds bigint
);

CREATE TYPE public.rollup_delta AS (
	org_id uuid,
	repo_id uuid,
	day date,
	user_email text,
	provider text,
	model text,
	source text,
	receipts bigint,
	receipts_current bigint,
	prompts bigint,
	cost_usd numeric,
	input_tokens numeric,
	output_tokens numeric,
	cache_read_tokens numeric,
	cache_creation_tokens numeric
);

CREATE TYPE public.session_key AS (
	org_id uuid,
	provider text,
	session_id text
);

CREATE FUNCTION public.append_only() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE FUNCTION public.audit_log_enlist() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO audit_pending SELECT org_id, seq FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION public.audit_log_guard() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF (NEW.org_id, NEW.seq, NEW.at, NEW.action, NEW.request_id) = (OLD.org_id, OLD.seq, OLD.at, OLD.action, OLD.request_id)
       AND NEW.salt IS NULL AND (OLD.commitment IS NULL OR NEW.commitment = OLD.commitment)
       AND NEW.erasures[:cardinality(OLD.erasures)] = OLD.erasures AND cardinality(NEW.erasures) = cardinality(OLD.erasures) + 1
       AND EXISTS (SELECT FROM audit_log e WHERE e.org_id = NEW.org_id AND e.seq = NEW.erasures[cardinality(NEW.erasures)]
                   AND e.action = 'person.erase') THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'audit_log is append-only: UPDATE is refused' USING ERRCODE = 'integrity_constraint_violation';
END $$;

CREATE SEQUENCE public.line_revisions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE public.commit_lines (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    on_default boolean NOT NULL,
    merge boolean NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    day date NOT NULL,
    author_email text NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL,
    trailer bigint NOT NULL,
    excluded bigint NOT NULL,
    deleted bigint NOT NULL,
    noted boolean NOT NULL,
    agent text NOT NULL,
    bot boolean NOT NULL,
    state text NOT NULL,
    digest bytea NOT NULL,
    revision bigint DEFAULT nextval('public.line_revisions'::regclass) NOT NULL,
    CONSTRAINT commit_lines_author_email_check CHECK ((author_email = lower(author_email))),
    CONSTRAINT commit_lines_check CHECK ((added = ((ai + human) + unknown))),
    CONSTRAINT commit_lines_state_check CHECK ((state = ANY (ARRAY['classified'::text, 'unreadable'::text, 'cut'::text])))
);

CREATE FUNCTION public.commit_lines_delta(c public.commit_lines, sign integer) RETURNS public.line_delta
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT ROW(c.org_id, c.repo_id, c.day, c.author_email, c.agent, '', '', false, sign * c.added, sign * c.ai, sign * c.human,
               sign * c.unknown, sign * c.trailer, sign * c.excluded, sign * c.deleted,
               -- Neither by a bot nor a merge without lines of its own.
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0))::integer,
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0) AND c.noted)::integer,
               sign * (NOT c.bot AND NOT (c.merge AND c.added + c.excluded = 0) AND c.agent <> '' AND NOT c.noted)::integer,
               sign * c.bot::integer, sign * (NOT c.bot AND c.merge AND c.added + c.excluded = 0)::integer)::line_delta
$$;

CREATE FUNCTION public.commit_lines_paths() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.commit_lines_rollup() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE public.commit_owners (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    on_default boolean NOT NULL,
    day date NOT NULL,
    author_email text NOT NULL,
    ai bigint NOT NULL,
    trailer bigint NOT NULL
);

CREATE FUNCTION public.commit_owners_delta(o public.commit_owners, sign integer) RETURNS public.line_delta
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT ROW(o.org_id, o.repo_id, o.day, o.author_email, '', o.provider, o.model, true, 0, sign * o.ai, 0, 0,
               sign * o.trailer, 0, 0, sign, 0, 0, 0, 0)::line_delta
$$;

CREATE FUNCTION public.commit_owners_rollup() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.commits_demand_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, commit)
    SELECT n.org_id, n.repo_id, n.commit
    FROM old_rows o JOIN new_rows n ON n.org_id = o.org_id AND n.repo_id = o.repo_id AND n.commit = o.commit
    WHERE (n.bot, n.author_email, n.agents) IS DISTINCT FROM (o.bot, o.author_email, o.agents);
    RETURN NULL;
END $$;

CREATE FUNCTION public.is_bot(org uuid, name text, email text, builtin boolean) RETURNS boolean
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT coalesce((SELECT bool_and(r.bot) FROM bot_rules r
                     WHERE r.org_id = org AND (lower(name) LIKE r.liked OR lower(email) LIKE r.liked)), builtin)
$$;

CREATE FUNCTION public.line_dimensions(d public.line_delta) RETURNS TABLE(dimension text, repo_id uuid, key text, key2 text)
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT e.dimension, r.repo_id, e.key, e.key2
    FROM (VALUES ('all', '', '', false, true), ('user', d.author, '', false, true), ('agent', d.agent, '', false, d.agent <> ''),
                 ('user_agent', d.author, d.agent, false, d.agent <> ''),
                 ('provider', d.provider, '', true, true), ('model', d.model, '', true, true),
                 ('user_provider', d.author, d.provider, true, true), ('user_model', d.author, d.model, true, true))
             AS e (dimension, key, key2, owner, wanted),
         (VALUES (d.repo_id), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE e.owner = d.owner AND e.wanted
$$;

CREATE FUNCTION public.line_rollups_apply(deltas public.line_delta[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE TABLE public.line_rollups (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    ai bigint DEFAULT 0 NOT NULL,
    human bigint DEFAULT 0 NOT NULL,
    unknown bigint DEFAULT 0 NOT NULL,
    trailer bigint DEFAULT 0 NOT NULL,
    excluded bigint DEFAULT 0 NOT NULL,
    deleted bigint DEFAULT 0 NOT NULL,
    commits bigint DEFAULT 0 NOT NULL,
    commits_noted bigint DEFAULT 0 NOT NULL,
    commits_marked bigint DEFAULT 0 NOT NULL,
    bot_commits bigint DEFAULT 0 NOT NULL,
    merge_commits bigint DEFAULT 0 NOT NULL,
    CONSTRAINT line_rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'user'::text, 'agent'::text, 'user_agent'::text, 'provider'::text, 'model'::text, 'user_provider'::text, 'user_model'::text])))
);

CREATE FUNCTION public.line_sums(deltas public.line_delta[], grain text) RETURNS SETOF public.line_rollups
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION public.live_apply(deltas public.live_delta[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

    WITH days AS (
        SELECT d.org_id, d.repo_id, d.class, c.author_email, c.day, c.landed_at IS NOT NULL AS watched, coalesce(r.model, '') AS model,
               coalesce(r.provider, d.agent) AS provider, sum(d.live) AS live, sum(d.removed14) AS removed14, sum(d.removed30) AS removed30,
               sum(d.removed90) AS removed90, sum(d.removed) AS removed
        FROM unnest(deltas) d
        JOIN live_commits c ON c.org_id = d.org_id AND c.repo_id = d.repo_id AND c.commit_id = d.commit_id
        LEFT JOIN live_receipts r ON r.org_id = d.org_id AND r.receipt_id = d.receipt_id AND r.repo_id = d.repo_id
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), parts AS MATERIALIZED (
        SELECT d.org_id, e.dimension, e.repo_id, e.key, d.class, date_trunc('week', d.day::timestamp)::date AS week, d.watched,
               sum(d.live) AS live, sum(d.removed14) AS removed14, sum(d.removed30) AS removed30, sum(d.removed90) AS removed90,
               sum(d.removed) AS removed
        FROM days d, live_dimensions(d.repo_id, d.class, d.author_email, d.day, d.model, d.provider) e
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), cohorts AS (
        INSERT INTO live_cohorts AS s (org_id, dimension, repo_id, key, class, week, watched, live, removed14, removed30, removed90, removed)
        SELECT org_id, dimension, repo_id, key, class, week, watched, live, removed14, removed30, removed90, removed
        FROM parts WHERE dimension <> 'month' ORDER BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (org_id, dimension, repo_id, key, class, week, watched) DO UPDATE
        SET live = s.live + excluded.live, removed14 = s.removed14 + excluded.removed14, removed30 = s.removed30 + excluded.removed30,
            removed90 = s.removed90 + excluded.removed90, removed = s.removed + excluded.removed
    )
    INSERT INTO live_sums AS s (org_id, dimension, repo_id, key, ai, human, unknown)
    SELECT org_id, dimension, repo_id, key, coalesce(sum(live) FILTER (WHERE class = 'ai'), 0),
           coalesce(sum(live) FILTER (WHERE class = 'human'), 0), coalesce(sum(live) FILTER (WHERE class = 'unknown'), 0)
    FROM parts GROUP BY 1, 2, 3, 4 HAVING bool_or(live <> 0) ORDER BY 1, 2, 3, 4
    ON CONFLICT (org_id, dimension, repo_id, key) DO UPDATE
    SET ai = s.ai + excluded.ai, human = s.human + excluded.human, unknown = s.unknown + excluded.unknown;

    -- Rows without lines are of no use, whosever they are; of the keys alone the
    -- index is certain to be used.
    DELETE FROM live_receipts r
    WHERE r.org_id = ANY(ARRAY(SELECT DISTINCT org_id FROM unnest(deltas)))
      AND r.receipt_id = ANY(ARRAY(SELECT DISTINCT receipt_id FROM unnest(deltas) WHERE receipt_id <> ''))
      AND r.repo_id = ANY(ARRAY(SELECT DISTINCT repo_id FROM unnest(deltas))) AND r.lines = 0 AND r.removed = 0;
END $$;

CREATE FUNCTION public.live_dimensions(repo uuid, class text, author_email text, day date, model text, provider text) RETURNS TABLE(dimension text, repo_id uuid, key text)
    LANGUAGE sql STABLE
    AS $$
    SELECT d.dimension, r.repo_id, d.key
    FROM (VALUES ('all', ''), ('user', author_email), ('month', to_char(day::timestamp, 'YYYY-MM')), ('model', model), ('provider', provider))
             AS d (dimension, key),
         (VALUES (repo), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE class = 'ai' OR d.dimension NOT IN ('model', 'provider')
$$;

CREATE FUNCTION public.live_files_sum() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.live_folders(path bytea) RETURNS TABLE(folder bytea, parent bytea)
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT f.folder, lag(f.folder) OVER (ORDER BY length(f.folder))
    FROM (SELECT ''::bytea AS folder
          UNION ALL
          (SELECT substring(path FROM 1 FOR i) FROM generate_series(1, length(path)) i WHERE get_byte(path, i - 1) = 47
           ORDER BY i LIMIT 32)) f
$$;

CREATE FUNCTION public.live_receipts_follow() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.live_runs_sum() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.live_take(deltas public.live_delta[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF current_setting('blameprompt.live_deltas', true) = 'later' THEN
        INSERT INTO pg_temp.stage_live_deltas SELECT d.* FROM unnest(deltas) d;
    ELSE
        PERFORM live_apply(deltas);
    END IF;
END $$;

CREATE FUNCTION public.path_rollups_apply(counted public.path_commit[]) RETURNS void
    LANGUAGE plpgsql
    AS $_$
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
END $_$;

CREATE FUNCTION public.person_of(org uuid, address text) RETURNS text
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT coalesce((SELECT i.person FROM identities i WHERE i.org_id = org AND i.email = lower(address)), lower(address))
$$;

CREATE TABLE public.prompts (
    org_id uuid NOT NULL,
    prompt_id uuid NOT NULL,
    provider text NOT NULL,
    session_id text NOT NULL,
    prompt_number bigint,
    receipts integer NOT NULL,
    receipt_id text NOT NULL,
    repo_id uuid NOT NULL,
    model text NOT NULL,
    user_email text NOT NULL,
    source text NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    day date NOT NULL,
    current boolean NOT NULL,
    cost_usd numeric,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_creation_tokens bigint,
    score smallint,
    category text DEFAULT ''::text NOT NULL,
    seconds bigint
);

CREATE FUNCTION public.prompt_deltas(rows public.prompts[], sign integer) RETURNS SETOF public.prompt_delta
    LANGUAGE sql STABLE
    AS $$
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

CREATE FUNCTION public.prompt_dimensions(d public.prompt_delta) RETURNS TABLE(dimension text, repo_id uuid, key text, key2 text)
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT e.dimension, r.repo_id, e.key, e.key2
    FROM (VALUES ('all', '', '', d.facet = ''), ('model', d.model, '', d.facet = ''), ('provider', d.provider, '', d.facet = ''),
                 ('user', d.email, '', d.facet = ''), ('user_model', d.email, d.model, d.facet = ''),
                 (d.facet, d.key, '', d.facet <> ''))
             AS e (dimension, key, key2, wanted),
         (VALUES (d.repo_id), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
    WHERE e.wanted
$$;

CREATE FUNCTION public.prompt_rollups_apply(deltas public.prompt_delta[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.prompt_sessions_sum(touched public.session_key[]) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO prompt_sessions AS s
    SELECT p.org_id, session_id_of(p.provider, p.session_id), p.provider, p.session_id, min(p.timestamp), max(p.timestamp), count(*),
           sum(p.receipts), bool_or(p.current), coalesce(array_agg(DISTINCT lower(p.user_email)) FILTER (WHERE p.user_email <> ''), '{}'), array_agg(DISTINCT p.model),
           array_agg(DISTINCT p.repo_id), sum(p.cost_usd), sum(p.input_tokens), sum(p.output_tokens), sum(p.cache_read_tokens),
           sum(p.cache_creation_tokens)
    FROM (SELECT DISTINCT t.* FROM unnest(touched) t) t
    JOIN prompts p ON p.org_id = t.org_id AND p.provider = t.provider AND p.session_id = t.session_id
    GROUP BY 1, 3, 4
    -- One order for all writers, so that two of them cannot wait for each other.
    ORDER BY 1, 2
    ON CONFLICT (org_id, id) DO UPDATE
    SET (first_at, last_at, prompts, receipts, current, users, models, repos, cost_usd, input_tokens, output_tokens,
         cache_read_tokens, cache_creation_tokens)
      = (excluded.first_at, excluded.last_at, excluded.prompts, excluded.receipts, excluded.current, excluded.users, excluded.models,
         excluded.repos, excluded.cost_usd, excluded.input_tokens, excluded.output_tokens, excluded.cache_read_tokens,
         excluded.cache_creation_tokens)
    WHERE s IS DISTINCT FROM excluded;
    DELETE FROM prompt_sessions s USING unnest(touched) t
    WHERE s.org_id = t.org_id AND s.id = session_id_of(t.provider, t.session_id)
      AND NOT EXISTS (SELECT FROM prompts p WHERE p.org_id = t.org_id AND p.provider = t.provider AND p.session_id = t.session_id);
$$;

CREATE FUNCTION public.prompts_facets() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.prompts_pushed() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO pushed_stored
    SELECT p.org_id, p.prompt_id FROM changed_rows c
    JOIN pushed_prompts p ON p.org_id = c.org_id AND p.prompt_id = c.prompt_id AND p.summed_usd IS NOT NULL
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE FUNCTION public.prompts_rollup() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    deltas rollup_delta[] := '{}';
BEGIN
    IF TG_OP <> 'DELETE' THEN
        deltas := ARRAY(SELECT ROW(org_id, repo_id, day, user_email, provider, model, source, 0, 0, count(*),
                                   coalesce(sum(cost_usd), 0), coalesce(sum(input_tokens), 0),
                                   coalesce(sum(output_tokens), 0), coalesce(sum(cache_read_tokens), 0),
                                   coalesce(sum(cache_creation_tokens), 0))::rollup_delta
                        FROM new_rows GROUP BY org_id, repo_id, day, user_email, provider, model, source);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        deltas := deltas || ARRAY(SELECT ROW(org_id, repo_id, day, user_email, provider, model, source, 0, 0, -count(*),
                                             -coalesce(sum(cost_usd), 0), -coalesce(sum(input_tokens), 0),
                                             -coalesce(sum(output_tokens), 0), -coalesce(sum(cache_read_tokens), 0),
                                             -coalesce(sum(cache_creation_tokens), 0))::rollup_delta
                                  FROM old_rows GROUP BY org_id, repo_id, day, user_email, provider, model, source);
    END IF;
    PERFORM rollup_apply(deltas);
    RETURN NULL;
END $$;

CREATE FUNCTION public.prompts_sessions() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    touched session_key[] := '{}';
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP <> 'DELETE' THEN
        touched := ARRAY(SELECT DISTINCT ROW(org_id, provider, session_id)::session_key FROM new_rows
                         WHERE session_id NOT IN ('', 'unknown'));
    END IF;
    IF TG_OP <> 'INSERT' THEN
        touched := touched || ARRAY(SELECT DISTINCT ROW(org_id, provider, session_id)::session_key FROM old_rows
                                    WHERE session_id NOT IN ('', 'unknown'));
    END IF;
    PERFORM prompt_sessions_sum(touched);
    RETURN NULL;
END $$;

CREATE FUNCTION public.pushed_commits_sum() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO pushed_days AS d (org_id, repo_id, day, commits, added, ai, human)
        SELECT org_id, repo_id, day, count(*), sum(added), sum(ai), sum(human) FROM new_rows
        GROUP BY org_id, repo_id, day ORDER BY 1, 2, 3
        ON CONFLICT (org_id, repo_id, day) DO UPDATE
        SET commits = d.commits + excluded.commits, added = d.added + excluded.added,
            ai = d.ai + excluded.ai, human = d.human + excluded.human;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE pushed_days d
        SET commits = d.commits - o.commits, added = d.added - o.added, ai = d.ai - o.ai, human = d.human - o.human
        FROM (SELECT org_id, repo_id, day, count(*) AS commits, sum(added) AS added, sum(ai) AS ai, sum(human) AS human
              FROM old_rows GROUP BY org_id, repo_id, day) o
        WHERE d.org_id = o.org_id AND d.repo_id = o.repo_id AND d.day = o.day;
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_category(detail jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $_$
    SELECT CASE WHEN detail -> 'prompt_quality' ->> 'category' ~ '^[a-z][a-z_]{0,39}$'
           THEN detail -> 'prompt_quality' ->> 'category' ELSE '' END
$_$;

CREATE FUNCTION public.receipt_commits_demand_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, commit) SELECT DISTINCT org_id, repo_id, commit FROM old_rows;
    INSERT INTO line_demands (org_id, repo_id, receipt_id) SELECT DISTINCT org_id, repo_id, receipt_id FROM old_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_repos_demand_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    INSERT INTO line_demands (org_id, repo_id, receipt_id) SELECT org_id, repo_id, receipt_id FROM new_rows;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_repos_of_bodies() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO receipt_repos
        SELECT DISTINCT r.org_id, r.id, n.repo_id, r.timestamp
        FROM new_rows n JOIN receipts r ON r.org_id = n.org_id AND r.id = n.receipt_id AND r.repo_id <> n.repo_id
        ON CONFLICT DO NOTHING;
    ELSE
        DELETE FROM receipt_repos g USING old_rows o
        WHERE g.org_id = o.org_id AND g.receipt_id = o.receipt_id AND g.repo_id = o.repo_id
          AND NOT EXISTS (SELECT FROM receipt_commits c
                          WHERE c.org_id = o.org_id AND c.receipt_id = o.receipt_id AND c.repo_id = o.repo_id);
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_repos_of_receipts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM receipt_repos g USING old_rows o WHERE g.org_id = o.org_id AND g.receipt_id = o.id;
        RETURN NULL;
    END IF;
    IF TG_OP = 'UPDATE' THEN
        -- Only a receipt whose content is taken from elsewhere now, or that has another time, moves.
        IF NOT EXISTS (SELECT FROM old_rows o JOIN new_rows n ON n.org_id = o.org_id AND n.id = o.id
                       WHERE (n.repo_id, n.timestamp) <> (o.repo_id, o.timestamp)) THEN
            RETURN NULL;
        END IF;
        DELETE FROM receipt_repos g USING old_rows o WHERE g.org_id = o.org_id AND g.receipt_id = o.id;
    END IF;
    INSERT INTO receipt_repos
    SELECT DISTINCT n.org_id, n.id, c.repo_id, n.timestamp
    FROM new_rows n JOIN receipt_commits c ON c.org_id = n.org_id AND c.receipt_id = n.id AND c.repo_id <> n.repo_id
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;

CREATE TABLE public.receipt_results (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL,
    result text NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    cost_usd numeric,
    terms integer[] NOT NULL,
    prompt_summary text DEFAULT ''::text NOT NULL,
    CONSTRAINT receipt_results_result_check CHECK ((result = ANY (ARRAY['refused'::text, 'warned'::text, 'waived'::text, 'held'::text])))
);

CREATE FUNCTION public.receipt_result_rows(org uuid, ids text[]) RETURNS SETOF public.receipt_results
    LANGUAGE sql STABLE
    AS $$
    SELECT org, r.id, w.result, r.timestamp, r.cost_usd,
           receipt_terms(r.org_id, r.repo_id, r.user_email, r.user_name, r.provider, r.model, r.source, r.current, r.day, r.cost_usd, r.path_keys)
           || receipt_term(org, 'result', w.result)
           || ARRAY(SELECT DISTINCT receipt_term(org, 'repo', c.repo_id::text) FROM receipt_commits c
                    WHERE c.org_id = org AND c.receipt_id = r.id AND c.repo_id <> r.repo_id ORDER BY 1),
           r.prompt_summary
    FROM receipt_results_of(org, ids) w JOIN receipts r ON r.org_id = org AND r.id = w.receipt_id
$$;

CREATE FUNCTION public.receipt_results_of(org uuid, ids text[]) RETURNS TABLE(receipt_id text, result text)
    LANGUAGE sql STABLE
    AS $$
    SELECT c.receipt_id, CASE WHEN v.waiver_id IS NOT NULL THEN 'waived' WHEN v.outcome = 'refuse' THEN 'refused' ELSE 'warned' END
    FROM receipt_commits c JOIN violations v ON v.org_id = c.org_id AND v.commit = c.commit AND v.commit <> ''
    WHERE c.org_id = org AND c.receipt_id = ANY(ids) AND coalesce(v.finding ->> 'receipt', '') IN ('', c.receipt_id)
    UNION
    SELECT c.receipt_id, 'held'
    FROM receipt_commits c JOIN holds h ON h.org_id = c.org_id AND h.released_at IS NULL AND c.commit = ANY(h.commits)
    WHERE c.org_id = org AND c.receipt_id = ANY(ids)
$$;

CREATE FUNCTION public.receipt_results_of_bodies() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, n.ids)
    FROM (SELECT b.org_id, array_agg(DISTINCT b.receipt_id) AS ids FROM changed_rows b
          WHERE EXISTS (SELECT FROM violations v WHERE v.org_id = b.org_id AND v.commit = b.commit AND v.commit <> '')
             OR b.commit IN (SELECT unnest(h.commits) FROM holds h WHERE h.released_at IS NULL)
             OR EXISTS (SELECT FROM receipt_results p WHERE p.org_id = b.org_id AND p.receipt_id = b.receipt_id)
          GROUP BY b.org_id) n;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_results_of_holds() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, receipts_carried(n.org_id, n.commits))
    FROM (SELECT h.org_id, array_agg(DISTINCT c) AS commits FROM changed_rows h, unnest(h.commits) c GROUP BY h.org_id) n;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_results_of_receipts() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM receipt_results p USING changed_rows o WHERE p.org_id = o.org_id AND p.receipt_id = o.id;
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM receipt_results_refresh(n.org_id, n.ids)
        FROM (SELECT p.org_id, array_agg(DISTINCT p.receipt_id) AS ids FROM changed_rows r
              JOIN receipt_results p ON p.org_id = r.org_id AND p.receipt_id = r.id GROUP BY p.org_id) n;
        RETURN NULL;
    END IF;
    PERFORM receipt_results_refresh(n.org_id, n.ids)
    FROM (SELECT r.org_id, array_agg(DISTINCT r.id) AS ids FROM changed_rows r
          JOIN receipt_commits c ON c.org_id = r.org_id AND c.receipt_id = r.id
          WHERE EXISTS (SELECT FROM violations v WHERE v.org_id = c.org_id AND v.commit = c.commit AND v.commit <> '')
             OR c.commit IN (SELECT unnest(h.commits) FROM holds h WHERE h.released_at IS NULL)
          GROUP BY r.org_id) n;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_results_of_violations() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, receipts_carried(n.org_id, n.commits))
    FROM (SELECT org_id, array_agg(DISTINCT commit) AS commits FROM changed_rows WHERE commit <> '' GROUP BY org_id) n;
    RETURN NULL;
END $$;

CREATE FUNCTION public.receipt_results_refresh(org uuid, ids text[]) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    IF ids IS NULL OR ids = '{}' THEN
        RETURN;
    END IF;
    DELETE FROM receipt_results p
    WHERE p.org_id = org AND p.receipt_id = ANY(ids)
      AND (p.receipt_id, p.result) NOT IN (SELECT w.receipt_id, w.result FROM receipt_results_of(org, ids) w);
    INSERT INTO receipt_results AS p
    SELECT * FROM receipt_result_rows(org, ids) n ORDER BY n.receipt_id, n.result
    ON CONFLICT (org_id, receipt_id, result) DO UPDATE
    SET timestamp = excluded.timestamp, cost_usd = excluded.cost_usd, terms = excluded.terms, prompt_summary = excluded.prompt_summary
    WHERE (p.timestamp, p.cost_usd, p.terms, p.prompt_summary)
        IS DISTINCT FROM (excluded.timestamp, excluded.cost_usd, excluded.terms, excluded.prompt_summary);
END $$;

CREATE FUNCTION public.receipt_score(detail jsonb) RETURNS smallint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN jsonb_typeof(detail -> 'prompt_quality' -> 'score') = 'number'
                 AND coalesce(detail -> 'prompt_quality' ->> 'rating', '') NOT IN ('Continuation', 'No prompt')
                 AND (detail -> 'prompt_quality' ->> 'score')::numeric BETWEEN 0 AND 100
           THEN (detail -> 'prompt_quality' ->> 'score')::numeric::smallint END
$$;

CREATE FUNCTION public.receipt_seconds(duration bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN duration BETWEEN 0 AND 86400 THEN duration END
$$;

CREATE FUNCTION public.receipt_term(org uuid, kind text, value text) RETURNS integer
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN (hashtext((kind || value)) # uuid_hash(org));

CREATE FUNCTION public.receipt_term_list(org uuid, kind text, list text[]) RETURNS integer[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY(SELECT public.receipt_term(receipt_term_list.org, receipt_term_list.kind, value.value) AS receipt_term FROM unnest(receipt_term_list.list) value(value));

CREATE FUNCTION public.receipt_terms(org uuid, repo uuid, user_email text, user_name text, provider text, model text, source text, current boolean, day date, cost numeric, path_keys integer[]) RETURNS integer[]
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE
    AS $$
DECLARE
    o integer := uuid_hash(org);
    step integer := CASE WHEN cost > 0.000001 THEN floor(32 * ln(least(cost, 1000000)::float8) / ln(2::float8))
                         WHEN cost IS NOT NULL THEN -640 END;
BEGIN
    RETURN ARRAY[
        hashtext('org') # o,
        hashtext('repo' || repo) # o,
        hashtext('user' || lower(user_email)) # o,
        hashtext('name' || lower(user_name)) # o,
        hashtext('provider' || provider) # o,
        hashtext('model' || model) # o,
        hashtext('source' || source) # o,
        hashtext('current' || current) # o,
        hashtext('day' || (day - date '2000-01-01')) # o,
        hashtext('month' || extract(year FROM day) * 12 + extract(month FROM day)) # o,
        hashtext('cost' || coalesce(step::text, '')) # o,
        hashtext('octave' || coalesce((step >> 5)::text, '')) # o
    ] || path_keys;
END $$;

CREATE FUNCTION public.receipts_carried(org uuid, of_commits text[]) RETURNS text[]
    LANGUAGE sql STABLE
    AS $$
    SELECT array_agg(DISTINCT c.receipt_id) FROM receipt_commits c WHERE c.org_id = org AND c.commit = ANY(of_commits)
$$;

CREATE FUNCTION public.receipts_demand_lines() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.receipts_rollup() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
DECLARE
    deltas rollup_delta[] := '{}';
BEGIN
    -- A branch may only name the transition tables that its operation has.
    IF TG_OP <> 'DELETE' THEN
        deltas := ARRAY(SELECT ROW(org_id, repo_id, day, user_email, provider, model, source,
                                   count(*), count(*) FILTER (WHERE current), 0, 0, 0, 0, 0, 0)::rollup_delta
                        FROM new_rows GROUP BY org_id, repo_id, day, user_email, provider, model, source);
    END IF;
    IF TG_OP <> 'INSERT' THEN
        deltas := deltas || ARRAY(SELECT ROW(org_id, repo_id, day, user_email, provider, model, source,
                                             -count(*), -count(*) FILTER (WHERE current), 0, 0, 0, 0, 0, 0)::rollup_delta
                                  FROM old_rows GROUP BY org_id, repo_id, day, user_email, provider, model, source);
    END IF;
    PERFORM rollup_apply(deltas);
    RETURN NULL;
END $$;

CREATE FUNCTION public.removed_delta(org uuid, repo uuid, commit_id text, class text, receipt_id text, agent text, life interval, lines bigint) RETURNS public.live_delta
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT ROW(org, repo, commit_id, class, receipt_id, agent, 0, CASE WHEN life <= '14 days' THEN lines ELSE 0 END,
               CASE WHEN life <= '30 days' THEN lines ELSE 0 END, CASE WHEN life <= '90 days' THEN lines ELSE 0 END, lines)::live_delta
$$;

CREATE FUNCTION public.removed_runs_sum() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
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

CREATE FUNCTION public.rollup_apply(deltas public.rollup_delta[]) RETURNS void
    LANGUAGE sql
    AS $$
    INSERT INTO rollups AS r (org_id, dimension, repo_id, key, key2, day, receipts, receipts_current, prompts, cost_usd,
                              input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens)
    SELECT * FROM rollup_sums(deltas, 'day')
    -- One order for all writers, so that two of them cannot wait for each other.
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
    SET receipts = r.receipts + excluded.receipts,
        receipts_current = r.receipts_current + excluded.receipts_current,
        prompts = r.prompts + excluded.prompts,
        cost_usd = r.cost_usd + excluded.cost_usd,
        input_tokens = r.input_tokens + excluded.input_tokens,
        output_tokens = r.output_tokens + excluded.output_tokens,
        cache_read_tokens = r.cache_read_tokens + excluded.cache_read_tokens,
        cache_creation_tokens = r.cache_creation_tokens + excluded.cache_creation_tokens;
    INSERT INTO rollup_months AS r (org_id, dimension, repo_id, key, key2, day, receipts, receipts_current, prompts, cost_usd,
                              input_tokens, output_tokens, cache_read_tokens, cache_creation_tokens)
    SELECT * FROM rollup_sums(deltas, 'month')
    -- One order for all writers, so that two of them cannot wait for each other.
    ORDER BY 1, 2, 3, 4, 5, 6
    ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE
    SET receipts = r.receipts + excluded.receipts,
        receipts_current = r.receipts_current + excluded.receipts_current,
        prompts = r.prompts + excluded.prompts,
        cost_usd = r.cost_usd + excluded.cost_usd,
        input_tokens = r.input_tokens + excluded.input_tokens,
        output_tokens = r.output_tokens + excluded.output_tokens,
        cache_read_tokens = r.cache_read_tokens + excluded.cache_read_tokens,
        cache_creation_tokens = r.cache_creation_tokens + excluded.cache_creation_tokens;
$$;

CREATE FUNCTION public.rollup_dimensions(repo uuid, user_email text, provider text, model text, source text) RETURNS TABLE(dimension text, repo_id uuid, key text, key2 text)
    LANGUAGE sql IMMUTABLE
    AS $$
    SELECT d.dimension, r.repo_id, d.key, d.key2
    FROM (VALUES ('all', '', ''), ('model', model, ''), ('provider', provider, ''), ('source', source, ''),
                 ('user', lower(user_email), ''), ('user_model', lower(user_email), model)) AS d (dimension, key, key2),
         (VALUES (repo), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
$$;

CREATE TABLE public.rollups (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    receipts bigint DEFAULT 0 NOT NULL,
    receipts_current bigint DEFAULT 0 NOT NULL,
    prompts bigint DEFAULT 0 NOT NULL,
    cost_usd numeric DEFAULT 0 NOT NULL,
    input_tokens numeric DEFAULT 0 NOT NULL,
    output_tokens numeric DEFAULT 0 NOT NULL,
    cache_read_tokens numeric DEFAULT 0 NOT NULL,
    cache_creation_tokens numeric DEFAULT 0 NOT NULL,
    CONSTRAINT rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text, 'source'::text, 'user_model'::text])))
);

CREATE FUNCTION public.rollup_sums(deltas public.rollup_delta[], grain text) RETURNS SETOF public.rollups
    LANGUAGE sql STABLE
    AS $$
    SELECT d.org_id, e.dimension, e.repo_id, e.key, e.key2, date_trunc(grain, d.day::timestamp)::date, sum(d.receipts)::bigint,
           sum(d.receipts_current)::bigint, sum(d.prompts)::bigint, sum(d.cost_usd), sum(d.input_tokens), sum(d.output_tokens),
           sum(d.cache_read_tokens), sum(d.cache_creation_tokens)
    FROM unnest(deltas) d, rollup_dimensions(d.repo_id, d.user_email, d.provider, d.model, d.source) e
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(d.receipts) <> 0 OR sum(d.receipts_current) <> 0 OR sum(d.prompts) <> 0 OR sum(d.cost_usd) <> 0
        OR sum(d.input_tokens) <> 0 OR sum(d.output_tokens) <> 0
        OR sum(d.cache_read_tokens) <> 0 OR sum(d.cache_creation_tokens) <> 0
$$;

CREATE FUNCTION public.session_id_of(provider text, session_id text) RETURNS uuid
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT md5(length(provider) || ':' || provider || session_id)::uuid
$$;

CREATE FUNCTION public.token_cost(input bigint, output bigint, cache_read bigint, cache_creation bigint, input_rate bigint, output_rate bigint, cache_read_rate bigint, cache_creation_rate bigint) RETURNS numeric
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE
        WHEN input IS NULL OR output IS NULL OR least(input, output, cache_read, cache_creation) < 0
          OR greatest(input, output, cache_read, cache_creation) = 0
          OR input > 0 AND input_rate IS NULL OR output > 0 AND output_rate IS NULL
          OR cache_read > 0 AND cache_read_rate IS NULL OR cache_creation > 0 AND cache_creation_rate IS NULL
          OR input::numeric * coalesce(input_rate, 0) + output::numeric * coalesce(output_rate, 0)
             + coalesce(cache_read, 0)::numeric * coalesce(cache_read_rate, 0)
             + coalesce(cache_creation, 0)::numeric * coalesce(cache_creation_rate, 0) >= 10000000000000000000000
        THEN NULL
        ELSE trim_scale((input::numeric * coalesce(input_rate, 0) + output::numeric * coalesce(output_rate, 0)
                         + coalesce(cache_read, 0)::numeric * coalesce(cache_read_rate, 0)
                         + coalesce(cache_creation, 0)::numeric * coalesce(cache_creation_rate, 0)) * 0.000000000001)
    END
$$;

CREATE TABLE public.account_links (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    kind text NOT NULL,
    hash bytea NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    role text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT account_links_email_check CHECK ((email = lower(email))),
    CONSTRAINT account_links_kind_check CHECK ((kind = ANY (ARRAY['setup'::text, 'invitation'::text, 'password'::text]))),
    CONSTRAINT account_links_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'member'::text, 'viewer'::text])))
);

CREATE TABLE public.added_files (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    path bytea NOT NULL,
    old_path bytea NOT NULL,
    blob text NOT NULL,
    excluded text NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL,
    trailer bigint NOT NULL
);

CREATE TABLE public.added_runs (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    path bytea NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    class text NOT NULL,
    source text NOT NULL,
    confidence text NOT NULL,
    receipt_id text NOT NULL,
    author text NOT NULL,
    from_commit text DEFAULT ''::text NOT NULL,
    CONSTRAINT added_runs_check CHECK ((last >= first)),
    CONSTRAINT added_runs_class_check CHECK ((class = ANY (ARRAY['ai'::text, 'human'::text]))),
    CONSTRAINT added_runs_confidence_check CHECK ((confidence = ANY (ARRAY['exact'::text, 'attested'::text, 'envelope'::text, 'trailer'::text]))),
    CONSTRAINT added_runs_source_check CHECK ((source = ANY (ARRAY['blameprompt'::text, 'git-ai'::text, 'trailer'::text])))
);

CREATE TABLE public.api_keys (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    name text NOT NULL,
    prefix text NOT NULL,
    hash bytea NOT NULL,
    scopes text[] NOT NULL,
    created_by text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    user_id uuid
);

CREATE TABLE public.attestations (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    commit text NOT NULL,
    blob text NOT NULL,
    "position" integer NOT NULL,
    path text NOT NULL,
    key text NOT NULL,
    class text NOT NULL,
    receipt_id text NOT NULL,
    author text NOT NULL,
    lines int4multirange NOT NULL,
    line_count bigint NOT NULL,
    CONSTRAINT attestations_class_check CHECK ((class = ANY (ARRAY['ai'::text, 'human'::text])))
);

CREATE TABLE public.audit_links (
    org_id uuid NOT NULL,
    "position" bigint NOT NULL,
    kind text NOT NULL,
    seqs bigint[] NOT NULL,
    digests bytea NOT NULL,
    last_seq bigint NOT NULL,
    laid_at timestamp with time zone NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_links_kind_check CHECK ((kind = ANY (ARRAY['acts'::text, 'redactions'::text, 'versions'::text, 'bodies'::text, 'posted'::text])))
);
ALTER TABLE ONLY public.audit_links ALTER COLUMN digests SET STORAGE EXTERNAL;

CREATE TABLE public.audit_log (
    org_id uuid NOT NULL,
    seq bigint NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    principal text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    detail jsonb,
    request_id text DEFAULT ''::text NOT NULL,
    salt uuid DEFAULT gen_random_uuid(),
    commitment bytea,
    erasures bigint[] DEFAULT '{}'::bigint[] NOT NULL,
    CONSTRAINT audit_log_salt_check CHECK (((salt IS NULL) = (commitment IS NOT NULL)))
);

ALTER TABLE public.audit_log ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.audit_pending (
    org_id uuid NOT NULL,
    seq bigint NOT NULL
);

CREATE TABLE public.bot_rules (
    org_id uuid NOT NULL,
    pattern text NOT NULL,
    liked text NOT NULL,
    bot boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bot_rules_pattern_check CHECK (((pattern = lower(pattern)) AND (pattern <> ''::text)))
);

CREATE TABLE public.bots_due (
    org_id uuid NOT NULL
);

CREATE TABLE public.branch_commits (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    commit text NOT NULL
);

CREATE TABLE public.branch_refs (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    tip text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.claims_due (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL
);

CREATE TABLE public.commit_patches (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    base text NOT NULL,
    patch_id text NOT NULL
);

CREATE TABLE public.commit_statuses (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    state text NOT NULL,
    description text NOT NULL,
    decision_id uuid NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL,
    posted text DEFAULT ''::text NOT NULL,
    posted_at timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    error text DEFAULT ''::text NOT NULL,
    posted_description text DEFAULT ''::text NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT commit_statuses_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'success'::text, 'failure'::text])))
);

CREATE TABLE public.commits (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    parents text[] NOT NULL,
    author_name text NOT NULL,
    author_email text NOT NULL,
    authored_at timestamp with time zone NOT NULL,
    committer_name text NOT NULL,
    committer_email text NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    subject text NOT NULL,
    agents jsonb,
    bot boolean NOT NULL,
    co_authors text[]
);

CREATE TABLE public.decision_events (
    org_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    seq integer NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    event text NOT NULL,
    state text NOT NULL,
    principal text NOT NULL,
    detail json
);

CREATE TABLE public.decision_inputs (
    org_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    push json NOT NULL,
    input json NOT NULL
);
ALTER TABLE ONLY public.decision_inputs ALTER COLUMN push SET COMPRESSION lz4;
ALTER TABLE ONLY public.decision_inputs ALTER COLUMN input SET COMPRESSION lz4;

CREATE TABLE public.decisions (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    repo_id uuid NOT NULL,
    repo text NOT NULL,
    pusher text NOT NULL,
    pusher_name text NOT NULL,
    forge text NOT NULL,
    via text NOT NULL,
    refs json NOT NULL,
    outcome text NOT NULL,
    state text NOT NULL,
    receipt_mode text NOT NULL,
    due_at timestamp with time zone,
    override text DEFAULT ''::text NOT NULL,
    commits integer NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    verdict json NOT NULL,
    late_verdict json,
    judged_at timestamp with time zone,
    took_us integer NOT NULL,
    request_id text NOT NULL,
    CONSTRAINT decisions_outcome_check CHECK ((outcome = ANY (ARRAY['accept'::text, 'warn'::text, 'pending'::text, 'refuse'::text]))),
    CONSTRAINT decisions_state_check CHECK ((state = ANY (ARRAY['final'::text, 'pending'::text, 'held'::text, 'released'::text, 'withdrawn'::text])))
);

CREATE TABLE public.endpoints (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    name text NOT NULL,
    origin text NOT NULL,
    url bytea NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_until timestamp with time zone,
    types text[] DEFAULT '{}'::text[] NOT NULL,
    repos uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    disabled text DEFAULT ''::text NOT NULL,
    removed_at timestamp with time zone,
    succeeded_at timestamp with time zone,
    failing_since timestamp with time zone,
    failures integer DEFAULT 0 NOT NULL,
    rest_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    claimed_until timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT endpoints_disabled_check CHECK ((disabled = ANY (ARRAY[''::text, 'asked'::text, 'gone'::text, 'failing'::text])))
);

CREATE TABLE public.erasures (
    org_id uuid NOT NULL,
    person bytea NOT NULL,
    pseudonym text NOT NULL,
    act bigint NOT NULL,
    at timestamp with time zone NOT NULL,
    vacuumed_at timestamp with time zone
);

CREATE TABLE public.findings (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    repo_id uuid,
    code text NOT NULL,
    severity text NOT NULL,
    ref text DEFAULT ''::text NOT NULL,
    commit text DEFAULT ''::text NOT NULL,
    blob text DEFAULT ''::text NOT NULL,
    receipt_id text DEFAULT ''::text NOT NULL,
    location text DEFAULT ''::text NOT NULL,
    message text NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT findings_severity_check CHECK ((severity = ANY (ARRAY['info'::text, 'warning'::text, 'error'::text])))
);

CREATE TABLE public.forge_connections (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    forge text NOT NULL,
    api_url text NOT NULL,
    owner text NOT NULL,
    sealed bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone,
    include text[] DEFAULT '{}'::text[] NOT NULL,
    exclude text[] DEFAULT '{}'::text[] NOT NULL,
    archived boolean DEFAULT false NOT NULL,
    forks boolean DEFAULT true NOT NULL,
    ssh boolean DEFAULT false NOT NULL,
    webhooks boolean DEFAULT true NOT NULL,
    checked_at timestamp with time zone,
    problem text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.grants (
    org_id uuid NOT NULL,
    subject text NOT NULL,
    subject_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    permission text NOT NULL,
    override boolean DEFAULT false NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT grants_permission_check CHECK ((permission = ANY (ARRAY['read'::text, 'write'::text]))),
    CONSTRAINT grants_subject_check CHECK ((subject = ANY (ARRAY['user'::text, 'team'::text])))
);

CREATE TABLE public.holds (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    decision_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    pusher text NOT NULL,
    commits text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    released_at timestamp with time zone,
    released_by text DEFAULT ''::text NOT NULL,
    release text DEFAULT ''::text NOT NULL,
    reason text DEFAULT ''::text NOT NULL
);

CREATE TABLE public.identities (
    org_id uuid NOT NULL,
    email text NOT NULL,
    person text NOT NULL,
    source text NOT NULL,
    CONSTRAINT identities_check CHECK ((person <> email)),
    CONSTRAINT identities_source_check CHECK ((source = ANY (ARRAY['rule'::text, 'mailmap'::text])))
);

CREATE TABLE public.identity_rules (
    org_id uuid NOT NULL,
    email text NOT NULL,
    person text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT identity_rules_email_check CHECK (((email = lower(email)) AND (email <> ''::text))),
    CONSTRAINT identity_rules_person_check CHECK (((person = lower(person)) AND (person <> ''::text)))
);

CREATE TABLE public.late_noted (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    pushed_at timestamp with time zone NOT NULL
);

CREATE TABLE public.late_noted_marks (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    revision bigint NOT NULL
);

CREATE TABLE public.line_branches (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    requested_by text NOT NULL,
    requested_at timestamp with time zone DEFAULT now() NOT NULL,
    tip text DEFAULT ''::text NOT NULL,
    base text DEFAULT ''::text NOT NULL,
    cut boolean DEFAULT false NOT NULL,
    planned_at timestamp with time zone
);

CREATE TABLE public.line_demands (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    seq bigint NOT NULL,
    commit text DEFAULT ''::text NOT NULL,
    receipt_id text DEFAULT ''::text NOT NULL,
    planned boolean DEFAULT false NOT NULL,
    off_default boolean DEFAULT false NOT NULL
);

ALTER TABLE public.line_demands ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.line_demands_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.line_rollup_months (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    ai bigint DEFAULT 0 NOT NULL,
    human bigint DEFAULT 0 NOT NULL,
    unknown bigint DEFAULT 0 NOT NULL,
    trailer bigint DEFAULT 0 NOT NULL,
    excluded bigint DEFAULT 0 NOT NULL,
    deleted bigint DEFAULT 0 NOT NULL,
    commits bigint DEFAULT 0 NOT NULL,
    commits_noted bigint DEFAULT 0 NOT NULL,
    commits_marked bigint DEFAULT 0 NOT NULL,
    bot_commits bigint DEFAULT 0 NOT NULL,
    merge_commits bigint DEFAULT 0 NOT NULL,
    CONSTRAINT line_rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'user'::text, 'agent'::text, 'user_agent'::text, 'provider'::text, 'model'::text, 'user_provider'::text, 'user_model'::text])))
);

CREATE TABLE public.line_tips (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    tip text NOT NULL,
    globs text[] NOT NULL,
    rules text NOT NULL,
    planned_at timestamp with time zone DEFAULT now() NOT NULL,
    done_at timestamp with time zone
);

CREATE TABLE public.live_cohorts (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    class text NOT NULL,
    week date NOT NULL,
    watched boolean NOT NULL,
    live bigint NOT NULL,
    removed14 bigint NOT NULL,
    removed30 bigint NOT NULL,
    removed90 bigint NOT NULL,
    removed bigint NOT NULL,
    CONSTRAINT live_cohorts_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text])))
);

CREATE TABLE public.live_commits (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit_id text NOT NULL,
    author_email text NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    day date NOT NULL,
    landed_at timestamp with time zone
);

CREATE TABLE public.live_directories (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    path bytea NOT NULL,
    parent bytea,
    files bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL
);

CREATE TABLE public.live_files (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    path bytea NOT NULL,
    directory bytea NOT NULL,
    blob text NOT NULL,
    kind text NOT NULL,
    reason text NOT NULL,
    generation integer NOT NULL,
    lines integer NOT NULL,
    ai integer DEFAULT 0 NOT NULL,
    human integer DEFAULT 0 NOT NULL,
    unknown integer DEFAULT 0 NOT NULL,
    CONSTRAINT live_files_path_check CHECK ((length(path) <= 2000))
);

CREATE TABLE public.live_receipts (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL,
    repo_id uuid NOT NULL,
    model text NOT NULL,
    provider text NOT NULL,
    session_id text NOT NULL,
    lines bigint NOT NULL,
    removed bigint NOT NULL
);

CREATE TABLE public.live_runs (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    path bytea NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    commit_id text NOT NULL,
    origin_path bytea NOT NULL,
    origin_line integer NOT NULL,
    class text NOT NULL,
    source text NOT NULL,
    confidence text NOT NULL,
    receipt_id text NOT NULL,
    author text NOT NULL
);

CREATE TABLE public.live_sums (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL,
    CONSTRAINT live_sums_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text, 'month'::text])))
);

CREATE TABLE public.live_tips (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    tip text DEFAULT ''::text NOT NULL,
    tip_at timestamp with time zone,
    building_tip text DEFAULT ''::text NOT NULL,
    generation integer DEFAULT 0 NOT NULL,
    total integer DEFAULT 0 NOT NULL,
    git_version text NOT NULL,
    exclude_revision text NOT NULL,
    rules_tip text DEFAULT ''::text NOT NULL,
    boundary text NOT NULL,
    class_revision bigint DEFAULT 0 NOT NULL,
    began_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.login_failures (
    subject bytea NOT NULL,
    failures integer NOT NULL,
    failed_at timestamp with time zone NOT NULL,
    locked_until timestamp with time zone NOT NULL
);

CREATE TABLE public.mailmap_addresses (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    email text NOT NULL,
    person text NOT NULL,
    CONSTRAINT mailmap_addresses_email_check CHECK ((email = lower(email))),
    CONSTRAINT mailmap_addresses_person_check CHECK ((person = lower(person)))
);

CREATE TABLE public.mailmaps (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    blob text NOT NULL,
    addresses integer NOT NULL,
    read_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.message_attempts (
    org_id uuid NOT NULL,
    message_id uuid NOT NULL,
    number integer NOT NULL,
    at timestamp with time zone NOT NULL,
    took_ms integer NOT NULL,
    status integer NOT NULL,
    error text NOT NULL,
    answer text NOT NULL
);

CREATE TABLE public.messages (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    type text NOT NULL,
    at timestamp with time zone NOT NULL,
    repo_id uuid,
    data json NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    tries integer DEFAULT 0 NOT NULL,
    next_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT messages_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'sent'::text, 'failed'::text])))
);

CREATE TABLE public.note_archives (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    tip text NOT NULL,
    archived_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.note_bodies (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    commit text NOT NULL,
    blob text NOT NULL,
    format text NOT NULL,
    format_version text NOT NULL,
    tool_version text NOT NULL,
    size bigint NOT NULL,
    receipts integer NOT NULL,
    parser integer NOT NULL,
    seq bigint NOT NULL
);

ALTER TABLE public.note_bodies ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.note_bodies_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.note_refs (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    tip text DEFAULT ''::text NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.note_uploads (
    org_id uuid NOT NULL,
    commit text NOT NULL,
    seq bigint NOT NULL,
    blob text NOT NULL,
    content bytea NOT NULL,
    uploaded_by text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.note_uploads ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.note_uploads_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.note_versions (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    commit text NOT NULL,
    notes_commit text NOT NULL,
    blob text,
    author_name text NOT NULL,
    author_email text NOT NULL,
    authored_at timestamp with time zone NOT NULL,
    committed_at timestamp with time zone NOT NULL,
    current boolean DEFAULT false NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    seq bigint NOT NULL
);

ALTER TABLE public.note_versions ALTER COLUMN seq ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.note_versions_seq_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.open_pushes (
    org_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    place text NOT NULL,
    session text NOT NULL
);

CREATE TABLE public.orgs (
    id uuid NOT NULL,
    name text NOT NULL,
    time_zone text DEFAULT 'UTC'::text NOT NULL,
    store_conversations boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    policy_revision bigint DEFAULT 0 NOT NULL,
    price_revision bigint DEFAULT 0 NOT NULL,
    title text DEFAULT ''::text NOT NULL,
    privacy_revision bigint DEFAULT 0 NOT NULL,
    prompts text DEFAULT 'stored'::text NOT NULL,
    prompts_applied text DEFAULT 'stored'::text NOT NULL,
    CONSTRAINT orgs_name_check CHECK ((name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'::text)),
    CONSTRAINT orgs_prompts_check CHECK ((prompts = ANY (ARRAY['stored'::text, 'hashed'::text, 'dropped'::text])))
);

CREATE TABLE public.passwords (
    user_id uuid NOT NULL,
    org_id uuid NOT NULL,
    hash text NOT NULL,
    changed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.path_rollup_months (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    path bytea NOT NULL,
    parent bytea,
    day date NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL,
    trailer bigint NOT NULL,
    excluded bigint NOT NULL
);

CREATE TABLE public.path_rollups (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    path bytea NOT NULL,
    parent bytea,
    day date NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    unknown bigint NOT NULL,
    trailer bigint NOT NULL,
    excluded bigint NOT NULL
);

CREATE TABLE public.policies (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    name text NOT NULL,
    version integer NOT NULL,
    enabled boolean NOT NULL,
    document json NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    removed_at timestamp with time zone
);

CREATE TABLE public.policy_versions (
    org_id uuid NOT NULL,
    policy_id uuid NOT NULL,
    version integer NOT NULL,
    document json NOT NULL,
    change text NOT NULL,
    author text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.receipt_commits (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    commit text NOT NULL,
    blob text NOT NULL,
    "position" integer NOT NULL,
    content_hash bytea NOT NULL,
    first_noted_at timestamp with time zone NOT NULL,
    noted_at timestamp with time zone NOT NULL,
    notes_commit text NOT NULL,
    current boolean DEFAULT false NOT NULL,
    seq bigint
);

CREATE SEQUENCE public.posted_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.posted_seq OWNED BY public.receipt_commits.seq;

CREATE TABLE public.price_aliases (
    org_id uuid NOT NULL,
    alias text NOT NULL,
    model text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.price_due (
    org_id uuid NOT NULL,
    model text NOT NULL,
    before timestamp with time zone DEFAULT 'infinity'::timestamp with time zone NOT NULL,
    before_id text DEFAULT ''::text NOT NULL,
    looked bigint DEFAULT 0 NOT NULL,
    changed bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.price_entries (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    model text NOT NULL,
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    input_rate bigint,
    output_rate bigint,
    cache_read_rate bigint,
    cache_creation_rate bigint,
    source text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.price_models (
    org_id uuid NOT NULL,
    model text NOT NULL,
    revision bigint NOT NULL,
    edition text NOT NULL
);

CREATE TABLE public.price_periods (
    org_id uuid NOT NULL,
    model text NOT NULL,
    first timestamp with time zone NOT NULL,
    past timestamp with time zone NOT NULL,
    price_id uuid NOT NULL,
    CONSTRAINT price_periods_check CHECK ((past > first))
);

CREATE TABLE public.prices (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    model text NOT NULL,
    valid_from timestamp with time zone,
    valid_until timestamp with time zone,
    input_rate bigint,
    output_rate bigint,
    cache_read_rate bigint,
    cache_creation_rate bigint,
    source text NOT NULL
);

CREATE TABLE public.prompt_reads (
    org_id uuid NOT NULL,
    principal text NOT NULL,
    hour timestamp with time zone NOT NULL,
    requests bigint NOT NULL,
    receipts bigint NOT NULL
);

CREATE TABLE public.prompt_rollup_months (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    prompts bigint DEFAULT 0 NOT NULL,
    cost_usd numeric DEFAULT 0 NOT NULL,
    scored bigint DEFAULT 0 NOT NULL,
    score bigint DEFAULT 0 NOT NULL,
    excellent bigint DEFAULT 0 NOT NULL,
    good bigint DEFAULT 0 NOT NULL,
    fair bigint DEFAULT 0 NOT NULL,
    timed bigint DEFAULT 0 NOT NULL,
    seconds bigint DEFAULT 0 NOT NULL,
    CONSTRAINT prompt_rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text, 'user_model'::text, 'category'::text, 'hour'::text])))
);

CREATE TABLE public.prompt_rollups (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    prompts bigint DEFAULT 0 NOT NULL,
    cost_usd numeric DEFAULT 0 NOT NULL,
    scored bigint DEFAULT 0 NOT NULL,
    score bigint DEFAULT 0 NOT NULL,
    excellent bigint DEFAULT 0 NOT NULL,
    good bigint DEFAULT 0 NOT NULL,
    fair bigint DEFAULT 0 NOT NULL,
    timed bigint DEFAULT 0 NOT NULL,
    seconds bigint DEFAULT 0 NOT NULL,
    CONSTRAINT prompt_rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text, 'user_model'::text, 'category'::text, 'hour'::text])))
);

CREATE TABLE public.prompt_sessions (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    provider text NOT NULL,
    session_id text NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL,
    prompts bigint NOT NULL,
    receipts bigint NOT NULL,
    current boolean NOT NULL,
    users text[] NOT NULL,
    models text[] NOT NULL,
    repos uuid[] NOT NULL,
    cost_usd numeric,
    input_tokens numeric,
    output_tokens numeric,
    cache_read_tokens numeric,
    cache_creation_tokens numeric
);

CREATE TABLE public.pushed_commits (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    decision_id uuid NOT NULL,
    patch_id text NOT NULL,
    author_email text NOT NULL,
    added bigint NOT NULL,
    ai bigint NOT NULL,
    human bigint NOT NULL,
    noted boolean NOT NULL,
    day date NOT NULL,
    pushed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.pushed_days (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    day date NOT NULL,
    commits bigint DEFAULT 0 NOT NULL,
    added bigint DEFAULT 0 NOT NULL,
    ai bigint DEFAULT 0 NOT NULL,
    human bigint DEFAULT 0 NOT NULL
);

CREATE TABLE public.pushed_prompts (
    org_id uuid NOT NULL,
    prompt_id uuid NOT NULL,
    decision_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    user_email text NOT NULL,
    day date NOT NULL,
    cost_usd numeric NOT NULL,
    pushed_at timestamp with time zone DEFAULT now() NOT NULL,
    summed_usd numeric,
    summed_user_usd numeric,
    stale boolean DEFAULT false NOT NULL
);

CREATE TABLE public.pushed_spend (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    monthly boolean NOT NULL,
    day date NOT NULL,
    cost_usd numeric NOT NULL,
    CONSTRAINT pushed_spend_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'user'::text])))
);

CREATE TABLE public.pushed_stored (
    org_id uuid NOT NULL,
    prompt_id uuid NOT NULL
);

CREATE TABLE public.reattach_states (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    state text NOT NULL,
    done_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.reattached_lines (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    to_commit text NOT NULL,
    from_commit text NOT NULL,
    path bytea NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    from_path bytea NOT NULL,
    from_first integer NOT NULL,
    CONSTRAINT reattached_lines_check CHECK ((last >= first))
);

CREATE TABLE public.reattachments (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    ref text NOT NULL,
    from_commit text NOT NULL,
    blob text NOT NULL,
    to_commit text NOT NULL,
    how text NOT NULL,
    squash boolean NOT NULL,
    active boolean DEFAULT true NOT NULL,
    id uuid NOT NULL,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT reattachments_check CHECK ((active = (ended_at IS NULL))),
    CONSTRAINT reattachments_how_check CHECK ((how = ANY (ARRAY['notes-history'::text, 'blob'::text, 'patch-id'::text])))
);

CREATE TABLE public.receipt_files (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL,
    "position" integer NOT NULL,
    path text NOT NULL,
    line_start bigint NOT NULL,
    line_end bigint NOT NULL,
    blob_hash text NOT NULL,
    additions bigint,
    deletions bigint
);

CREATE TABLE public.receipt_repos (
    org_id uuid NOT NULL,
    receipt_id text NOT NULL,
    repo_id uuid NOT NULL,
    "timestamp" timestamp with time zone NOT NULL
);

CREATE TABLE public.receipts (
    org_id uuid NOT NULL,
    id text NOT NULL,
    repo_id uuid NOT NULL,
    repo text NOT NULL,
    ref text NOT NULL,
    commit_hash text NOT NULL,
    blob text NOT NULL,
    notes_commit text NOT NULL,
    content_hash bytea NOT NULL,
    current boolean NOT NULL,
    source text NOT NULL,
    format_version text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    session_id text NOT NULL,
    prompt_number bigint,
    prompt_id uuid NOT NULL,
    prompt_summary text NOT NULL,
    response_summary text NOT NULL,
    prompt_hash text NOT NULL,
    message_count bigint,
    cost_usd numeric,
    cost_reported_usd numeric,
    cost_basis text NOT NULL,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_tokens bigint,
    cache_creation_tokens bigint,
    user_name text NOT NULL,
    user_email text NOT NULL,
    file_path text NOT NULL,
    line_start bigint NOT NULL,
    line_end bigint NOT NULL,
    files integer NOT NULL,
    "timestamp" timestamp with time zone NOT NULL,
    timestamp_basis text NOT NULL,
    day date NOT NULL,
    session_start timestamp with time zone,
    session_end timestamp with time zone,
    prompt_submitted_at timestamp with time zone,
    raw_timestamps jsonb,
    session_duration_secs bigint,
    prompt_duration_secs bigint,
    ai_response_time_secs double precision,
    accepted_lines bigint,
    overridden_lines bigint,
    total_additions bigint,
    total_deletions bigint,
    parent_receipt_id text NOT NULL,
    detail jsonb,
    conversation jsonb,
    conversation_turns integer NOT NULL,
    conversation_bytes bigint NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    synced_at timestamp with time zone DEFAULT now() NOT NULL,
    path_keys integer[] DEFAULT '{}'::integer[] NOT NULL,
    price_id uuid,
    CONSTRAINT receipts_cost_basis_check CHECK ((cost_basis = ANY (ARRAY['reported'::text, 'computed'::text, 'none'::text]))),
    CONSTRAINT receipts_source_check CHECK ((source = ANY (ARRAY['blameprompt'::text, 'git-ai'::text, 'api'::text]))),
    CONSTRAINT receipts_timestamp_basis_check CHECK ((timestamp_basis = ANY (ARRAY['client'::text, 'note'::text, 'received'::text])))
);
ALTER TABLE ONLY public.receipts ALTER COLUMN prompt_summary SET STATISTICS 10;
ALTER TABLE ONLY public.receipts ALTER COLUMN cost_usd SET STATISTICS 500;

CREATE TABLE public.removed_runs (
    org_id uuid NOT NULL,
    repo_id uuid NOT NULL,
    id bigint NOT NULL,
    commit_id text NOT NULL,
    origin_path bytea NOT NULL,
    first integer NOT NULL,
    last integer NOT NULL,
    ended_at timestamp with time zone NOT NULL,
    ended_tip text NOT NULL,
    class text NOT NULL,
    source text NOT NULL,
    confidence text NOT NULL,
    receipt_id text NOT NULL,
    author text NOT NULL
);

ALTER TABLE public.removed_runs ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.removed_runs_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.report_schedules (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    format text NOT NULL,
    paper text NOT NULL,
    repos text[] NOT NULL,
    teams text[] NOT NULL,
    every text NOT NULL,
    next_first date NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT report_schedules_every_check CHECK ((every = ANY (ARRAY['week'::text, 'month'::text, 'quarter'::text, 'year'::text]))),
    CONSTRAINT report_schedules_format_check CHECK ((format = ANY (ARRAY['json'::text, 'csv'::text, 'md'::text, 'html'::text, 'pdf'::text, 'client-json'::text]))),
    CONSTRAINT report_schedules_paper_check CHECK ((paper = ANY (ARRAY['A4'::text, 'Letter'::text]))),
    CONSTRAINT report_schedules_type_check CHECK ((type = ANY (ARRAY['soc2'::text, 'gdpr'::text, 'audit'::text])))
);

CREATE TABLE public.reports (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    format text NOT NULL,
    paper text NOT NULL,
    first_day date NOT NULL,
    last_day date NOT NULL,
    repos text[] NOT NULL,
    teams text[] NOT NULL,
    state text DEFAULT 'waiting'::text NOT NULL,
    rows bigint DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    sha256 bytea,
    error text DEFAULT ''::text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    touched_at timestamp with time zone,
    finished_at timestamp with time zone,
    schedule_id uuid,
    CONSTRAINT reports_check CHECK ((last_day >= first_day)),
    CONSTRAINT reports_format_check CHECK ((format = ANY (ARRAY['json'::text, 'csv'::text, 'md'::text, 'html'::text, 'pdf'::text, 'client-json'::text]))),
    CONSTRAINT reports_paper_check CHECK ((paper = ANY (ARRAY['A4'::text, 'Letter'::text]))),
    CONSTRAINT reports_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'running'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT reports_type_check CHECK ((type = ANY (ARRAY['soc2'::text, 'gdpr'::text, 'audit'::text])))
);

CREATE TABLE public.repos (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    name text NOT NULL,
    remote_url text,
    url_key text,
    credential bytea,
    notes_refs text[] DEFAULT ARRAY['refs/notes/blameprompt'::text, 'refs/notes/ai'::text] NOT NULL,
    fetch_heads boolean DEFAULT true NOT NULL,
    default_branch text DEFAULT ''::text NOT NULL,
    object_format text DEFAULT 'sha1'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    removed_at timestamp with time zone,
    fetch_started_at timestamp with time zone,
    fetched_at timestamp with time zone,
    fetch_failures integer DEFAULT 0 NOT NULL,
    fetch_error text DEFAULT ''::text NOT NULL,
    active_at timestamp with time zone DEFAULT now() NOT NULL,
    mode text DEFAULT 'advisory'::text NOT NULL,
    receipt_mode text DEFAULT 'deferred'::text NOT NULL,
    grace_seconds integer DEFAULT 900 NOT NULL,
    gateway text DEFAULT 'off'::text NOT NULL,
    forward_notes boolean DEFAULT true NOT NULL,
    connection_id uuid,
    forge_path text DEFAULT ''::text NOT NULL,
    hooked_at timestamp with time zone,
    excluded_paths text[] DEFAULT '{}'::text[] NOT NULL,
    notes_protection text DEFAULT 'mode'::text NOT NULL,
    reattach boolean DEFAULT true NOT NULL,
    CONSTRAINT repos_gateway_check CHECK ((gateway = ANY (ARRAY['off'::text, 'hosted'::text, 'forwarding'::text]))),
    CONSTRAINT repos_grace_seconds_check CHECK (((grace_seconds >= 0) AND (grace_seconds <= 604800))),
    CONSTRAINT repos_mode_check CHECK ((mode = ANY (ARRAY['advisory'::text, 'enforcing'::text]))),
    CONSTRAINT repos_notes_protection_check CHECK ((notes_protection = ANY (ARRAY['mode'::text, 'refuse'::text, 'warn'::text, 'off'::text]))),
    CONSTRAINT repos_object_format_check CHECK ((object_format = ANY (ARRAY['sha1'::text, 'sha256'::text]))),
    CONSTRAINT repos_receipt_mode_check CHECK ((receipt_mode = ANY (ARRAY['deferred'::text, 'wait'::text, 'same-push'::text])))
);

CREATE TABLE public.retention (
    org_id uuid NOT NULL,
    class text NOT NULL,
    days integer,
    CONSTRAINT retention_days_check CHECK ((days > 0))
);

CREATE TABLE public.reviews (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    repo_id uuid NOT NULL,
    commit text NOT NULL,
    patch_id text NOT NULL,
    reviewer text NOT NULL,
    name text NOT NULL,
    approved boolean NOT NULL,
    comment text DEFAULT ''::text NOT NULL,
    principal text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT reviews_reviewer_check CHECK ((reviewer <> ''::text))
);

CREATE TABLE public.rollup_months (
    org_id uuid NOT NULL,
    dimension text NOT NULL,
    repo_id uuid NOT NULL,
    key text NOT NULL,
    key2 text NOT NULL,
    day date NOT NULL,
    receipts bigint DEFAULT 0 NOT NULL,
    receipts_current bigint DEFAULT 0 NOT NULL,
    prompts bigint DEFAULT 0 NOT NULL,
    cost_usd numeric DEFAULT 0 NOT NULL,
    input_tokens numeric DEFAULT 0 NOT NULL,
    output_tokens numeric DEFAULT 0 NOT NULL,
    cache_read_tokens numeric DEFAULT 0 NOT NULL,
    cache_creation_tokens numeric DEFAULT 0 NOT NULL,
    CONSTRAINT rollups_dimension_check CHECK ((dimension = ANY (ARRAY['all'::text, 'model'::text, 'provider'::text, 'user'::text, 'source'::text, 'user_model'::text])))
);

CREATE TABLE public.sessions (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    hash bytea NOT NULL,
    address text DEFAULT ''::text NOT NULL,
    user_agent text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone NOT NULL,
    idle_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

CREATE TABLE public.ssh_keys (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    fingerprint text NOT NULL,
    public_key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    last_used_at timestamp with time zone,
    revoked_at timestamp with time zone
);

CREATE TABLE public.team_members (
    org_id uuid NOT NULL,
    team_id uuid NOT NULL,
    email text NOT NULL,
    role text DEFAULT 'member'::text NOT NULL,
    CONSTRAINT team_members_email_check CHECK ((email = lower(email))),
    CONSTRAINT team_members_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'member'::text, 'viewer'::text])))
);

CREATE TABLE public.teams (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    name text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.users (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    email text NOT NULL,
    name text DEFAULT ''::text NOT NULL,
    logins text[] DEFAULT '{}'::text[] NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    disabled_at timestamp with time zone,
    role text DEFAULT 'member'::text NOT NULL,
    CONSTRAINT users_email_check CHECK (((email = lower(email)) AND (email <> ''::text))),
    CONSTRAINT users_role_check CHECK ((role = ANY (ARRAY['admin'::text, 'member'::text, 'viewer'::text])))
);

CREATE TABLE public.violations (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    decision_id uuid NOT NULL,
    at timestamp with time zone DEFAULT now() NOT NULL,
    late boolean NOT NULL,
    repo_id uuid NOT NULL,
    repo text NOT NULL,
    pusher text NOT NULL,
    policy_id uuid NOT NULL,
    policy_name text NOT NULL,
    version integer NOT NULL,
    rule text NOT NULL,
    outcome text NOT NULL,
    commit text NOT NULL,
    waiver_id uuid,
    finding json NOT NULL,
    CONSTRAINT violations_outcome_check CHECK ((outcome = ANY (ARRAY['warn'::text, 'refuse'::text])))
);

CREATE TABLE public.waivers (
    org_id uuid NOT NULL,
    id uuid NOT NULL,
    policy_id uuid NOT NULL,
    repo_id uuid,
    pusher text DEFAULT ''::text NOT NULL,
    commit text DEFAULT ''::text NOT NULL,
    patch_id text DEFAULT ''::text NOT NULL,
    reason text NOT NULL,
    created_by text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone,
    revoked_by text DEFAULT ''::text NOT NULL,
    CONSTRAINT waivers_reason_check CHECK ((reason <> ''::text))
);

CREATE TABLE public.webhook_deliveries (
    org_id uuid NOT NULL,
    forge text NOT NULL,
    delivery_id text NOT NULL,
    event text NOT NULL,
    repo_id uuid,
    repo text NOT NULL,
    updates jsonb,
    outcome text NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT webhook_deliveries_outcome_check CHECK ((outcome = ANY (ARRAY['fetch'::text, 'ignored'::text, 'unknown_repo'::text])))
);

CREATE TABLE public.webhook_secrets (
    id uuid NOT NULL,
    org_id uuid NOT NULL,
    forge text NOT NULL,
    sealed bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    revoked_at timestamp with time zone
);

ALTER TABLE ONLY public.account_links
    ADD CONSTRAINT account_links_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.account_links
    ADD CONSTRAINT account_links_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.added_files
    ADD CONSTRAINT added_files_pkey PRIMARY KEY (org_id, repo_id, commit, path);

ALTER TABLE ONLY public.added_runs
    ADD CONSTRAINT added_runs_pkey PRIMARY KEY (org_id, repo_id, commit, path, first);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.attestations
    ADD CONSTRAINT attestations_pkey PRIMARY KEY (org_id, repo_id, ref, commit, blob, "position");

ALTER TABLE ONLY public.audit_links
    ADD CONSTRAINT audit_links_pkey PRIMARY KEY (org_id, "position");

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (org_id, seq);

ALTER TABLE ONLY public.audit_pending
    ADD CONSTRAINT audit_pending_pkey PRIMARY KEY (org_id, seq);

ALTER TABLE ONLY public.bot_rules
    ADD CONSTRAINT bot_rules_pkey PRIMARY KEY (org_id, pattern);

ALTER TABLE ONLY public.bots_due
    ADD CONSTRAINT bots_due_pkey PRIMARY KEY (org_id);

ALTER TABLE ONLY public.branch_commits
    ADD CONSTRAINT branch_commits_pkey PRIMARY KEY (org_id, repo_id, ref, commit);

ALTER TABLE ONLY public.branch_refs
    ADD CONSTRAINT branch_refs_pkey PRIMARY KEY (org_id, repo_id, ref);

ALTER TABLE ONLY public.claims_due
    ADD CONSTRAINT claims_due_pkey PRIMARY KEY (org_id, receipt_id);

ALTER TABLE ONLY public.commit_lines
    ADD CONSTRAINT commit_lines_pkey PRIMARY KEY (org_id, repo_id, commit);

ALTER TABLE ONLY public.commit_owners
    ADD CONSTRAINT commit_owners_pkey PRIMARY KEY (org_id, repo_id, commit, provider, model);

ALTER TABLE ONLY public.commit_patches
    ADD CONSTRAINT commit_patches_pkey PRIMARY KEY (org_id, repo_id, commit, base);

ALTER TABLE ONLY public.commit_statuses
    ADD CONSTRAINT commit_statuses_pkey PRIMARY KEY (org_id, repo_id, commit);

ALTER TABLE ONLY public.commits
    ADD CONSTRAINT commits_pkey PRIMARY KEY (org_id, repo_id, commit);

ALTER TABLE ONLY public.decision_events
    ADD CONSTRAINT decision_events_pkey PRIMARY KEY (org_id, decision_id, seq);

ALTER TABLE ONLY public.decision_inputs
    ADD CONSTRAINT decision_inputs_pkey PRIMARY KEY (org_id, decision_id);

ALTER TABLE ONLY public.decisions
    ADD CONSTRAINT decisions_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.erasures
    ADD CONSTRAINT erasures_pkey PRIMARY KEY (org_id, person);

ALTER TABLE ONLY public.findings
    ADD CONSTRAINT findings_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.forge_connections
    ADD CONSTRAINT forge_connections_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (org_id, subject, subject_id, repo_id);

ALTER TABLE ONLY public.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.identities
    ADD CONSTRAINT identities_pkey PRIMARY KEY (org_id, email);

ALTER TABLE ONLY public.identity_rules
    ADD CONSTRAINT identity_rules_pkey PRIMARY KEY (org_id, email);

ALTER TABLE ONLY public.late_noted_marks
    ADD CONSTRAINT late_noted_marks_pkey PRIMARY KEY (org_id, repo_id);

ALTER TABLE ONLY public.late_noted
    ADD CONSTRAINT late_noted_pkey PRIMARY KEY (org_id, repo_id, commit);

ALTER TABLE ONLY public.line_branches
    ADD CONSTRAINT line_branches_pkey PRIMARY KEY (org_id, repo_id, ref);

ALTER TABLE ONLY public.line_demands
    ADD CONSTRAINT line_demands_pkey PRIMARY KEY (org_id, repo_id, seq);

ALTER TABLE ONLY public.line_rollup_months
    ADD CONSTRAINT line_rollup_months_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.line_rollups
    ADD CONSTRAINT line_rollups_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.line_tips
    ADD CONSTRAINT line_tips_pkey PRIMARY KEY (org_id, repo_id);

ALTER TABLE ONLY public.live_cohorts
    ADD CONSTRAINT live_cohorts_pkey PRIMARY KEY (org_id, dimension, repo_id, key, class, week, watched);

ALTER TABLE ONLY public.live_commits
    ADD CONSTRAINT live_commits_pkey PRIMARY KEY (org_id, repo_id, commit_id);

ALTER TABLE ONLY public.live_directories
    ADD CONSTRAINT live_directories_pkey PRIMARY KEY (org_id, repo_id, path);

ALTER TABLE ONLY public.live_files
    ADD CONSTRAINT live_files_pkey PRIMARY KEY (org_id, repo_id, path);

ALTER TABLE ONLY public.live_receipts
    ADD CONSTRAINT live_receipts_pkey PRIMARY KEY (org_id, receipt_id, repo_id);

ALTER TABLE ONLY public.live_runs
    ADD CONSTRAINT live_runs_pkey PRIMARY KEY (org_id, repo_id, path, first);

ALTER TABLE ONLY public.live_sums
    ADD CONSTRAINT live_sums_pkey PRIMARY KEY (org_id, dimension, repo_id, key);

ALTER TABLE ONLY public.live_tips
    ADD CONSTRAINT live_tips_pkey PRIMARY KEY (org_id, repo_id);

ALTER TABLE ONLY public.login_failures
    ADD CONSTRAINT login_failures_pkey PRIMARY KEY (subject);

ALTER TABLE ONLY public.mailmap_addresses
    ADD CONSTRAINT mailmap_addresses_pkey PRIMARY KEY (org_id, repo_id, email);

ALTER TABLE ONLY public.mailmaps
    ADD CONSTRAINT mailmaps_pkey PRIMARY KEY (org_id, repo_id);

ALTER TABLE ONLY public.message_attempts
    ADD CONSTRAINT message_attempts_pkey PRIMARY KEY (org_id, message_id, number);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.note_archives
    ADD CONSTRAINT note_archives_pkey PRIMARY KEY (org_id, repo_id, ref, tip);

ALTER TABLE ONLY public.note_bodies
    ADD CONSTRAINT note_bodies_pkey PRIMARY KEY (org_id, repo_id, ref, commit, blob);

ALTER TABLE ONLY public.note_refs
    ADD CONSTRAINT note_refs_pkey PRIMARY KEY (org_id, repo_id, ref);

ALTER TABLE ONLY public.note_uploads
    ADD CONSTRAINT note_uploads_pkey PRIMARY KEY (org_id, commit, seq);

ALTER TABLE ONLY public.note_versions
    ADD CONSTRAINT note_versions_pkey PRIMARY KEY (org_id, repo_id, ref, commit, notes_commit);

ALTER TABLE ONLY public.open_pushes
    ADD CONSTRAINT open_pushes_pkey PRIMARY KEY (org_id, decision_id);

ALTER TABLE ONLY public.orgs
    ADD CONSTRAINT orgs_name_key UNIQUE (name);

ALTER TABLE ONLY public.orgs
    ADD CONSTRAINT orgs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.passwords
    ADD CONSTRAINT passwords_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.path_rollup_months
    ADD CONSTRAINT path_rollup_months_pkey PRIMARY KEY (org_id, repo_id, path, day);

ALTER TABLE ONLY public.path_rollups
    ADD CONSTRAINT path_rollups_pkey PRIMARY KEY (org_id, repo_id, path, day);

ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.policy_versions
    ADD CONSTRAINT policy_versions_pkey PRIMARY KEY (org_id, policy_id, version);

ALTER TABLE ONLY public.price_aliases
    ADD CONSTRAINT price_aliases_pkey PRIMARY KEY (org_id, alias);

ALTER TABLE ONLY public.price_due
    ADD CONSTRAINT price_due_pkey PRIMARY KEY (org_id, model);

ALTER TABLE ONLY public.price_entries
    ADD CONSTRAINT price_entries_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.price_models
    ADD CONSTRAINT price_models_pkey PRIMARY KEY (org_id, model);

ALTER TABLE ONLY public.price_periods
    ADD CONSTRAINT price_periods_pkey PRIMARY KEY (org_id, model, first);

ALTER TABLE ONLY public.prices
    ADD CONSTRAINT prices_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.prompt_reads
    ADD CONSTRAINT prompt_reads_pkey PRIMARY KEY (org_id, principal, hour);

ALTER TABLE ONLY public.prompt_rollup_months
    ADD CONSTRAINT prompt_rollup_months_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.prompt_rollups
    ADD CONSTRAINT prompt_rollups_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.prompt_sessions
    ADD CONSTRAINT prompt_sessions_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.prompts
    ADD CONSTRAINT prompts_pkey PRIMARY KEY (org_id, prompt_id);

ALTER TABLE ONLY public.pushed_commits
    ADD CONSTRAINT pushed_commits_pkey PRIMARY KEY (org_id, repo_id, commit);

ALTER TABLE ONLY public.pushed_days
    ADD CONSTRAINT pushed_days_pkey PRIMARY KEY (org_id, repo_id, day);

ALTER TABLE ONLY public.pushed_prompts
    ADD CONSTRAINT pushed_prompts_pkey PRIMARY KEY (org_id, prompt_id);

ALTER TABLE ONLY public.pushed_spend
    ADD CONSTRAINT pushed_spend_pkey PRIMARY KEY (org_id, dimension, repo_id, key, monthly, day);

ALTER TABLE ONLY public.pushed_stored
    ADD CONSTRAINT pushed_stored_pkey PRIMARY KEY (org_id, prompt_id);

ALTER TABLE ONLY public.reattach_states
    ADD CONSTRAINT reattach_states_pkey PRIMARY KEY (org_id, repo_id);

ALTER TABLE ONLY public.reattached_lines
    ADD CONSTRAINT reattached_lines_pkey PRIMARY KEY (org_id, repo_id, to_commit, from_commit, path, first);

ALTER TABLE ONLY public.reattachments
    ADD CONSTRAINT reattachments_pkey PRIMARY KEY (org_id, repo_id, ref, from_commit, to_commit);

ALTER TABLE ONLY public.receipt_commits
    ADD CONSTRAINT receipt_commits_pkey PRIMARY KEY (org_id, receipt_id, repo_id, ref, commit, blob);

ALTER TABLE ONLY public.receipt_files
    ADD CONSTRAINT receipt_files_pkey PRIMARY KEY (org_id, receipt_id, "position");

ALTER TABLE ONLY public.receipt_repos
    ADD CONSTRAINT receipt_repos_pkey PRIMARY KEY (org_id, receipt_id, repo_id);

ALTER TABLE ONLY public.receipt_results
    ADD CONSTRAINT receipt_results_pkey PRIMARY KEY (org_id, receipt_id, result);

ALTER TABLE ONLY public.receipts
    ADD CONSTRAINT receipts_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.removed_runs
    ADD CONSTRAINT removed_runs_pkey PRIMARY KEY (org_id, repo_id, id);

ALTER TABLE ONLY public.report_schedules
    ADD CONSTRAINT report_schedules_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.reports
    ADD CONSTRAINT reports_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.repos
    ADD CONSTRAINT repos_org_id_name_key UNIQUE (org_id, name);

ALTER TABLE ONLY public.repos
    ADD CONSTRAINT repos_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.retention
    ADD CONSTRAINT retention_pkey PRIMARY KEY (org_id, class);

ALTER TABLE ONLY public.reviews
    ADD CONSTRAINT reviews_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.rollup_months
    ADD CONSTRAINT rollup_months_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.rollups
    ADD CONSTRAINT rollups_pkey PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_hash_key UNIQUE (hash);

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.ssh_keys
    ADD CONSTRAINT ssh_keys_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_pkey PRIMARY KEY (org_id, team_id, email);

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_org_id_name_key UNIQUE (org_id, name);

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_org_id_email_key UNIQUE (org_id, email);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.violations
    ADD CONSTRAINT violations_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.waivers
    ADD CONSTRAINT waivers_pkey PRIMARY KEY (org_id, id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (org_id, forge, delivery_id);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (id);

CREATE INDEX account_links_open ON public.account_links USING btree (org_id, email) WHERE ((used_at IS NULL) AND (revoked_at IS NULL));

CREATE INDEX added_files_blob ON public.added_files USING btree (org_id, repo_id, blob);

CREATE INDEX added_runs_receipt ON public.added_runs USING btree (org_id, receipt_id) WHERE (receipt_id <> ''::text);

CREATE INDEX api_keys_org ON public.api_keys USING btree (org_id, created_at);

CREATE INDEX audit_links_kind ON public.audit_links USING btree (org_id, kind, last_seq);

CREATE INDEX audit_log_action ON public.audit_log USING btree (org_id, action text_pattern_ops, seq);

CREATE INDEX audit_log_principal ON public.audit_log USING btree (org_id, principal, seq);

CREATE INDEX audit_log_target ON public.audit_log USING btree (org_id, target, seq);

CREATE INDEX audit_log_time ON public.audit_log USING btree (org_id, at DESC);

CREATE INDEX branch_commits_commit ON public.branch_commits USING btree (org_id, repo_id, commit);

CREATE INDEX commit_lines_author ON public.commit_lines USING btree (org_id, author_email, committed_at DESC, repo_id, commit) WHERE on_default;

CREATE INDEX commit_lines_bots ON public.commit_lines USING btree (org_id, repo_id, commit) WHERE bot;

CREATE INDEX commit_lines_marked ON public.commit_lines USING btree (org_id, committed_at DESC, repo_id, commit) WHERE (on_default AND (agent <> ''::text) AND (NOT noted) AND (NOT bot));

CREATE INDEX commit_lines_noted ON public.commit_lines USING btree (org_id, author_email, committed_at DESC) WHERE (on_default AND noted);

CREATE INDEX commit_lines_repo ON public.commit_lines USING btree (org_id, repo_id, committed_at DESC, commit) WHERE on_default;

CREATE INDEX commit_lines_revision ON public.commit_lines USING btree (org_id, repo_id, revision);

CREATE INDEX commit_lines_time ON public.commit_lines USING btree (org_id, committed_at DESC, repo_id, commit) WHERE on_default;

CREATE INDEX commit_lines_unreadable ON public.commit_lines USING btree (org_id, repo_id) WHERE (state = 'unreadable'::text);

CREATE INDEX commit_patches_id ON public.commit_patches USING btree (org_id, repo_id, patch_id) WHERE (patch_id <> ''::text);

CREATE INDEX commit_statuses_unposted ON public.commit_statuses USING btree (next_at) WHERE ((posted <> state) OR (posted_description <> description));

CREATE INDEX commits_by_id ON public.commits USING btree (org_id, commit);

CREATE INDEX commits_time ON public.commits USING btree (org_id, repo_id, committed_at);

CREATE INDEX decisions_due ON public.decisions USING btree (due_at) WHERE (state = 'pending'::text);

CREATE INDEX decisions_outcome ON public.decisions USING btree (org_id, outcome, id DESC);

CREATE INDEX decisions_pusher ON public.decisions USING btree (org_id, pusher, id DESC);

CREATE INDEX decisions_repo ON public.decisions USING btree (org_id, repo_id, id DESC);

CREATE INDEX decisions_waiting ON public.decisions USING btree (org_id, repo_id, id) WHERE (state = ANY (ARRAY['pending'::text, 'held'::text]));

CREATE INDEX findings_claims ON public.findings USING btree (org_id, receipt_id) WHERE (code = 'user_mismatch'::text);

CREATE INDEX findings_commit ON public.findings USING btree (org_id, repo_id, commit);

CREATE INDEX findings_refs ON public.findings USING btree (org_id, code, found_at DESC) WHERE (code = ANY (ARRAY['notes_ref_rewritten'::text, 'notes_ref_deleted'::text]));

CREATE INDEX findings_repo ON public.findings USING btree (org_id, repo_id, found_at DESC, id);

CREATE UNIQUE INDEX forge_connections_owner ON public.forge_connections USING btree (org_id, forge, api_url, owner) WHERE (revoked_at IS NULL);

CREATE UNIQUE INDEX holds_active ON public.holds USING btree (org_id, repo_id, ref, pusher, decision_id) WHERE (released_at IS NULL);

CREATE INDEX holds_decision ON public.holds USING btree (org_id, decision_id);

CREATE INDEX identities_person ON public.identities USING btree (org_id, person);

CREATE INDEX late_noted_time ON public.late_noted USING btree (org_id, pushed_at) INCLUDE (repo_id, commit);

CREATE INDEX line_demands_commit ON public.line_demands USING btree (org_id, repo_id, commit);

CREATE INDEX line_demands_receipt ON public.line_demands USING btree (org_id, repo_id, seq) WHERE (receipt_id <> ''::text);

CREATE INDEX line_rollups_day ON public.line_rollups USING btree (org_id, dimension, day);

CREATE INDEX line_rollups_period ON public.line_rollups USING btree (org_id, dimension, day) WHERE (repo_id = '00000000-0000-0000-0000-000000000000'::uuid);

CREATE INDEX live_directories_parent ON public.live_directories USING btree (org_id, repo_id, md5(parent), path);

CREATE INDEX live_files_directory ON public.live_files USING btree (org_id, repo_id, md5(directory), path);

CREATE INDEX live_receipts_model ON public.live_receipts USING btree (org_id, model, receipt_id, repo_id) WHERE (lines > 0);

CREATE INDEX live_receipts_provider ON public.live_receipts USING btree (org_id, provider, receipt_id, repo_id) WHERE (lines > 0);

CREATE INDEX live_receipts_session ON public.live_receipts USING btree (org_id, session_id, receipt_id, repo_id) WHERE (lines > 0);

CREATE INDEX live_runs_agent ON public.live_runs USING btree (org_id, author, repo_id, path, first) WHERE (source = 'trailer'::text);

CREATE INDEX live_runs_origin ON public.live_runs USING btree (org_id, repo_id, commit_id, md5(origin_path));

CREATE INDEX live_runs_receipt ON public.live_runs USING btree (org_id, receipt_id, repo_id, path, first) WHERE (receipt_id <> ''::text);

CREATE INDEX login_failures_age ON public.login_failures USING btree (failed_at);

CREATE INDEX messages_age ON public.messages USING btree (org_id, created_at);

CREATE INDEX messages_due ON public.messages USING btree (org_id, endpoint_id, next_at, id) WHERE (state = 'waiting'::text);

CREATE INDEX messages_endpoint ON public.messages USING btree (org_id, endpoint_id, id);

CREATE INDEX messages_failed ON public.messages USING btree (org_id, endpoint_id, id) WHERE (state = 'failed'::text);

CREATE UNIQUE INDEX note_bodies_seq ON public.note_bodies USING btree (org_id, seq);

CREATE INDEX note_versions_blob ON public.note_versions USING btree (org_id, repo_id, blob) WHERE (blob IS NOT NULL);

CREATE UNIQUE INDEX note_versions_current ON public.note_versions USING btree (org_id, repo_id, ref, commit) WHERE current;

CREATE INDEX note_versions_left ON public.note_versions USING btree (org_id, committed_at DESC) WHERE ((NOT current) AND (blob IS NOT NULL));

CREATE UNIQUE INDEX note_versions_seq ON public.note_versions USING btree (org_id, seq);

CREATE INDEX open_pushes_place ON public.open_pushes USING btree (place, session);

CREATE INDEX path_rollup_months_parent ON public.path_rollup_months USING btree (org_id, repo_id, md5(parent), day);

CREATE INDEX path_rollups_parent ON public.path_rollups USING btree (org_id, repo_id, md5(parent), day);

CREATE UNIQUE INDEX policies_name ON public.policies USING btree (org_id, name) WHERE (removed_at IS NULL);

CREATE INDEX prompt_rollups_day ON public.prompt_rollups USING btree (org_id, dimension, day);

CREATE INDEX prompt_rollups_period ON public.prompt_rollups USING btree (org_id, dimension, day) WHERE (repo_id = '00000000-0000-0000-0000-000000000000'::uuid);

CREATE INDEX prompt_sessions_time ON public.prompt_sessions USING btree (org_id, last_at DESC, id DESC);

CREATE INDEX prompt_sessions_users ON public.prompt_sessions USING gin (org_id, users);

CREATE INDEX prompts_session ON public.prompts USING btree (org_id, provider, session_id);

CREATE INDEX pushed_commits_decision ON public.pushed_commits USING btree (org_id, decision_id);

CREATE INDEX pushed_commits_patch ON public.pushed_commits USING btree (org_id, repo_id, patch_id) WHERE (patch_id <> ''::text);

CREATE INDEX pushed_commits_time ON public.pushed_commits USING btree (org_id, pushed_at DESC);

CREATE INDEX pushed_prompts_decision ON public.pushed_prompts USING btree (org_id, decision_id);

CREATE INDEX pushed_prompts_loose ON public.pushed_prompts USING btree (org_id, day) WHERE ((summed_usd IS NULL) OR stale);

CREATE INDEX reattachments_from ON public.reattachments USING btree (org_id, repo_id, from_commit);

CREATE UNIQUE INDEX reattachments_id ON public.reattachments USING btree (org_id, repo_id, id);

CREATE INDEX reattachments_to ON public.reattachments USING btree (org_id, repo_id, to_commit);

CREATE INDEX receipt_commits_commit ON public.receipt_commits USING btree (org_id, commit);

CREATE UNIQUE INDEX receipt_commits_seq ON public.receipt_commits USING btree (org_id, seq) WHERE (seq IS NOT NULL);

CREATE INDEX receipt_files_blob ON public.receipt_files USING btree (org_id, blob_hash) WHERE (blob_hash <> ''::text);

CREATE INDEX receipt_repos_time ON public.receipt_repos USING btree (org_id, repo_id, "timestamp" DESC, receipt_id DESC);

CREATE INDEX receipt_results_cost ON public.receipt_results USING btree (org_id, result, cost_usd DESC NULLS LAST, receipt_id DESC);

CREATE INDEX receipt_results_terms ON public.receipt_results USING gin (prompt_summary public.gin_trgm_ops, terms) WITH (gin_pending_list_limit='1024');

CREATE INDEX receipt_results_time ON public.receipt_results USING btree (org_id, result, "timestamp" DESC, receipt_id DESC);

CREATE INDEX receipts_cost ON public.receipts USING btree (org_id, cost_usd DESC NULLS LAST, id DESC);

CREATE INDEX receipts_prompt ON public.receipts USING btree (org_id, prompt_id);

CREATE INDEX receipts_repo ON public.receipts USING btree (org_id, repo_id, "timestamp" DESC, id DESC);

CREATE INDEX receipts_repo_cost ON public.receipts USING btree (org_id, repo_id, cost_usd DESC NULLS LAST, id DESC);

CREATE INDEX receipts_terms ON public.receipts USING gin (prompt_summary public.gin_trgm_ops, public.receipt_terms(org_id, repo_id, user_email, user_name, provider, model, source, current, day, cost_usd, path_keys)) WITH (gin_pending_list_limit='1024');

CREATE INDEX receipts_time ON public.receipts USING btree (org_id, "timestamp" DESC, id DESC);

CREATE INDEX receipts_user ON public.receipts USING btree (org_id, lower(user_email), "timestamp" DESC, id DESC);

CREATE INDEX removed_runs_origin ON public.removed_runs USING btree (org_id, repo_id, commit_id, md5(origin_path));

CREATE INDEX removed_runs_receipt ON public.removed_runs USING btree (org_id, receipt_id) WHERE (receipt_id <> ''::text);

CREATE INDEX reports_open ON public.reports USING btree (created_at, id) WHERE (state = ANY (ARRAY['waiting'::text, 'running'::text]));

CREATE INDEX reports_time ON public.reports USING btree (org_id, created_at DESC, id DESC);

CREATE INDEX repos_connection ON public.repos USING btree (connection_id) WHERE (connection_id IS NOT NULL);

CREATE INDEX repos_url_key ON public.repos USING btree (org_id, url_key) WHERE (removed_at IS NULL);

CREATE INDEX reviews_commit ON public.reviews USING btree (org_id, repo_id, commit);

CREATE INDEX reviews_patch ON public.reviews USING btree (org_id, repo_id, patch_id) WHERE (patch_id <> ''::text);

CREATE INDEX rollup_months_users ON public.rollup_months USING btree (org_id, key, day) INCLUDE (repo_id, receipts, cost_usd) WHERE (dimension = 'user'::text);

CREATE INDEX rollups_all ON public.rollups USING btree (org_id, day, repo_id) INCLUDE (receipts, cost_usd) WHERE (dimension = 'all'::text);

CREATE INDEX rollups_day ON public.rollups USING btree (org_id, dimension, day);

CREATE INDEX rollups_period ON public.rollups USING btree (org_id, dimension, day) WHERE (repo_id = '00000000-0000-0000-0000-000000000000'::uuid);

CREATE INDEX rollups_users ON public.rollups USING btree (org_id, key, day) INCLUDE (repo_id, receipts, cost_usd) WHERE (dimension = 'user'::text);

CREATE INDEX sessions_user ON public.sessions USING btree (user_id, created_at);

CREATE UNIQUE INDEX ssh_keys_fingerprint ON public.ssh_keys USING btree (fingerprint) WHERE (revoked_at IS NULL);

CREATE INDEX ssh_keys_user ON public.ssh_keys USING btree (org_id, user_id, created_at);

CREATE INDEX team_members_email ON public.team_members USING btree (org_id, email);

CREATE INDEX users_logins ON public.users USING gin (logins);

CREATE INDEX violations_commit ON public.violations USING btree (org_id, commit, id DESC);

CREATE INDEX violations_decision ON public.violations USING btree (org_id, decision_id);

CREATE INDEX violations_judged ON public.violations USING btree (org_id, policy_id, decision_id DESC);

CREATE INDEX violations_policy ON public.violations USING btree (org_id, policy_id, id DESC);

CREATE INDEX violations_pusher ON public.violations USING btree (org_id, pusher, id DESC);

CREATE INDEX violations_repo ON public.violations USING btree (org_id, repo_id, id DESC);

CREATE INDEX waivers_policy ON public.waivers USING btree (org_id, policy_id, expires_at) WHERE (revoked_at IS NULL);

CREATE INDEX webhook_deliveries_time ON public.webhook_deliveries USING btree (org_id, received_at DESC);

CREATE INDEX webhook_secrets_org ON public.webhook_secrets USING btree (org_id, forge);

CREATE TRIGGER audit_links_append_only BEFORE DELETE OR UPDATE OR TRUNCATE ON public.audit_links FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER audit_log_append_only BEFORE DELETE OR TRUNCATE ON public.audit_log FOR EACH STATEMENT EXECUTE FUNCTION public.append_only();

CREATE TRIGGER audit_log_enlist AFTER INSERT ON public.audit_log REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.audit_log_enlist();

CREATE TRIGGER audit_log_guard BEFORE UPDATE ON public.audit_log FOR EACH ROW EXECUTE FUNCTION public.audit_log_guard();

CREATE TRIGGER commit_lines_paths_delete AFTER DELETE ON public.commit_lines REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_paths();

CREATE TRIGGER commit_lines_paths_insert AFTER INSERT ON public.commit_lines REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_paths();

CREATE TRIGGER commit_lines_paths_update AFTER UPDATE ON public.commit_lines REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_paths();

CREATE TRIGGER commit_lines_rollup_delete AFTER DELETE ON public.commit_lines REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_rollup();

CREATE TRIGGER commit_lines_rollup_insert AFTER INSERT ON public.commit_lines REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_rollup();

CREATE TRIGGER commit_lines_rollup_update AFTER UPDATE ON public.commit_lines REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_lines_rollup();

CREATE TRIGGER commit_owners_rollup_delete AFTER DELETE ON public.commit_owners REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_owners_rollup();

CREATE TRIGGER commit_owners_rollup_insert AFTER INSERT ON public.commit_owners REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_owners_rollup();

CREATE TRIGGER commit_owners_rollup_update AFTER UPDATE ON public.commit_owners REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commit_owners_rollup();

CREATE TRIGGER commits_demand_lines_update AFTER UPDATE ON public.commits REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.commits_demand_lines();

CREATE TRIGGER holds_results_insert AFTER INSERT ON public.holds REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_holds();

CREATE TRIGGER holds_results_update AFTER UPDATE ON public.holds REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_holds();

CREATE TRIGGER live_files_sum_delete AFTER DELETE ON public.live_files REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_files_sum();

CREATE TRIGGER live_files_sum_insert AFTER INSERT ON public.live_files REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_files_sum();

CREATE TRIGGER live_files_sum_update AFTER UPDATE ON public.live_files REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_files_sum();

CREATE TRIGGER live_receipts_follow_delete AFTER DELETE ON public.receipts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_receipts_follow();

CREATE TRIGGER live_receipts_follow_insert AFTER INSERT ON public.receipts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_receipts_follow();

CREATE TRIGGER live_receipts_follow_update AFTER UPDATE ON public.receipts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_receipts_follow();

CREATE TRIGGER live_runs_sum_delete AFTER DELETE ON public.live_runs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_runs_sum();

CREATE TRIGGER live_runs_sum_insert AFTER INSERT ON public.live_runs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.live_runs_sum();

CREATE TRIGGER prompts_facets_delete AFTER DELETE ON public.prompts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_facets();

CREATE TRIGGER prompts_facets_insert AFTER INSERT ON public.prompts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_facets();

CREATE TRIGGER prompts_facets_update AFTER UPDATE ON public.prompts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_facets();

CREATE TRIGGER prompts_pushed_delete AFTER DELETE ON public.prompts REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_pushed();

CREATE TRIGGER prompts_pushed_insert AFTER INSERT ON public.prompts REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_pushed();

CREATE TRIGGER prompts_pushed_update AFTER UPDATE ON public.prompts REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_pushed();

CREATE TRIGGER prompts_rollup_delete AFTER DELETE ON public.prompts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_rollup();

CREATE TRIGGER prompts_rollup_insert AFTER INSERT ON public.prompts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_rollup();

CREATE TRIGGER prompts_rollup_update AFTER UPDATE ON public.prompts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_rollup();

CREATE TRIGGER prompts_sessions_delete AFTER DELETE ON public.prompts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_sessions();

CREATE TRIGGER prompts_sessions_insert AFTER INSERT ON public.prompts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_sessions();

CREATE TRIGGER prompts_sessions_update AFTER UPDATE ON public.prompts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.prompts_sessions();

CREATE TRIGGER pushed_commits_sum_delete AFTER DELETE ON public.pushed_commits REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.pushed_commits_sum();

CREATE TRIGGER pushed_commits_sum_insert AFTER INSERT ON public.pushed_commits REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.pushed_commits_sum();

CREATE TRIGGER pushed_commits_sum_update AFTER UPDATE ON public.pushed_commits REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.pushed_commits_sum();

CREATE TRIGGER receipt_commits_demand_lines_delete AFTER DELETE ON public.receipt_commits REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_commits_demand_lines();

CREATE TRIGGER receipt_repos_body_delete AFTER DELETE ON public.receipt_commits REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_of_bodies();

CREATE TRIGGER receipt_repos_body_insert AFTER INSERT ON public.receipt_commits REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_of_bodies();

CREATE TRIGGER receipt_repos_delete AFTER DELETE ON public.receipts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_of_receipts();

CREATE TRIGGER receipt_repos_demand_lines_insert AFTER INSERT ON public.receipt_repos REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_demand_lines();

CREATE TRIGGER receipt_repos_insert AFTER INSERT ON public.receipts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_of_receipts();

CREATE TRIGGER receipt_repos_update AFTER UPDATE ON public.receipts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_repos_of_receipts();

CREATE TRIGGER receipt_results_body_delete AFTER DELETE ON public.receipt_commits REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_bodies();

CREATE TRIGGER receipt_results_body_insert AFTER INSERT ON public.receipt_commits REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_bodies();

CREATE TRIGGER receipt_results_delete AFTER DELETE ON public.receipts REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_receipts();

CREATE TRIGGER receipt_results_insert AFTER INSERT ON public.receipts REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_receipts();

CREATE TRIGGER receipt_results_update AFTER UPDATE ON public.receipts REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_receipts();

CREATE TRIGGER receipts_demand_lines_delete AFTER DELETE ON public.receipts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_demand_lines();

CREATE TRIGGER receipts_demand_lines_insert AFTER INSERT ON public.receipts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_demand_lines();

CREATE TRIGGER receipts_demand_lines_update AFTER UPDATE ON public.receipts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_demand_lines();

CREATE TRIGGER receipts_rollup_delete AFTER DELETE ON public.receipts REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_rollup();

CREATE TRIGGER receipts_rollup_insert AFTER INSERT ON public.receipts REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_rollup();

CREATE TRIGGER receipts_rollup_update AFTER UPDATE ON public.receipts REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipts_rollup();

CREATE TRIGGER removed_runs_sum_delete AFTER DELETE ON public.removed_runs REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION public.removed_runs_sum();

CREATE TRIGGER removed_runs_sum_insert AFTER INSERT ON public.removed_runs REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION public.removed_runs_sum();

CREATE TRIGGER violations_results_delete AFTER DELETE ON public.violations REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_violations();

CREATE TRIGGER violations_results_insert AFTER INSERT ON public.violations REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION public.receipt_results_of_violations();

ALTER TABLE ONLY public.account_links
    ADD CONSTRAINT account_links_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.api_keys
    ADD CONSTRAINT api_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.bot_rules
    ADD CONSTRAINT bot_rules_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.bots_due
    ADD CONSTRAINT bots_due_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.endpoints
    ADD CONSTRAINT endpoints_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.forge_connections
    ADD CONSTRAINT forge_connections_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.grants
    ADD CONSTRAINT grants_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.identity_rules
    ADD CONSTRAINT identity_rules_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.message_attempts
    ADD CONSTRAINT message_attempts_org_id_message_id_fkey FOREIGN KEY (org_id, message_id) REFERENCES public.messages(org_id, id) ON DELETE CASCADE;

ALTER TABLE ONLY public.passwords
    ADD CONSTRAINT passwords_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.passwords
    ADD CONSTRAINT passwords_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.policies
    ADD CONSTRAINT policies_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.policy_versions
    ADD CONSTRAINT policy_versions_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.policies(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.price_aliases
    ADD CONSTRAINT price_aliases_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.price_entries
    ADD CONSTRAINT price_entries_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.report_schedules
    ADD CONSTRAINT report_schedules_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reports
    ADD CONSTRAINT reports_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.repos
    ADD CONSTRAINT repos_connection_id_fkey FOREIGN KEY (connection_id) REFERENCES public.forge_connections(id);

ALTER TABLE ONLY public.repos
    ADD CONSTRAINT repos_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.sessions
    ADD CONSTRAINT sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ssh_keys
    ADD CONSTRAINT ssh_keys_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ssh_keys
    ADD CONSTRAINT ssh_keys_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.team_members
    ADD CONSTRAINT team_members_team_id_fkey FOREIGN KEY (team_id) REFERENCES public.teams(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.teams
    ADD CONSTRAINT teams_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.waivers
    ADD CONSTRAINT waivers_policy_id_fkey FOREIGN KEY (policy_id) REFERENCES public.policies(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_org_id_fkey FOREIGN KEY (org_id) REFERENCES public.orgs(id) ON DELETE CASCADE;
