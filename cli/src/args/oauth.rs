//! Flags for OAuth client credentials of an upstream.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// How the control plane obtains the token with which it lists the tools. The secret is in a variable or a file.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "OAuth client credentials, to list its tools with")]
pub(crate) struct OAuthFields {
    /// Ask for tokens here: `https`, unless on the control plane's own machine
    #[arg(id = "oauth_token_url", long = "oauth-token-url", value_name = "URL")]
    pub(crate) token_url: Option<String>,
    /// Ask in the name of this client
    #[arg(id = "oauth_client_id", long = "oauth-client-id", value_name = "ID")]
    pub(crate) client_id: Option<String>,
    /// The client's secret is in this environment variable
    #[arg(
        id = "oauth_client_secret_env",
        long = "oauth-client-secret-env",
        value_name = "VARIABLE",
        conflicts_with = "oauth_client_secret_file"
    )]
    pub(crate) client_secret_env: Option<String>,
    /// The client's secret is in this file
    #[arg(id = "oauth_client_secret_file", long = "oauth-client-secret-file", value_name = "PATH")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// Ask for these scopes, with spaces between them; an empty text asks for none
    #[arg(id = "oauth_scope", long = "oauth-scope", value_name = "SCOPES")]
    pub(crate) scope: Option<String>,
    /// Ask for a token that is good for this resource; an empty text names none
    #[arg(id = "oauth_resource", long = "oauth-resource", value_name = "URL")]
    pub(crate) resource: Option<String>,
    /// How the client shows who it is [default: `client-secret-basic`]
    #[arg(id = "oauth_auth_method", long = "oauth-auth-method", value_name = "METHOD", value_enum)]
    pub(crate) auth_method: Option<AuthMethod>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum AuthMethod {
    /// By HTTP Basic
    ClientSecretBasic,
    /// In the body of the request
    ClientSecretPost,
}
