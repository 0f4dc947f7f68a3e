-- Sums of live lines are applied from deltas that are grouped by what the sums are
-- by, author and day instead of commit, before each is multiplied by the
-- dimensions that it counts in, and that is done once for both tables of sums.

-- +goose Up
-- +goose StatementBegin
CREATE OR REPLACE FUNCTION live_apply(deltas live_delta[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF cardinality(deltas) = 0 THEN
        RETURN;
    END IF;
    INSERT INTO live_receipts AS r (org_id, receipt_id, repo_id, model, provider, session_id, lines, removed)
    SELECT d.org_id, d.receipt_id, d.repo_id, coalesce(p.model, ''), coalesce(p.provider, ''), coalesce(p.session_id, ''), d.live, d.removed
    FROM (SELECT org_id, receipt_id, repo_id, sum(live) AS live, sum(removed) AS removed FROM unnest(deltas)
          WHERE receipt_id <> '' GROUP BY 1, 2, 3) d
    LEFT JOIN receipts p ON p.org_id = d.org_id AND p.id = d.receipt_id
    ORDER BY 1, 2, 3
    ON CONFLICT (org_id, receipt_id, repo_id) DO UPDATE
    SET lines = r.lines + excluded.lines, removed = r.removed + excluded.removed;

    WITH days AS (
        SELECT d.org_id, d.repo_id, d.class, c.author_email, c.day, c.landed_at IS NOT NULL AS watched, coalesce(r.model, '') AS model,
               coalesce(r.provider, d.agent) AS provider, sum(d.live) AS live, sum(d.removed14) AS removed14, sum(d.removed30) AS removed30,
               sum(d.removed90) AS removed90, sum(d.removed) AS removed
        FROM unnest(deltas) d
        JOIN live_commits c ON c.org_id = d.org_id AND c.repo_id = d.repo_id AND c.commit_id = d.commit_id
        LEFT JOIN live_receipts r ON r.org_id = d.org_id AND r.receipt_id = d.receipt_id AND r.repo_id = d.repo_id
        GROUP BY 1, 2, 3, 4, 5, 6, 7, 8
    ), parts AS MATERIALIZED (
        SELECT d.org_id, e.dimension, e.repo_id, e.key, d.class, date_trunc('week', d.day::timestamp)::date AS week, d.watched,
               sum(d.live) AS live, sum(d.removed14) AS removed14, sum(d.removed30) AS removed30, sum(d.removed90) AS removed90,
               sum(d.removed) AS removed
        FROM days d, live_dimensions(d.repo_id, d.class, d.author_email, d.day, d.model, d.provider) e
        GROUP BY 1, 2, 3, 4, 5, 6, 7
    ), cohorts AS (
        INSERT INTO live_cohorts AS s (org_id, dimension, repo_id, key, class, week, watched, live, removed14, removed30, removed90, removed)
        SELECT org_id, dimension, repo_id, key, class, week, watched, live, removed14, removed30, removed90, removed
        FROM parts WHERE dimension <> 'month' ORDER BY 1, 2, 3, 4, 5, 6, 7
        ON CONFLICT (org_id, dimension, repo_id, key, class, week, watched) DO UPDATE
        SET live = s.live + excluded.live, removed14 = s.removed14 + excluded.removed14, removed30 = s.removed30 + excluded.removed30,
            removed90 = s.removed90 + excluded.removed90, removed = s.removed + excluded.removed
    )
    INSERT INTO live_sums AS s (org_id, dimension, repo_id, key, ai, human, unknown)
    SELECT org_id, dimension, repo_id, key, coalesce(sum(live) FILTER (WHERE class = 'ai'), 0),
           coalesce(sum(live) FILTER (WHERE class = 'human'), 0), coalesce(sum(live) FILTER (WHERE class = 'unknown'), 0)
    FROM parts GROUP BY 1, 2, 3, 4 HAVING bool_or(live <> 0) ORDER BY 1, 2, 3, 4
    ON CONFLICT (org_id, dimension, repo_id, key) DO UPDATE
    SET ai = s.ai + excluded.ai, human = s.human + excluded.human, unknown = s.unknown + excluded.unknown;

    -- Rows without lines are of no use, whosever they are; of the keys alone the
    -- index is certain to be used.
    DELETE FROM live_receipts r
    WHERE r.org_id = ANY(ARRAY(SELECT DISTINCT org_id FROM unnest(deltas)))
      AND r.receipt_id = ANY(ARRAY(SELECT DISTINCT receipt_id FROM unnest(deltas) WHERE receipt_id <> ''))
      AND r.repo_id = ANY(ARRAY(SELECT DISTINCT repo_id FROM unnest(deltas))) AND r.lines = 0 AND r.removed = 0;
END $$;
-- +goose StatementEnd
