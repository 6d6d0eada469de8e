//! How a token for one upstream is obtained: OAuth client credentials, where an operator set them.
//!
//! Owns the plain data and the names of its parts. Never asks for a token, never checks an address; that is the
//! business of `toolplane-upstream`.

use crate::Secret;

/// OAuth client credentials of one upstream. The secret goes in and never comes out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OAuth {
    /// Where tokens are asked for; empty where nothing is set.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Option<Secret>,
    /// What the token is to be good for, as the authorization server names it; absent leaves that to the server.
    pub scope: Option<String>,
    /// Which resource the token is to be good for (RFC 8707); absent names none.
    pub resource: Option<String>,
    /// How the client shows who it is.
    pub auth_method: AuthMethod,
}

/// How a client shows the authorization server who it is (RFC 6749, section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AuthMethod {
    /// By HTTP Basic.
    #[default]
    Basic,
    /// In the body of the request.
    Post,
}

/// One of the settings, for whatever treats them alike: the store, manifests, update masks, flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// [`OAuth::token_url`]
    TokenUrl,
    /// [`OAuth::client_id`]
    ClientId,
    /// [`OAuth::client_secret`]
    ClientSecret,
    /// [`OAuth::scope`]
    Scope,
    /// [`OAuth::resource`]
    Resource,
    /// [`OAuth::auth_method`]
    AuthMethod,
}

impl AuthMethod {
    /// Both, the one that is used unless another is named first.
    pub const ALL: [Self; 2] = [Self::Basic, Self::Post];

    /// The name that authorization servers know it by (RFC 7591, section 2).
    pub fn name(self) -> &'static str {
        match self {
            Self::Basic => "client_secret_basic",
            Self::Post => "client_secret_post",
        }
    }

    /// Finds one by its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|method| method.name() == name)
    }
}

impl Part {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] =
        [Self::TokenUrl, Self::ClientId, Self::ClientSecret, Self::Scope, Self::Resource, Self::AuthMethod];

    /// The name in manifests and in the store.
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenUrl => "token_url",
            Self::ClientId => "client_id",
            Self::ClientSecret => "client_secret",
            Self::Scope => "scope",
            Self::Resource => "resource",
            Self::AuthMethod => "auth_method",
        }
    }

    /// The name in update masks and rejections.
    pub fn path(self) -> &'static str {
        match self {
            Self::TokenUrl => "oauth.token_url",
            Self::ClientId => "oauth.client_id",
            Self::ClientSecret => "oauth.client_secret",
            Self::Scope => "oauth.scope",
            Self::Resource => "oauth.resource",
            Self::AuthMethod => "oauth.auth_method",
        }
    }

    /// Finds one by its name in update masks.
    pub fn at(path: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.path() == path)
    }

    /// Finds one by its name in the store.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|part| part.name() == name)
    }
}

impl OAuth {
    /// Whether nothing is set, so that no token is asked for.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What was set, as a text. What is as it is without being set is not.
    pub fn get(&self, part: Part) -> Option<&str> {
        match part {
            Part::TokenUrl => Some(self.token_url.as_str()).filter(|text| !text.is_empty()),
            Part::ClientId => Some(self.client_id.as_str()).filter(|text| !text.is_empty()),
            Part::ClientSecret => self.client_secret.as_ref().map(|secret| secret.expose().as_str()),
            Part::Scope => self.scope.as_deref(),
            Part::Resource => self.resource.as_deref(),
            Part::AuthMethod => {
                Some(self.auth_method.name()).filter(|_| self.auth_method != AuthMethod::Basic)
            }
        }
    }

    /// Sets one, or takes it away; `false` where the text is no such setting, and then nothing changes.
    #[must_use]
    pub fn put(&mut self, part: Part, value: Option<String>) -> bool {
        let value = value.filter(|value| !value.is_empty());
        match part {
            Part::TokenUrl => self.token_url = value.unwrap_or_default(),
            Part::ClientId => self.client_id = value.unwrap_or_default(),
            Part::ClientSecret => self.client_secret = value.map(Secret::new),
            Part::Scope => self.scope = value,
            Part::Resource => self.resource = value,
            Part::AuthMethod => {
                let Some(method) = value.map_or(Some(AuthMethod::Basic), |name| AuthMethod::named(&name))
                else {
                    return false;
                };
                self.auth_method = method;
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(part: Part) -> String {
        if part == Part::AuthMethod { "client_secret_post" } else { "s3cr3t" }.to_owned()
    }

    #[test]
    fn what_is_put_is_what_one_gets_and_taking_it_away_leaves_nothing() {
        for part in Part::ALL {
            let mut oauth = OAuth::default();
            assert!(oauth.put(part, Some(text(part))));
            assert_eq!(oauth.get(part), Some(text(part).as_str()), "{part:?}");
            assert_eq!(
                Part::ALL.into_iter().filter(|part| oauth.get(*part).is_some()).count(),
                1,
                "{part:?}"
            );
            assert_eq!((Part::at(part.path()), Part::named(part.name())), (Some(part), Some(part)));
            assert!(!oauth.is_default() && oauth.put(part, None));
            assert!(oauth.is_default(), "{part:?}");
        }
        assert_eq!((Part::at("oauth"), Part::named("token")), (None, None));
    }

    #[test]
    fn a_method_that_is_not_known_changes_nothing() {
        let mut oauth = OAuth { auth_method: AuthMethod::Post, ..OAuth::default() };
        assert!(!oauth.put(Part::AuthMethod, Some("private_key_jwt".to_owned())));
        assert_eq!(oauth.auth_method, AuthMethod::Post);
    }

    #[test]
    fn the_secret_shows_nowhere() {
        let mut oauth = OAuth::default();
        assert!(oauth.put(Part::ClientSecret, Some("s3cr3t".to_owned())));
        assert!(!format!("{oauth:?}").contains("s3cr3t"));
    }
}
