//! Whether a credential forwarded by a node may register.
//!
//! Owns the three forms: the shared token of the environment, a signed token (JWT, RFC 7519), and an API token
//! with the role `registrar`. Never says which check failed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use toolplane_registry::{Digest, Secret};

use crate::admin::auth::Tokens;
use crate::store::{self, Role};

/// Seconds by which clocks of issuers may differ from ours.
const LEEWAY_SECONDS: u64 = 10;
/// Shared tokens shorter than this are accepted with a warning.
const SHORT_TOKEN: usize = 16;
/// Object identifiers of the curves, as DER writes them (RFC 5480, section 2.1.1.1).
const P256: &[u8] = &[0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];

/// Who may register, as configured.
#[derive(Debug, Clone)]
pub enum Verification {
    /// Nobody: nodes do not offer the endpoints.
    Disabled,
    /// Whoever knows the shared token.
    Token(Secret),
    /// Whoever presents a token signed by the issuer.
    Jwt(Jwt),
}

/// Settings of signed tokens.
#[derive(Debug, Clone)]
pub struct Jwt {
    /// Required `iss`.
    pub issuer: String,
    /// Required `aud`.
    pub audience: String,
    /// Public key, PEM.
    pub key_pem: String,
    /// Accepted algorithms: asymmetric ones only.
    pub algorithms: Vec<String>,
}

/// Why a credential was not accepted.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Registration is off.
    #[error("registration is not enabled")]
    Disabled,
    /// It does not hold.
    #[error("unauthorized")]
    Refused,
    /// It could not be looked up.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Verifies credentials.
#[derive(Debug)]
pub struct Verifier {
    method: Method,
    tokens: Tokens,
}

enum Method {
    Disabled,
    Token(Digest),
    Jwt { keys: Vec<(DecodingKey, Validation)> },
}

#[derive(Debug, serde::Deserialize)]
struct Claims {
    sub: String,
}

impl Jwt {
    /// Builds one key and one set of rules per algorithm.
    fn keys(&self) -> Result<Vec<(DecodingKey, Validation)>, String> {
        if self.algorithms.is_empty() {
            return Err("no algorithm is given".to_owned());
        }
        self.algorithms.iter().map(|name| self.key(name)).collect()
    }

    fn key(&self, name: &str) -> Result<(DecodingKey, Validation), String> {
        let pem = self.key_pem.as_bytes();
        let algorithm: Algorithm =
            name.parse().map_err(|_| format!("algorithm `{name}` is not known; use for instance ES256"))?;
        let key = match algorithm {
            Algorithm::ES256 if !names_curve(&self.key_pem, P256) => return Err(no_key(name)),
            Algorithm::ES384 if !names_curve(&self.key_pem, P384) => return Err(no_key(name)),
            Algorithm::ES256 | Algorithm::ES384 => DecodingKey::from_ec_pem(pem),
            Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => DecodingKey::from_rsa_pem(pem),
            Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
                return Err(format!("algorithm `{name}` is symmetric: whoever verifies could also sign"));
            }
        };
        let key = key.map_err(|_| no_key(name))?;
        let mut rules = Validation::new(algorithm);
        rules.leeway = LEEWAY_SECONDS;
        rules.validate_nbf = true;
        rules.set_issuer(&[&self.issuer]);
        rules.set_audience(&[&self.audience]);
        rules.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Ok((key, rules))
    }

    /// Checks the settings without using them.
    pub fn validate(&self) -> Result<(), String> {
        self.keys().map(drop)
    }
}

fn no_key(algorithm: &str) -> String {
    format!("the key is no public key in PEM for `{algorithm}`")
}

/// Whether a public key says that it lies on a curve: the JWT library takes any curve for any algorithm.
fn names_curve(pem: &str, curve: &[u8]) -> bool {
    let body: String = pem.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    STANDARD.decode(body).is_ok_and(|der| der.windows(curve.len()).any(|part| part == curve))
}

impl Verifier {
    /// Prepares the checks.
    ///
    /// # Errors
    ///
    /// Words that say which setting of signed tokens does not work.
    pub fn new(verification: &Verification, tokens: Tokens) -> Result<Self, String> {
        let method = match verification {
            Verification::Disabled => Method::Disabled,
            Verification::Token(token) => {
                if token.expose().len() < SHORT_TOKEN {
                    tracing::warn!(
                        "the registration token is shorter than {SHORT_TOKEN} characters and may be guessed"
                    );
                }
                Method::Token(Digest::of(token.expose().as_bytes()))
            }
            Verification::Jwt(jwt) => Method::Jwt { keys: jwt.keys()? },
        };
        Ok(Self { method, tokens })
    }

    /// Whether anybody may register at all.
    pub fn is_enabled(&self) -> bool {
        !matches!(self.method, Method::Disabled)
    }

    /// Verifies an `Authorization` header; the result names who it is, for the audit.
    pub async fn verify(&self, authorization: &str) -> Result<String, Error> {
        let actor = match &self.method {
            Method::Disabled => return Err(Error::Disabled),
            // Digests are compared, so that the time taken tells nothing about the token.
            Method::Token(expected) => authorization
                .strip_prefix("Bearer ")
                .filter(|token| Digest::of(token.as_bytes()) == *expected)
                .map(|_| "registration token".to_owned()),
            Method::Jwt { keys } => {
                let token = authorization
                    .split_once(' ')
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
                    .map_or(authorization, |(_, token)| token);
                keys.iter()
                    .find_map(|(key, rules)| jsonwebtoken::decode::<Claims>(token, key, rules).ok())
                    .map(|token| token.claims.sub)
                    .filter(|subject| !subject.is_empty())
            }
        };
        let actor = match actor {
            Some(actor) => actor,
            None => self.api_token(authorization).await?,
        };
        tracing::info!(subject = %actor, "registry.auth.ok");
        Ok(actor)
    }

    async fn api_token(&self, authorization: &str) -> Result<String, Error> {
        let secret = authorization.strip_prefix("Bearer ").ok_or(Error::Refused)?;
        let token = self.tokens.find(secret).await?.ok_or(Error::Refused)?;
        if matches!(token.role, Role::Admin | Role::Registrar) { Ok(token.id) } else { Err(Error::Refused) }
    }
}

impl std::fmt::Debug for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Disabled => "Disabled",
            Self::Token(_) => "Token",
            Self::Jwt { .. } => "Jwt",
        })
    }
}
