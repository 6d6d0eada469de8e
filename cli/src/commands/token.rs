//! `toolplane token`: who may do what. A token is shown once, when it is created.

use std::time::Duration;

use prost_types::Timestamp;
use serde::Serialize;
use toolplane_proto::admin as wire;

use crate::args::{ReadConnection, Role, TokenCommand};
use crate::client::{Client, PAGE_SIZE};
use crate::env::Variables;
use crate::exit::Failure;
use crate::output::{self, Format, Table};

#[derive(Debug, Serialize)]
struct Token {
    #[serde(rename = "token_id")]
    id: String,
    description: String,
    role: &'static str,
    allow_registration: bool,
    create_time: Option<String>,
    expire_time: Option<String>,
    revoke_time: Option<String>,
}

/// The only value of this program that holds a secret on its way to stdout.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    token: Token,
    secret: String,
}

pub(crate) async fn run(command: TokenCommand, variables: &Variables) -> Result<(), Failure> {
    match command {
        TokenCommand::Create { role, description, expires_in, allow_registration, read } => {
            if allow_registration && role != Role::Node {
                return Err(Failure::usage("`--allow-registration` goes with `--role node` alone"));
            }
            let request = wire::CreateTokenRequest {
                description,
                role: to_wire(role).into(),
                expire_time: expires_in.as_deref().map(expiry).transpose()?,
                allow_registration,
            };
            create(request, &read, variables).await
        }
        TokenCommand::List { read } => list(&read, variables).await,
        TokenCommand::Revoke { token_id, confirmation, connection } => {
            output::confirm(&format!("Revoke token `{token_id}`?"), confirmation.yes)?;
            let client = Client::connect(&connection, variables).await?;
            client.tokens().revoke_token(wire::RevokeTokenRequest { token_id: token_id.clone() }).await?;
            output::say(&format!("revoked `{token_id}`"));
            Ok(())
        }
    }
}

async fn create(
    request: wire::CreateTokenRequest,
    read: &ReadConnection,
    variables: &Variables,
) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let answer = client.tokens().create_token(request).await?.into_inner();
    let token = Token::from(answer.token.unwrap_or_default());
    output::say(&format!("created token `{}` with role {}; it is shown this once", token.id, token.role));
    match read.output {
        Format::Table => output::text(&answer.secret),
        Format::Json => output::json(&Created { token, secret: answer.secret }),
    }
}

async fn list(read: &ReadConnection, variables: &Variables) -> Result<(), Failure> {
    let client = Client::connect(&read.connection, variables).await?;
    let (mut tokens, mut page_token) = (Vec::new(), String::new());
    loop {
        let request = wire::ListTokensRequest { page_size: PAGE_SIZE, page_token };
        let page = client.tokens().list_tokens(request).await?.into_inner();
        tokens.extend(page.tokens.into_iter().map(Token::from));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return output::data(read.output, &tokens, |tokens| table(tokens));
        }
    }
}

fn to_wire(role: Role) -> wire::Role {
    match role {
        Role::Admin => wire::Role::Admin,
        Role::Registrar => wire::Role::Registrar,
        Role::Viewer => wire::Role::Viewer,
        Role::Node => wire::Role::Node,
    }
}

impl From<wire::Token> for Token {
    fn from(token: wire::Token) -> Self {
        let role = match token.role() {
            wire::Role::Admin => "admin",
            wire::Role::Registrar => "registrar",
            wire::Role::Viewer => "viewer",
            wire::Role::Node => "node",
            wire::Role::Unspecified => "unknown",
        };
        let wire::Token {
            token_id,
            description,
            role: _,
            create_time,
            expire_time,
            revoke_time,
            allow_registration,
        } = token;
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
            id: token_id,
            description,
            role,
            allow_registration,
            create_time: text(create_time),
            expire_time: text(expire_time),
            revoke_time: text(revoke_time),
        }
    }
}

fn table(tokens: &[Token]) -> String {
    let mut table = Table::new(&["ID", "ROLE", "STATE", "CREATED", "DESCRIPTION"]);
    for token in tokens {
        let state = match (&token.revoke_time, &token.expire_time) {
            (Some(time), _) => format!("revoked {time}"),
            (None, Some(time)) => format!("until {time}"),
            (None, None) => "valid".to_owned(),
        };
        let created = token.create_time.clone().unwrap_or_default();
        let role = if token.allow_registration { "node, registers" } else { token.role };
        table.row([token.id.clone(), role.to_owned(), state, created, token.description.clone()]);
    }
    table.render("there are no tokens")
}

/// The point in time that lies so far ahead.
#[expect(
    clippy::disallowed_methods,
    reason = "an expiry is a time of the calendar; nothing is decided by it here"
)]
fn expiry(text: &str) -> Result<Timestamp, Failure> {
    let far = std::time::SystemTime::now().checked_add(duration(text)?);
    far.map(Timestamp::from).ok_or_else(|| Failure::usage("`--expires-in` is too far ahead"))
}

/// Reads `90s`, `15m`, `12h` or `30d`.
fn duration(text: &str) -> Result<Duration, Failure> {
    let units = [('s', 1_u64), ('m', 60), ('h', 3600), ('d', 86_400)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|total| (1..=100 * 365 * 86_400).contains(total))
    });
    parsed.map(Duration::from_secs).ok_or_else(|| {
        Failure::usage("`--expires-in` takes a number with `s`, `m`, `h` or `d`, for instance `30d`")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        assert_eq!(duration("30d").unwrap(), Duration::from_hours(720));
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        for wrong in ["", "30", "0d", "-1d", "d", "1w", "99999999999999999999d", "30d "] {
            assert!(duration(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn tokens_are_listed_with_their_state() {
        let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
        let token = |id: &str, role: wire::Role| wire::Token {
            token_id: id.into(),
            role: role.into(),
            create_time: time(1_700_000_000),
            ..wire::Token::default()
        };
        let tokens = [
            wire::Token { description: "bootstrap".into(), ..token("a", wire::Role::Admin) },
            wire::Token {
                expire_time: time(1_800_000_000),
                allow_registration: true,
                ..token("b", wire::Role::Node)
            },
            wire::Token { revoke_time: time(1_700_000_100), ..token("c", wire::Role::Viewer) },
        ];
        insta::assert_snapshot!(table(&tokens.map(Token::from)));
    }
}
