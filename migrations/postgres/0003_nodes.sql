CREATE TABLE nodes (
    id              TEXT COLLATE "C"    PRIMARY KEY,
    build           TEXT    NOT NULL,
    labels          TEXT    NOT NULL, -- JSON object
    store_id        TEXT    NOT NULL,
    version         BIGINT  NOT NULL, -- of the store that store_id names; any 64 bits a node may claim
    digest          TEXT    NOT NULL,
    connected_at    BIGINT  NOT NULL,
    disconnected_at BIGINT,
    acked_at        BIGINT,
    persisted       BOOLEAN NOT NULL,
    rejections      TEXT    NOT NULL -- JSON list of {subject, rule, reason}
);
