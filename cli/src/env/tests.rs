use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStringExt as _;

use super::*;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/OPERATIONS.md");
const BEGIN: &str = "<!-- begin: variables (made from cli/src/env/list.rs) -->\n";
const END: &str = "<!-- end: variables -->";

fn readers() -> [(ReadBy, &'static str); 6] {
    [
        (ReadBy::Everything, "Every command"),
        (ReadBy::Planes, "Both planes"),
        (ReadBy::ControlPlane, "Control plane"),
        (ReadBy::Node, "Data-plane nodes"),
        (ReadBy::Commands, "Operator's commands"),
        (ReadBy::Nobody, "Refused"),
    ]
}

fn reference() -> String {
    let mut page = String::new();
    for (reader, title) in readers() {
        write!(page, "\n### {title}\n\n| variable | default | what it does |\n|---|---|---|\n").unwrap();
        for variable in ALL.iter().filter(|variable| variable.reader == reader) {
            let Variable { name, doc, default, secret, reader: _ } = variable;
            let secret = if *secret { " *Secret.*" } else { "" };
            let default = if default.is_empty() { "–" } else { default };
            let (default, doc) = (default.replace('|', "\\|"), doc.replace('|', "\\|"));
            writeln!(page, "| `{name}` | {default} | {doc}{secret} |").unwrap();
        }
    }
    page.push('\n');
    page
}

#[test]
fn the_reference_page_matches_the_list() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("a begin mark");
    let (table, after) = rest.split_once(END).expect("an end mark");
    if table == reference() {
        return;
    }
    if Variables::of_process().0.named("UPDATE_REFERENCE").is_some() {
        std::fs::write(PAGE, format!("{before}{BEGIN}{}{END}{after}", reference())).unwrap();
        return;
    }
    panic!("docs/OPERATIONS.md is out of date: run this test with UPDATE_REFERENCE=1");
}

#[test]
fn names_are_unique_and_documented() {
    let names: BTreeSet<_> = ALL.iter().map(|variable| variable.name).collect();
    assert_eq!(names.len(), ALL.len());
    for variable in ALL {
        assert!(variable.doc.ends_with('.'), "{}", variable.name);
        assert!(readers().iter().any(|(reader, _)| *reader == variable.reader), "{}", variable.name);
    }
}

#[test]
fn blank_means_unset_and_debug_shows_no_value() {
    let variables = Variables::from([("GATEWAY_NAME", "  "), ("TOOLPLANE_TOKEN", "s3cr3t")]);
    assert_eq!(variables.get(&GATEWAY_NAME), None);
    assert_eq!(variables.get(&TOKEN), Some("s3cr3t"));
    assert!(!format!("{variables:?}").contains("s3cr3t"));
}

#[test]
fn unknown_names_of_ours_are_told() {
    let variables = Variables::from([("GATEWAY_PORTS", "1"), ("GATEWAY_PORT", "1"), ("PATH", "/bin")]);
    assert_eq!(variables.unknown(), ["GATEWAY_PORTS"]);
}

#[test]
fn values_that_are_no_text_are_named() {
    let bytes = OsString::from_vec(vec![0xff]);
    let (variables, others) = Variables::split([
        ("GATEWAY_NAME".into(), bytes.clone()),
        ("SOMETHING_ELSE".into(), bytes),
        ("GATEWAY_PORT".into(), "1".into()),
    ]);
    assert_eq!(others, ["GATEWAY_NAME"]);
    assert_eq!(variables.get(&GATEWAY_PORT), Some("1"));
}
