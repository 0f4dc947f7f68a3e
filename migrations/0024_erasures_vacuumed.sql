-- When the dead rows that an erasure left were removed from tables and indexes;
-- NULL: not yet.

-- +goose Up
ALTER TABLE erasures ADD COLUMN vacuumed_at timestamptz;
