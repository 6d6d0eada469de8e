//! Keyword search over what a caller sees.
//!
//! Owns what matches. The order of the hits is a [`Ranking`]'s business, so that a better one can take its place
//! without touching who may see what.

use std::collections::BTreeSet;
use std::fmt;

use crate::View;
use crate::view::Entry;
use crate::view::kin::Kin;

/// Orders the hits of a search. The result must depend on its arguments alone: every node gives the same answer.
pub trait Ranking: fmt::Debug + Send + Sync {
    /// Puts the best hits first.
    fn order(&self, query: &str, hits: &mut Vec<&Entry>);
}

/// Orders hits by published name.
#[derive(Debug, Clone, Copy, Default)]
pub struct ByName;

impl Ranking for ByName {
    fn order(&self, _query: &str, hits: &mut Vec<&Entry>) {
        hits.sort_by(|a, b| a.name().cmp(b.name()));
    }
}

/// The tools in which every word of the query occurs, whatever its case, in a name or the description.
pub fn find<'v>(view: &'v View, query: &str, ranking: &dyn Ranking) -> Vec<&'v Entry> {
    let words = words(query);
    let mut hits: Vec<&Entry> = view.entries().iter().filter(|entry| matches(entry, &words)).collect();
    ranking.order(query, &mut hits);
    hits
}

/// Positions of the entries that some caller's search could find, under whatever names that caller knows them.
pub fn candidates(view: &View, kin: &Kin, query: &str) -> Vec<usize> {
    let words = words(query);
    let entries = view.entries().iter().enumerate();
    let found = entries.filter(|(position, entry)| {
        let named = |word: &str| kin.any_name(*position, entry, |name| name.contains(word));
        words.iter().all(|word| entry.folded().description.contains(word) || named(word))
    });
    found.map(|(position, _)| position).collect()
}

/// Each word once: saying one again finds the same and would cost a look into every tool.
fn words(query: &str) -> BTreeSet<String> {
    query.split_whitespace().map(str::to_lowercase).collect()
}

fn matches(entry: &Entry, words: &BTreeSet<String>) -> bool {
    let (folded, published) = (entry.folded(), entry.folded_name());
    // The original name is searched too, so that a tool published under a longer one is still found.
    let texts = [&*published, &*folded.name, &*folded.description];
    words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snapshot::Builder;
    use crate::test_util::{a_domain, a_tool};
    use crate::{Snapshot, Tool, Version};

    fn snapshot() -> Snapshot {
        let described =
            |name: &str, description: &str| Tool { description: description.to_owned(), ..a_tool(name) };
        Builder::new(Version::new("s", 1))
            .domain(a_domain(
                "apollo",
                vec![
                    described("apollo_people_search", "Search for people in Apollo."),
                    described("apollo_people_enrich", "Enrich a person record by E-mail."),
                    described("search", "Everything."),
                ],
            ))
            .domain(a_domain("hubspot", vec![described("search", "Everything in HubSpot.")]))
            .build()
            .unwrap()
    }

    fn names(query: &str) -> Vec<String> {
        find(snapshot().all(), query, &ByName).iter().map(|entry| entry.name().to_owned()).collect()
    }

    #[test]
    fn every_word_must_occur_somewhere_whatever_its_case() {
        assert_eq!(names("APOLLO People"), ["apollo_people_enrich", "apollo_people_search"]);
        assert_eq!(names("e-mail"), ["apollo_people_enrich"]);
        assert_eq!(names("search"), ["apollo_people_search", "apollo_search", "hubspot_search"]);
        assert_eq!(names("search zzzz"), [""; 0]);
    }

    #[test]
    fn parameters_and_groups_are_not_searched() {
        assert_eq!(names("properties"), [""; 0]);
        assert_eq!(names("general"), [""; 0]);
    }
}
