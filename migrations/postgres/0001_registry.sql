-- Keys compare byte by byte (collation "C"), as they do in SQLite, whatever the database's locale.

-- One row: who this store is, its newest version, and a value that only the right sealing key opens.
CREATE TABLE head (
    id        BIGINT PRIMARY KEY CHECK (id = 1),
    store_id  TEXT   NOT NULL,
    version   BIGINT NOT NULL CHECK (version >= 0),
    key_check BYTEA  NOT NULL,
    -- Keyed hash of what the environment lays over the registry; a change of it is a new version.
    environment TEXT NOT NULL DEFAULT ''
);

CREATE TABLE upstreams (
    domain          TEXT COLLATE "C"   PRIMARY KEY,
    url             TEXT   NOT NULL,
    discovery_url   TEXT,
    description     TEXT   NOT NULL,
    headers         BYTEA  NOT NULL, -- sealed for `upstream/{domain}`: JSON list of [name, value]
    forward_headers TEXT,            -- JSON list of globs; absent: all that may pass
    allowed_tools   TEXT,            -- JSON list of globs; absent: every tool
    denied_tools    TEXT   NOT NULL, -- JSON list of globs
    schema_policy   TEXT   NOT NULL,
    session_mode    TEXT   NOT NULL,
    owner           TEXT   NOT NULL,
    config_id       TEXT   NOT NULL,
    created_at      BIGINT NOT NULL, -- every time is in milliseconds since the Unix epoch
    updated_at      BIGINT NOT NULL
);

CREATE TABLE listings (
    domain       TEXT COLLATE "C"    PRIMARY KEY REFERENCES upstreams (domain) ON DELETE CASCADE,
    attempt_at   BIGINT  NOT NULL,
    success_at   BIGINT,
    error        TEXT    NOT NULL,
    has_approved BOOLEAN NOT NULL -- tells "nothing is approved" from "approval does not apply"
);

-- Tools exactly as the upstream sent them: what it lists, and what an operator approved.
CREATE TABLE tools (
    domain     TEXT COLLATE "C"    NOT NULL REFERENCES listings (domain) ON DELETE CASCADE,
    approved   BOOLEAN NOT NULL,
    position   BIGINT  NOT NULL,
    definition TEXT    NOT NULL,
    PRIMARY KEY (domain, approved, position)
);

-- At most one row: the explicit access policy.
CREATE TABLE policies (
    id     BIGINT PRIMARY KEY CHECK (id = 1),
    access TEXT   NOT NULL, -- JSON
    etag   TEXT   NOT NULL
);

-- One row per commit.
CREATE TABLE snapshots (
    version    BIGINT PRIMARY KEY,
    created_at BIGINT NOT NULL,
    actor      TEXT   NOT NULL,
    summary    TEXT   NOT NULL
);
