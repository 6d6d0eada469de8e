//! What a start finds missing and makes: tokens that let somebody in, and the environment's upstreams.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use toolplane_registry::Digest;

use super::Error;
use crate::admin::auth::Tokens;
use crate::clock::Clock;
use crate::ids::{new_id, new_secret};
use crate::options::Options;
use crate::snapshots::Rules;
use crate::store::{AuditEntry, Change, Commit, Role, Store, Token};

/// Makes an admin token where none is valid, and a node token for the node of the same process.
pub(super) async fn tokens(
    options: &Options,
    store: &dyn Store,
    tokens: &Tokens,
    clock: &Clock,
) -> Result<(), Error> {
    if !has_valid_admin(store, clock).await? {
        let path = &options.admin_token_file;
        make(path, Role::Admin, "bootstrap admin", store, clock).await?;
        tracing::info!(path = %path.display(), "wrote the first admin token");
    }
    if let Some(path) = &options.node_token_file {
        let known = match std::fs::read_to_string(path) {
            Ok(secret) => tokens.find(secret.trim()).await?.is_some_and(|token| token.role == Role::Node),
            Err(_) => false,
        };
        if !known {
            make(path, Role::Node, "node of the same process", store, clock).await?;
        }
    }
    Ok(())
}

async fn has_valid_admin(store: &dyn Store, clock: &Clock) -> Result<bool, Error> {
    const PAGE: u32 = 100;
    let now = clock.now();
    let mut after: Option<String> = None;
    loop {
        let page = store.list_tokens(after.as_deref(), PAGE).await?;
        let valid = |token: &&Token| {
            token.role == Role::Admin
                && token.revoked_at.is_none()
                && token.expires_at.is_none_or(|expires| expires > now)
        };
        if page.iter().any(|token| valid(&token)) {
            return Ok(true);
        }
        let Some(last) = page.last() else { return Ok(false) };
        after = Some(last.id.clone());
    }
}

async fn make(
    path: &Path,
    role: Role,
    description: &str,
    store: &dyn Store,
    clock: &Clock,
) -> Result<(), Error> {
    let (secret, at) = (new_secret(), clock.now());
    // The file first: a token that nobody knows would lock everybody out.
    write_private(path, &secret)
        .map_err(|source| Error::TokenFile { path: path.display().to_string(), source })?;
    let description = description.to_owned();
    let token = Token { id: new_id(), description, role, created_at: at, expires_at: None, revoked_at: None };
    let audit = AuditEntry {
        actor: "system".to_owned(),
        action: "token.create",
        subject: format!("token {}", token.id),
        detail: format!("role {}", role.as_str()),
        at,
    };
    store.insert_token(&token, Digest::of(secret.as_bytes()), &audit).await?;
    Ok(())
}

fn write_private(path: &Path, secret: &str) -> io::Result<()> {
    let draft = path.with_extension("new");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&draft)?;
    writeln!(file, "{secret}")?;
    file.sync_all()?;
    std::fs::rename(&draft, path)
}

/// Brings the store to what the environment declares. What it lays over the registry counts too: a change of it
/// makes a version, so that no two contents ever share one.
pub(super) async fn environment(rules: &Rules, store: &dyn Store, clock: &Clock) -> Result<(), Error> {
    let stored = store.load().await?;
    let mut changes = rules.environment.reconcile(&stored, new_id);
    let detail = format!("{} of the environment's upstreams were added, changed or removed", changes.len());
    if stored.environment != rules.fingerprint {
        changes.push(Change::PutEnvironment { fingerprint: rules.fingerprint.clone() });
    }
    if changes.is_empty() {
        return Ok(());
    }
    let at = clock.now();
    let audit = AuditEntry {
        actor: "environment".to_owned(),
        action: "environment.apply",
        subject: "upstreams and settings".to_owned(),
        detail,
        at,
    };
    store.commit(&Commit { changes, audit: vec![audit], at }).await?;
    Ok(())
}
