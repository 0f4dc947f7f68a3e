-- What tokens cost, and who is one person.

-- +goose Up
-- Rises with every change of the organisation's prices, so that what was
-- resolved by older ones is known.
ALTER TABLE orgs ADD COLUMN price_revision bigint NOT NULL DEFAULT 0;

-- What an organisation says of prices; the book that the program was built with
-- lies beneath. Rates are in picodollars per token, which is millionths of a
-- dollar per million tokens, and NULL where no price is known.
CREATE TABLE price_entries (
    org_id              uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id                  uuid NOT NULL,
    model               text NOT NULL,
    -- The first moment at which it holds and the first behind it; NULL: unbounded.
    valid_from          timestamptz,
    valid_until         timestamptz,
    input_rate          bigint,
    output_rate         bigint,
    cache_read_rate     bigint,
    cache_creation_rate bigint,
    source              text NOT NULL,
    created_by          text NOT NULL,
    created_at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);

CREATE TABLE price_aliases (
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    -- The name as clients write it, in the form in which names are compared.
    alias      text NOT NULL,
    model      text NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, alias)
);

-- Every entry that a cost was computed with, as it was then: an amount explains
-- itself also when the book has changed since. The id is derived from the rest.
CREATE TABLE prices (
    org_id              uuid NOT NULL,
    id                  uuid NOT NULL,
    model               text NOT NULL,
    valid_from          timestamptz,
    valid_until         timestamptz,
    input_rate          bigint,
    output_rate         bigint,
    cache_read_rate     bigint,
    cache_creation_rate bigint,
    source              text NOT NULL,
    PRIMARY KEY (org_id, id)
);

-- The models that receipts name, and by which book their periods were resolved.
CREATE TABLE price_models (
    org_id   uuid NOT NULL,
    model    text NOT NULL,
    -- orgs.price_revision, and the edition of the book beneath.
    revision bigint NOT NULL,
    edition  text NOT NULL,
    PRIMARY KEY (org_id, model)
);

-- Which entry tells what a model costs, by time; where there is no row, none does.
CREATE TABLE price_periods (
    org_id   uuid NOT NULL,
    model    text NOT NULL,
    first    timestamptz NOT NULL,
    past     timestamptz NOT NULL CHECK (past > first),
    price_id uuid NOT NULL,
    PRIMARY KEY (org_id, model, first)
);

-- Models whose periods have changed and whose receipts are being computed anew,
-- from the newest to the oldest; before is how far that has come.
CREATE TABLE price_due (
    org_id    uuid NOT NULL,
    model     text NOT NULL,
    before    timestamptz NOT NULL DEFAULT 'infinity',
    before_id text NOT NULL DEFAULT '',
    looked    bigint NOT NULL DEFAULT 0,
    changed   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, model)
);

-- The entry that cost_usd was computed with (prices).
ALTER TABLE receipts ADD COLUMN price_id uuid;

-- What tokens cost at some rates, NULL where that cannot be computed: exactly as
-- price.Book.Cost has it, which a test holds.
-- +goose StatementBegin
CREATE FUNCTION token_cost(input bigint, output bigint, cache_read bigint, cache_creation bigint, input_rate bigint,
                           output_rate bigint, cache_read_rate bigint, cache_creation_rate bigint)
RETURNS numeric LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
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
-- +goose StatementEnd

-- Which addresses are of one person, as people said. An address that leads to
-- itself is its own person, whatever mailmaps say.
CREATE TABLE identity_rules (
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    email      text NOT NULL CHECK (email = lower(email) AND email <> ''),
    person     text NOT NULL CHECK (person = lower(person) AND person <> ''),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, email)
);

-- The .mailmap at the tip of each repository's default branch; blob is empty where
-- there is none, and addresses are those that stand for another one.
CREATE TABLE mailmaps (
    org_id    uuid NOT NULL,
    repo_id   uuid NOT NULL,
    blob      text NOT NULL,
    addresses integer NOT NULL,
    read_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id)
);
CREATE TABLE mailmap_addresses (
    org_id  uuid NOT NULL,
    repo_id uuid NOT NULL,
    email   text NOT NULL CHECK (email = lower(email)),
    person  text NOT NULL CHECK (person = lower(person)),
    PRIMARY KEY (org_id, repo_id, email)
);

-- What follows from both: the addresses that are not their person's own, which is
-- the person's name everywhere. Address and person are in lower case.
CREATE TABLE identities (
    org_id uuid NOT NULL,
    email  text NOT NULL,
    person text NOT NULL CHECK (person <> email),
    source text NOT NULL CHECK (source IN ('rule', 'mailmap')),
    PRIMARY KEY (org_id, email)
);
CREATE INDEX identities_person ON identities (org_id, person);

-- The person whose address it is.
-- +goose StatementBegin
CREATE FUNCTION person_of(org uuid, address text) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT i.person FROM identities i WHERE i.org_id = org AND i.email = lower(address)), lower(address))
$$;
-- +goose StatementEnd

-- What the prompts of a session add up to, kept by the triggers below. Prompts
-- whose tool names no session have none.
CREATE TABLE prompt_sessions (
    org_id                uuid NOT NULL,
    id                    uuid NOT NULL,
    provider              text NOT NULL,
    session_id            text NOT NULL,
    first_at              timestamptz NOT NULL,
    last_at               timestamptz NOT NULL,
    prompts               bigint NOT NULL,
    receipts              bigint NOT NULL,
    -- Whether any of its receipts is carried by the tip of a notes ref.
    current               boolean NOT NULL,
    -- Addresses in lower case, models and repositories, each once and in order.
    users                 text[] NOT NULL,
    models                text[] NOT NULL,
    repos                 uuid[] NOT NULL,
    cost_usd              numeric,
    input_tokens          numeric,
    output_tokens         numeric,
    cache_read_tokens     numeric,
    cache_creation_tokens numeric,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX prompt_sessions_time ON prompt_sessions (org_id, last_at DESC, id DESC);
CREATE INDEX prompt_sessions_users ON prompt_sessions USING gin (org_id, users);

CREATE TYPE session_key AS (org_id uuid, provider text, session_id text);

-- +goose StatementBegin
CREATE FUNCTION session_id_of(provider text, session_id text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT md5(length(provider) || ':' || provider || session_id)::uuid
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompt_sessions_sum(touched session_key[]) RETURNS void LANGUAGE sql AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION prompts_sessions() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

CREATE TRIGGER prompts_sessions_insert AFTER INSERT ON prompts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_sessions();
CREATE TRIGGER prompts_sessions_update AFTER UPDATE ON prompts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_sessions();
CREATE TRIGGER prompts_sessions_delete AFTER DELETE ON prompts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_sessions();

SELECT prompt_sessions_sum(ARRAY(SELECT DISTINCT ROW(org_id, provider, session_id)::session_key FROM prompts
                          WHERE session_id NOT IN ('', 'unknown')));

-- The addresses that a commit names as co-authors, in lower case; NULL where that
-- was not looked for.
ALTER TABLE commits ADD COLUMN co_authors text[];

-- Receipts whose claim of who prompted is to be compared with the commits that they
-- stand on.
CREATE TABLE claims_due (
    org_id     uuid NOT NULL,
    receipt_id text NOT NULL,
    PRIMARY KEY (org_id, receipt_id)
);

-- Those that were found wanting, of which there are few.
CREATE INDEX findings_claims ON findings (org_id, receipt_id) WHERE code = 'user_mismatch';

-- Who is a bot and who is none, whatever the built-in list says: patterns of names
-- and addresses in lower case, in which * stands for any run of characters.
CREATE TABLE bot_rules (
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    pattern    text NOT NULL CHECK (pattern = lower(pattern) AND pattern <> ''),
    -- The same for LIKE.
    liked      text NOT NULL,
    bot        boolean NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, pattern)
);

-- Organisations whose commits are to be looked at again since the rules changed.
CREATE TABLE bots_due (org_id uuid PRIMARY KEY REFERENCES orgs (id) ON DELETE CASCADE);

-- Whether an author is a bot; builtin is what the built-in list says. Of several
-- rules that match, one that says no wins.
-- +goose StatementBegin
CREATE FUNCTION is_bot(org uuid, name text, email text, builtin boolean) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT bool_and(r.bot) FROM bot_rules r
                     WHERE r.org_id = org AND (lower(name) LIKE r.liked OR lower(email) LIKE r.liked)), builtin)
$$;
-- +goose StatementEnd
