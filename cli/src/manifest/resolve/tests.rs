use std::collections::BTreeMap;

use super::super::read;
use super::*;

/// Values of a test: variables and files.
struct Fixed(BTreeMap<&'static str, &'static str>);

impl Values for Fixed {
    fn variable(&self, name: &str) -> Option<String> {
        self.0.get(name).map(|&value| value.to_owned())
    }

    fn file(&self, manifest: &str, path: &Path) -> io::Result<String> {
        let key = format!("{manifest}+{}", path.display());
        self.0.get(key.as_str()).map(|&value| value.to_owned()).ok_or(io::ErrorKind::NotFound.into())
    }
}

fn resolved(
    headers: &str,
    values: &[(&'static str, &'static str)],
) -> (Vec<Header>, Vec<String>, Vec<String>) {
    let text = format!("upstreams:\n- domain: a\n  url: http://a/mcp\n  headers: {headers}\n");
    let (mut manifest, mistakes) = read::manifest(&[("f".to_owned(), text)]);
    assert_eq!(mistakes, []);
    let (mistakes, warnings) = resolve(&mut manifest, &Fixed(values.iter().copied().collect()));
    let text = |found: Vec<Mistake>| found.iter().map(ToString::to_string).collect();
    (manifest.upstreams.remove(0).headers.unwrap(), text(mistakes), text(warnings))
}

#[test]
fn references_become_values() {
    let values = [("TOKEN", "from-env\n"), ("f+keys/a", " from-file \n")];
    let (headers, mistakes, warnings) =
        resolved("{a: {env: TOKEN}, b: {file: keys/a}, c: {unchanged: true}}", &values);
    assert_eq!((mistakes.len(), warnings.len()), (0, 0));
    let given = |value: &str| Source::Given(Secret::new(value.to_owned()));
    let found: Vec<_> = headers.into_iter().map(|header| header.value).collect();
    assert_eq!(found, [given("from-env"), given("from-file"), Source::Unchanged]);
}

#[test]
fn what_cannot_be_a_header_is_told_without_its_value() {
    for (headers, reason) in [
        ("{a: {env: MISSING}}", "header `a`: the variable `MISSING` is not set"),
        ("{a: {file: missing}}", "header `a`: the file `missing` cannot be read: "),
        ("{a: ''}", "header `a`: has no value"),
        ("{a: \"s3cr3t\\u0001\"}", "header `a`: has a value with control characters"),
        ("{host: s3cr3t}", "header `host`: belongs to the connection"),
        ("{'a b': s3cr3t}", "header `a b`: is not a header name"),
        ("{host: {unchanged: true}}", "header `host`: belongs to the connection"),
    ] {
        let (_, mistakes, _) = resolved(headers, &[]);
        assert!(mistakes.len() == 1 && mistakes[0].starts_with(&format!("f:4: {reason}")), "{mistakes:?}");
        assert!(!mistakes[0].contains("s3cr3t"));
    }
}

#[test]
fn tls_settings_come_from_the_same_places_and_keep_their_lines() {
    let text = "upstreams:\n- domain: a\n  url: https://a/mcp\n  tls:\n    ca: {file: ca.pem}\n    \
                client_certificate: {env: CERT}\n    client_key: s3cr3t\n";
    let resolved = |values: &[(&'static str, &'static str)]| {
        let (mut manifest, mistakes) = read::manifest(&[("f".to_owned(), text.to_owned())]);
        assert_eq!(mistakes, []);
        let (mistakes, warnings) = resolve(&mut manifest, &Fixed(values.iter().copied().collect()));
        let texts = |found: Vec<Mistake>| found.iter().map(ToString::to_string).collect::<Vec<_>>();
        (manifest.upstreams.remove(0).tls.unwrap().settings, texts(mistakes), texts(warnings))
    };
    let (settings, mistakes, warnings) = resolved(&[("f+ca.pem", "one\ntwo\n"), ("CERT", "three")]);
    assert_eq!(mistakes, Vec::<String>::new());
    let given = |value: &str| Source::Given(Secret::new(value.to_owned()));
    let values: Vec<_> = settings.into_values().map(|setting| setting.value).collect();
    assert_eq!(values, [given("one\ntwo\n"), given("three"), given("s3cr3t")]);
    assert!(
        warnings.len() == 1 && warnings[0].starts_with("f:7: `tls.client_key` is written out"),
        "{warnings:?}"
    );
    let (_, mistakes, _) = resolved(&[("CERT", " ")]);
    assert!(mistakes[0].starts_with("f:5: `tls.ca`: the file `ca.pem` cannot be read"), "{mistakes:?}");
    assert_eq!(mistakes[1..], ["f:6: `tls.client_certificate`: has no value"]);
    assert!(!format!("{mistakes:?}{warnings:?}").contains("s3cr3t"));
}

#[test]
fn a_value_that_is_written_out_is_warned_about() {
    let (headers, mistakes, warnings) = resolved("{a: s3cr3t}", &[]);
    assert_eq!((headers.len(), mistakes.len()), (1, 0));
    assert!(warnings.len() == 1 && warnings[0].starts_with("f:4: header `a` is written out"), "{warnings:?}");
    assert!(!warnings[0].contains("s3cr3t") && !format!("{headers:?}").contains("s3cr3t"));
}
