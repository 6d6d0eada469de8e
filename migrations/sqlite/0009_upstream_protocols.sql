-- How the upstream spoke when it was last listed, for instance `2026-07-28` or `2025-11-25 with sessions`; empty:
-- not known.
ALTER TABLE listings ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
ALTER TABLE rollout_upstreams ADD COLUMN protocol TEXT NOT NULL DEFAULT '';
