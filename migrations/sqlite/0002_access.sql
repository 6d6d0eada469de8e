CREATE TABLE tokens (
    id          TEXT   PRIMARY KEY,
    hash        BLOB   NOT NULL UNIQUE, -- SHA-256 of the secret, which is kept nowhere
    description TEXT   NOT NULL,
    role        TEXT   NOT NULL,
    created_at  BIGINT NOT NULL,
    expires_at  BIGINT,
    revoked_at  BIGINT
);

CREATE TABLE audit (
    id      INTEGER PRIMARY KEY AUTOINCREMENT, -- never reused, so that a reader can continue after one
    at      BIGINT  NOT NULL,
    actor   TEXT    NOT NULL,
    action  TEXT    NOT NULL,
    subject TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    version BIGINT  NOT NULL -- 0: the change made no version
);
