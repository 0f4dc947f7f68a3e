-- Reports that are asked for regularly, and the form of the client's own audit
-- as JSON.

-- +goose Up
CREATE TABLE report_schedules (
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    id         uuid NOT NULL,
    -- What each report is asked for with, as in reports.
    type       text NOT NULL CHECK (type IN ('soc2', 'gdpr', 'audit')),
    format     text NOT NULL CHECK (format IN ('json', 'csv', 'md', 'html', 'pdf', 'client-json')),
    paper      text NOT NULL CHECK (paper IN ('A4', 'Letter')),
    repos      text[] NOT NULL,
    teams      text[] NOT NULL,
    every      text NOT NULL CHECK (every IN ('week', 'month', 'quarter', 'year')),
    -- The first day of the period that the next report is about. It is asked for
    -- when that period is over in the organisation's time zone, which may change.
    next_first date NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);

ALTER TABLE reports
    -- The schedule that asked for the report; it may be gone.
    ADD COLUMN schedule_id uuid,
    DROP CONSTRAINT reports_format_check,
    ADD CONSTRAINT reports_format_check CHECK (format IN ('json', 'csv', 'md', 'html', 'pdf', 'client-json'));
