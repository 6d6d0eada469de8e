-- Keys with which nodes seal what a caller has to bring back to any other node.
CREATE TABLE request_keys (
    id         TEXT COLLATE "C" PRIMARY KEY,
    sealed     BYTEA  NOT NULL,
    created_at BIGINT NOT NULL,
    not_after  BIGINT NOT NULL
);
