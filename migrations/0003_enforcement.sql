-- The push boundary: who pushes (users, ssh_keys, grants), by which rules pushes
-- are judged (policies), what was decided (decisions and what hangs on them), and
-- how it is told to forges (forge_connections, commit_statuses).
--
-- Documents that hold text of a push are json, not jsonb: it keeps them as they
-- came, escapes of U+0000 included.

-- +goose Up
-- Rises with every change of the organisation's policies, so that a compiled
-- set can be used for as long as it is the same.
ALTER TABLE orgs ADD COLUMN policy_revision bigint NOT NULL DEFAULT 0;

CREATE TABLE users (
    id          uuid PRIMARY KEY,
    org_id      uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    email       text NOT NULL CHECK (email = lower(email) AND email <> ''),
    name        text NOT NULL DEFAULT '',
    -- Names of the user's accounts at forges.
    logins      text[] NOT NULL DEFAULT '{}',
    created_at  timestamptz NOT NULL DEFAULT now(),
    disabled_at timestamptz,
    UNIQUE (org_id, email)
);
CREATE INDEX users_logins ON users USING gin (logins);

-- The person whose key it is; NULL for a key of a machine.
ALTER TABLE api_keys ADD COLUMN user_id uuid REFERENCES users (id) ON DELETE CASCADE;

CREATE TABLE ssh_keys (
    id           uuid PRIMARY KEY,
    org_id       uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    user_id      uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name         text NOT NULL,
    -- As ssh-keygen -l prints it: SHA256:…
    fingerprint  text NOT NULL,
    -- The line of authorized_keys(5) without options and comment.
    public_key   text NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    last_used_at timestamptz,
    revoked_at   timestamptz
);
-- A key is one user of one organisation: the connection names neither.
CREATE UNIQUE INDEX ssh_keys_fingerprint ON ssh_keys (fingerprint) WHERE revoked_at IS NULL;
CREATE INDEX ssh_keys_user ON ssh_keys (org_id, user_id, created_at);

CREATE TABLE grants (
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    -- A user's or a team's id.
    subject    text NOT NULL CHECK (subject IN ('user', 'team')),
    subject_id uuid NOT NULL,
    -- The nil UUID stands for every repository.
    repo_id    uuid NOT NULL,
    permission text NOT NULL CHECK (permission IN ('read', 'write')),
    -- Whether the subject may override refusals.
    override   boolean NOT NULL DEFAULT false,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, subject, subject_id, repo_id)
);

CREATE TABLE forge_connections (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    forge      text NOT NULL,
    -- The address of the forge's API, without a slash at its end.
    api_url    text NOT NULL,
    -- The organisation, group, workspace or project there.
    owner      text NOT NULL,
    -- A sealed token (store.Sealer).
    sealed     bytea NOT NULL,
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    revoked_at timestamptz
);
CREATE UNIQUE INDEX forge_connections_owner ON forge_connections (org_id, forge, api_url, owner) WHERE revoked_at IS NULL;

ALTER TABLE repos
    -- What becomes of pushes that nobody could judge.
    ADD COLUMN mode text NOT NULL DEFAULT 'advisory' CHECK (mode IN ('advisory', 'enforcing')),
    ADD COLUMN receipt_mode text NOT NULL DEFAULT 'deferred' CHECK (receipt_mode IN ('deferred', 'wait', 'same-push')),
    -- How long receipts may come after their push in receipt mode deferred.
    ADD COLUMN grace_seconds integer NOT NULL DEFAULT 900 CHECK (grace_seconds BETWEEN 0 AND 604800),
    -- Whether the gateway serves the repository, and whether it keeps it itself
    -- or forwards every accepted push to the remote.
    ADD COLUMN gateway text NOT NULL DEFAULT 'off' CHECK (gateway IN ('off', 'hosted', 'forwarding')),
    ADD COLUMN forward_notes boolean NOT NULL DEFAULT true,
    ADD COLUMN connection_id uuid REFERENCES forge_connections (id),
    -- "owner/name" at the connection's forge.
    ADD COLUMN forge_path text NOT NULL DEFAULT '';

CREATE TABLE policies (
    id         uuid PRIMARY KEY,
    org_id     uuid NOT NULL REFERENCES orgs (id) ON DELETE CASCADE,
    name       text NOT NULL,
    -- The version in force.
    version    integer NOT NULL,
    enabled    boolean NOT NULL,
    -- As package policy reads and writes it; the order of a rule's members counts.
    document   json NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    removed_at timestamptz
);
CREATE UNIQUE INDEX policies_name ON policies (org_id, name) WHERE removed_at IS NULL;

CREATE TABLE policy_versions (
    org_id     uuid NOT NULL,
    policy_id  uuid NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    version    integer NOT NULL,
    document   json NOT NULL,
    -- What the version did: created, changed, enabled, disabled, removed.
    change     text NOT NULL,
    author     text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, policy_id, version)
);

CREATE TABLE decisions (
    org_id         uuid NOT NULL,
    -- A UUID of version 7: ordered by time.
    id             uuid NOT NULL,
    at             timestamptz NOT NULL DEFAULT now(),
    repo_id        uuid NOT NULL,
    repo           text NOT NULL,
    -- Who pushed: the user's e-mail address, else the forge's account name.
    pusher         text NOT NULL,
    pusher_name    text NOT NULL,
    forge          text NOT NULL,
    via            text NOT NULL,
    -- [{"name", "old", "new", "kind"}]
    refs           json NOT NULL,
    -- What the pusher was told: accept, warn, pending or refuse.
    outcome        text NOT NULL CHECK (outcome IN ('accept', 'warn', 'pending', 'refuse')),
    -- Where it stands now; docs/enforcement.md draws the states.
    state          text NOT NULL CHECK (state IN ('final', 'pending', 'held', 'released')),
    receipt_mode   text NOT NULL,
    -- When a pending decision is judged with what is there.
    due_at         timestamptz,
    -- The reason of an override that let a refused push pass, else empty.
    override       text NOT NULL DEFAULT '',
    commits        integer NOT NULL,
    added          bigint NOT NULL,
    ai             bigint NOT NULL,
    human          bigint NOT NULL,
    -- The push.Verdict that the pusher was told, and the newest late one.
    verdict        json NOT NULL,
    late_verdict   json,
    judged_at      timestamptz,
    took_us        integer NOT NULL,
    request_id     text NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX decisions_repo ON decisions (org_id, repo_id, id DESC);
CREATE INDEX decisions_pusher ON decisions (org_id, pusher, id DESC);
CREATE INDEX decisions_outcome ON decisions (org_id, outcome, id DESC);
CREATE INDEX decisions_waiting ON decisions (org_id, repo_id, id) WHERE state IN ('pending', 'held');
CREATE INDEX decisions_due ON decisions (due_at) WHERE state = 'pending';

-- What was judged: large, and read by late verdicts and backtests alone.
CREATE TABLE decision_inputs (
    org_id      uuid NOT NULL,
    decision_id uuid NOT NULL,
    -- The hooks.Push, and the push.Input made of it.
    push        json NOT NULL,
    input       json NOT NULL,
    PRIMARY KEY (org_id, decision_id)
);

-- What happened to a decision after the push: late verdicts, holds, releases.
CREATE TABLE decision_events (
    org_id      uuid NOT NULL,
    decision_id uuid NOT NULL,
    seq         integer NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    event       text NOT NULL,
    state       text NOT NULL,
    principal   text NOT NULL,
    detail      json,
    PRIMARY KEY (org_id, decision_id, seq)
);

-- Findings of the outcomes warn and refuse: violated or failed, at the push or late.
CREATE TABLE violations (
    org_id      uuid NOT NULL,
    id          uuid NOT NULL,
    decision_id uuid NOT NULL,
    at          timestamptz NOT NULL DEFAULT now(),
    late        boolean NOT NULL,
    repo_id     uuid NOT NULL,
    repo        text NOT NULL,
    pusher      text NOT NULL,
    policy_id   uuid NOT NULL,
    policy_name text NOT NULL,
    version     integer NOT NULL,
    rule        text NOT NULL,
    outcome     text NOT NULL CHECK (outcome IN ('warn', 'refuse')),
    commit      text NOT NULL,
    -- The waiver that took the finding's force away.
    waiver_id   uuid,
    -- The push.Finding.
    finding     json NOT NULL,
    PRIMARY KEY (org_id, id)
);
CREATE INDEX violations_decision ON violations (org_id, decision_id);
CREATE INDEX violations_policy ON violations (org_id, policy_id, id DESC);
CREATE INDEX violations_repo ON violations (org_id, repo_id, id DESC);

-- A branch that a pusher may not push to until its decision is released.
CREATE TABLE holds (
    org_id      uuid NOT NULL,
    id          uuid NOT NULL,
    decision_id uuid NOT NULL,
    repo_id     uuid NOT NULL,
    ref         text NOT NULL,
    pusher      text NOT NULL,
    -- The commits that are at fault; gone commits hold nobody.
    commits     text[] NOT NULL,
    created_at  timestamptz NOT NULL DEFAULT now(),
    released_at timestamptz,
    released_by text NOT NULL DEFAULT '',
    -- waived, reviewed, gone, judged, released
    release     text NOT NULL DEFAULT '',
    reason      text NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, id)
);
CREATE UNIQUE INDEX holds_active ON holds (org_id, repo_id, ref, pusher, decision_id) WHERE released_at IS NULL;
CREATE INDEX holds_decision ON holds (org_id, decision_id);

CREATE TABLE waivers (
    org_id     uuid NOT NULL,
    id         uuid NOT NULL,
    policy_id  uuid NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    -- What it is limited to; NULL and empty are everything.
    repo_id    uuid,
    pusher     text NOT NULL DEFAULT '',
    commit     text NOT NULL DEFAULT '',
    patch_id   text NOT NULL DEFAULT '',
    reason     text NOT NULL CHECK (reason <> ''),
    created_by text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    revoked_at timestamptz,
    revoked_by text NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, id)
);
CREATE INDEX waivers_policy ON waivers (org_id, policy_id, expires_at) WHERE revoked_at IS NULL;

-- The newest review of each person counts.
CREATE TABLE reviews (
    org_id     uuid NOT NULL,
    id         uuid NOT NULL,
    repo_id    uuid NOT NULL,
    commit     text NOT NULL,
    patch_id   text NOT NULL,
    -- The reviewer's e-mail address and name.
    reviewer   text NOT NULL CHECK (reviewer <> ''),
    name       text NOT NULL,
    approved   boolean NOT NULL,
    comment    text NOT NULL DEFAULT '',
    principal  text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
CREATE INDEX reviews_commit ON reviews (org_id, repo_id, commit);
CREATE INDEX reviews_patch ON reviews (org_id, repo_id, patch_id) WHERE patch_id <> '';

-- The commits that accepted pushes brought.
CREATE TABLE pushed_commits (
    org_id       uuid NOT NULL,
    repo_id      uuid NOT NULL,
    commit       text NOT NULL,
    decision_id  uuid NOT NULL,
    patch_id     text NOT NULL,
    author_email text NOT NULL,
    added        bigint NOT NULL,
    ai           bigint NOT NULL,
    human        bigint NOT NULL,
    noted        boolean NOT NULL,
    -- The day of the push in the organisation's time zone.
    day          date NOT NULL,
    pushed_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, repo_id, commit)
);
CREATE INDEX pushed_commits_decision ON pushed_commits (org_id, decision_id);
CREATE INDEX pushed_commits_patch ON pushed_commits (org_id, repo_id, patch_id) WHERE patch_id <> '';

-- What they add up to, kept by the trigger below.
CREATE TABLE pushed_days (
    org_id  uuid NOT NULL,
    repo_id uuid NOT NULL,
    day     date NOT NULL,
    commits bigint NOT NULL DEFAULT 0,
    added   bigint NOT NULL DEFAULT 0,
    ai      bigint NOT NULL DEFAULT 0,
    human   bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (org_id, repo_id, day)
);

-- Prompts of accepted pushes until the notes that carry them are taken in: what
-- they cost counts from the decision on.
CREATE TABLE pushed_prompts (
    org_id      uuid NOT NULL,
    prompt_id   uuid NOT NULL,
    decision_id uuid NOT NULL,
    repo_id     uuid NOT NULL,
    user_email  text NOT NULL,
    day         date NOT NULL,
    cost_usd    numeric NOT NULL,
    pushed_at   timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, prompt_id)
);
CREATE INDEX pushed_prompts_day ON pushed_prompts (org_id, day);
CREATE INDEX pushed_prompts_age ON pushed_prompts (pushed_at);

-- The verdict that a forge is to show at a commit; posted is what it was told.
CREATE TABLE commit_statuses (
    org_id      uuid NOT NULL,
    repo_id     uuid NOT NULL,
    commit      text NOT NULL,
    state       text NOT NULL CHECK (state IN ('pending', 'success', 'failure')),
    description text NOT NULL,
    decision_id uuid NOT NULL,
    changed_at  timestamptz NOT NULL DEFAULT now(),
    posted      text NOT NULL DEFAULT '',
    posted_at   timestamptz,
    attempts    integer NOT NULL DEFAULT 0,
    error       text NOT NULL DEFAULT '',
    PRIMARY KEY (org_id, repo_id, commit)
);
CREATE INDEX commit_statuses_unposted ON commit_statuses (org_id, repo_id, changed_at) WHERE posted <> state;

-- +goose StatementBegin
CREATE FUNCTION pushed_commits_sum() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP <> 'DELETE' THEN
        INSERT INTO pushed_days AS d (org_id, repo_id, day, commits, added, ai, human)
        SELECT org_id, repo_id, day, count(*), sum(added), sum(ai), sum(human) FROM new_rows
        GROUP BY org_id, repo_id, day ORDER BY 1, 2, 3
        ON CONFLICT (org_id, repo_id, day) DO UPDATE
        SET commits = d.commits + excluded.commits, added = d.added + excluded.added,
            ai = d.ai + excluded.ai, human = d.human + excluded.human;
    END IF;
    IF TG_OP <> 'INSERT' THEN
        UPDATE pushed_days d
        SET commits = d.commits - o.commits, added = d.added - o.added, ai = d.ai - o.ai, human = d.human - o.human
        FROM (SELECT org_id, repo_id, day, count(*) AS commits, sum(added) AS added, sum(ai) AS ai, sum(human) AS human
              FROM old_rows GROUP BY org_id, repo_id, day) o
        WHERE d.org_id = o.org_id AND d.repo_id = o.repo_id AND d.day = o.day;
    END IF;
    RETURN NULL;
END $$;
-- +goose StatementEnd

CREATE TRIGGER pushed_commits_sum_insert AFTER INSERT ON pushed_commits
    REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pushed_commits_sum();
CREATE TRIGGER pushed_commits_sum_update AFTER UPDATE ON pushed_commits
    REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION pushed_commits_sum();
CREATE TRIGGER pushed_commits_sum_delete AFTER DELETE ON pushed_commits
    REFERENCING OLD TABLE AS old_rows FOR EACH STATEMENT EXECUTE FUNCTION pushed_commits_sum();
