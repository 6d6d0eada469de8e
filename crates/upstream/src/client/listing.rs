//! Reading a listing page by page, within its limits.

use std::collections::HashSet;

use toolplane_registry::{Protocol, RawJson};

use super::message::{self, Ask};
use super::probe::Found;
use crate::Error;
use crate::connector::Options;

/// What an upstream listed.
#[derive(Debug, Clone)]
pub struct Listing {
    /// The tools, as they were sent.
    pub tools: Vec<RawJson>,
    /// The name the server gives itself; hostile text until somebody has cleaned it.
    pub server_name: Option<String>,
    /// What the upstream speaks.
    pub protocol: Protocol,
}

/// Reads every page.
pub(super) async fn read(options: &Options, found: Found) -> Result<Listing, Error> {
    let Found { lease, server_name } = found;
    let mut tools = Vec::new();
    let mut seen = HashSet::new();
    let mut bytes = 0_usize;
    let mut cursor: Option<String> = None;
    loop {
        let page = lease.request(Ask::List(cursor.as_deref())).await?;
        if cursor.is_some_and(|cursor| !seen.insert(cursor)) {
            return Err(Error::Protocol("the listing repeats a cursor".to_owned()));
        }
        bytes = bytes.saturating_add(page.get().len());
        if bytes > options.max_response_bytes {
            return Err(Error::TooLarge { limit: options.max_response_bytes, unit: "bytes" });
        }
        let mut page = message::parse_page(&page)?;
        tools.append(&mut page.tools);
        if tools.len() > options.max_listing_tools {
            return Err(Error::TooLarge { limit: options.max_listing_tools, unit: "tools" });
        }
        let Some(next) = page.next_cursor else {
            return Ok(Listing { tools, server_name, protocol: lease.protocol() });
        };
        if seen.len() + 1 >= options.max_listing_pages {
            return Err(Error::TooLarge { limit: options.max_listing_pages, unit: "pages" });
        }
        cursor = Some(next);
    }
}
