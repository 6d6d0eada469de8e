//! What one caller sees of a snapshot, and under which names.
//!
//! Owns published names: a pure function of the visible tools, so that a hidden twin leaves no trace.
//!
//! * A name offered by one visible domain is published as it is.
//! * A name offered by several is published as `{domain}_{name}` for each of them.
//! * `{domain}_{name}` is always accepted as an alias; a published name beats an alias.
//! * A prefixed form that meets another name, and any name over [`MAX_PUBLISHED_CHARS`], gets a suffix from the
//!   digest of domain and original name.
//!
//! Never drops a tool for its name, and never decides what is visible: the caller passes that in.

mod folded;
mod identifiers;
mod kept;
pub mod kin;
mod part;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use crate::arguments::Parameters;
use crate::digest::Hasher;
use crate::snapshot::DomainSnapshot;
use crate::{Domain, Tool, ToolName};

pub(crate) use self::folded::Folded;
pub use self::identifiers::Identifiers;
use self::part::InDomain;

pub use self::kept::Kept;
pub use self::part::{Form, Part};

/// Longest published name, in characters.
pub const MAX_PUBLISHED_CHARS: usize = 128;
const SUFFIX_DIGITS: usize = 8;

/// A visible tool under its published name.
#[derive(Debug, Clone)]
pub struct Entry {
    name: Arc<str>,
    domain: Arc<DomainSnapshot>,
    tool: Arc<Tool>,
    read: Arc<Read>,
    kept: Kept,
}

/// What is read from a tool when it is first asked for, for every view that has it.
#[derive(Debug, Default)]
struct Read {
    parameters: OnceLock<Parameters>,
    folded: OnceLock<Folded>,
}

/// The visible tools, indexed. Building one costs a pass over the registry; reading it takes no lock.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Ordered by published name.
    entries: Vec<Entry>,
    /// Published names and unambiguous aliases.
    lookup: HashMap<Arc<str>, usize>,
    /// Domains with at least one visible tool.
    domains: BTreeMap<Domain, InDomain>,
    kept_example: Kept,
    identifiers: OnceLock<Identifiers>,
    kept: Kept,
}

// ---- Entry ----

impl Entry {
    /// The published name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The domain it belongs to.
    pub fn domain(&self) -> &DomainSnapshot {
        &self.domain
    }

    /// The tool.
    pub fn tool(&self) -> &Tool {
        &self.tool
    }

    /// Which arguments it knows and asks for.
    pub fn parameters(&self) -> &Parameters {
        self.read.parameters.get_or_init(|| Parameters::of(&self.tool.input_schema))
    }

    /// What was made of it.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }
}

// ---- View ----

impl View {
    /// Indexes the tools of which `visible` says yes.
    pub fn build(
        domains: &BTreeMap<Domain, Arc<DomainSnapshot>>,
        visible: &dyn Fn(&DomainSnapshot, &Tool) -> bool,
    ) -> Self {
        let tools: Vec<(&Arc<DomainSnapshot>, &Arc<Tool>)> = domains
            .values()
            .flat_map(|entry| entry.tools().iter().map(move |tool| (entry, tool)))
            .filter(|(entry, tool)| visible(entry, tool))
            .collect();
        let names = published_names(&tools);
        let entries = tools.iter().zip(names).map(|((domain, tool), name)| Entry {
            name,
            domain: Arc::clone(domain),
            tool: Arc::clone(tool),
            read: Arc::default(),
            kept: Kept::default(),
        });
        Self::sorted(entries.collect())
    }

    /// Keeps the entries at these positions and names them anew, as if no others were there. What is asked of the result
    /// is what a view of all visible tools would answer, as far as whole families were decided on: see [`kin::Kin`].
    #[must_use]
    pub fn narrowed(&self, positions: impl IntoIterator<Item = usize>) -> Self {
        let mut kept: Vec<&Entry> =
            positions.into_iter().filter_map(|position| self.entries.get(position)).collect();
        // The order in which `build` names them.
        kept.sort_by(|a, b| {
            let by_domain = a.domain.domain().cmp(b.domain.domain());
            by_domain.then_with(|| a.tool.original_name.cmp(&b.tool.original_name))
        });
        let tools: Vec<_> = kept.iter().map(|entry| (&entry.domain, &entry.tool)).collect();
        let names = published_names(&tools);
        let entries = kept.iter().zip(names).map(|(entry, name)| Entry {
            name,
            domain: Arc::clone(&entry.domain),
            tool: Arc::clone(&entry.tool),
            read: Arc::clone(&entry.read),
            // What was said of it was said under the other name.
            kept: Kept::default(),
        });
        Self::sorted(entries.collect())
    }

    fn sorted(mut entries: Vec<Entry>) -> Self {
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Self::index(entries)
    }

    fn index(entries: Vec<Entry>) -> Self {
        let mut lookup = HashMap::with_capacity(entries.len() * 2);
        let mut domains: BTreeMap<Domain, InDomain> = BTreeMap::new();
        for (position, entry) in entries.iter().enumerate() {
            lookup.insert(Arc::clone(&entry.name), position);
            domains.entry(entry.domain.domain().clone()).or_default().whole.positions.push(position);
        }
        let mut aliases: HashMap<Arc<str>, Option<usize>> = HashMap::new();
        for (position, entry) in entries.iter().enumerate() {
            let alias = entry.domain.domain().prefixed(&entry.tool.original_name).into();
            // Two tools that meet in one alias lose it: a guess would call the wrong one.
            aliases.entry(alias).and_modify(|found| *found = None).or_insert(Some(position));
        }
        for (alias, position) in aliases {
            if let Some(position) = position {
                lookup.entry(alias).or_insert(position);
            }
        }
        Self { entries, lookup, domains, ..Self::default() }
    }

    /// Finds a tool by published name or alias.
    pub fn get(&self, name: &str) -> Option<&Entry> {
        self.position(name).and_then(|position| self.entries.get(position))
    }

    /// Where in [`View::entries`] the tool of that published name or alias is.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.lookup.get(name).copied()
    }

    /// All entries, ordered by published name.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The domains with at least one visible tool, in order.
    pub fn domains(&self) -> impl ExactSizeIterator<Item = &Domain> {
        self.domains.keys()
    }

    /// The entries of one domain, ordered by published name; `None` when the caller sees none of it.
    pub fn domain(&self, domain: &str) -> Option<impl ExactSizeIterator<Item = &Entry>> {
        #[expect(clippy::indexing_slicing, reason = "`domains` holds positions of `entries` only")]
        self.part(domain, None).map(|part| part.positions.iter().map(|position| &self.entries[*position]))
    }

    /// Where the entries of one domain are, ascending.
    pub fn positions_of(&self, domain: &str) -> &[usize] {
        self.domains.get(domain).map_or(&[], |part| &part.whole.positions)
    }

    /// What was made of all of it.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    /// An example that was made of some of its tools.
    pub fn kept_example(&self) -> &Kept {
        &self.kept_example
    }

    /// What its tools are called elsewhere: derived now if nobody has asked before.
    pub fn identifiers(&self, derive: impl FnOnce(&[Entry]) -> Identifiers) -> &Identifiers {
        self.identifiers.get_or_init(|| derive(&self.entries))
    }

    /// One domain, or one of its groups; `None` when the caller sees none of it.
    pub fn part(&self, domain: &str, group: Option<&str>) -> Option<&Part> {
        let found = self.domains.get(domain)?;
        match group {
            None => Some(&found.whole),
            Some(group) => found.group(group, &self.entries),
        }
    }

    /// How many tools are visible.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is visible.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// One published name per tool, in the order given.
fn published_names(tools: &[(&Arc<DomainSnapshot>, &Arc<Tool>)]) -> Vec<Arc<str>> {
    let mut offers: HashMap<&ToolName, usize> = HashMap::new();
    for (_, tool) in tools {
        *offers.entry(&tool.original_name).or_default() += 1;
    }
    let wanted: Vec<(String, bool)> = tools
        .iter()
        .map(|(domain, tool)| {
            if offers.get(&tool.original_name) == Some(&1) {
                (tool.original_name.as_str().to_owned(), true)
            } else {
                (domain.domain().prefixed(&tool.original_name), false)
            }
        })
        .collect();
    let mut claims: HashMap<&str, usize> = HashMap::new();
    for (name, _) in &wanted {
        *claims.entry(name).or_default() += 1;
    }
    // Literal names are settled first: whatever is suffixed has to keep clear of them.
    let mut taken: HashSet<Arc<str>> = HashSet::new();
    let mut names: Vec<Option<Arc<str>>> = wanted
        .iter()
        .map(|(name, literal)| {
            let free = *literal || claims.get(name.as_str()) == Some(&1);
            let keeps = free && name.chars().count() <= MAX_PUBLISHED_CHARS;
            keeps.then(|| Arc::from(name.as_str())).inspect(|name| {
                taken.insert(Arc::clone(name));
            })
        })
        .collect();
    for ((slot, (domain, tool)), (name, _)) in names.iter_mut().zip(tools).zip(&wanted) {
        if slot.is_none() {
            let name = suffixed(name, domain.domain(), &tool.original_name, &taken);
            taken.insert(Arc::clone(&name));
            *slot = Some(name);
        }
    }
    names.into_iter().flatten().collect()
}

fn suffixed(name: &str, domain: &Domain, original: &ToolName, taken: &HashSet<Arc<str>>) -> Arc<str> {
    let [short, whole] = suffixed_forms(name, domain, original);
    // Somebody may own even the suffixed form; the whole digest settles it.
    if taken.contains(short.as_str()) { whole.into() } else { short.into() }
}

/// The forms with a suffix, in the order of preference.
fn suffixed_forms(name: &str, domain: &Domain, original: &ToolName) -> [String; 2] {
    let digest = Hasher::default().text(domain.as_str()).text(original.as_str()).finish();
    [SUFFIX_DIGITS, 64].map(|digits| {
        let head: String = name.chars().take(MAX_PUBLISHED_CHARS - 1 - digits).collect();
        format!("{head}_{}", digest.short(digits))
    })
}

#[cfg(test)]
mod tests;
