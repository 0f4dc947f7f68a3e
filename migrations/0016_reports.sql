-- Reports that were asked for. Their files lie in the data directory.

-- +goose Up
CREATE TABLE reports (
    org_id      uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id          uuid NOT NULL,
    type        text NOT NULL CHECK (type IN ('soc2', 'gdpr', 'audit')),
    format      text NOT NULL CHECK (format IN ('json', 'csv', 'md', 'html', 'pdf')),
    paper       text NOT NULL CHECK (paper IN ('A4', 'Letter')),
    -- Days of the organisation's time zone, both inclusive.
    first_day   date NOT NULL,
    last_day    date NOT NULL CHECK (last_day >= first_day),
    -- Names; none is all.
    repos       text[] NOT NULL,
    teams       text[] NOT NULL,
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
    rows        bigint NOT NULL DEFAULT 0,
    bytes       bigint NOT NULL DEFAULT 0,
    sha256      bytea,
    error       text NOT NULL DEFAULT '',
    created_by  text NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    -- When the daemon that writes it was last seen at it.
    touched_at  timestamptz,
    finished_at timestamptz,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX reports_time ON reports (org_id, created_at DESC, id DESC);
CREATE INDEX reports_open ON reports (created_at, id) WHERE state IN ('waiting', 'running');
