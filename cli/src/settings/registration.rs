//! Who may register through nodes: a shared token, or signed tokens of an issuer.

use toolplane_control_plane::registration::credential::{Jwt, Verification};
use toolplane_registry::Secret;

use super::Reader;
use super::reader::quoted;
use crate::env::{self, Variable};

/// Accepted where nothing is said, as far as the key fits.
const ASYMMETRIC: [&str; 9] =
    ["ES256", "ES384", "EdDSA", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

/// Reads the settings; a token and an issuer exclude each other.
pub(crate) fn read(reader: &mut Reader<'_>) -> Verification {
    let needed: [&Variable; 3] = [
        &env::GATEWAY_REGISTRATION_ISSUER,
        &env::GATEWAY_REGISTRATION_AUDIENCE,
        &env::GATEWAY_REGISTRATION_VERIFY_KEY,
    ];
    let token = reader.text(&env::GATEWAY_REGISTRATION_TOKEN);
    let algorithms = algorithms(reader);
    let asked_for = algorithms.is_some() || needed.iter().any(|variable| reader.text(variable).is_some());
    if !asked_for {
        return token
            .map_or(Verification::Disabled, |token| Verification::Token(Secret::new(token.to_owned())));
    }
    for variable in needed {
        if reader.text(variable).is_none() {
            reader.mistake(
                variable,
                "has to be set together with the other variables of signed registration tokens",
            );
        }
    }
    if token.is_some() {
        reader.mistake(
            &env::GATEWAY_REGISTRATION_TOKEN,
            "excludes signed registration tokens: unset it, or the `GATEWAY_REGISTRATION_ISSUER` and its companions",
        );
    }
    let [Some(issuer), Some(audience), Some(key)] = needed.map(|variable| reader.text(variable)) else {
        return Verification::Disabled;
    };
    let jwt = Jwt {
        issuer: issuer.to_owned(),
        audience: audience.to_owned(),
        // One line is what many ways to set a variable allow.
        key_pem: key.replace("\\n", "\n"),
        algorithms: Vec::new(),
    };
    Verification::Jwt(with_algorithms(reader, jwt, algorithms))
}

/// Texts between the commas; `none` and shared secrets are refused before any key is looked at.
fn algorithms(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    reader.parsed(&env::GATEWAY_REGISTRATION_ALGORITHMS, |text| {
        let names: Vec<&str> = text.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        let refused: Vec<String> =
            names.iter().filter(|name| !ASYMMETRIC.contains(name)).map(|name| quoted(name)).collect();
        if refused.is_empty() {
            return Ok(names.into_iter().map(str::to_owned).collect());
        }
        Err(format!("{} is not accepted; use some of {}", refused.join(", "), ASYMMETRIC.join(", ")))
    })
}

/// Every algorithm that was named has to fit the key; where none was, those that fit are taken.
fn with_algorithms(reader: &mut Reader<'_>, jwt: Jwt, named: Option<Vec<String>>) -> Jwt {
    if let Some(algorithms) = named {
        let jwt = Jwt { algorithms, ..jwt };
        if let Err(reason) = jwt.validate() {
            reader.mistake(&env::GATEWAY_REGISTRATION_VERIFY_KEY, reason);
        }
        return jwt;
    }
    let fits = |name: &&str| Jwt { algorithms: vec![(*name).to_owned()], ..jwt.clone() }.validate().is_ok();
    let algorithms: Vec<String> = ASYMMETRIC.iter().copied().filter(fits).map(str::to_owned).collect();
    if algorithms.is_empty() {
        reader.mistake(&env::GATEWAY_REGISTRATION_VERIFY_KEY, "is no public key in PEM");
    }
    Jwt { algorithms, ..jwt }
}
