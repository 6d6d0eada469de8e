//! What a start finds missing and makes: tokens that let somebody in, and the environment's upstreams.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use toolplane_registry::Digest;

use super::Error;
use crate::admin::auth::Tokens;
use crate::admission;
use crate::clock::Clock;
use crate::ids::{new_id, new_secret};
use crate::options::Options;
use crate::snapshots::Rules;
use crate::store::migrate::Backend;
use crate::store::{self, AuditEntry, Change, Commit, Millis, Role, Store, Token};

/// How often the environment is applied anew when others change what is stored meanwhile.
const ATTEMPTS: usize = 5;

/// Makes an admin token where none is valid, and a node token for the node of the same process.
pub(super) async fn tokens(
    options: &Options,
    store: &dyn Store,
    tokens: &Tokens,
    clock: &Clock,
) -> Result<(), Error> {
    // A SQLite database has this process alone; a shared one may have tokens whose files lie elsewhere.
    let is_alone = Backend::of(options.database_url.expose())? == Backend::Sqlite;
    let path = &options.admin_token_file;
    if !has_valid_admin(store, clock).await? {
        make(path, Role::Admin, store, clock).await?;
        tracing::info!(path = %path.display(), "wrote the first admin token");
    } else if is_alone && !path.exists() {
        // Whoever can start this process on its own data folder owns the gateway; a lost file locks nobody out.
        revoke(path, Role::Admin, store, clock).await?;
        make(path, Role::Admin, store, clock).await?;
        tracing::warn!(path = %path.display(), "the admin token file was gone: wrote a new token, the old one is revoked");
    }
    if let Some(path) = &options.node_token_file {
        let known = match std::fs::read_to_string(path) {
            Ok(secret) => tokens
                .find(secret.trim())
                .await?
                .is_some_and(|token| token.role == Role::Node && token.may_register),
            Err(_) => false,
        };
        if !known {
            revoke(path, Role::Node, store, clock).await?;
            make(path, Role::Node, store, clock).await?;
        }
    }
    Ok(())
}

async fn has_valid_admin(store: &dyn Store, clock: &Clock) -> Result<bool, Error> {
    let now = clock.now();
    let tokens = all_tokens(store).await?;
    Ok(tokens.iter().any(|token| {
        token.role == Role::Admin
            && token.revoked_at.is_none()
            && token.expires_at.is_none_or(|expires| expires > now)
    }))
}

/// What a token made here is called, and found again by: another process of the same database has other files.
fn description(path: &Path, role: Role) -> String {
    format!("{} token of `{}`", role.as_str(), path.display())
}

/// Revokes tokens whose file was this one and is lost.
async fn revoke(path: &Path, role: Role, store: &dyn Store, clock: &Clock) -> Result<(), Error> {
    let (at, description) = (clock.now(), description(path, role));
    for token in all_tokens(store).await? {
        if token.role == role && token.description == description && token.revoked_at.is_none() {
            let audit = AuditEntry {
                actor: "system".to_owned(),
                action: "token.revoke",
                subject: format!("token {}", token.id),
                detail: "its file was lost".to_owned(),
                at,
            };
            store.revoke_token(&token.id, at, &audit).await?;
        }
    }
    Ok(())
}

async fn all_tokens(store: &dyn Store) -> Result<Vec<Token>, Error> {
    const PAGE: u32 = 100;
    let mut all: Vec<Token> = Vec::new();
    loop {
        let after = all.last().map(|token| token.id.clone());
        let page = store.list_tokens(after.as_deref(), PAGE).await?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page);
    }
}

async fn make(path: &Path, role: Role, store: &dyn Store, clock: &Clock) -> Result<(), Error> {
    let (secret, at) = (new_secret(), clock.now());
    // The file first: a token that nobody knows would lock everybody out.
    write_private(path, &secret)
        .map_err(|source| Error::TokenFile { path: path.display().to_string(), source })?;
    let token = Token {
        id: new_id(),
        description: description(path, role),
        role,
        // The node of this process is where its callers register.
        may_register: role == Role::Node,
        created_at: at,
        expires_at: None,
        revoked_at: None,
    };
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
/// makes a version, so that no two contents ever share one. Tells when, if anything had to change.
///
/// Control planes that start together find the same missing: the one that comes second looks again.
pub(super) async fn environment(
    rules: &Rules,
    store: &dyn Store,
    clock: &Clock,
) -> Result<Option<Millis>, Error> {
    for upstream in &rules.environment.upstreams {
        if let Err(found) = admission::check_userinfo(upstream, None) {
            let domain = &upstream.domain;
            let reasons: Vec<String> = found.iter().map(ToString::to_string).collect();
            tracing::warn!(upstream.domain = %domain, "`{domain}` of the environment: {}", reasons.join("; "));
        }
    }
    let mut attempt = 1;
    loop {
        match reconcile(rules, store, clock).await {
            Err(
                store::Error::AlreadyExists(_) | store::Error::NotFound(_) | store::Error::Conflict { .. },
            ) if attempt < ATTEMPTS => {
                attempt += 1;
            }
            result => return Ok(result?),
        }
    }
}

async fn reconcile(rules: &Rules, store: &dyn Store, clock: &Clock) -> Result<Option<Millis>, store::Error> {
    let stored = store.load().await?;
    let mut changes = rules.environment.reconcile(&stored, new_id);
    let detail = format!("{} of the environment's upstreams were added, changed or removed", changes.len());
    if stored.environment != rules.fingerprint {
        changes.push(Change::PutEnvironment { fingerprint: rules.fingerprint.clone() });
    }
    if changes.is_empty() {
        return Ok(None);
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
    Ok(Some(at))
}
