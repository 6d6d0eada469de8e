//! What a program can say and what it learns.

use toolplane_sandbox::Code;

use crate::harness::{failure, run, text};

#[tokio::test]
async fn the_last_expression_is_the_result() {
    assert_eq!(text("1 + 2").await, "3");
    assert_eq!(text("x = 5\nx * 2").await, "10");
    assert_eq!(text("x = 5").await, "");
    assert_eq!(text("# nothing").await, "");
    assert_eq!(text("'it\\'s'").await, "it's");
    assert_eq!(text("2 ** 100").await, "1267650600228229401496703205376");
    let outcome = run("{'k': [1, (2.0, None)], 'n': 2 ** 70}").await;
    assert_eq!(
        outcome.end.expect("a value").json.get(),
        r#"{"k":[1,[2.0,null]],"n":"1180591620717411303424"}"#
    );
}

#[tokio::test]
async fn tools_are_called_by_name_and_by_position() {
    assert_eq!(text("await echo(message='hi')").await, "{'message': 'hi'}");
    assert_eq!(text("await echo('hi', 2)").await, "{'message': 'hi', 'times': 2}");
    assert_eq!(text("c = echo(**{'message': 'hi'})\n'a' + (await c)['message']").await, "ahi");
    assert_eq!(text("f = echo\n(await f('x'))['message']").await, "x");
    let outcome =
        run("try:\n    await echo('a', message='b')\nexcept TypeError as e:\n    r = str(e)\nr").await;
    assert_eq!(outcome.end.expect("caught").text, "echo() got multiple values for argument 'message'");
    assert!(outcome.calls.is_empty());
}

#[tokio::test]
async fn failed_calls_are_caught_also_within_gather() {
    let caught = "\
import asyncio
async def one(n):
    try:
        return await fail(message=str(n)) if n % 2 else (await echo(str(n)))['message']
    except RuntimeError as e:
        return 'caught ' + str(e)
await asyncio.gather(*[one(n) for n in range(4)])";
    assert_eq!(text(caught).await, "['0', 'caught upstream_error: 1', '2', 'caught upstream_error: 3']");
}

#[tokio::test]
async fn a_failed_call_that_is_not_caught_is_told_with_its_line() {
    let outcome = run("await echo('before')\n\nawait fail(message='no')").await;
    assert_eq!(outcome.calls.len(), 2);
    let failure = outcome.end.expect_err("a failure");
    assert_eq!((failure.code, failure.line), (Code::ToolError, Some(3)));
    assert_eq!(failure.message, "RuntimeError: upstream_error: no");
    assert!(failure.traceback.expect("a traceback").contains("line 3, in <module>\n    await fail"));
}

#[tokio::test]
async fn mistakes_have_codes_lines_and_hints() {
    let syntax = failure("x = 1\nx = (").await;
    assert_eq!((syntax.code, syntax.line), (Code::SyntaxError, Some(2)));
    let unsupported = failure("x = 1\nmatch x:\n    case 1:\n        pass").await;
    assert_eq!((unsupported.code, unsupported.line), (Code::UnsupportedSyntax, Some(2)));
    assert!(unsupported.hint.expect("a hint").contains("elif"));
    let raised = failure("def f():\n    return 1 / 0\nf()").await;
    assert_eq!((raised.code, raised.line), (Code::RuntimeError, Some(2)));
    assert_eq!(raised.message, "ZeroDivisionError: division by zero");
    let unknown = failure("await nothing()").await;
    assert_eq!(
        (unknown.code, unknown.message.as_str()),
        (Code::RuntimeError, "NameError: name 'nothing' is not defined")
    );
}

#[tokio::test]
async fn a_forgotten_await_is_said() {
    for source in ["echo('x')", "[echo('x')]", "echo('x')['message']", "r = echo('x')\nr.get('message')"] {
        let hint = failure(source).await.hint;
        assert!(hint.as_deref().is_some_and(|hint| hint.contains("await")), "{source}: {hint:?}");
    }
    let outcome = run("echo('x')\n'done'").await;
    assert_eq!(outcome.end.expect("a value").text, "done");
    assert!(outcome.note.expect("a note").contains("await"));
    assert_eq!(outcome.calls.len(), 1);
}

#[tokio::test]
async fn what_is_printed_comes_back() {
    let outcome = run("print('a', 1)\nprint('b', end='')\n7").await;
    assert_eq!((outcome.stdout.as_str(), outcome.truncated), ("a 1\nb", false));
    let outcome = run("for i in range(100000):\n    print('line', i)\n'end'").await;
    assert_eq!(outcome.end.expect("a value").text, "end");
    assert!(outcome.truncated && outcome.stdout.ends_with("(truncated)") && outcome.stdout.len() < 70_000);
}

#[tokio::test]
async fn there_is_a_clock_and_no_file() {
    assert!(
        text("import datetime\nstr(datetime.datetime.now(datetime.timezone.utc))").await.starts_with("20")
    );
    assert_eq!(failure("open('/etc/passwd')").await.code, Code::RuntimeError);
}
