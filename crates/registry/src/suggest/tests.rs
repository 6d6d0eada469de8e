use proptest::prelude::*;

use super::*;
use crate::snapshot::Builder;
use crate::test_util::{a_domain, a_tool};
use crate::{Snapshot, Version};

const CRM: [&str; 10] = [
    "apollo_org_search",
    "apollo_people_enrich",
    "apollo_people_search",
    "hubspot_contacts_create",
    "hubspot_contacts_delete",
    "hubspot_deals_list",
    "create_issue",
    "list_issues",
    "search_issues",
    "echo",
];

fn snapshot(tools: &[&str]) -> Snapshot {
    let tools = tools.iter().map(|name| a_tool(name)).collect();
    Builder::new(Version::new("s", 1)).domain(a_domain("d", tools)).build().unwrap()
}

fn of(tools: &[&str], name: &str) -> Vec<String> {
    similar(snapshot(tools).all(), name)
}

#[test]
fn names_that_hold_it_come_first_then_shared_words_then_by_name() {
    for (name, expected) in [
        ("apollo_people_find", &["apollo_people_enrich", "apollo_people_search", "apollo_org_search"][..]),
        ("APOLLO_PEOPLE_SEARCH", &["apollo_people_search", "apollo_org_search", "apollo_people_enrich"]),
        (
            "delete_contacts_hubspot",
            &["hubspot_contacts_delete", "hubspot_contacts_create", "hubspot_deals_list"],
        ),
        ("contacts_delete", &["hubspot_contacts_delete", "hubspot_contacts_create"]),
        ("contacts", &["hubspot_contacts_create", "hubspot_contacts_delete"]),
        ("issue", &["create_issue", "list_issues", "search_issues"]),
        ("create_issue_now", &["create_issue", "hubspot_contacts_create"]),
        ("e", &["apollo_org_search", "apollo_people_enrich", "apollo_people_search"]),
        (" echo ", &["echo"]),
        ("zzzz", &[]),
        ("it's \"x\"\n", &[]),
        ("naïve", &[]),
    ] {
        assert_eq!(of(&CRM, name), expected, "{name:?}");
    }
}

#[test]
fn holding_beats_sharing_more_words() {
    let tools = ["weird_", "a", "weird_schema_closed", "weird_desc_empty"];
    assert_eq!(of(&tools, "weird_schema_open"), ["weird_", "a", "weird_schema_closed"]);
    assert_eq!(of(&tools, "weird_schema_empty"), ["weird_", "a", "weird_desc_empty"]);
}

#[test]
fn a_misspelt_name_is_found() {
    assert_eq!(of(&["search", "enrich"], "serach"), ["search"]);
    assert_eq!(of(&["search", "enrich"], "delete"), [""; 0]);
}

#[test]
fn a_slip_of_the_fingers_goes_before_shared_words() {
    let tools = ["list_apples", "list_boxes", "list_cups", "list_issues"];
    assert_eq!(of(&tools, "list_isues"), ["list_issues", "list_apples", "list_boxes"]);
    assert_eq!(of(&tools, "list_sisues"), ["list_issues", "list_apples", "list_boxes"]);
}

#[test]
fn nothing_is_near_a_name_longer_than_any() {
    let held = |bytes: usize| format!("echo{}", "_".repeat(bytes - 4));
    assert_eq!(of(&CRM, &held(MAX_WANTED_BYTES)), ["echo"]);
    assert_eq!(of(&CRM, &held(MAX_WANTED_BYTES + 1)), [""; 0]);
}

proptest! {
    #[test]
    fn suggestions_are_few_and_visible(name in any::<String>()) {
        let found = of(&CRM, &name);
        prop_assert!(found.len() <= MAX_SUGGESTIONS);
        prop_assert!(found.iter().all(|found| CRM.contains(&found.as_str())));
    }
}
