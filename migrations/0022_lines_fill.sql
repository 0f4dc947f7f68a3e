-- What is there is summed up by what 0017 made. A step of its own: columns are
-- added under a lock that readers wait for, and this takes minutes with millions
-- of prompts. Here they read on, and who writes prompts or commits waits.

-- +goose Up
-- The prompts that are there. Nothing else that is summed up of them changes.
ALTER TABLE prompts DISABLE TRIGGER USER;
UPDATE prompts p SET score = receipt_score(r.detail), category = receipt_category(r.detail), seconds = receipt_seconds(r.prompt_duration_secs)
FROM receipts r
WHERE r.org_id = p.org_id AND r.id = p.receipt_id AND (r.prompt_duration_secs IS NOT NULL OR r.detail ? 'prompt_quality');
ALTER TABLE prompts ENABLE TRIGGER USER;

-- +goose StatementBegin
DO $$
DECLARE
    part record;
BEGIN
    -- In one pass, with a day at a time in memory: what is gathered in an order is sorted
    -- and not hashed.
    FOR part IN SELECT array_agg(p ORDER BY p.prompt_id) AS prompts FROM prompts p GROUP BY p.org_id, p.day LOOP
        PERFORM prompt_rollups_apply(ARRAY(SELECT d FROM prompt_deltas(part.prompts, 1) d));
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE TRIGGER prompts_facets_insert AFTER INSERT ON prompts
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_facets();
CREATE TRIGGER prompts_facets_update AFTER UPDATE ON prompts
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_facets();
CREATE TRIGGER prompts_facets_delete AFTER DELETE ON prompts
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION prompts_facets();

-- Commits that come meanwhile wait until the triggers are there to count them.
LOCK TABLE commit_lines IN SHARE ROW EXCLUSIVE MODE;

-- +goose StatementBegin
DO $$
DECLARE
    part record;
BEGIN
    FOR part IN SELECT DISTINCT org_id, repo_id, date_trunc('month', day::timestamp) AS month FROM commit_lines ORDER BY 1, 2, 3 LOOP
        PERFORM path_rollups_apply(ARRAY(SELECT ROW(org_id, repo_id, commit, day, 1)::path_commit FROM commit_lines
            WHERE org_id = part.org_id AND repo_id = part.repo_id AND on_default AND date_trunc('month', day::timestamp) = part.month));
    END LOOP;
END $$;
-- +goose StatementEnd

CREATE TRIGGER commit_lines_paths_insert AFTER INSERT ON commit_lines
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_paths();
CREATE TRIGGER commit_lines_paths_update AFTER UPDATE ON commit_lines
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_paths();
CREATE TRIGGER commit_lines_paths_delete AFTER DELETE ON commit_lines
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION commit_lines_paths();
