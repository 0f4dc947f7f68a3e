-- What queries over receipts need beyond their content.

-- +goose Up
CREATE INDEX receipts_user_name ON receipts (org_id, lower(user_name), timestamp DESC, id DESC);

-- Sums by repository over all days, without a visit to the rows.
CREATE INDEX rollups_all ON rollups (org_id, day, repo_id) INCLUDE (receipts, cost_usd) WHERE dimension = 'all';

-- Sums of some users by repository: the few repositories that each works in.
CREATE INDEX rollups_users ON rollups (org_id, key, day) INCLUDE (repo_id, receipts, cost_usd) WHERE dimension = 'user';
CREATE INDEX rollup_months_users ON rollup_months (org_id, key, day) INCLUDE (repo_id, receipts, cost_usd)
    WHERE dimension = 'user';

-- Whether to walk through receipts in order or to gather those that match
-- depends on how frequent a piece of text or a path is; a hundred samples, the
-- default, do not tell.
ALTER TABLE receipts ALTER COLUMN prompt_summary SET STATISTICS 500;
ALTER TABLE receipt_files ALTER COLUMN path SET STATISTICS 1000;

-- The repositories that a receipt stands in beside the one that its content
-- was taken from (receipts.repo_id), with its time, so that a repository's
-- receipts can be read in order. Kept by triggers; few receipts have any.
CREATE TABLE receipt_repos (
    org_id     uuid NOT NULL,
    receipt_id text NOT NULL,
    repo_id    uuid NOT NULL,
    timestamp  timestamptz NOT NULL,
    PRIMARY KEY (org_id, receipt_id, repo_id)
);
CREATE INDEX receipt_repos_time ON receipt_repos (org_id, repo_id, timestamp DESC, receipt_id DESC);

INSERT INTO receipt_repos
SELECT DISTINCT r.org_id, r.id, c.repo_id, r.timestamp
FROM receipt_commits c JOIN receipts r ON r.org_id = c.org_id AND r.id = c.receipt_id AND r.repo_id <> c.repo_id;

-- A body may be written before or after the receipt; whichever comes second
-- finds the other.

-- +goose StatementBegin
CREATE FUNCTION receipt_repos_of_bodies() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION receipt_repos_of_receipts() RETURNS trigger LANGUAGE plpgsql AS $$
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
-- +goose StatementEnd

CREATE TRIGGER receipt_repos_body_insert AFTER INSERT ON receipt_commits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_of_bodies();
CREATE TRIGGER receipt_repos_body_delete AFTER DELETE ON receipt_commits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_of_bodies();
CREATE TRIGGER receipt_repos_insert AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_of_receipts();
CREATE TRIGGER receipt_repos_update AFTER UPDATE ON receipts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_of_receipts();
CREATE TRIGGER receipt_repos_delete AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_repos_of_receipts();
