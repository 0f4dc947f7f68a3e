-- Accounts: what a person may do (users.role), how they prove who they are
-- (passwords, account_links), and for how long that is believed (sessions).

-- +goose Up
-- What people read in place of the name; empty for the name.
ALTER TABLE orgs ADD COLUMN title text NOT NULL DEFAULT '';

ALTER TABLE users ADD COLUMN role text NOT NULL DEFAULT 'member' CHECK (role IN ('admin', 'member', 'viewer'));

-- A person without a row here cannot sign in.
CREATE TABLE passwords (
    user_id    uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    -- $argon2id$v=19$m=…,t=…,p=…$salt$hash: each with the parameters that made it.
    hash       text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);

-- The cookie holds a secret of 256 random bits, of which hash is the SHA-256.
CREATE TABLE sessions (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    user_id    uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash       bytea NOT NULL UNIQUE,
    -- Where it began, for its person to recognise it.
    address    text NOT NULL DEFAULT '',
    user_agent text NOT NULL DEFAULT '',
    created_at timestamptz NOT NULL,
    -- Last use, kept to the minute.
    seen_at    timestamptz NOT NULL,
    -- When it ends unless it is used before, and when it ends all the same.
    idle_at    timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz
);
CREATE INDEX sessions_user ON sessions (user_id, created_at);

-- Links that are good once and for a while: setup makes the first admin,
-- invitation a person of the organisation, password a new password.
CREATE TABLE account_links (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    kind       text NOT NULL CHECK (kind IN ('setup', 'invitation', 'password')),
    -- SHA-256 of the secret at the end of the link.
    hash       bytea NOT NULL UNIQUE,
    -- Empty for setup: whoever follows it says who they are.
    email      text NOT NULL CHECK (email = lower(email)),
    name       text NOT NULL DEFAULT '',
    role       text NOT NULL CHECK (role IN ('admin', 'member', 'viewer')),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    revoked_at timestamptz
);
CREATE INDEX account_links_open ON account_links (org_id, email) WHERE used_at IS NULL AND revoked_at IS NULL;

-- Attempts to sign in that did not succeed, by account and by address, whether
-- there is such an account or not.
CREATE TABLE login_failures (
    -- SHA-256 of what is counted.
    subject      bytea PRIMARY KEY,
    failures     integer NOT NULL,
    failed_at    timestamptz NOT NULL,
    locked_until timestamptz NOT NULL
);
CREATE INDEX login_failures_age ON login_failures (failed_at);
