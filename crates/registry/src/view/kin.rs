//! Which tools depend on each other for their names.
//!
//! A published name is a function of all visible tools, but only a few of them can touch any one name. Tools that
//! could ever meet in a name, whoever sees them, are one *family*. Whoever decides what of a family is visible knows
//! the names of its members without deciding on the rest of the registry.

use std::collections::HashMap;

use super::{Entry, MAX_PUBLISHED_CHARS, View, suffixed_forms};
use crate::{Domain, ToolName};

/// The families of a view's entries, by position. Building costs a pass over them.
#[derive(Debug, Clone, Default)]
pub struct Kin {
    /// Positions, ascending.
    families: Vec<Vec<usize>>,
    /// Positions in `families`, by position of the entry.
    family_of: Vec<usize>,
    /// Positions in `families`, by every name that a member could have or answer to.
    claims: HashMap<String, usize>,
    /// In lower case, by the position of entries that could be published under another name than their original one.
    aliases: HashMap<usize, Vec<Box<str>>>,
}

impl Kin {
    /// Sorts the entries of a view into families.
    pub fn of(view: &View) -> Self {
        let mut first: HashMap<String, usize> = HashMap::new();
        let mut roots: Vec<usize> = (0..view.entries().len()).collect();
        for (position, entry) in view.entries().iter().enumerate() {
            for claim in claims(entry.domain().domain(), &entry.tool().original_name) {
                let other = *first.entry(claim).or_insert(position);
                join(&mut roots, position, other);
            }
        }
        let mut numbers: HashMap<usize, usize> = HashMap::new();
        let mut families: Vec<Vec<usize>> = Vec::new();
        let mut family_of = Vec::with_capacity(roots.len());
        for position in 0..roots.len() {
            let number = *numbers.entry(root(&roots, position)).or_insert(families.len());
            match families.get_mut(number) {
                Some(family) => family.push(position),
                None => families.push(vec![position]),
            }
            family_of.push(number);
        }
        let number = |position: usize| family_of.get(position).copied().unwrap_or_default();
        let claims = first.into_iter().map(|(claim, position)| (claim, number(position))).collect();
        let aliases = aliases(view, &families);
        Self { families, family_of, claims, aliases }
    }

    /// The family of whoever could be called by this name; empty where nobody could.
    pub fn claiming(&self, name: &str) -> &[usize] {
        self.claims.get(name).map_or(&[], |number| self.family(*number))
    }

    /// Some family, the same for the same name, that stands in for one where nobody could be called by it. Empty only
    /// where there are no tools.
    pub fn standing_in(&self, view: &View, name: &str) -> &[usize] {
        let next = view.entries().partition_point(|entry| entry.name() < name);
        let position = next.min(view.len().saturating_sub(1));
        self.family_of.get(position).map_or(&[], |number| self.family(*number))
    }

    /// These entries with everybody of their families, ascending.
    pub fn around(&self, positions: impl IntoIterator<Item = usize>) -> Vec<usize> {
        let numbers = positions.into_iter().filter_map(|position| self.family_of.get(position));
        let mut numbers: Vec<usize> = numbers.copied().collect();
        numbers.sort_unstable();
        numbers.dedup();
        let mut all: Vec<usize> = numbers.iter().flat_map(|number| self.family(*number)).copied().collect();
        all.sort_unstable();
        all
    }

    /// Whether a test of names in lower case holds for one under which somebody could see the entry.
    pub(crate) fn any_name(&self, position: usize, entry: &Entry, test: impl Fn(&str) -> bool) -> bool {
        let aliases = self.aliases.get(&position).into_iter().flatten();
        test(&entry.folded().name) || aliases.into_iter().any(|alias| test(alias))
    }

    fn family(&self, number: usize) -> &[usize] {
        self.families.get(number).map_or(&[], Vec::as_slice)
    }
}

/// The further names of entries that could have one. Who meets nobody is published under its original name, if that is
/// no longer than any may be.
fn aliases(view: &View, families: &[Vec<usize>]) -> HashMap<usize, Vec<Box<str>>> {
    let mut aliases = HashMap::new();
    for (family, position) in families.iter().flat_map(|family| family.iter().map(move |at| (family, *at))) {
        let Some(entry) = view.entries().get(position) else { continue };
        let original = &entry.tool().original_name;
        if family.len() == 1 && original.as_str().chars().count() <= MAX_PUBLISHED_CHARS {
            continue;
        }
        let [_, others @ ..] = claims(entry.domain().domain(), original);
        aliases.insert(position, others.map(|name| name.to_lowercase().into_boxed_str()).to_vec());
    }
    aliases
}

/// Every name that a tool could have or answer to, whoever sees it; the original one first.
fn claims(domain: &Domain, original: &ToolName) -> [String; 6] {
    let (literal, prefixed) = (original.as_str().to_owned(), domain.prefixed(original));
    let [a, b] = suffixed_forms(&literal, domain, original);
    let [c, d] = suffixed_forms(&prefixed, domain, original);
    [literal, prefixed, a, b, c, d]
}

fn root(roots: &[usize], mut position: usize) -> usize {
    while let Some(parent) = roots.get(position).copied().filter(|parent| *parent != position) {
        position = parent;
    }
    position
}

fn join(roots: &mut [usize], one: usize, other: usize) {
    let (one, other) = (root(roots, one), root(roots, other));
    // The lower one leads, so that chains stay short where entries come in order.
    if let Some(slot) = roots.get_mut(one.max(other)) {
        *slot = one.min(other);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::search::{self, ByName};
    use crate::snapshot::Builder;
    use crate::suggest;
    use crate::test_util::{a_domain, a_tool};
    use crate::{Snapshot, Version};

    /// Names that collide in every way: literal, prefixed, with the separator inside, and too long.
    fn snapshot() -> Snapshot {
        let long = "x".repeat(140);
        let names = |list: &[&str]| list.iter().map(|name| a_tool(name)).collect::<Vec<_>>();
        Builder::new(Version::new("s", 1))
            .domain(a_domain("a", names(&["b_c", "c", "search", "alone_here", &long])))
            .domain(a_domain("a_b", names(&["c", "search", &long])))
            .domain(a_domain("z", names(&["a_search", "a_b_c", "z_c", "c"])))
            .build()
            .unwrap()
    }

    fn known(view: &View) -> Vec<(String, String)> {
        let told = |entry: &Entry| (entry.name().to_owned(), entry.domain().domain().to_string());
        view.entries().iter().map(told).collect()
    }

    #[test]
    fn a_tool_that_meets_nobody_is_a_family_of_its_own() {
        let snapshot = snapshot();
        let kin = Kin::of(snapshot.all());
        assert_eq!(kin.claiming("alone_here").len(), 1);
        assert_eq!(kin.claiming("a_alone_here"), kin.claiming("alone_here"));
        assert_eq!(kin.claiming("search").len(), 3, "two twins and a literal that one's prefixed form meets");
        assert!(kin.claiming("nobody").is_empty());
    }

    #[test]
    fn some_family_stands_in_for_one_that_nobody_has() {
        let snapshot = snapshot();
        let (all, kin) = (snapshot.all(), Kin::of(snapshot.all()));
        for name in ["", "alone", "nobody", "zzzz"] {
            assert!(!kin.standing_in(all, name).is_empty(), "{name}");
        }
        assert_eq!(kin.standing_in(all, "alone"), kin.claiming("alone_here"), "the next one in the alphabet");
        let nothing = View::default();
        assert!(Kin::of(&nothing).standing_in(&nothing, "x").is_empty());
    }

    #[test]
    fn only_entries_that_could_have_another_name_have_one() {
        let snapshot = snapshot();
        let (all, kin) = (snapshot.all(), Kin::of(snapshot.all()));
        let names = |published: &str| {
            let position = all.entries().iter().position(|entry| entry.name() == published).unwrap();
            let entry = &all.entries()[position];
            ["a_alone_here", "a_search"].map(|name| kin.any_name(position, entry, |known| known == name))
        };
        assert_eq!(names("alone_here"), [false, false]);
        assert!(names("a_search").contains(&true));
    }

    proptest! {
        #[test]
        fn a_family_knows_its_names_without_the_rest(hidden in prop::collection::vec(any::<bool>(), 12)) {
            let snapshot = snapshot();
            let (all, kin) = (snapshot.all(), Kin::of(snapshot.all()));
            let is_visible = |position: &usize| !hidden[*position];
            let whole = all.narrowed((0..all.len()).filter(|position| is_visible(position)));
            for name in all.entries().iter().flat_map(|entry| {
                claims(entry.domain().domain(), &entry.tool().original_name)
            }) {
                let part = all.narrowed(kin.claiming(&name).iter().copied().filter(is_visible));
                let told = |view: &View| view.get(&name).map(|entry| (
                    entry.name().to_owned(), entry.domain().domain().to_string(), entry.tool().original_name.clone(),
                ));
                prop_assert_eq!(told(&part), told(&whole), "{}", name);
            }
            for query in ["search", "a_b", "c", "x", "a search"] {
                let part = kin.around(search::candidates(all, &kin, query));
                let part = all.narrowed(part.into_iter().filter(is_visible));
                let names = |view: &View| search::find(view, query, &ByName)
                    .iter().map(|entry| entry.name().to_owned()).collect::<Vec<_>>();
                prop_assert_eq!(names(&part), names(&whole), "{}", query);
            }
            for name in ["search", "serch", "a_b_search", "a_x", "Z_C", "c", "e", "nobody_here", ""] {
                let near = kin.around(suggest::candidates(all, &kin, name));
                let part = all.narrowed(near.into_iter().filter(is_visible));
                prop_assert_eq!(suggest::similar(&part, name), suggest::similar(&whole, name), "{}", name);
            }
        }

        #[test]
        fn narrowing_is_building_anew(hidden in prop::collection::vec(any::<bool>(), 12)) {
            let snapshot = snapshot();
            let all = snapshot.all();
            let narrowed = all.narrowed((0..all.len()).filter(|position| !hidden[*position]));
            let built = View::build(snapshot.domains(), &|domain, tool| {
                let position = all.entries().iter().position(|entry| {
                    entry.domain().domain() == domain.domain() && entry.tool().original_name == tool.original_name
                });
                !hidden[position.unwrap()]
            });
            prop_assert_eq!(known(&narrowed), known(&built));
        }
    }
}
