-- At most one row: the rollout under way. Nodes without the label are kept at the baseline.
CREATE TABLE rollouts (
    id         BIGINT PRIMARY KEY CHECK (id = 1),
    etag       TEXT   NOT NULL,
    label      TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    baseline   BIGINT NOT NULL, -- a version, kept as long as this row is
    actor      TEXT   NOT NULL,
    started_at BIGINT NOT NULL
);

-- How the upstreams of the baseline are reached: copies of their rows, sealed as they are there. An upstream that is
-- removed takes its copy along.
CREATE TABLE rollout_upstreams (
    domain          TEXT PRIMARY KEY,
    url             TEXT   NOT NULL,
    discovery_url   TEXT,
    description     TEXT   NOT NULL,
    headers         BLOB  NOT NULL,
    forward_headers TEXT,
    allowed_tools   TEXT,
    denied_tools    TEXT   NOT NULL,
    schema_policy   TEXT   NOT NULL,
    session_mode    TEXT   NOT NULL,
    owner           TEXT   NOT NULL,
    config_id       TEXT   NOT NULL,
    created_at      BIGINT NOT NULL,
    updated_at      BIGINT NOT NULL,
    frozen_at       BIGINT
);
