-- Sums over all repositories of a period by person: the primary key leads to every
-- day that a person has, these to the days that are asked for.

-- +goose Up
CREATE INDEX rollups_period ON rollups (org_id, dimension, day) WHERE repo_id = '00000000-0000-0000-0000-000000000000';
CREATE INDEX line_rollups_period ON line_rollups (org_id, dimension, day) WHERE repo_id = '00000000-0000-0000-0000-000000000000';
CREATE INDEX prompt_rollups_period ON prompt_rollups (org_id, dimension, day) WHERE repo_id = '00000000-0000-0000-0000-000000000000';
