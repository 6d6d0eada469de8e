//! `Debug` of messages that carry credentials: it shows the fields that may be shown and no others.

use std::fmt;

use crate::{admin, hooks, sync};

macro_rules! redacted {
    ($($message:ty { $($field:ident),* })*) => {$(
        impl fmt::Debug for $message {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($message))$(.field(stringify!($field), &self.$field))*.finish_non_exhaustive()
            }
        }
    )*};
}

// Impls that differ in nothing but the fields shown: a macro keeps the list readable.
redacted! {
    hooks::FetchTokenResponse {}
    hooks::Header { name }
    sync::Header { name }
    sync::RegisterServerRequest { domain }
    sync::DeregisterServerRequest { domain }
    sync::ListServersRequest {}
    sync::RefreshServerRequest { domain, expected_digest }
    sync::CheckCredentialRequest {}
    sync::RequestKey { id, not_after }
    sync::Tls {}
    admin::Upstream { domain, header_names, etag }
    admin::ClientCredentials { client_id, scope, resource }
    admin::UpstreamTls { authorities, client }
    admin::CreateTokenResponse { token }
}
