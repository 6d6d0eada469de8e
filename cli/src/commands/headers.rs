//! Headers for the command line: the name is typed, the value comes from a variable or a file.

use std::collections::BTreeMap;

use crate::env::Variables;
use crate::exit::Failure;

/// Reads `NAME=VARIABLE` and `NAME=PATH` pairs; names in lower case.
pub(crate) fn read(
    from_variables: &[String],
    from_files: &[String],
    variables: &Variables,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut headers = BTreeMap::new();
    for pair in from_variables {
        let (name, variable) = split(pair, "--header-env", "HEADER=VARIABLE")?;
        let value = variables
            .named(variable)
            .ok_or_else(|| Failure::usage(format!("`{variable}`, which `--header-env` names, is not set")))?;
        headers.insert(name, value.trim().to_owned());
    }
    for pair in from_files {
        let (name, path) = split(pair, "--header-file", "HEADER=PATH")?;
        let value = std::fs::read_to_string(path).map_err(|error| {
            Failure::usage(format!("`{path}`, which `--header-file` names, cannot be read: {error}"))
        })?;
        headers.insert(name, value.trim().to_owned());
    }
    Ok(headers)
}

fn split<'a>(pair: &'a str, flag: &str, form: &str) -> Result<(String, &'a str), Failure> {
    let parts = pair.split_once('=').filter(|(name, source)| !name.trim().is_empty() && !source.is_empty());
    // What was typed is not repeated: somebody may have typed the secret itself.
    let (name, source) = parts.ok_or_else(|| Failure::usage(format!("`{flag}` takes `{form}`")))?;
    Ok((name.trim().to_ascii_lowercase(), source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_variables_and_files() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "Bearer from-file\n").unwrap();
        let variables = Variables::from([("KEY", "from-env")]);
        let headers =
            read(&["X-Key=KEY".into()], &[format!("Authorization={}", file.path().display())], &variables)
                .unwrap();
        assert_eq!(headers["x-key"], "from-env");
        assert_eq!(headers["authorization"], "Bearer from-file");
    }

    #[test]
    fn a_secret_typed_by_mistake_is_not_repeated() {
        let failure = read(&["Bearer s3cr3t".into()], &[], &Variables::default()).unwrap_err();
        assert!(!failure.messages.concat().contains("s3cr3t"));
        assert!(read(&["X-Key=MISSING".into()], &[], &Variables::default()).is_err());
        assert!(read(&[], &["X-Key=/does/not/exist".into()], &Variables::default()).is_err());
    }
}
