-- What control planes on one database agree on, besides the registry itself.

-- One row per control plane that was started: it lives until the lease has run out.
CREATE TABLE control_planes (
    id          TEXT COLLATE "C" PRIMARY KEY,
    lease_until BIGINT NOT NULL -- by the clock of the database, which is the same for all of them
);

-- Who lists which upstream just now; void after `expires_at`, so that nothing waits for one that died.
CREATE TABLE refresh_claims (
    domain        TEXT COLLATE "C" PRIMARY KEY REFERENCES upstreams (domain) ON DELETE CASCADE,
    control_plane TEXT   NOT NULL,
    expires_at    BIGINT NOT NULL
);

-- The stream that speaks for the node: the control plane that serves it, and its number there.
ALTER TABLE nodes ADD COLUMN control_plane TEXT NOT NULL DEFAULT '';
ALTER TABLE nodes ADD COLUMN stream BIGINT NOT NULL DEFAULT 0;
