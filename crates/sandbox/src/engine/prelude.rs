//! What stands before a program: a function for each tool that it mentions.

use monty_types::{ExcType, MontyException, MontyObject};
use serde_json::value::RawValue;

use crate::engine::to_json;
use crate::frames::MAX_ARGUMENTS;
use crate::program::Tool;

/// The one function that is the host's. A program that calls it itself gains nothing: the names are checked there.
pub(super) const CALL: &str = "__gateway_call__";

const WAIT: &str = "\
async def __gateway_wait__(call, error=RuntimeError):
    answer = await call
    if answer[0]:
        return answer[1]
    raise error(answer[1])
";

/// The source for tools of these identifiers.
pub(super) fn source<'a>(identifiers: impl Iterator<Item = &'a str>) -> String {
    let mut source = String::new();
    for (number, identifier) in identifiers.enumerate() {
        if source.is_empty() {
            source.push_str(WAIT);
        }
        let number = number.to_string();
        let body =
            ["(*args, **kwargs):\n    return __gateway_wait__(", CALL, "(", &number, ", args, kwargs))\n"];
        source.extend(["def ", identifier].into_iter().chain(body));
    }
    source.push_str("None\n");
    source
}

/// A call as the host is to make it.
pub(super) struct Request {
    /// The number of the tool.
    pub(super) tool: u32,
    pub(super) arguments: Box<RawValue>,
}

/// Reads the arguments of [`CALL`]: the number of a tool, positional and named arguments.
pub(super) fn request(args: &[MontyObject], tools: &[Tool]) -> Result<Request, MontyException> {
    let [MontyObject::Int(number), MontyObject::Tuple(positional), MontyObject::Dict(named)] = args else {
        return Err(mistake("call a tool by its name".to_owned()));
    };
    let known = |number| Some((number, tools.get(usize::try_from(number).ok()?)?));
    let Some((number, tool)) = u32::try_from(*number).ok().and_then(known) else {
        return Err(mistake("call a tool by its name".to_owned()));
    };
    let mut arguments: Vec<(&str, &MontyObject)> = by_position(tool, positional)?;
    let by_position = arguments.len();
    for (key, value) in named {
        let MontyObject::String(name) = key else {
            return Err(mistake("keywords must be strings".to_owned()));
        };
        if arguments.iter().take(by_position).any(|(taken, _)| taken == name) {
            return Err(mistake(format!("{}() got multiple values for argument '{name}'", tool.identifier)));
        }
        arguments.push((name, value));
    }
    let arguments = to_json::arguments(&arguments, MAX_ARGUMENTS)
        .map_err(|reason| mistake(format!("{}(): {reason}", tool.identifier)))?;
    Ok(Request { tool: number, arguments })
}

/// Positional arguments with the names that the signature gives them.
fn by_position<'a>(
    tool: &'a Tool,
    values: &'a [MontyObject],
) -> Result<Vec<(&'a str, &'a MontyObject)>, MontyException> {
    if values.len() > tool.parameters.len() {
        let (takes, given) = (tool.parameters.len(), values.len());
        return Err(mistake(format!(
            "{}() takes {takes} positional arguments but {given} were given",
            tool.identifier
        )));
    }
    Ok(tool.parameters.iter().map(String::as_str).zip(values).collect())
}

fn mistake(message: String) -> MontyException {
    MontyException::new(ExcType::TypeError, Some(message))
}
