-- What policies said of receipts' commits, so that receipts can be listed by it.
-- All of it is derived from violations and holds.

-- +goose Up
-- A receipt has a result if a finding names it, or names no receipt and a commit
-- that carries it; and it is held as long as a branch is for such a commit.
CREATE TABLE receipt_results (
    org_id     uuid NOT NULL,
    receipt_id text NOT NULL,
    result     text NOT NULL CHECK (result IN ('refused', 'warned', 'waived', 'held')),
    -- The receipt's, by which lists are ordered.
    timestamp  timestamptz NOT NULL,
    cost_usd   numeric,
    -- Those of receipt_terms, the repositories that carry the receipt, and the
    -- result: what a list is filtered by besides.
    terms      integer[] NOT NULL,
    PRIMARY KEY (org_id, receipt_id, result)
);
CREATE INDEX receipt_results_time ON receipt_results (org_id, result, timestamp DESC, receipt_id DESC);
CREATE INDEX receipt_results_cost ON receipt_results (org_id, result, cost_usd DESC NULLS LAST, receipt_id DESC);
CREATE INDEX receipt_results_terms ON receipt_results USING gin (terms) WITH (gin_pending_list_limit = 1024);

-- The results of some receipts, as the rows say now.
-- +goose StatementBegin
CREATE FUNCTION receipt_results_of(org uuid, ids text[]) RETURNS TABLE (receipt_id text, result text)
    LANGUAGE sql STABLE AS $$
    SELECT c.receipt_id, CASE WHEN v.waiver_id IS NOT NULL THEN 'waived' WHEN v.outcome = 'refuse' THEN 'refused' ELSE 'warned' END
    FROM receipt_commits c JOIN violations v ON v.org_id = c.org_id AND v.commit = c.commit AND v.commit <> ''
    WHERE c.org_id = org AND c.receipt_id = ANY(ids) AND coalesce(v.finding ->> 'receipt', '') IN ('', c.receipt_id)
    UNION
    SELECT c.receipt_id, 'held'
    FROM receipt_commits c JOIN holds h ON h.org_id = c.org_id AND h.released_at IS NULL AND c.commit = ANY(h.commits)
    WHERE c.org_id = org AND c.receipt_id = ANY(ids)
$$;
-- +goose StatementEnd

-- The rows that some receipts should have.
-- +goose StatementBegin
CREATE FUNCTION receipt_result_rows(org uuid, ids text[]) RETURNS SETOF receipt_results
    LANGUAGE sql STABLE AS $$
    SELECT org, r.id, w.result, r.timestamp, r.cost_usd,
           receipt_terms(r.org_id, r.repo_id, r.user_email, r.user_name, r.provider, r.model, r.source, r.current, r.day, r.cost_usd, r.path_keys)
           || receipt_term(org, 'result', w.result)
           || ARRAY(SELECT DISTINCT receipt_term(org, 'repo', c.repo_id::text) FROM receipt_commits c
                    WHERE c.org_id = org AND c.receipt_id = r.id AND c.repo_id <> r.repo_id ORDER BY 1)
    FROM receipt_results_of(org, ids) w JOIN receipts r ON r.org_id = org AND r.id = w.receipt_id
$$;
-- +goose StatementEnd

-- Brings the rows of some receipts in line.
-- +goose StatementBegin
CREATE FUNCTION receipt_results_refresh(org uuid, ids text[]) RETURNS void
    LANGUAGE plpgsql AS $$
BEGIN
    IF ids IS NULL OR ids = '{}' THEN
        RETURN;
    END IF;
    DELETE FROM receipt_results p
    WHERE p.org_id = org AND p.receipt_id = ANY(ids)
      AND (p.receipt_id, p.result) NOT IN (SELECT w.receipt_id, w.result FROM receipt_results_of(org, ids) w);
    INSERT INTO receipt_results AS p
    SELECT * FROM receipt_result_rows(org, ids) n ORDER BY n.receipt_id, n.result
    ON CONFLICT (org_id, receipt_id, result) DO UPDATE
    SET timestamp = excluded.timestamp, cost_usd = excluded.cost_usd, terms = excluded.terms
    WHERE (p.timestamp, p.cost_usd, p.terms) IS DISTINCT FROM (excluded.timestamp, excluded.cost_usd, excluded.terms);
END $$;
-- +goose StatementEnd

-- The receipts that some commits carry.
-- +goose StatementBegin
CREATE FUNCTION receipts_carried(org uuid, of_commits text[]) RETURNS text[]
    LANGUAGE sql STABLE AS $$
    SELECT array_agg(DISTINCT c.receipt_id) FROM receipt_commits c WHERE c.org_id = org AND c.commit = ANY(of_commits)
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE FUNCTION receipt_results_of_violations() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, receipts_carried(n.org_id, n.commits))
    FROM (SELECT org_id, array_agg(DISTINCT commit) AS commits FROM changed_rows WHERE commit <> '' GROUP BY org_id) n;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER violations_results_insert AFTER INSERT ON violations
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_violations();
CREATE TRIGGER violations_results_delete AFTER DELETE ON violations
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_violations();

-- +goose StatementBegin
CREATE FUNCTION receipt_results_of_holds() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, receipts_carried(n.org_id, n.commits))
    FROM (SELECT h.org_id, array_agg(DISTINCT c) AS commits FROM changed_rows h, unnest(h.commits) c GROUP BY h.org_id) n;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER holds_results_insert AFTER INSERT ON holds
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_holds();
CREATE TRIGGER holds_results_update AFTER UPDATE ON holds
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_holds();

-- Receipts and what carries them come before a verdict or behind it.
-- +goose StatementBegin
CREATE FUNCTION receipt_results_of_bodies() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM receipt_results_refresh(n.org_id, n.ids)
    FROM (SELECT b.org_id, array_agg(DISTINCT b.receipt_id) AS ids FROM changed_rows b
          WHERE EXISTS (SELECT FROM violations v WHERE v.org_id = b.org_id AND v.commit = b.commit AND v.commit <> '')
             OR b.commit IN (SELECT unnest(h.commits) FROM holds h WHERE h.released_at IS NULL)
             OR EXISTS (SELECT FROM receipt_results p WHERE p.org_id = b.org_id AND p.receipt_id = b.receipt_id)
          GROUP BY b.org_id) n;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER receipt_results_body_insert AFTER INSERT ON receipt_commits
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_bodies();
CREATE TRIGGER receipt_results_body_delete AFTER DELETE ON receipt_commits
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_bodies();

-- +goose StatementBegin
CREATE FUNCTION receipt_results_of_receipts() RETURNS trigger
    LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        DELETE FROM receipt_results p USING changed_rows o WHERE p.org_id = o.org_id AND p.receipt_id = o.id;
        RETURN NULL;
    ELSIF TG_OP = 'UPDATE' THEN
        PERFORM receipt_results_refresh(n.org_id, n.ids)
        FROM (SELECT p.org_id, array_agg(DISTINCT p.receipt_id) AS ids FROM changed_rows r
              JOIN receipt_results p ON p.org_id = r.org_id AND p.receipt_id = r.id GROUP BY p.org_id) n;
        RETURN NULL;
    END IF;
    PERFORM receipt_results_refresh(n.org_id, n.ids)
    FROM (SELECT r.org_id, array_agg(DISTINCT r.id) AS ids FROM changed_rows r
          JOIN receipt_commits c ON c.org_id = r.org_id AND c.receipt_id = r.id
          WHERE EXISTS (SELECT FROM violations v WHERE v.org_id = c.org_id AND v.commit = c.commit AND v.commit <> '')
             OR c.commit IN (SELECT unnest(h.commits) FROM holds h WHERE h.released_at IS NULL)
          GROUP BY r.org_id) n;
    RETURN NULL;
END $$;
-- +goose StatementEnd
CREATE TRIGGER receipt_results_insert AFTER INSERT ON receipts
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_receipts();
CREATE TRIGGER receipt_results_delete AFTER DELETE ON receipts
    REFERENCING OLD TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_receipts();

CREATE TRIGGER receipt_results_update AFTER UPDATE ON receipts
    REFERENCING NEW TABLE AS changed_rows FOR EACH STATEMENT EXECUTE FUNCTION receipt_results_of_receipts();

-- What is on record.
SELECT receipt_results_refresh(n.org_id, n.ids)
FROM (SELECT c.org_id, array_agg(DISTINCT c.receipt_id) AS ids FROM receipt_commits c
      WHERE EXISTS (SELECT FROM violations v WHERE v.org_id = c.org_id AND v.commit = c.commit AND v.commit <> '')
         OR c.commit IN (SELECT unnest(h.commits) FROM holds h WHERE h.released_at IS NULL)
      GROUP BY c.org_id) n;
