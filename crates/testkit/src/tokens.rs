//! JSON as tokens: what two spellings of a document have in common when only white space and escapes differ.
//!
//! Numbers stay as they are written, and so does the order of members; strings are what they stand for, lone halves of
//! surrogate pairs included.

/// A piece of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// A bracket, brace, comma or colon.
    Mark(char),
    /// A string, in UTF-16.
    Text(Vec<u16>),
    /// A number, boolean or null as it is written.
    Literal(String),
}

/// The tokens of a document, which must be JSON.
///
/// # Panics
///
/// Where it breaks off in a string.
pub fn tokens(document: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut rest = document.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => (Token::Mark(first), rest.split_at(1).1),
            '"' => text(rest.split_at(1).1),
            _ => {
                let end = rest.find([',', ']', '}', ':', ' ', '\n', '\r', '\t']).unwrap_or(rest.len());
                let (literal, after) = rest.split_at(end);
                (Token::Literal(literal.to_owned()), after)
            }
        };
        found.push(token);
        rest = after.trim_start();
    }
    found
}

/// A string up to its closing quotation mark, and what follows it.
fn text(document: &str) -> (Token, &str) {
    let mut units = Vec::new();
    let mut rest = document.chars();
    loop {
        match rest.next().unwrap() {
            '"' => return (Token::Text(units), rest.as_str()),
            '\\' => units.push(escape(&mut rest)),
            character => units.extend_from_slice(character.encode_utf16(&mut [0; 2])),
        }
    }
}

fn escape(rest: &mut std::str::Chars<'_>) -> u16 {
    let character = match rest.next().unwrap() {
        'u' => {
            let digits: String = rest.by_ref().take(4).collect();
            return u16::from_str_radix(&digits, 16).unwrap();
        }
        'b' => '\u{8}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        itself => itself,
    };
    u16::try_from(u32::from(character)).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_document_have_the_same_tokens_and_other_documents_do_not() {
        let one = tokens(r#"{"é\n":[1e400, 12345678901234567890123,null],"\ud83d":"\ud83d\ude80/"}"#);
        assert_eq!(
            one,
            tokens("{ \"\\u00E9\\u000a\" :[1e400,12345678901234567890123,null],\"\\uD83D\":\"🚀\\/\"}")
        );
        for other in [
            r#"{"é\n":[1E400,12345678901234567890123,null],"\ud83d":"\ud83d\ude80/"}"#,
            r#"{"\ud83d":"\ud83d\ude80/","é\n":[1e400,12345678901234567890123,null]}"#,
            r#"{"é\n":[1e400,12345678901234567890123,"null"],"\ud83d":"\ud83d\ude80/"}"#,
        ] {
            assert_ne!(one, tokens(other), "{other}");
        }
    }
}
