-- How connections to the upstream are secured, sealed as the headers are; absent: as the system says.
ALTER TABLE upstreams ADD COLUMN tls BYTEA;
ALTER TABLE rollout_upstreams ADD COLUMN tls BYTEA;
