-- The beginning of a receipt's prompt beside what policies said of it: few receipts
-- have a result, and of all that have a word few have both.

-- +goose Up
ALTER TABLE receipt_results ADD prompt_summary text NOT NULL DEFAULT '';

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION receipt_result_rows(org uuid, ids text[]) RETURNS SETOF receipt_results
    LANGUAGE sql STABLE AS $$
    SELECT org, r.id, w.result, r.timestamp, r.cost_usd,
           receipt_terms(r.org_id, r.repo_id, r.user_email, r.user_name, r.provider, r.model, r.source, r.current, r.day, r.cost_usd, r.path_keys)
           || receipt_term(org, 'result', w.result)
           || ARRAY(SELECT DISTINCT receipt_term(org, 'repo', c.repo_id::text) FROM receipt_commits c
                    WHERE c.org_id = org AND c.receipt_id = r.id AND c.repo_id <> r.repo_id ORDER BY 1),
           r.prompt_summary
    FROM receipt_results_of(org, ids) w JOIN receipts r ON r.org_id = org AND r.id = w.receipt_id
$$;
-- +goose StatementEnd

-- +goose StatementBegin
CREATE OR REPLACE FUNCTION receipt_results_refresh(org uuid, ids text[]) RETURNS void
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
    SET timestamp = excluded.timestamp, cost_usd = excluded.cost_usd, terms = excluded.terms, prompt_summary = excluded.prompt_summary
    WHERE (p.timestamp, p.cost_usd, p.terms, p.prompt_summary)
        IS DISTINCT FROM (excluded.timestamp, excluded.cost_usd, excluded.terms, excluded.prompt_summary);
END $$;
-- +goose StatementEnd
