//! The wire: protocol buffers, their generated bindings, and the only conversions between wire and model.
//!
//! # Responsibilities
//!
//! * [`sync`]: what nodes and the control plane say to each other. Field numbers are only ever appended.
//! * [`admin`]: what operators say to the control plane.
//! * [`hooks`]: what a node asks the hook services that operators write.
//! * [`encode`] (infallible) and [`decode`] (fallible, naming the field) between wire and `toolplane-registry`.
//!
//! # Not here
//!
//! No transport, no policy, no state.
//!
//! # Layout
//!
//! The `.proto` files live beside this crate's sources in `toolplane/`; `build.rs` compiles them.

pub mod decode;
pub mod encode;
pub mod limits;
pub mod oauth;
pub mod protocol;
mod redacted;
pub mod tls;

mod generated {
    #![expect(
        missing_docs,
        unused_qualifications,
        unreachable_pub,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::clone_on_ref_ptr,
        clippy::pedantic,
        reason = "generated; the documentation is in the .proto files"
    )]

    pub mod sync {
        pub mod v1 {
            tonic::include_proto!("toolplane.sync.v1");
        }
    }

    pub mod admin {
        pub mod v1 {
            tonic::include_proto!("toolplane.admin.v1");
        }
    }

    pub mod hooks {
        pub mod v1 {
            tonic::include_proto!("toolplane.hooks.v1");
        }
    }
}

/// Package `toolplane.admin.v1`.
pub use generated::admin::v1 as admin;
/// Package `toolplane.hooks.v1`.
pub use generated::hooks::v1 as hooks;
/// Package `toolplane.sync.v1`.
pub use generated::sync::v1 as sync;

/// Every file compiled into this crate, encoded: what gRPC reflection serves.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/toolplane.bin"));

/// The version of the sync protocol that this build speaks. It only changes where a peer that does not know of the
/// change would do harm; what a peer may ignore is a new field.
pub const PROTOCOL_VERSION: u32 = 1;

/// The oldest version of the sync protocol that a control plane of this build still speaks.
pub const MIN_PROTOCOL_VERSION: u32 = 1;

#[cfg(test)]
mod tests;
