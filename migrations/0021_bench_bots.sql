-- Commits of bots are few, and pushes of bots alone are left out of counts.

-- +goose Up
CREATE INDEX commit_lines_bots ON commit_lines (org_id, repo_id, commit) WHERE bot;
