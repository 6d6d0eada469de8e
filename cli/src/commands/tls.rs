//! TLS settings of an upstream for the command line: the files are named, their content is sent.

use std::path::Path;

use toolplane_proto::admin as wire;
use toolplane_registry::tls::Part;

use crate::args::TlsFields;
use crate::exit::Failure;

/// Largest file; the control plane takes no larger one either.
const MAX_BYTES: u64 = toolplane_upstream::tls::MAX_PEM_BYTES as u64;

/// Reads the files that are named; absent where none is. Notes what an update changes.
pub(crate) fn read(fields: &TlsFields, mask: &mut Vec<String>) -> Result<Option<wire::UpstreamTls>, Failure> {
    let TlsFields { ca_file, client_cert, client_key } = fields;
    let mut tls = wire::UpstreamTls::default();
    let named = [
        (Part::Ca, "--ca-file", ca_file, &mut tls.ca),
        (Part::ClientCertificate, "--client-cert", client_cert, &mut tls.client_certificate),
        (Part::ClientKey, "--client-key", client_key, &mut tls.client_key),
    ];
    let mut is_any = false;
    for (part, flag, path, text) in named {
        let Some(path) = path else { continue };
        *text = content(flag, path)?;
        mask.push(part.path().to_owned());
        is_any = true;
    }
    Ok(is_any.then_some(tls))
}

/// What a file holds. It is not repeated, whatever it is.
fn content(flag: &str, path: &Path) -> Result<String, Failure> {
    let wrong =
        |reason: &str| Failure::usage(format!("`{}`, which `{flag}` names, {reason}", path.display()));
    let text = read_bounded(path).map_err(|error| wrong(&format!("cannot be read: {error}")))?;
    match text {
        text if text.len() as u64 > MAX_BYTES => {
            Err(wrong(&format!("is larger than {} KiB", MAX_BYTES >> 10)))
        }
        text if text.trim().is_empty() => Err(wrong("is empty")),
        text => Ok(text),
    }
}

fn read_bounded(path: &Path) -> std::io::Result<String> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_BYTES + 1).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_that_are_named_are_sent_and_make_the_mask() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            Some(path)
        };
        let fields =
            TlsFields { ca_file: file("ca", "their ca\n"), client_cert: None, client_key: file("key", "k") };
        let mut mask = Vec::new();
        let tls = read(&fields, &mut mask).unwrap().unwrap();
        assert_eq!(
            (tls.ca.as_str(), tls.client_certificate.as_str(), tls.client_key.as_str()),
            ("their ca\n", "", "k")
        );
        assert_eq!(mask, ["tls.ca", "tls.client_key"]);
        assert_eq!(read(&TlsFields::default(), &mut Vec::new()).unwrap(), None);
        for wrong in
            [file("empty", " \n"), file("large", &"x".repeat(257 << 10)), Some("/does/not/exist".into())]
        {
            let failure =
                read(&TlsFields { ca_file: wrong, ..TlsFields::default() }, &mut Vec::new()).unwrap_err();
            assert!(failure.messages.concat().contains("--ca-file"), "{failure:?}");
        }
    }
}
