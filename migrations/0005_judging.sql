-- What judging pushes needs beyond its tables.

-- +goose Up
-- The teams of a person, asked for with every push.
CREATE INDEX team_members_email ON team_members (org_id, email);
