//! Compiles the protos with protox: no `protoc` is needed and nothing generated is committed (ADR 12).

use std::path::PathBuf;

use prost::Message as _;

const FILES: [&str; 10] = [
    "toolplane/admin/v1/audit.proto",
    "toolplane/admin/v1/nodes.proto",
    "toolplane/admin/v1/policies.proto",
    "toolplane/admin/v1/snapshots.proto",
    "toolplane/admin/v1/tokens.proto",
    "toolplane/admin/v1/tools.proto",
    "toolplane/admin/v1/upstreams.proto",
    "toolplane/hooks/v1/hooks.proto",
    "toolplane/sync/v1/registration.proto",
    "toolplane/sync/v1/sync.proto",
];

const SECRET_BEARING: [&str; 14] = [
    "toolplane.admin.v1.ClientCredentials",
    "toolplane.admin.v1.CreateTokenResponse",
    "toolplane.admin.v1.Upstream",
    "toolplane.admin.v1.UpstreamTls",
    "toolplane.hooks.v1.FetchTokenResponse",
    "toolplane.hooks.v1.Header",
    "toolplane.sync.v1.CheckCredentialRequest",
    "toolplane.sync.v1.DeregisterServerRequest",
    "toolplane.sync.v1.Header",
    "toolplane.sync.v1.ListServersRequest",
    "toolplane.sync.v1.RefreshServerRequest",
    "toolplane.sync.v1.RegisterServerRequest",
    "toolplane.sync.v1.RequestKey",
    "toolplane.sync.v1.Tls",
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=toolplane");
    let descriptors = protox::compile(FILES, ["."])?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    std::fs::write(out.join("toolplane.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // A credential must not end up in a log through a derived `Debug`; `src/redacted.rs` writes these.
        .skip_debug(SECRET_BEARING)
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
