//! The statements, written once: both backends number their parameters `$1`, `$2`, ….
//!
//! What the dialects say differently is in [`super::database::Dialect`]. The suite runs every one on both.

// ---- head ----

pub(super) const HEAD: &str = "SELECT store_id, version FROM head WHERE id = 1";

pub(super) const CREATE_HEAD: &str = "INSERT INTO head (id, store_id, version, key_check) \
    VALUES (1, $1, 0, $2) ON CONFLICT (id) DO NOTHING";

pub(super) const ENVIRONMENT: &str = "SELECT environment FROM head WHERE id = 1";

pub(super) const RENEW_STORE: &str = "UPDATE head SET store_id = $1 WHERE id = 1";

pub(super) const PUT_ENVIRONMENT: &str = "UPDATE head SET environment = $1 WHERE id = 1";

pub(super) const KEY_CHECK: &str = "SELECT key_check FROM head WHERE id = 1";

/// Locks the row until the transaction ends: whoever commits first has the lower number.
pub(super) const NEXT_VERSION: &str =
    "UPDATE head SET version = version + 1 WHERE id = 1 RETURNING store_id, version";

pub(super) const INSERT_SNAPSHOT: &str =
    "INSERT INTO snapshots (version, created_at, actor, summary) VALUES ($1, $2, $3, $4)";

// ---- upstreams ----

pub(super) const UPSTREAMS: &str = "SELECT domain, url, discovery_url, description, headers, forward_headers, \
    allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, created_at, updated_at, \
    frozen_at, limits, tls, oauth FROM upstreams";

/// Takes the same values as [`UPDATE_UPSTREAM`].
pub(super) const INSERT_UPSTREAM: &str = "INSERT INTO upstreams (domain, url, discovery_url, description, \
    headers, forward_headers, allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, \
    created_at, updated_at, limits, tls, oauth) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $13, $14, $15, $16) ON CONFLICT (domain) DO NOTHING";

pub(super) const UPDATE_UPSTREAM: &str = "UPDATE upstreams SET url = $2, discovery_url = $3, description = $4, \
    headers = $5, forward_headers = $6, allowed_tools = $7, denied_tools = $8, schema_policy = $9, \
    session_mode = $10, owner = $11, config_id = $12, updated_at = $13, limits = $14, tls = $15, oauth = $16 \
    WHERE domain = $1";

pub(super) const DELETE_UPSTREAM: &str = "DELETE FROM upstreams WHERE domain = $1";

// ---- listings ----

pub(super) const LISTINGS: &str =
    "SELECT domain, attempt_at, success_at, error, has_approved, protocol FROM listings";

pub(super) const TOOLS: &str =
    "SELECT domain, approved, position, definition FROM tools ORDER BY domain, approved, position";

/// The same columns, of one domain.
pub(super) const TOOL_ROWS_OF: &str = "SELECT domain, approved, position, definition FROM tools \
    WHERE domain = $1 ORDER BY approved, position";

pub(super) const INSERT_LISTING: &str = "INSERT INTO listings (domain, attempt_at, success_at, error, has_approved, protocol) \
    VALUES ($1, $2, $3, $4, $5, $6)";

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

// ---- request keys ----

pub(super) const REQUEST_KEYS: &str = "SELECT id, sealed, not_after FROM request_keys ORDER BY not_after, id";

pub(super) const NEWEST_REQUEST_KEY: &str = "SELECT MAX(not_after) FROM request_keys";

pub(super) const INSERT_REQUEST_KEY: &str =
    "INSERT INTO request_keys (id, sealed, created_at, not_after) VALUES ($1, $2, $3, $4)";

pub(super) const FORGET_REQUEST_KEYS: &str = "DELETE FROM request_keys WHERE not_after < $1";

// ---- tokens and audit ----

pub(super) const INSERT_TOKEN: &str = "INSERT INTO tokens (id, hash, description, role, created_at, \
    expires_at, revoked_at, may_register) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (id) DO NOTHING";

pub(super) const TOKEN_BY_HASH: &str = "SELECT id, description, role, may_register, created_at, expires_at, \
    revoked_at FROM tokens WHERE hash = $1";

pub(super) const TOKEN_BY_ID: &str = "SELECT id, description, role, may_register, created_at, expires_at, \
    revoked_at FROM tokens WHERE id = $1";

pub(super) const TOKENS_AFTER: &str = "SELECT id, description, role, may_register, created_at, expires_at, \
    revoked_at FROM tokens WHERE id > $1 ORDER BY id LIMIT $2";

pub(super) const REVOKE_TOKEN: &str =
    "UPDATE tokens SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";

pub(super) const INSERT_AUDIT: &str =
    "INSERT INTO audit (at, actor, action, subject, detail, version) VALUES ($1, $2, $3, $4, $5, $6)";

pub(super) const AUDIT_BEFORE: &str = "SELECT id, at, actor, action, subject, detail, version FROM audit \
    WHERE id < $1 ORDER BY id DESC LIMIT $2";

pub(super) const FORGET_AUDIT: &str = "DELETE FROM audit WHERE id IN \
    (SELECT id FROM audit WHERE at < $1 ORDER BY at LIMIT $2)";

// ---- nodes ----

pub(super) const PUT_NODE: &str = "INSERT INTO nodes (id, build, labels, store_id, version, digest, \
    connected_at, disconnected_at, acked_at, persisted, rejections, control_plane, stream) \
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (id) DO UPDATE SET \
    build = excluded.build, labels = excluded.labels, store_id = excluded.store_id, \
    version = excluded.version, digest = excluded.digest, connected_at = excluded.connected_at, \
    disconnected_at = excluded.disconnected_at, acked_at = excluded.acked_at, \
    persisted = excluded.persisted, rejections = excluded.rejections, \
    control_plane = excluded.control_plane, stream = excluded.stream \
    WHERE $14 OR (nodes.control_plane = excluded.control_plane AND nodes.stream <= excluded.stream) \
    OR ($15 AND (nodes.disconnected_at IS NOT NULL \
    OR (excluded.disconnected_at IS NULL AND nodes.connected_at <= excluded.connected_at))) \
    OR (nodes.control_plane <> excluded.control_plane AND excluded.disconnected_at IS NULL \
    AND (nodes.disconnected_at IS NOT NULL OR nodes.connected_at < excluded.connected_at))";

pub(super) const NODES: &str = "SELECT id, build, labels, store_id, version, digest, connected_at, \
    disconnected_at, acked_at, persisted, rejections, control_plane, stream FROM nodes ORDER BY id";

/// Nodes that have not been connected since a time. One that is said to be connected is, as long as its control plane
/// lives.
macro_rules! gone {
    () => {
        "(disconnected_at < $1 OR (disconnected_at IS NULL AND connected_at < $1 AND NOT EXISTS \
         (SELECT 1 FROM control_planes WHERE control_planes.id = nodes.control_plane AND lease_until >= $1)))"
    };
}

/// Says it twice: a node may come back between the search and the removal.
pub(super) const FORGET_NODES: &str = concat!(
    "DELETE FROM nodes WHERE ",
    gone!(),
    " AND id IN (SELECT id FROM nodes WHERE ",
    gone!(),
    " ORDER BY id LIMIT $2)"
);

// ---- control planes on one database ----

/// Upstreams that are due, not frozen, and that nobody has claimed. Takes now, a time that only a clock which ran
/// ahead can have written, and the two times before which an upstream must have been asked and have answered.
macro_rules! due {
    () => {
        "FROM upstreams u LEFT JOIN listings l ON l.domain = u.domain \
         LEFT JOIN refresh_claims c ON c.domain = u.domain \
         WHERE u.frozen_at IS NULL AND (c.domain IS NULL OR c.expires_at <= $1 OR c.expires_at > $2) \
         AND (l.domain IS NULL OR l.attempt_at > $2 \
         OR (l.attempt_at <= $3 AND (l.success_at IS NULL OR l.success_at <= $4)))"
    };
}
pub(super) use due;

pub(super) const CLAIM_REFRESH: &str = concat!(
    "INSERT INTO refresh_claims (domain, control_plane, expires_at) SELECT u.domain, $6, $7 ",
    due!(),
    " AND u.domain = $5 ON CONFLICT (domain) DO UPDATE SET \
     control_plane = excluded.control_plane, expires_at = excluded.expires_at"
);

pub(super) const RELEASE_REFRESH: &str = "DELETE FROM refresh_claims WHERE control_plane = $1";

pub(super) const END_CLAIM: &str = "DELETE FROM refresh_claims WHERE domain = $1";

pub(super) const RENEW_LEASE: &str = "INSERT INTO control_planes (id, lease_until) VALUES ($1, $2) \
    ON CONFLICT (id) DO UPDATE SET lease_until = excluded.lease_until";

pub(super) const CONTROL_PLANES: &str = "SELECT id, lease_until FROM control_planes ORDER BY id";

/// Those that ended stay for as long as a node's record has nobody else to say that it is disconnected.
pub(super) const FORGET_CONTROL_PLANES: &str = "DELETE FROM control_planes WHERE lease_until <= $1 \
    AND NOT EXISTS (SELECT 1 FROM nodes \
    WHERE nodes.control_plane = control_planes.id AND nodes.disconnected_at IS NULL)";

// ---- history, as commits write it ----

/// One row where the version's content is known.
pub(super) const RECORDED: &str = "SELECT version FROM snapshots WHERE version = $1 AND recorded";

pub(super) const MARK_RECORDED: &str = "UPDATE snapshots SET recorded = TRUE, \
    policy = (SELECT access FROM policies WHERE id = 1) WHERE version = $1";

/// How many versions from the one given on have their content recorded.
pub(super) const RECORDED_SINCE: &str = "SELECT COUNT(*) FROM snapshots WHERE version >= $1 AND recorded";

pub(super) const COMMITTED_AT: &str = "SELECT created_at FROM snapshots WHERE version = $1";

/// Domains whose content is another than at that version; those that are gone are not among them.
pub(super) const CHANGED_AFTER: &str =
    "SELECT domain FROM domain_history WHERE since_version > $1 AND until_version IS NULL";

pub(super) const DOMAINS: &str = "SELECT domain FROM upstreams ORDER BY domain";

/// Domains there are, and domains that the history takes for being there.
pub(super) const HISTORY_DOMAINS: &str =
    "SELECT domain FROM upstreams UNION SELECT domain FROM domain_history WHERE until_version IS NULL";

pub(super) const UPSTREAM_RULES: &str =
    "SELECT allowed_tools, denied_tools, schema_policy, owner FROM upstreams WHERE domain = $1";

pub(super) const HAS_APPROVED: &str = "SELECT has_approved FROM listings WHERE domain = $1";

pub(super) const TOOLS_OF: &str =
    "SELECT approved, definition FROM tools WHERE domain = $1 ORDER BY approved, position";

pub(super) const OPEN_CONTENT: &str =
    "SELECT digest FROM domain_history WHERE domain = $1 AND until_version IS NULL";

pub(super) const CLOSE_CONTENT: &str =
    "UPDATE domain_history SET until_version = $2 WHERE domain = $1 AND until_version IS NULL";

pub(super) const PUT_CONTENT: &str =
    "INSERT INTO domain_contents (digest, content) VALUES ($1, $2) ON CONFLICT (digest) DO NOTHING";

pub(super) const START_CONTENT: &str =
    "INSERT INTO domain_history (domain, since_version, digest) VALUES ($1, $2, $3)";

// ---- history, as it is read ----

pub(super) const VERSIONS_BEFORE: &str = "SELECT version, created_at, actor, summary, recorded, digest, \
    domain_count, tool_count FROM snapshots WHERE version < $1 ORDER BY version DESC LIMIT $2";

pub(super) const REFUSALS_BETWEEN: &str = "SELECT version, node_id, at, rejections FROM refusals \
    WHERE version >= $1 AND version < $2 ORDER BY version, node_id";

pub(super) const PAST_POLICY: &str = "SELECT policy FROM snapshots WHERE version = $1 AND recorded";

pub(super) const PAST_DOMAINS: &str = "SELECT past.domain, contents.content FROM domain_history AS past \
    JOIN domain_contents AS contents ON contents.digest = past.digest \
    WHERE past.since_version <= $1 AND (past.until_version IS NULL OR past.until_version > $1)";

// ---- history, as it is noted and forgotten ----

pub(super) const NOTE_PUBLISHED: &str = "UPDATE snapshots SET digest = $2, domain_count = $3, tool_count = $4 \
    WHERE version = $1 AND digest IS NULL AND EXISTS (SELECT 1 FROM head WHERE store_id = $5)";

pub(super) const NOTE_REFUSAL: &str = "INSERT INTO refusals (version, node_id, at, rejections) \
    SELECT $1, $2, $3, $4 WHERE EXISTS (SELECT 1 FROM snapshots WHERE version = $1) \
    AND EXISTS (SELECT 1 FROM head WHERE store_id = $5) \
    ON CONFLICT (version, node_id) DO UPDATE SET at = excluded.at, rejections = excluded.rejections";

pub(super) const EXPIRED: &str = "SELECT version FROM snapshots \
    WHERE version <= (SELECT version FROM head WHERE id = 1) - $1 \
    AND version NOT IN (SELECT baseline FROM rollouts) LIMIT 1";

/// Takes the lock that commits take, and changes nothing.
pub(super) const LOCK_HEAD: &str =
    "UPDATE head SET version = version WHERE id = 1 RETURNING store_id, version";

pub(super) const FORGET_VERSIONS: &str = "DELETE FROM snapshots WHERE version < $1 \
    AND version NOT IN (SELECT baseline FROM rollouts)";

pub(super) const FORGET_REFUSALS: &str = "DELETE FROM refusals WHERE version < $1 \
    AND version NOT IN (SELECT baseline FROM rollouts)";

pub(super) const FORGET_HISTORY: &str = "DELETE FROM domain_history WHERE until_version <= $1 \
    AND NOT EXISTS (SELECT 1 FROM rollouts WHERE since_version <= baseline AND until_version > baseline)";

pub(super) const FORGET_CONTENTS: &str = "DELETE FROM domain_contents WHERE NOT EXISTS \
    (SELECT 1 FROM domain_history WHERE domain_history.digest = domain_contents.digest)";

// ---- rollback ----

pub(super) const FREEZE_UPSTREAM: &str = "UPDATE upstreams SET allowed_tools = $2, denied_tools = $3, \
    schema_policy = $4, config_id = $5, frozen_at = $6, updated_at = $7 WHERE domain = $1";

pub(super) const RESUME_UPSTREAM: &str = "UPDATE upstreams SET frozen_at = NULL WHERE domain = $1";

/// Keeps when the upstream was asked; where it never was, it counts as asked now.
pub(super) const RESTORE_LISTING: &str = "INSERT INTO listings (domain, attempt_at, success_at, error, \
    has_approved) VALUES ($1, $2, $2, '', $3) ON CONFLICT (domain) DO UPDATE SET \
    success_at = COALESCE(listings.success_at, excluded.success_at), has_approved = excluded.has_approved";

pub(super) const DELETE_TOOLS: &str = "DELETE FROM tools WHERE domain = $1";

// ---- rollouts ----

pub(super) const ROLLOUT: &str = "SELECT etag, label, value, baseline, actor, started_at, \
    (SELECT COUNT(*) FROM rollout_upstreams) AS upstreams FROM rollouts WHERE id = 1";

pub(super) const START_ROLLOUT: &str = "INSERT INTO rollouts (id, etag, label, value, baseline, actor, started_at) \
    VALUES (1, $1, $2, $3, $4, $5, $6)";

/// Every column of [`UPSTREAMS`], sealed ones included: they are sealed for their domain, which stays. Beside them,
/// how the upstream spoke.
pub(super) const KEEP_UPSTREAMS: &str = "INSERT INTO rollout_upstreams (domain, url, discovery_url, description, \
    headers, forward_headers, allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, \
    created_at, updated_at, frozen_at, limits, tls, oauth, protocol) \
    SELECT domain, url, discovery_url, description, headers, forward_headers, allowed_tools, denied_tools, \
    schema_policy, session_mode, owner, config_id, created_at, updated_at, frozen_at, limits, tls, oauth, \
    COALESCE((SELECT protocol FROM listings WHERE listings.domain = upstreams.domain), '') FROM upstreams";

pub(super) const ROLLOUT_UPSTREAMS: &str = "SELECT domain, url, discovery_url, description, headers, \
    forward_headers, allowed_tools, denied_tools, schema_policy, session_mode, owner, config_id, created_at, \
    updated_at, frozen_at, limits, tls, oauth FROM rollout_upstreams";

pub(super) const ROLLOUT_PROTOCOLS: &str = "SELECT domain, protocol FROM rollout_upstreams";

/// The upstreams of the baseline that were there all along.
pub(super) const KEPT_DOMAINS: &str = "SELECT domain FROM rollout_upstreams";

/// Upstreams that are reached in another way than the baseline's, by name.
pub(super) const MOVED_UPSTREAMS: &str = "SELECT upstreams.domain FROM upstreams \
    JOIN rollout_upstreams AS kept ON kept.domain = upstreams.domain \
    WHERE kept.config_id <> upstreams.config_id ORDER BY upstreams.domain";

/// Reaches one upstream as the baseline does. Takes the domain, a new configuration id, and the time.
pub(super) const MOVE_BACK: &str = "UPDATE upstreams SET (url, discovery_url, description, headers, \
    forward_headers, session_mode, limits, tls, oauth) = (SELECT kept.url, kept.discovery_url, kept.description, \
    kept.headers, kept.forward_headers, kept.session_mode, kept.limits, kept.tls, kept.oauth FROM rollout_upstreams AS kept \
    WHERE kept.domain = $1), config_id = $2, updated_at = $3 WHERE domain = $1";

pub(super) const FORGET_ROLLOUT_UPSTREAM: &str = "DELETE FROM rollout_upstreams WHERE domain = $1";

pub(super) const FORGET_ROLLOUT_UPSTREAMS: &str = "DELETE FROM rollout_upstreams";

pub(super) const END_ROLLOUT: &str = "DELETE FROM rollouts WHERE id = 1";
