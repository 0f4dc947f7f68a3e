-- What is new of the terms of receipts waits in a list that every search reads,
-- so it is kept short.

-- +goose Up
ALTER INDEX receipts_terms SET (gin_pending_list_limit = 1024);
