-- The way of the data: who owns it (orgs, api_keys), where it comes from
-- (repos, note_refs, note_versions), what was read from it (receipts and
-- what hangs on them) and what it adds up to (prompts, rollups).
--
-- Every table that grows opens its primary key with org_id, so that it can be
-- distributed by it. Object ids are lower-case hex text. There are no foreign
-- keys from notes to commits: notes arrive before, after or without them.

-- +goose Up
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE EXTENSION IF NOT EXISTS btree_gin;

CREATE TABLE orgs (
    id                  uuid PRIMARY KEY,
    name                text NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9._-]{0,62}$'),
    time_zone           text NOT NULL DEFAULT 'UTC',
    store_conversations boolean NOT NULL DEFAULT false,
    created_at          timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE api_keys (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name         text NOT NULL,
    -- The first characters of the key, to recognise it in a list.
    prefix       text NOT NULL,
    -- SHA-256 of the key; the key itself has 256 bits of entropy.
    hash         bytea NOT NULL UNIQUE,
    scopes       text[] NOT NULL,
    created_by   text NOT NULL DEFAULT '',
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    last_used_at timestamptz,
    revoked_at   timestamptz
);
CREATE INDEX api_keys_org ON api_keys (org_id, created_at);

CREATE TABLE teams (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name       text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);

CREATE TABLE team_members (
    org_id  uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    team_id uuid NOT NULL REFERENCES teams (id) ON DELETE CASCADE,
    email   text NOT NULL CHECK (email = lower(email)),
    role    text NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member', 'viewer')),
    PRIMARY KEY (org_id, team_id, email)
);

CREATE TABLE repos (
    id               uuid PRIMARY KEY,
    org_id           uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name             text NOT NULL,
    -- NULL: the repository is known only through the API and is never fetched.
    remote_url       text,
    -- The normalised URL that webhooks are matched with.
    url_key          text,
    -- A sealed credential for the remote (store.Sealer), NULL when none is needed.
    credential       bytea,
    notes_refs       text[] NOT NULL DEFAULT ARRAY['refs/notes/blameprompt', 'refs/notes/ai'],
    -- Whether branches are mirrored beside the notes.
    fetch_heads      boolean NOT NULL DEFAULT true,
    default_branch   text NOT NULL DEFAULT '',
    object_format    text NOT NULL DEFAULT 'sha1' CHECK (object_format IN ('sha1', 'sha256')),
    created_at       timestamptz NOT NULL DEFAULT now(),
    -- Removed repositories keep their rows and numbers but are not fetched.
    removed_at       timestamptz,
    -- A fetch that started at or after a demand satisfies it (debouncing).
    fetch_started_at timestamptz,
    fetched_at       timestamptz,
    fetch_failures   integer NOT NULL DEFAULT 0,
    fetch_error      text NOT NULL DEFAULT '',
    -- When an event or a fetch last brought something new; sweeps look more often at active repositories.
    active_at        timestamptz NOT NULL DEFAULT now(),
    UNIQUE (org_id, name)
);
CREATE INDEX repos_url_key ON repos (org_id, url_key) WHERE removed_at IS NULL;

CREATE TABLE branch_refs (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    ref        text NOT NULL,
    tip        text NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id, ref)
);

-- The ingested tip of each notes ref; an empty tip means that the ref is gone.
CREATE TABLE note_refs (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    ref        text NOT NULL,
    tip        text NOT NULL DEFAULT '',
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id, ref)
);

-- Tips that a notes ref left without its new tip descending from them.
CREATE TABLE note_archives (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    ref         text NOT NULL,
    tip         text NOT NULL,
    archived_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id, ref, tip)
);

-- Every version of every note. notes_commit is the commit of the notes ref
-- that brought the version, or 'upload:N' for the HTTP notes backend.
CREATE TABLE note_versions (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    ref          text NOT NULL,
    commit       text NOT NULL,
    notes_commit text NOT NULL,
    -- NULL: this version removed the note.
    blob         text,
    author_name  text NOT NULL,
    author_email text NOT NULL,
    authored_at  timestamptz NOT NULL,
    committed_at timestamptz NOT NULL,
    current      boolean NOT NULL DEFAULT false,
    received_at  timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id, ref, commit, notes_commit)
);
CREATE UNIQUE INDEX note_versions_current ON note_versions (org_id, repo_id, ref, commit) WHERE current;

-- Bodies that were read once and need not be read again for the same commit.
CREATE TABLE note_bodies (
    org_id         uuid NOT NULL,
    repo_id        uuid NOT NULL,
    ref            text NOT NULL,
    commit         text NOT NULL,
    blob           text NOT NULL,
    format         text NOT NULL,
    format_version text NOT NULL,
    tool_version   text NOT NULL,
    size           bigint NOT NULL,
    receipts       integer NOT NULL,
    -- The parser that read it, so that a better one can read it again.
    parser         integer NOT NULL,
    PRIMARY KEY (org_id, repo_id, ref, commit, blob)
);

-- Which note bodies a receipt stands in. ref is 'api' for receipts that were
-- posted; they give way to any git note that carries the same id.
CREATE TABLE receipt_commits (
    org_id         uuid NOT NULL,
    receipt_id     text NOT NULL,
    repo_id        uuid NOT NULL,
    ref            text NOT NULL,
    commit         text NOT NULL,
    blob           text NOT NULL,
    position       integer NOT NULL,
    -- SHA-256 of what was read, to tell equal and differing versions apart.
    content_hash   bytea NOT NULL,
    -- The earliest and the latest version that carries this body.
    first_noted_at timestamptz NOT NULL,
    noted_at       timestamptz NOT NULL,
    notes_commit   text NOT NULL,
    current        boolean NOT NULL DEFAULT false,
    PRIMARY KEY (org_id, receipt_id, repo_id, ref, commit, blob)
);
CREATE INDEX receipt_commits_commit ON receipt_commits (org_id, commit);

CREATE TABLE receipts (
    org_id                uuid NOT NULL,
    id                    text NOT NULL,
    -- The body that the content was taken from: repo, ref, commit, blob, notes commit.
    repo_id               uuid NOT NULL,
    repo                  text NOT NULL,
    ref                   text NOT NULL,
    commit_hash           text NOT NULL,
    blob                  text NOT NULL,
    notes_commit          text NOT NULL,
    content_hash          bytea NOT NULL,
    -- Whether the tip of a notes ref carries it.
    current               boolean NOT NULL,
    source                text NOT NULL CHECK (source IN ('blameprompt', 'git-ai', 'api')),
    format_version        text NOT NULL,
    provider              text NOT NULL,
    model                 text NOT NULL,
    session_id            text NOT NULL,
    prompt_number         bigint,
    prompt_id             uuid NOT NULL,
    prompt_summary        text NOT NULL,
    response_summary      text NOT NULL,
    prompt_hash           text NOT NULL,
    message_count         bigint,
    cost_usd              numeric,
    cost_reported_usd     numeric,
    cost_basis            text NOT NULL CHECK (cost_basis IN ('reported', 'computed', 'none')),
    input_tokens          bigint,
    output_tokens         bigint,
    cache_read_tokens     bigint,
    cache_creation_tokens bigint,
    user_name             text NOT NULL,
    user_email            text NOT NULL,
    file_path             text NOT NULL,
    line_start            bigint NOT NULL,
    line_end              bigint NOT NULL,
    files                 integer NOT NULL,
    -- The client's time, or where it gave none the time of the first note, or of receipt.
    timestamp             timestamptz NOT NULL,
    timestamp_basis       text NOT NULL CHECK (timestamp_basis IN ('client', 'note', 'received')),
    -- The day of timestamp in the organisation's time zone.
    day                   date NOT NULL,
    session_start         timestamptz,
    session_end           timestamptz,
    prompt_submitted_at   timestamptz,
    raw_timestamps        jsonb,
    session_duration_secs bigint,
    prompt_duration_secs  bigint,
    ai_response_time_secs double precision,
    accepted_lines        bigint,
    overridden_lines      bigint,
    total_additions       bigint,
    total_deletions       bigint,
    parent_receipt_id     text NOT NULL,
    detail                jsonb,
    conversation          jsonb,
    conversation_turns    integer NOT NULL,
    conversation_bytes    bigint NOT NULL,
    received_at           timestamptz NOT NULL DEFAULT now(),
    synced_at             timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX receipts_time ON receipts (org_id, timestamp DESC, id DESC);
CREATE INDEX receipts_repo ON receipts (org_id, repo_id, timestamp DESC, id DESC);
CREATE INDEX receipts_user ON receipts (org_id, lower(user_email), timestamp DESC, id DESC);
CREATE INDEX receipts_model ON receipts (org_id, model, timestamp DESC, id DESC);
CREATE INDEX receipts_provider ON receipts (org_id, provider, timestamp DESC, id DESC);
CREATE INDEX receipts_cost ON receipts (org_id, cost_usd DESC NULLS LAST, id DESC);
CREATE INDEX receipts_prompt ON receipts (org_id, prompt_id);
CREATE INDEX receipts_repo_cost ON receipts (org_id, repo_id, cost_usd DESC NULLS LAST, id DESC);
-- Text within a repository or of a model is met in the index, before any row is read.
CREATE INDEX receipts_text ON receipts USING gin (prompt_summary gin_trgm_ops, repo_id, model);

CREATE TABLE receipt_files (
    org_id     uuid NOT NULL,
    receipt_id text NOT NULL,
    position   integer NOT NULL,
    path       text NOT NULL,
    line_start bigint NOT NULL,
    line_end   bigint NOT NULL,
    blob_hash  text NOT NULL,
    additions  bigint,
    deletions  bigint,
    PRIMARY KEY (org_id, receipt_id, position)
);
CREATE INDEX receipt_files_path ON receipt_files (org_id, path text_pattern_ops);

-- Whose the lines are that a git-ai authorship log attests: one owner per line
-- of a path within a body.
CREATE TABLE attestations (
    org_id     uuid NOT NULL,
    repo_id    uuid NOT NULL,
    ref        text NOT NULL,
    commit     text NOT NULL,
    blob       text NOT NULL,
    position   integer NOT NULL,
    path       text NOT NULL,
    key        text NOT NULL,
    class      text NOT NULL CHECK (class IN ('ai', 'human')),
    receipt_id text NOT NULL,
    author     text NOT NULL,
    lines      int4multirange NOT NULL,
    line_count bigint NOT NULL,
    PRIMARY KEY (org_id, repo_id, ref, commit, blob, position)
);

-- A logical prompt: (provider, session, number), or else the receipt itself.
-- Cost and tokens are those of its largest report and so count once.
CREATE TABLE prompts (
    org_id                uuid NOT NULL,
    prompt_id             uuid NOT NULL,
    provider              text NOT NULL,
    session_id            text NOT NULL,
    prompt_number         bigint,
    receipts              integer NOT NULL,
    -- The largest report.
    receipt_id            text NOT NULL,
    repo_id               uuid NOT NULL,
    model                 text NOT NULL,
    user_email            text NOT NULL,
    source                text NOT NULL,
    timestamp             timestamptz NOT NULL,
    day                   date NOT NULL,
    current               boolean NOT NULL,
    cost_usd              numeric,
    input_tokens          bigint,
    output_tokens         bigint,
    cache_read_tokens     bigint,
    cache_creation_tokens bigint,
    PRIMARY KEY (org_id, prompt_id)
);
CREATE INDEX prompts_session ON prompts (org_id, provider, session_id);

CREATE TABLE commits (
    org_id          uuid NOT NULL,
    repo_id         uuid NOT NULL,
    commit          text NOT NULL,
    parents         text[] NOT NULL,
    author_name     text NOT NULL,
    author_email    text NOT NULL,
    authored_at     timestamptz NOT NULL,
    committer_name  text NOT NULL,
    committer_email text NOT NULL,
    committed_at    timestamptz NOT NULL,
    subject         text NOT NULL,
    -- Signs of an AI tool in trailers and identities: [{"agent", "evidence", "confidence"}].
    agents          jsonb,
    bot             boolean NOT NULL,
    PRIMARY KEY (org_id, repo_id, commit)
);
CREATE INDEX commits_by_id ON commits (org_id, commit);

CREATE TABLE findings (
    org_id     uuid NOT NULL,
    -- Derived from what the finding is about, so that reading again adds nothing.
    id         uuid NOT NULL,
    repo_id    uuid,
    code       text NOT NULL,
    severity   text NOT NULL CHECK (severity IN ('info', 'warning', 'error')),
    ref        text NOT NULL DEFAULT '',
    commit     text NOT NULL DEFAULT '',
    blob       text NOT NULL DEFAULT '',
    receipt_id text NOT NULL DEFAULT '',
    location   text NOT NULL DEFAULT '',
    message    text NOT NULL,
    found_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX findings_repo ON findings (org_id, repo_id, found_at DESC, id);
CREATE INDEX findings_commit ON findings (org_id, repo_id, commit);

-- Notes that came through the HTTP notes backend, byte for byte.
CREATE TABLE note_uploads (
    org_id      uuid NOT NULL,
    commit      text NOT NULL,
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    blob        text NOT NULL,
    content     bytea NOT NULL,
    uploaded_by text NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, commit, seq)
);

CREATE TABLE webhook_secrets (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    forge      text NOT NULL,
    sealed     bytea NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE INDEX webhook_secrets_org ON webhook_secrets (org_id, forge);

CREATE TABLE webhook_deliveries (
    org_id      uuid NOT NULL,
    forge       text NOT NULL,
    delivery_id text NOT NULL,
    event       text NOT NULL,
    -- NULL: no registered repository matches, or the event asks for nothing.
    repo_id     uuid,
    repo        text NOT NULL,
    updates     jsonb,
    outcome     text NOT NULL CHECK (outcome IN ('fetch', 'ignored', 'unknown_repo')),
    received_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, forge, delivery_id)
);
CREATE INDEX webhook_deliveries_time ON webhook_deliveries (org_id, received_at DESC);

CREATE TABLE audit_log (
    org_id     uuid NOT NULL,
    seq        bigint GENERATED ALWAYS AS IDENTITY,
    at         timestamptz NOT NULL DEFAULT now(),
    -- Who acted: 'key:<id>', 'daemon' or 'cli'.
    principal  text NOT NULL,
    action     text NOT NULL,
    target     text NOT NULL,
    detail     jsonb,
    request_id text NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, seq)
);
CREATE INDEX audit_log_time ON audit_log (org_id, at DESC);

-- Daily sums, kept by triggers in the transaction of every write. repo_id is
-- the zero uuid in rows over all repositories. For dimension 'user_model' key
-- is the e-mail and key2 the model.
CREATE TABLE rollups (
    org_id                uuid NOT NULL,
    dimension             text NOT NULL CHECK (dimension IN ('all', 'model', 'provider', 'user', 'source', 'user_model')),
    repo_id               uuid NOT NULL,
    key                   text NOT NULL,
    key2                  text NOT NULL,
    day                   date NOT NULL,
    receipts              bigint NOT NULL DEFAULT 0,
    receipts_current      bigint NOT NULL DEFAULT 0,
    prompts               bigint NOT NULL DEFAULT 0,
    cost_usd              numeric NOT NULL DEFAULT 0,
    input_tokens          numeric NOT NULL DEFAULT 0,
    output_tokens         numeric NOT NULL DEFAULT 0,
    cache_read_tokens     numeric NOT NULL DEFAULT 0,
    cache_creation_tokens numeric NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, dimension, repo_id, key, key2, day)
);
-- Trends and top lists over all keys of a dimension.
CREATE INDEX rollups_day ON rollups (org_id, dimension, day);

-- The same sums by month, for questions over long periods; day is the first of
-- the month.
CREATE TABLE rollup_months (LIKE rollups INCLUDING DEFAULTS INCLUDING CONSTRAINTS);
ALTER TABLE rollup_months ADD PRIMARY KEY (org_id, dimension, repo_id, key, key2, day);

-- +goose StatementBegin
CREATE FUNCTION rollup_dimensions(repo uuid, user_email text, provider text, model text, source text)
RETURNS TABLE (dimension text, repo_id uuid, key text, key2 text)
LANGUAGE sql IMMUTABLE AS $$
    SELECT d.dimension, r.repo_id, d.key, d.key2
    FROM (VALUES ('all', '', ''), ('model', model, ''), ('provider', provider, ''), ('source', source, ''),
                 ('user', lower(user_email), ''), ('user_model', lower(user_email), model)) AS d (dimension, key, key2),
         (VALUES (repo), ('00000000-0000-0000-0000-000000000000'::uuid)) AS r (repo_id)
$$;
-- +goose StatementEnd

-- What one write adds to or takes from a day of one repository, user and model.
CREATE TYPE rollup_delta AS (
    org_id uuid, repo_id uuid, day date, user_email text, provider text, model text, source text,
    receipts bigint, receipts_current bigint, prompts bigint, cost_usd numeric, input_tokens numeric,
    output_tokens numeric, cache_read_tokens numeric, cache_creation_tokens numeric
);

-- +goose StatementBegin
CREATE FUNCTION rollup_sums(deltas rollup_delta[], grain text) RETURNS SETOF rollups LANGUAGE sql STABLE AS $$
    SELECT d.org_id, e.dimension, e.repo_id, e.key, e.key2, date_trunc(grain, d.day::timestamp)::date, sum(d.receipts)::bigint,
           sum(d.receipts_current)::bigint, sum(d.prompts)::bigint, sum(d.cost_usd), sum(d.input_tokens), sum(d.output_tokens),
           sum(d.cache_read_tokens), sum(d.cache_creation_tokens)
    FROM unnest(deltas) d, rollup_dimensions(d.repo_id, d.user_email, d.provider, d.model, d.source) e
    GROUP BY 1, 2, 3, 4, 5, 6
    HAVING sum(d.receipts) <> 0 OR sum(d.receipts_current) <> 0 OR sum(d.prompts) <> 0 OR sum(d.cost_usd) <> 0
        OR sum(d.input_tokens) <> 0 OR sum(d.output_tokens) <> 0
        OR sum(d.cache_read_tokens) <> 0 OR sum(d.cache_creation_tokens) <> 0
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION rollup_apply(deltas rollup_delta[]) RETURNS void LANGUAGE sql AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION receipts_rollup() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompts_rollup() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

CREATE TRIGGER receipts_rollup_insert AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_rollup();
CREATE TRIGGER receipts_rollup_update AFTER UPDATE ON receipts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_rollup();
CREATE TRIGGER receipts_rollup_delete AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION receipts_rollup();
CREATE TRIGGER prompts_rollup_insert AFTER INSERT ON prompts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_rollup();
CREATE TRIGGER prompts_rollup_update AFTER UPDATE ON prompts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_rollup();
CREATE TRIGGER prompts_rollup_delete AFTER DELETE ON prompts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_rollup();
