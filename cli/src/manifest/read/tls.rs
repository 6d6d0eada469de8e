//! `tls` of an upstream: settings that are given as headers are, each by itself.

use toolplane_registry::tls::Part;

use super::super::yaml::{Node, Value};
use super::super::{Mistake, Place, Setting, Tls};
use super::fields::Fields;
use super::source;

/// Whatever is left out is to be none; nothing at all leaves everything to the system.
pub(super) fn tls(node: &Node, file: &Place, mistakes: &mut Vec<Mistake>) -> Tls {
    let mut tls = Tls::default();
    if node.value == Value::Null {
        return tls;
    }
    let known = Part::ALL.map(Part::name);
    let mut fields = Fields::new(node, file, "`tls`", &known, mistakes);
    for part in Part::ALL {
        let Some(node) = fields.take(part.name()) else { continue };
        let what = format!("`{}`", part.path());
        if let Some(value) = source(&what, node, file, fields.mistakes) {
            tls.settings.insert(part, Setting { place: file.at(node.line), value });
        }
    }
    tls
}
