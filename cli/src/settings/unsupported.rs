//! Variables of features that this release does not have. Setting one is never silence: asking for the feature is an
//! error, and settings that only shape it are told about.

use super::Reader;
use crate::env::{self, ReadBy, Variable, Variables};

/// Notes every variable that asks for what is not there.
pub(crate) fn refuse(reader: &mut Reader<'_>) {
    let refused: [(&Variable, &Variable, &str); 2] = [
        (
            &env::GATEWAY_AUTH_MODULE,
            &env::GATEWAY_ALLOWED_AUTH_PREFIXES,
            "Python authentication modules are not carried over: an `on_authenticate` hook (`GATEWAY_HOOK_MODULE`) \
             replaces them, or a proxy in front of the gateway",
        ),
        (
            &env::GATEWAY_MIDDLEWARE_MODULE,
            &env::GATEWAY_ALLOWED_MIDDLEWARE_PREFIXES,
            "Python middleware is not carried over: a reverse proxy in front of the gateway replaces it",
        ),
    ];
    for (variable, prefixes, reason) in refused {
        // Without its prefixes such a module was never loaded.
        if reader.text(variable).is_some() && reader.text(prefixes).is_some() {
            reader.mistake(variable, reason);
        }
    }
}

/// What is set and changes nothing. Settings of a feature that is asked for are refused together with it.
pub(crate) fn without_effect(variables: &Variables) -> Vec<&'static Variable> {
    let is_on = Reader::new(variables).flag(&env::GATEWAY_CODE_MODE, false);
    let idle = |variable: &&Variable| {
        let is_switch = variable.name == env::GATEWAY_CODE_MODE.name;
        let shapes_code_mode = variable.name.contains("_CODE_MODE_");
        let is_idle = variable.name == env::GATEWAY_TRACE_HEALTH_ROUTES.name
            || variable.reader == ReadBy::Nobody
            || (shapes_code_mode && !is_on);
        is_idle && !is_switch && variables.get(variable).is_some()
    };
    env::ALL.iter().filter(idle).collect()
}
