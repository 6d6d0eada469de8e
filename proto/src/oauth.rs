//! OAuth client credentials of an upstream: between wire and model, where an empty text stands for what is not set.

use toolplane_registry::Secret;
use toolplane_registry::oauth::{AuthMethod, OAuth};

use crate::admin::{ClientAuthentication, ClientCredentials};

/// The message names a way of client authentication that this release does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be `client_secret_basic` or `client_secret_post`")]
pub struct UnknownMethod;

/// What is set, as an operator may see it: without the secret. Settings of which none is set are not said.
pub fn shown(oauth: &OAuth) -> Option<ClientCredentials> {
    said(oauth).map(|said| ClientCredentials { client_secret: String::new(), ..said })
}

/// All of it, the secret included, for whoever sets it.
pub fn said(oauth: &OAuth) -> Option<ClientCredentials> {
    if oauth.is_default() {
        return None;
    }
    let OAuth { token_url, client_id, client_secret, scope, resource, auth_method } = oauth;
    Some(ClientCredentials {
        token_url: token_url.clone(),
        client_id: client_id.clone(),
        client_secret: client_secret.as_ref().map(|secret| secret.expose().clone()).unwrap_or_default(),
        scope: scope.clone().unwrap_or_default(),
        resource: resource.clone().unwrap_or_default(),
        auth_method: match auth_method {
            AuthMethod::Basic => ClientAuthentication::SecretBasic,
            AuthMethod::Post => ClientAuthentication::SecretPost,
        }
        .into(),
    })
}

impl TryFrom<&ClientCredentials> for OAuth {
    type Error = UnknownMethod;

    fn try_from(said: &ClientCredentials) -> Result<Self, UnknownMethod> {
        let ClientCredentials { token_url, client_id, client_secret, scope, resource, auth_method } = said;
        let given = |text: &String| Some(text.clone()).filter(|text| !text.trim().is_empty());
        Ok(Self {
            token_url: token_url.clone(),
            client_id: client_id.clone(),
            client_secret: given(client_secret).map(Secret::new),
            scope: given(scope),
            resource: given(resource),
            auth_method: match ClientAuthentication::try_from(*auth_method) {
                Ok(ClientAuthentication::SecretPost) => AuthMethod::Post,
                Ok(ClientAuthentication::SecretBasic | ClientAuthentication::Unspecified) => {
                    AuthMethod::Basic
                }
                Err(_) => return Err(UnknownMethod),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use toolplane_registry::oauth::Part;

    use super::*;

    fn full() -> OAuth {
        let mut oauth = OAuth { auth_method: AuthMethod::Post, ..OAuth::default() };
        for part in Part::ALL.into_iter().filter(|part| *part != Part::AuthMethod) {
            assert!(oauth.put(part, Some(part.name().to_owned())));
        }
        oauth
    }

    #[test]
    fn settings_survive_the_wire_and_none_is_not_said() {
        assert_eq!(said(&OAuth::default()), None);
        assert_eq!(OAuth::try_from(&said(&full()).unwrap()), Ok(full()));
        let basic = OAuth { auth_method: AuthMethod::Basic, scope: None, ..full() };
        assert_eq!(OAuth::try_from(&said(&basic).unwrap()), Ok(basic));
        let later = ClientCredentials { auth_method: 99, ..ClientCredentials::default() };
        assert_eq!(OAuth::try_from(&later), Err(UnknownMethod));
    }

    #[test]
    fn the_secret_is_shown_to_nobody() {
        assert_eq!(shown(&full()).unwrap().client_secret, "");
        assert!(!format!("{:?}", said(&full()).unwrap()).contains("client_secret"));
    }
}
