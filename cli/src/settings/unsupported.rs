//! Variables of features that this release does not have: setting one is an error, not silence.

use super::Reader;
use super::reader::quoted;
use crate::env::{self, Variable};

/// Notes every variable that asks for what is not there.
pub(crate) fn refuse(reader: &mut Reader<'_>) {
    let refused: [(&Variable, &str); 4] = [
        (&env::GATEWAY_HOOK_MODULE, "hooks are not supported by this release"),
        (
            &env::GATEWAY_REGISTRY_TOKEN_PROVIDER_MODULE,
            "token providers are not supported by this release: use `GATEWAY_REGISTRY_AUTH_TOKEN`",
        ),
        (
            &env::GATEWAY_AUTH_MODULE,
            "Python authentication modules are not carried over: the `on_authenticate` hook replaces them, which this \
             release does not have yet",
        ),
        (
            &env::GATEWAY_MIDDLEWARE_MODULE,
            "Python middleware is not carried over: a reverse proxy in front of the gateway replaces it",
        ),
    ];
    for (variable, reason) in refused {
        if reader.text(variable).is_some() {
            reader.mistake(variable, reason);
        }
    }
    if reader.flag(&env::GATEWAY_CODE_MODE, false) {
        reader.mistake(&env::GATEWAY_CODE_MODE, "code mode is not supported by this release");
        refuse_limits(reader);
    }
}

/// The limits are looked at only where code mode is on, as they always were.
fn refuse_limits(reader: &mut Reader<'_>) {
    reader.seconds(&env::GATEWAY_CODE_MODE_MAX_DURATION_SECS);
    for variable in [
        &env::GATEWAY_CODE_MODE_MAX_MEMORY,
        &env::GATEWAY_CODE_MODE_MAX_ALLOCATIONS,
        &env::GATEWAY_CODE_MODE_MAX_RECURSION_DEPTH,
        &env::GATEWAY_CODE_MODE_MAX_NESTED_CALLS,
    ] {
        reader.parsed(variable, |text| match text.trim().parse::<u64>() {
            Ok(number) if number > 0 => Ok(()),
            _ => Err(format!("{} is not a positive whole number", quoted(text))),
        });
    }
}
