//! What to write instead.

use monty_types::ExcType;

/// For syntax that the interpreter does not have, by how it names it.
const INSTEAD: &[(&str, &str)] = &[
    ("yield", "build a list and return it"),
    ("match", "use `if`, `elif` and `else`"),
    ("'del'", "assign another value, or use `.pop(key)`"),
    ("delete", "assign another value, or use `.pop(key)`"),
    ("type alias", "leave the alias out"),
    ("async for", "use `for`; await before the loop, or in it"),
    ("async with", "call what you need without `with`"),
    ("async compr", "use a loop with `await`, or `asyncio.gather`"),
    ("inherit", "write the class without a base, or use a dict"),
    ("base class", "write the class without a base, or use a dict"),
    ("decorator", "call the function yourself"),
    ("complex", "use floats"),
    ("wildcard", "import the names you need"),
    ("import", "import the module as a whole: `import json`"),
    ("template string", "use an f-string"),
    ("starred", "write the items out, or use `list(...)` and `+`"),
    ("except*", "use `except`"),
    ("try*", "use `except`"),
    ("global", "return the value instead"),
];

/// A sentence for any other.
const GENERAL: &str = "write it with functions, loops, comprehensions, dicts and lists";

/// What to write instead of something that is not supported.
pub(super) fn instead_of(what: &str) -> &'static str {
    let lower = what.to_ascii_lowercase();
    INSTEAD.iter().find(|(part, _)| lower.contains(part)).map_or(GENERAL, |(_, hint)| hint)
}

/// A guess at the mistake behind an exception.
pub(super) fn after(kind: ExcType, message: &str) -> Option<&'static str> {
    let mentions = |part: &str| message.contains(part);
    match kind {
        _ if mentions("coroutine") || mentions("ExternalFuture") => {
            Some("did you forget `await`? Calls of tools and of `async def` functions need it")
        }
        ExcType::TypeError if mentions("for %: 'str'") => Some("use an f-string instead of `%`"),
        ExcType::TypeError if mentions("string indices") || mentions("'str'") => {
            Some("a tool that answers text gives a `str`; `json.loads` makes values of it where it is JSON")
        }
        ExcType::ModuleNotFoundError | ExcType::ImportError => Some(
            "modules here: asyncio, base64, collections, dataclasses, datetime, functools, itertools, json, math, re, typing, \
             unicodedata; tools are called by their name and need no import",
        ),
        ExcType::NameError => {
            Some("tools are called by the names that `discover_tools(format=\"signatures\")` shows")
        }
        ExcType::PermissionError => {
            Some("a program has no files, no network and no environment; call tools instead")
        }
        _ => None,
    }
}
