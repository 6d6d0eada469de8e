-- OAuth client credentials with which a token for listing the upstream is obtained, sealed as the headers are; absent:
-- none is.
ALTER TABLE upstreams ADD COLUMN oauth BLOB;
ALTER TABLE rollout_upstreams ADD COLUMN oauth BLOB;
