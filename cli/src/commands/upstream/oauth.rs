//! OAuth client credentials on the command line, and how they are shown. The secret never comes back.

use serde::Serialize;
use toolplane_proto::admin as wire;
use toolplane_registry::OAuth;
use toolplane_registry::oauth::{self, Part};

use super::view::filled;
use crate::args::{AuthMethod, OAuthFields};
use crate::env::Variables;
use crate::exit::Failure;

/// Client credentials in the form that is printed.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    token_url: String,
    client_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<String>,
    auth_method: &'static str,
}

/// Reads what is named; absent where nothing is. Notes what an update changes.
pub(super) fn read(
    fields: &OAuthFields,
    variables: &Variables,
    mask: &mut Vec<String>,
) -> Result<Option<wire::ClientCredentials>, Failure> {
    let OAuthFields {
        token_url,
        client_id,
        client_secret_env: _,
        client_secret_file: _,
        scope,
        resource,
        auth_method,
    } = fields;
    let auth_method = auth_method.map(|method| match method {
        AuthMethod::ClientSecretBasic => oauth::AuthMethod::Basic,
        AuthMethod::ClientSecretPost => oauth::AuthMethod::Post,
    });
    let given = [
        (Part::TokenUrl, token_url.clone()),
        (Part::ClientId, client_id.clone()),
        (Part::ClientSecret, secret(fields, variables)?),
        (Part::Scope, scope.clone()),
        (Part::Resource, resource.clone()),
        (Part::AuthMethod, auth_method.map(|method| method.name().to_owned())),
    ];
    let mut wanted = OAuth::default();
    for (part, text) in given {
        let Some(text) = text else { continue };
        mask.push(part.path().to_owned());
        if !wanted.put(part, Some(text)) {
            return Err(Failure::usage(format!("`{}` is not known", part.path())));
        }
    }
    Ok(toolplane_proto::oauth::said(&wanted))
}

/// The client's secret. It is not repeated, wherever it comes from.
fn secret(fields: &OAuthFields, variables: &Variables) -> Result<Option<String>, Failure> {
    let secret = if let Some(variable) = &fields.client_secret_env {
        let missing =
            || Failure::usage(format!("`{variable}`, which `--oauth-client-secret-env` names, is not set"));
        variables.named(variable).ok_or_else(missing)?.to_owned()
    } else if let Some(path) = &fields.client_secret_file {
        std::fs::read_to_string(path).map_err(|error| {
            let path = path.display();
            Failure::usage(format!(
                "`{path}`, which `--oauth-client-secret-file` names, cannot be read: {error}"
            ))
        })?
    } else {
        return Ok(None);
    };
    match secret.trim() {
        "" => Err(Failure::usage("the client secret is empty")),
        secret => Ok(Some(secret.to_owned())),
    }
}

impl From<wire::ClientCredentials> for Shown {
    fn from(credentials: wire::ClientCredentials) -> Self {
        let auth_method = match credentials.auth_method() {
            wire::ClientAuthentication::SecretPost => oauth::AuthMethod::Post,
            wire::ClientAuthentication::SecretBasic | wire::ClientAuthentication::Unspecified => {
                oauth::AuthMethod::Basic
            }
        };
        // The secret is never sent.
        let wire::ClientCredentials {
            token_url,
            client_id,
            client_secret: _,
            scope,
            resource,
            auth_method: _,
        } = credentials;
        let (scope, resource) = (filled(scope), filled(resource));
        Self { token_url, client_id, scope, resource, auth_method: auth_method.name() }
    }
}

impl Shown {
    /// On one line.
    pub(super) fn line(&self) -> String {
        let Self { token_url, client_id, scope, resource, auth_method } = self;
        let mut line = format!("client {client_id} at {token_url} by {auth_method}");
        for (what, value) in [("scope", scope), ("resource", resource)] {
            if let Some(value) = value {
                line = format!("{line}, {what} {value}");
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> OAuthFields {
        OAuthFields {
            token_url: Some("https://login/token".into()),
            client_secret_env: Some("SECRET".into()),
            scope: Some(String::new()),
            auth_method: Some(AuthMethod::ClientSecretPost),
            ..OAuthFields::default()
        }
    }

    #[test]
    fn what_is_named_is_sent_and_makes_the_mask() {
        let variables = Variables::from([("SECRET", "s3cr3t\n")]);
        let mut mask = Vec::new();
        let sent = read(&fields(), &variables, &mut mask).unwrap().unwrap();
        assert_eq!(mask, ["oauth.token_url", "oauth.client_secret", "oauth.scope", "oauth.auth_method"]);
        assert_eq!((sent.client_secret.as_str(), sent.scope.as_str()), ("s3cr3t", ""));
        assert_eq!(sent.auth_method(), wire::ClientAuthentication::SecretPost);
        assert_eq!(read(&OAuthFields::default(), &variables, &mut Vec::new()).unwrap(), None);
    }

    #[test]
    fn a_secret_comes_from_a_file_too_and_one_that_is_missing_is_a_mistake() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "from file\n").unwrap();
        let with = |path: &std::path::Path| OAuthFields {
            client_secret_file: Some(path.to_owned()),
            ..OAuthFields::default()
        };
        let none = Variables::default();
        let sent = read(&with(file.path()), &none, &mut Vec::new()).unwrap().unwrap();
        assert_eq!(sent.client_secret, "from file");
        std::fs::write(file.path(), " \n").unwrap();
        for wrong in [fields(), with(file.path()), with("/does/not/exist".as_ref())] {
            assert!(read(&wrong, &none, &mut Vec::new()).is_err());
        }
    }

    #[test]
    fn credentials_are_shown_on_one_line_without_the_secret() {
        let shown = Shown::from(wire::ClientCredentials {
            token_url: "https://login/token".into(),
            client_id: "gateway".into(),
            client_secret: "s3cr3t".into(),
            resource: "https://crm".into(),
            ..wire::ClientCredentials::default()
        });
        assert_eq!(
            shown.line(),
            "client gateway at https://login/token by client_secret_basic, resource https://crm"
        );
        assert!(!serde_json::to_string(&shown).unwrap().contains("s3cr3t"));
    }
}
