-- What a domain offered: its tools as listed and approved, its filter and its schema policy. Never an address and
-- never a header. One row per content, however many versions had it.
CREATE TABLE domain_contents (
    digest  TEXT PRIMARY KEY, -- hexadecimal SHA-256 of content
    content TEXT NOT NULL     -- JSON
);

-- Which content a domain had: from version `since_version` on, up to but not including `until_version`.
CREATE TABLE domain_history (
    domain        TEXT   NOT NULL,
    since_version BIGINT NOT NULL,
    until_version BIGINT, -- absent: it still has it
    digest        TEXT   NOT NULL REFERENCES domain_contents (digest),
    PRIMARY KEY (domain, since_version)
);
CREATE INDEX domain_history_by_digest ON domain_history (digest);

-- False: made by a release that kept no content.
ALTER TABLE snapshots ADD COLUMN recorded BOOLEAN NOT NULL DEFAULT FALSE;
-- The explicit access policy, JSON; absent where there was none.
ALTER TABLE snapshots ADD COLUMN policy TEXT;
-- Noted when the version is published; absent where a newer one overtook it.
ALTER TABLE snapshots ADD COLUMN digest TEXT;
ALTER TABLE snapshots ADD COLUMN domain_count BIGINT;
ALTER TABLE snapshots ADD COLUMN tool_count BIGINT;

-- The version whose tools a rollback gave it; absent: it is refreshed as usual.
ALTER TABLE upstreams ADD COLUMN frozen_at BIGINT;

-- Nodes that refused a version.
CREATE TABLE refusals (
    version    BIGINT NOT NULL,
    node_id    TEXT   NOT NULL,
    at         BIGINT NOT NULL,
    rejections TEXT   NOT NULL, -- JSON list of {subject, rule, reason}
    PRIMARY KEY (version, node_id)
);
