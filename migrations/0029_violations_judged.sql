-- Decisions that a policy was violated in, in the order of decisions: its violations
-- are in that of their own ids.

-- +goose Up
CREATE INDEX violations_judged ON violations (org_id, policy_id, decision_id DESC);
