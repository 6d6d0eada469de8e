//! `toolplane node`: the data-plane nodes as they last reported.

mod view;

use toolplane_proto::admin as wire;

pub(crate) use self::view::Nodes;
use crate::args::{NodeCommand, ReadConnection};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output;

pub(crate) async fn run(command: NodeCommand, variables: &Variables) -> Result<(), Failure> {
    let NodeCommand::List { read } = command;
    list(&read, variables).await
}

async fn list(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    output::data(read.output, &fetch(&client).await?, Nodes::table)
}

/// Every node, page by page.
pub(crate) async fn fetch(client: &Client) -> Result<Nodes, Failure> {
    let (mut nodes, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListNodesRequest { page_size: PAGE_SIZE, page_token };
        let page = client.nodes().list_nodes(request).await?.into_inner();
        nodes.extend(page.nodes);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(Nodes::new(nodes, &page.latest.unwrap_or_default(), page.read_time));
        }
    }
}
