-- What notes refs are protected from, and accepted pushes that their repository
-- did not take.

-- +goose Up
-- What becomes of pushes that delete or rewind a notes ref of the repository, or
-- bring notes that are too large to be read: mode is to refuse them in an
-- enforcing repository and to warn in an advisory one.
ALTER TABLE repos ADD COLUMN notes_protection text NOT NULL DEFAULT 'mode'
    CHECK (notes_protection IN ('mode', 'refuse', 'warn', 'off'));

-- A withdrawn decision let a push through that its repository did not take.
ALTER TABLE decisions DROP CONSTRAINT decisions_state_check,
    ADD CONSTRAINT decisions_state_check CHECK (state IN ('final', 'pending', 'held', 'released', 'withdrawn'));

-- Pushes that were let through and of which it is not known yet whether their
-- repository took them. Only who keeps the repository can find out: place names
-- a directory of repositories, session the connection that the push came on.
CREATE TABLE open_pushes (
    org_id      uuid NOT NULL,
    decision_id uuid NOT NULL,
    place       text NOT NULL,
    session     text NOT NULL,
    PRIMARY KEY (org_id, decision_id)
);
CREATE INDEX open_pushes_place ON open_pushes (place, session);

-- What a decision brought, when it is withdrawn.
CREATE INDEX pushed_prompts_decision ON pushed_prompts (org_id, decision_id);

-- Violations are listed by who pushed and by commit, too.
CREATE INDEX violations_pusher ON violations (org_id, pusher, id DESC);
CREATE INDEX violations_commit ON violations (org_id, commit, id DESC);
