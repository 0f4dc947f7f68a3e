-- Endpoints that are told of events, and what they are sent. A message is
-- written in the transaction of what it tells of, and sent by a task.

-- +goose Up
CREATE TABLE endpoints (
    org_id           uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id               uuid NOT NULL,
    name             text NOT NULL,
    -- Scheme and host. The rest of the URL may be a secret, as it is with chats.
    origin           text NOT NULL,
    url              bytea NOT NULL,
    -- What messages are signed with. The one before signs too until previous_until.
    secret           bytea NOT NULL,
    previous_secret  bytea,
    previous_until   timestamptz,
    -- Of which events it is told, in which repositories; empty: of all.
    types            text[] NOT NULL DEFAULT '{}',
    repos            uuid[] NOT NULL DEFAULT '{}',
    created_by       text NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    -- When it was switched off and why: by a person (asked), because it answered
    -- 410 (gone), or because it failed for days (failing).
    disabled_at      timestamptz,
    disabled         text NOT NULL DEFAULT '' CHECK (disabled IN ('', 'asked', 'gone', 'failing')),
    -- When it was removed; then URL and secrets are empty. The row stays: reports say
    -- who was told of what in their period.
    removed_at       timestamptz,
    -- How it takes messages: since when none was taken, how many attempts failed in
    -- a row, and until when it is left alone.
    succeeded_at     timestamptz,
    failing_since    timestamptz,
    failures         integer NOT NULL DEFAULT 0,
    rest_until       timestamptz NOT NULL DEFAULT '-infinity',
    -- Until when one sender has it to itself.
    claimed_until    timestamptz NOT NULL DEFAULT '-infinity',
    PRIMARY KEY (org_id, id)
);

-- endpoint_id is no foreign key: its check would lock the endpoint's row in every
-- decision on a push, and fail the decision where the endpoint is just being
-- removed. What is written for one that is gone is not seen and ages out.
CREATE TABLE messages (
    org_id      uuid NOT NULL,
    -- A UUID of version 7, ordered by time: the webhook-id.
    id          uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    type        text NOT NULL,
    -- When that happened which it tells of.
    at          timestamptz NOT NULL,
    repo_id     uuid,
    -- What is said of it, as it is sent: json, not jsonb, so that it stays to the byte.
    data        json NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sent', 'failed')),
    -- All attempts, and those since it was last asked for.
    attempts    integer NOT NULL DEFAULT 0,
    tries       integer NOT NULL DEFAULT 0,
    next_at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
-- What an endpoint is to be sent next.
CREATE INDEX messages_due ON messages (org_id, endpoint_id, next_at, id) WHERE state = 'waiting';
-- What an endpoint was sent last, and what is too old.
CREATE INDEX messages_endpoint ON messages (org_id, endpoint_id, id);
CREATE INDEX messages_failed ON messages (org_id, endpoint_id, id) WHERE state = 'failed';
CREATE INDEX messages_age ON messages (org_id, created_at);

CREATE TABLE message_attempts (
    org_id     uuid NOT NULL,
    message_id uuid NOT NULL,
    number     integer NOT NULL,
    at         timestamptz NOT NULL,
    took_ms    integer NOT NULL,
    -- The status of the answer, 0 where there was none, and then why.
    status     integer NOT NULL,
    error      text NOT NULL,
    -- The beginning of the answer: text of a stranger.
    answer     text NOT NULL,
    PRIMARY KEY (org_id, message_id, number),
    FOREIGN KEY (org_id, message_id) REFERENCES messages (org_id, id) ON DELETE CASCADE
);
