-- What judging pushes needs beyond its tables.

-- +goose Up
-- The teams of a person, asked for with every push.
CREATE INDEX team_members_email ON team_members (org_id, email);

-- Prompts of accepted pushes count as far as no note has brought them. Young
-- ones are compared with the stored prompts one by one. Old ones, which may be
-- many where notes are never fetched, are summed up in pushed_spend; where their
-- stored prompt changes later, pushed_stored tells so.
ALTER TABLE pushed_prompts
    -- What pushed_spend holds of it, for all accounts but the user's and for
    -- that; NULL before it is summed up.
    ADD COLUMN summed_usd numeric,
    ADD COLUMN summed_user_usd numeric,
    -- A larger report of it was pushed since.
    ADD COLUMN stale boolean NOT NULL DEFAULT false;
DROP INDEX pushed_prompts_day;
DROP INDEX pushed_prompts_age;
CREATE INDEX pushed_prompts_loose ON pushed_prompts (org_id, day) WHERE summed_usd IS NULL OR stale;

-- Sums by the same dimensions as in rollups, of days and of months.
CREATE TABLE pushed_spend (
    org_id    uuid NOT NULL,
    dimension text NOT NULL CHECK (dimension IN ('all', 'user')),
    repo_id   uuid NOT NULL,
    key       text NOT NULL,
    monthly   boolean NOT NULL,
    day       date NOT NULL,
    cost_usd  numeric NOT NULL,
    PRIMARY KEY (org_id, dimension, repo_id, key, monthly, day)
);

-- Summed prompts whose stored prompt has changed.
CREATE TABLE pushed_stored (
    org_id    uuid NOT NULL,
    prompt_id uuid NOT NULL,
    PRIMARY KEY (org_id, prompt_id)
);

-- +goose StatementBegin
CREATE FUNCTION prompts_pushed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pushed_stored
    SELECT p.org_id, p.prompt_id FROM changed_rows c
    JOIN pushed_prompts p ON p.org_id = c.org_id AND p.prompt_id = c.prompt_id AND p.summed_usd IS NOT NULL
    ORDER BY 1, 2
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER prompts_pushed_insert AFTER INSERT ON prompts
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_pushed();
CREATE TRIGGER prompts_pushed_update AFTER UPDATE ON prompts
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_pushed();
CREATE TRIGGER prompts_pushed_delete AFTER DELETE ON prompts
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_pushed();
