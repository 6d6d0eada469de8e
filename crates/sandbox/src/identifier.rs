//! The name under which a program calls a tool.
//!
//! A published name that is a Python identifier, and no word that means something else, is its own identifier.
//! Any other is made into one: characters that may not stand in an identifier become `_`, a leading digit gets `t_`
//! before it, and a word of the language gets `_` after it.
//! Where two tools would meet, each name that had to be changed gets a suffix made of the digits of its own text, so an
//! identifier depends on the set of names and on nothing else: not on their order, not on the node.

use std::collections::{BTreeMap, BTreeSet};

/// Words that mean something to the language: keywords, soft keywords and what stands for values.
const WORDS: &[&str] = &[
    "False", "None", "True", "and", "as", "assert", "async", "await", "break", "case", "class", "continue",
    "def", "del", "elif", "else", "except", "finally", "for", "from", "global", "if", "import", "in", "is",
    "lambda", "match", "nonlocal", "not", "or", "pass", "raise", "return", "try", "type", "while", "with",
    "yield", "_",
];

/// Functions, types and exceptions that programs expect to find under their name, and the modules that they import: a
/// tool must not be able to take the place of one.
const BUILTINS: &[&str] = &[
    "ArithmeticError",
    "AssertionError",
    "AttributeError",
    "BaseException",
    "BaseExceptionGroup",
    "BlockingIOError",
    "BrokenPipeError",
    "BufferError",
    "ConnectionError",
    "EOFError",
    "Ellipsis",
    "Exception",
    "ExceptionGroup",
    "FileExistsError",
    "FileNotFoundError",
    "FloatingPointError",
    "FrozenInstanceError",
    "GeneratorExit",
    "IOError",
    "ImportError",
    "IndexError",
    "InterruptedError",
    "IsADirectoryError",
    "JSONDecodeError",
    "KeyError",
    "KeyboardInterrupt",
    "LookupError",
    "MemoryError",
    "ModuleNotFoundError",
    "NameError",
    "NotADirectoryError",
    "NotImplemented",
    "NotImplementedError",
    "OSError",
    "OverflowError",
    "PatternError",
    "PermissionError",
    "RecursionError",
    "ReferenceError",
    "RuntimeError",
    "StopAsyncIteration",
    "StopIteration",
    "SyntaxError",
    "SystemError",
    "SystemExit",
    "TimeoutError",
    "TypeError",
    "UnboundLocalError",
    "UnicodeDecodeError",
    "UnicodeEncodeError",
    "UnicodeError",
    "UnicodeTranslateError",
    "UnsupportedOperation",
    "UserWarning",
    "ValueError",
    "Warning",
    "ZeroDivisionError",
    "aiter",
    "anext",
    "base64",
    "binascii",
    "breakpoint",
    "bytearray",
    "classmethod",
    "collections",
    "compile",
    "complex",
    "copy",
    "dataclass",
    "dataclasses",
    "datetime",
    "delattr",
    "eval",
    "exec",
    "exit",
    "functools",
    "globals",
    "help",
    "itertools",
    "json",
    "locals",
    "math",
    "memoryview",
    "os",
    "pathlib",
    "quit",
    "random",
    "re",
    "staticmethod",
    "sys",
    "time",
    "typing",
    "unicodedata",
    "abs",
    "all",
    "any",
    "ascii",
    "asyncio",
    "bin",
    "bool",
    "bytes",
    "callable",
    "chr",
    "dict",
    "dir",
    "divmod",
    "enumerate",
    "filter",
    "float",
    "format",
    "frozenset",
    "getattr",
    "hasattr",
    "hash",
    "hex",
    "id",
    "input",
    "int",
    "isinstance",
    "issubclass",
    "iter",
    "len",
    "list",
    "map",
    "max",
    "min",
    "next",
    "object",
    "oct",
    "open",
    "ord",
    "pow",
    "print",
    "property",
    "range",
    "repr",
    "reversed",
    "round",
    "set",
    "setattr",
    "slice",
    "sorted",
    "str",
    "sum",
    "super",
    "tuple",
    "vars",
    "zip",
];

/// Whether a name can be called as it is.
pub fn is_safe(name: &str) -> bool {
    let mut characters = name.chars();
    let starts_well = characters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    starts_well
        && characters.all(|c| c.is_ascii_alphanumeric() || c == '_')
        && !WORDS.contains(&name)
        && !BUILTINS.contains(&name)
        // The sandbox's own names begin so, and Python's.
        && !name.starts_with("__")
}

/// What a name would be called if it stood alone.
fn plain(name: &str) -> String {
    let mut safe: String = name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    if safe.starts_with("__") || safe.chars().all(|c| c == '_') {
        safe = format!("t{safe}");
    }
    if safe.starts_with(|c: char| c.is_ascii_digit()) {
        safe = format!("t_{safe}");
    }
    if !is_safe(&safe) {
        safe.push('_');
    }
    safe
}

/// FNV-1a: short, the same everywhere, and nobody gains by a collision, which is resolved below.
fn digits(name: &str) -> String {
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{:08x}", hash >> 32)
}

/// The identifier of each of these published names, which are distinct.
pub fn assign<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeMap<&'a str, String> {
    let names: BTreeSet<&str> = names.into_iter().collect();
    let mut taken: BTreeSet<String> =
        names.iter().filter(|name| is_safe(name)).map(|&name| name.to_owned()).collect();
    let mut wanted: BTreeMap<String, usize> = BTreeMap::new();
    for name in names.iter().filter(|name| !is_safe(name)) {
        *wanted.entry(plain(name)).or_default() += 1;
    }
    let mut assigned = BTreeMap::new();
    for name in names {
        if is_safe(name) {
            assigned.insert(name, name.to_owned());
            continue;
        }
        let alone = plain(name);
        let mut identifier = alone.clone();
        if taken.contains(&identifier) || wanted.get(&alone).is_some_and(|&count| count > 1) {
            identifier = format!("{alone}_{}", digits(name));
        }
        // Two texts with the same digits: the order of the names, which is the same everywhere, decides.
        while !taken.insert(identifier.clone()) {
            identifier.push('_');
        }
        assigned.insert(name, identifier);
    }
    assigned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_stay_and_others_are_derived() {
        let assigned =
            assign(["search", "get-user", "list", "2fa", "type", "__gateway_call__", "名前", "a.b", "_"]);
        let of = |name: &str| assigned.get(name).map(String::as_str);
        assert_eq!(of("search"), Some("search"));
        assert_eq!(of("get-user"), Some("get_user"));
        assert_eq!(of("list"), Some("list_"));
        assert_eq!(of("2fa"), Some("t_2fa"));
        assert_eq!(of("type"), Some("type_"));
        assert_eq!(of("__gateway_call__"), Some("t__gateway_call__"));
        assert_eq!(of("名前"), Some("t__"));
        assert_eq!(of("a.b"), Some("a_b"));
        assert_eq!(of("_"), Some("t_"));
    }

    #[test]
    fn a_tool_takes_the_place_of_nothing_that_programs_rely_on() {
        for name in ["RuntimeError", "Exception", "json", "asyncio", "bytearray", "eval", "True", "await"] {
            assert!(!is_safe(name), "{name}");
            assert_eq!(assign([name]).get(name), Some(&format!("{name}_")));
        }
    }

    #[test]
    fn names_that_would_meet_keep_apart_whatever_their_order() {
        let one = assign(["get-user", "get.user", "get_user"]);
        let other = assign(["get_user", "get.user", "get-user"]);
        assert_eq!(one, other);
        assert_eq!(one.get("get_user").map(String::as_str), Some("get_user"));
        let distinct: BTreeSet<&String> = one.values().collect();
        assert_eq!(distinct.len(), 3);
        assert!(one.values().all(|identifier| is_safe(identifier)));
    }

    #[test]
    fn any_set_of_names_gets_distinct_safe_identifiers() {
        proptest::proptest!(|(names in proptest::collection::btree_set("[a-c._/é -]{0,4}|list|type|for", 0..40))| {
            let assigned = assign(names.iter().map(String::as_str));
            let distinct: BTreeSet<&String> = assigned.values().collect();
            proptest::prop_assert_eq!(distinct.len(), names.len());
            for identifier in assigned.values() {
                proptest::prop_assert!(is_safe(identifier), "{}", identifier);
            }
        });
    }
}
