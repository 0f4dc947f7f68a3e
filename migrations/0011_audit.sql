-- Acts that cannot be changed unseen, and what is kept of people.
--
-- The audit chain is a list of links per organisation. A link holds the digests
-- of rows that were committed since the link before it, and the hash of that
-- one; docs/audit.md defines every byte. Rows of acts wait in audit_pending;
-- those of notes are numbered under the lock of the organisation's writer, so
-- that the last number in the chain says which ones are new.

-- +goose Up
-- What may have to be erased of an act (who, on what, details) stands in the
-- chain as a commitment over it and the salt. Without the salt nobody can find
-- out by trying what it was.
ALTER TABLE audit_log
    ADD COLUMN salt       uuid DEFAULT gen_random_uuid(),
    ADD COLUMN commitment bytea,
    -- The acts by which people were erased from this row.
    ADD COLUMN erasures   bigint[] NOT NULL DEFAULT '{}',
    ADD CONSTRAINT audit_log_salt_check CHECK ((salt IS NULL) = (commitment IS NOT NULL));

-- By what acts are looked for.
CREATE INDEX audit_log_action ON audit_log (org_id, action text_pattern_ops, seq);
CREATE INDEX audit_log_principal ON audit_log (org_id, principal, seq);
CREATE INDEX audit_log_target ON audit_log (org_id, target, seq);

CREATE TABLE audit_pending (
    org_id uuid   NOT NULL,
    seq    bigint NOT NULL,
    PRIMARY KEY (org_id, seq)
);
INSERT INTO audit_pending SELECT org_id, seq FROM audit_log;

CREATE TABLE audit_links (
    org_id   uuid        NOT NULL,
    position bigint      NOT NULL,
    -- Which rows the link is about, by their numbers, and their SHA-256 digests one behind the other.
    kind     text        NOT NULL CHECK (kind IN ('acts', 'redactions', 'versions', 'bodies', 'posted')),
    seqs     bigint[]    NOT NULL,
    digests  bytea       NOT NULL,
    last_seq bigint      NOT NULL,
    laid_at  timestamptz NOT NULL,
    hash     bytea       NOT NULL,
    PRIMARY KEY (org_id, position)
);
CREATE INDEX audit_links_kind ON audit_links (org_id, kind, last_seq);

-- Digests do not compress; trying to costs time.
ALTER TABLE audit_links ALTER COLUMN digests SET STORAGE EXTERNAL;

ALTER TABLE note_versions ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE note_bodies ADD COLUMN seq bigint GENERATED ALWAYS AS IDENTITY;
ALTER TABLE receipt_commits ADD COLUMN seq bigint;
CREATE SEQUENCE posted_seq OWNED BY receipt_commits.seq;
UPDATE receipt_commits SET seq = nextval('posted_seq') WHERE ref = 'api';
CREATE UNIQUE INDEX note_versions_seq ON note_versions (org_id, seq);
CREATE UNIQUE INDEX note_bodies_seq ON note_bodies (org_id, seq);
CREATE UNIQUE INDEX receipt_commits_seq ON receipt_commits (org_id, seq) WHERE seq IS NOT NULL;

-- +goose StatementBegin
CREATE FUNCTION audit_log_enlist() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO audit_pending SELECT org_id, seq FROM new_rows;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_log_enlist AFTER INSERT ON audit_log
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION audit_log_enlist();

-- +goose StatementBegin
CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only: % is refused', TG_TABLE_NAME, TG_OP USING ERRCODE = 'integrity_constraint_violation';
END $$;
-- +goose StatementEnd

-- Only an erasure changes an act, and nothing but its words.
-- +goose StatementBegin
CREATE FUNCTION audit_log_guard() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd
CREATE TRIGGER audit_log_guard BEFORE UPDATE ON audit_log FOR EACH ROW EXECUTE FUNCTION audit_log_guard();
CREATE TRIGGER audit_log_append_only BEFORE DELETE OR TRUNCATE ON audit_log FOR EACH STATEMENT EXECUTE FUNCTION append_only();
CREATE TRIGGER audit_links_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_links
    FOR EACH STATEMENT EXECUTE FUNCTION append_only();

-- Who was erased, as hashes with a key that is not in the database: what is read
-- later of them is stored under the pseudonym.
CREATE TABLE erasures (
    org_id    uuid        NOT NULL,
    person    bytea       NOT NULL,
    pseudonym text        NOT NULL,
    -- The act.
    act       bigint      NOT NULL,
    at        timestamptz NOT NULL,
    PRIMARY KEY (org_id, person)
);

ALTER TABLE orgs
    -- Rises with every erasure and every change of what is kept, so that what
    -- was read before is not written behind it.
    ADD COLUMN privacy_revision bigint NOT NULL DEFAULT 0,
    -- What is kept of the text of prompts, and what stored rows are in line with.
    ADD COLUMN prompts text NOT NULL DEFAULT 'stored' CHECK (prompts IN ('stored', 'hashed', 'dropped')),
    ADD COLUMN prompts_applied text NOT NULL DEFAULT 'stored';

-- How long classes of data are kept; a class without a row is kept as the
-- program's defaults say.
CREATE TABLE retention (
    org_id uuid    NOT NULL,
    class  text    NOT NULL,
    -- NULL is for ever.
    days   integer CHECK (days > 0),
    PRIMARY KEY (org_id, class)
);

-- Who was shown the text of prompts in lists, by hour; it becomes acts when the
-- hour is over, so that lists do not flood the audit log.
CREATE TABLE prompt_reads (
    org_id    uuid        NOT NULL,
    principal text        NOT NULL,
    hour      timestamptz NOT NULL,
    requests  bigint      NOT NULL,
    receipts  bigint      NOT NULL,
    PRIMARY KEY (org_id, principal, hour)
);
