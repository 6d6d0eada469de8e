use super::*;
use crate::Version;
use crate::snapshot::Builder;
use crate::test_util::{a_domain, a_tool};

fn domains(spec: &[(&str, &[&str])]) -> BTreeMap<Domain, Arc<DomainSnapshot>> {
    let mut builder = Builder::new(Version::new("s", 1));
    for (domain, tools) in spec {
        builder = builder.domain(a_domain(domain, tools.iter().map(|tool| a_tool(tool)).collect()));
    }
    builder.build().unwrap().domains().clone()
}

fn names(spec: &[(&str, &[&str])]) -> Vec<String> {
    View::build(&domains(spec), &|_, _| true).entries().iter().map(|e| e.name().to_owned()).collect()
}

#[test]
fn a_name_offered_once_is_published_as_it_is() {
    assert_eq!(
        names(&[("apollo", &["search", "enrich"]), ("linear", &["list"])]),
        ["enrich", "list", "search"]
    );
}

#[test]
fn a_name_offered_twice_is_prefixed_for_both_and_the_alias_always_works() {
    let all = domains(&[("apollo", &["search", "enrich"]), ("hubspot", &["search"])]);
    let view = View::build(&all, &|_, _| true);
    assert!(view.get("search").is_none());
    assert_eq!(view.get("apollo_search").unwrap().domain().domain().as_str(), "apollo");
    assert_eq!(view.get("apollo_enrich").unwrap().name(), "enrich");
}

#[test]
fn a_hidden_twin_leaves_no_trace() {
    let both = domains(&[("apollo", &["search"]), ("hubspot", &["search"])]);
    let alone = domains(&[("apollo", &["search"])]);
    let hidden = View::build(&both, &|entry, _| entry.domain().as_str() == "apollo");
    let never = View::build(&alone, &|_, _| true);
    let shown = |view: &View| view.entries().iter().map(|e| e.name().to_owned()).collect::<Vec<_>>();
    assert_eq!(shown(&hidden), shown(&never));
    assert!(hidden.get("hubspot_search").is_none());
    assert_eq!(hidden.domains().count(), 1);
}

#[test]
fn a_literal_name_beats_a_prefixed_form_and_an_alias() {
    let all = domains(&[("apollo", &["search"]), ("hubspot", &["search"]), ("squatter", &["apollo_search"])]);
    let view = View::build(&all, &|_, _| true);
    assert_eq!(view.get("apollo_search").unwrap().domain().domain().as_str(), "squatter");
    let suffixed = view.domain("apollo").unwrap().next().unwrap().name().to_owned();
    assert!(
        suffixed.starts_with("apollo_search_") && suffixed.len() == "apollo_search_".len() + 8,
        "{suffixed}"
    );
    assert_eq!(view.get(&suffixed).unwrap().tool().original_name.as_str(), "search");
}

#[test]
fn prefixed_forms_that_meet_are_both_suffixed_and_their_alias_is_nobodys() {
    let all = domains(&[("a_b", &["c", "x_c"]), ("a", &["b_c", "c"]), ("z", &["b_c"])]);
    let view = View::build(&all, &|_, _| true);
    assert!(view.get("a_b_c").is_none(), "two tools meet in `a_b_c`");
    assert_eq!(view.len(), 5);
    let unique: HashSet<_> = view.entries().iter().map(Entry::name).collect();
    assert_eq!(unique.len(), 5);
}

#[test]
fn long_names_are_cut_and_suffixed_not_dropped() {
    let long = "l".repeat(200);
    let other = format!("{}x", "l".repeat(199));
    let published = names(&[("one", &[&long, &other])]);
    assert_eq!(published.len(), 2);
    assert!(published.iter().all(|name| name.chars().count() == MAX_PUBLISHED_CHARS), "{published:?}");
}

#[test]
fn entries_of_a_domain_come_in_name_order() {
    let all = domains(&[("b", &["z", "a"]), ("c", &["m"])]);
    let view = View::build(&all, &|_, _| true);
    let of_b: Vec<_> = view.domain("b").unwrap().map(Entry::name).collect();
    assert_eq!(of_b, ["a", "z"]);
    assert!(view.domain("nobody").is_none());
}

#[test]
fn groups_divide_the_entries_of_their_domain_and_of_no_other() {
    let all = domains(&[("crm", &["crm_people_get", "crm_people_list", "other"]), ("mail", &["send"])]);
    let view = View::build(&all, &|_, tool| tool.original_name.as_str() != "crm_people_list");
    let len = |domain, group| view.part(domain, group).map(Part::len);
    assert_eq!(
        (len("crm", None), len("crm", Some("people")), len("crm", Some("general"))),
        (Some(2), Some(1), Some(1))
    );
    assert_eq!((len("mail", Some("general")), len("mail", Some("people"))), (Some(1), None));
    assert_eq!((len("unknown", None), len("crm", Some("hidden"))), (None, None));
}
