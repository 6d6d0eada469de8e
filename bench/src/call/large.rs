//! A domain of a thousand tools, listed in every format.

use super::meta::{self, Question};
use super::registries;
use super::subject::{Subject, Upstream};
use crate::Setting;
use crate::report::{Section, Table};
use crate::static_upstream::Era;
use crate::static_upstream::catalog;

pub(super) async fn run(setting: &Setting) -> anyhow::Result<Section> {
    let upstream = Upstream::start().await?;
    let node = Subject::standalone(setting, &upstream.domains(&registries::one_thousand())).await?;
    let domain = catalog::thousand(0);
    let mut table = Table::new(&meta::HEADER);
    for question in [
        Question::domain("`discover_tools`, format `schema`", &domain, Some("schema"))?,
        Question::domain("`discover_tools`, format `signatures`", &domain, Some("signatures"))?,
    ] {
        for era in [Era::Stateless, Era::Handshake] {
            table.row(meta::row(setting, &node, &question, "1,000", era).await?);
        }
    }
    let method = "As for *What a node answers by itself*, with one domain of 1,000 tools, all of which every answer lists."
        .to_owned();
    let title = "One domain of 1,000 tools".to_owned();
    Ok(Section { id: "call/large", title, method, table })
}
