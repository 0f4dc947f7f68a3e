-- The text of the results that are there. A step of its own: the column was added
-- under a lock that readers wait for, and of this they notice nothing.

-- +goose Up
UPDATE receipt_results p SET prompt_summary = r.prompt_summary FROM receipts r
WHERE r.org_id = p.org_id AND r.id = p.receipt_id AND r.prompt_summary <> '';
DROP INDEX receipt_results_terms;
CREATE INDEX receipt_results_terms ON receipt_results USING gin (prompt_summary gin_trgm_ops, terms) WITH (gin_pending_list_limit = 1024);
ANALYZE receipt_results;
