-- JSON object of the limits that were set, times in milliseconds; absent: all of them follow the nodes.
ALTER TABLE upstreams ADD COLUMN limits TEXT;
ALTER TABLE rollout_upstreams ADD COLUMN limits TEXT;
