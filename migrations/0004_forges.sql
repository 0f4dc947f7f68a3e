-- What following an organisation at its forge, and telling it verdicts, needs
-- beyond the tables of the push boundary.

-- +goose Up
ALTER TABLE forge_connections
    -- Which repositories are registered: globs over their paths ("acme/*"), any of
    -- include (empty: all) and none of exclude, archived ones and forks if wished.
    ADD COLUMN include text[] NOT NULL DEFAULT '{}',
    ADD COLUMN exclude text[] NOT NULL DEFAULT '{}',
    ADD COLUMN archived boolean NOT NULL DEFAULT false,
    ADD COLUMN forks boolean NOT NULL DEFAULT true,
    -- Whether they are fetched over ssh, and whether webhooks are set up.
    ADD COLUMN ssh boolean NOT NULL DEFAULT false,
    ADD COLUMN webhooks boolean NOT NULL DEFAULT true,
    -- The last look at the forge, and what was wrong then.
    ADD COLUMN checked_at timestamptz,
    ADD COLUMN problem text NOT NULL DEFAULT '';

-- When the repository got a webhook of its own, where one of its owner's is not
-- to be had.
ALTER TABLE repos ADD COLUMN hooked_at timestamptz;
CREATE INDEX repos_connection ON repos (connection_id) WHERE connection_id IS NOT NULL;

ALTER TABLE commit_statuses
    ADD COLUMN posted_description text NOT NULL DEFAULT '',
    -- When it may be tried next: now, after a pause, or never.
    ADD COLUMN next_at timestamptz NOT NULL DEFAULT now(),
    -- Until when the post that is under way may still reach the forge.
    ADD COLUMN claimed_until timestamptz NOT NULL DEFAULT '-infinity';

DROP INDEX commit_statuses_unposted;
CREATE INDEX commit_statuses_unposted ON commit_statuses (next_at)
    WHERE posted <> state OR posted_description <> description;
