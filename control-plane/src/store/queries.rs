//! The statements, written once: both backends number their parameters `$1`, `$2`, ….
//!
//! What the dialects say differently is in [`super::database::Dialect`]. The suite runs every one on both.

// ---- head ----

pub(super) const HEAD: &str = "SELECT store_id, version FROM head WHERE id = 1";

pub(super) const CREATE_HEAD: &str = "INSERT INTO head (id, store_id, version, key_check) \
    VALUES (1, $1, 0, $2) ON CONFLICT (id) DO NOTHING";

pub(super) const ENVIRONMENT: &str = "SELECT environment FROM head WHERE id = 1";

pub(super) const PUT_ENVIRONMENT: &str = "UPDATE head SET environment = $1 WHERE id = 1";

pub(super) const KEY_CHECK: &str = "SELECT key_check FROM head WHERE id = 1";

/// Locks the row until the transaction ends: whoever commits first has the lower number.
pub(super) const NEXT_VERSION: &str =
    "UPDATE head SET version = version + 1 WHERE id = 1 RETURNING store_id, version";

pub(super) const INSERT_SNAPSHOT: &str =
    "INSERT INTO snapshots (version, created_at, actor, summary) VALUES ($1, $2, $3, $4)";

// ---- upstreams ----

pub(super) const UPSTREAMS: &str = "SELECT domain, url, discovery_url, description, headers, forward_headers, \
    allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, created_at, updated_at \
    FROM upstreams";

/// Takes the same values as [`UPDATE_UPSTREAM`].
pub(super) const INSERT_UPSTREAM: &str = "INSERT INTO upstreams (domain, url, discovery_url, description, \
    headers, forward_headers, allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, \
    created_at, updated_at) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13) ON CONFLICT (domain) DO NOTHING";

pub(super) const UPDATE_UPSTREAM: &str = "UPDATE upstreams SET url = $2, discovery_url = $3, description = $4, \
    headers = $5, forward_headers = $6, allowed_tools = $7, denied_tools = $8, schema_policy = $9, \
    session_mode = $10, owner = $11, config_id = $12, updated_at = $13 WHERE domain = $1";

pub(super) const DELETE_UPSTREAM: &str = "DELETE FROM upstreams WHERE domain = $1";

// ---- listings ----

pub(super) const LISTINGS: &str = "SELECT domain, attempt_at, success_at, error, has_approved FROM listings";

pub(super) const TOOLS: &str =
    "SELECT domain, approved, position, definition FROM tools ORDER BY domain, approved, position";

pub(super) const INSERT_LISTING: &str =
    "INSERT INTO listings (domain, attempt_at, success_at, error, has_approved) VALUES ($1, $2, $3, $4, $5)";

/// Takes the tools with it.
pub(super) const DELETE_LISTING: &str = "DELETE FROM listings WHERE domain = $1";

/// Keeps the time of the last answer where this attempt brought none.
pub(super) const RECORD_ATTEMPT: &str = "INSERT INTO listings (domain, attempt_at, success_at, error, \
    has_approved) VALUES ($1, $2, $3, $4, FALSE) ON CONFLICT (domain) DO UPDATE SET \
    attempt_at = excluded.attempt_at, success_at = COALESCE(excluded.success_at, listings.success_at), \
    error = excluded.error";

// ---- policy ----

pub(super) const POLICY: &str = "SELECT access, etag FROM policies WHERE id = 1";

pub(super) const POLICY_ETAG: &str = "SELECT etag FROM policies WHERE id = 1";

pub(super) const PUT_POLICY: &str = "INSERT INTO policies (id, access, etag) VALUES (1, $1, $2) \
    ON CONFLICT (id) DO UPDATE SET access = excluded.access, etag = excluded.etag";

pub(super) const DELETE_POLICY: &str = "DELETE FROM policies WHERE id = 1";

// ---- tokens and audit ----

pub(super) const INSERT_TOKEN: &str = "INSERT INTO tokens (id, hash, description, role, created_at, \
    expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO NOTHING";

pub(super) const TOKEN_BY_HASH: &str =
    "SELECT id, description, role, created_at, expires_at, revoked_at FROM tokens WHERE hash = $1";

pub(super) const TOKEN_BY_ID: &str =
    "SELECT id, description, role, created_at, expires_at, revoked_at FROM tokens WHERE id = $1";

pub(super) const TOKENS_AFTER: &str = "SELECT id, description, role, created_at, expires_at, revoked_at \
    FROM tokens WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const REVOKE_TOKEN: &str =
    "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

pub(super) const INSERT_AUDIT: &str =
    "INSERT INTO audit (at, actor, action, subject, detail, version) VALUES ($1, $2, $3, $4, $5, $6)";

pub(super) const AUDIT_BEFORE: &str = "SELECT id, at, actor, action, subject, detail, version FROM audit \
    WHERE id < $1 ORDER BY id DESC LIMIT $2";

// ---- nodes ----

pub(super) const PUT_NODE: &str = "INSERT INTO nodes (id, build, labels, store_id, version, digest, \
    connected_at, disconnected_at, acked_at, persisted, rejections) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (id) DO UPDATE SET \
    build = excluded.build, labels = excluded.labels, store_id = excluded.store_id, \
    version = excluded.version, digest = excluded.digest, connected_at = excluded.connected_at, \
    disconnected_at = excluded.disconnected_at, acked_at = excluded.acked_at, \
    persisted = excluded.persisted, rejections = excluded.rejections";

pub(super) const NODES: &str = "SELECT id, build, labels, store_id, version, digest, connected_at, \
    disconnected_at, acked_at, persisted, rejections FROM nodes ORDER BY id";
