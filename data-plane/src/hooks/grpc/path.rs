//! The names of the methods of `toolplane.hooks.v1.HookService`, as they stand in requests.

use super::super::Phase;

pub(super) const DESCRIBE: &str = "/toolplane.hooks.v1.HookService/Describe";
const AUTHENTICATE: &str = "/toolplane.hooks.v1.HookService/Authenticate";
const FILTER_TOOLS: &str = "/toolplane.hooks.v1.HookService/FilterTools";
const AUTHORIZE_CODE: &str = "/toolplane.hooks.v1.HookService/AuthorizeCode";
const BEFORE_EXECUTE: &str = "/toolplane.hooks.v1.HookService/BeforeExecute";
const TRANSFORM_RESULT: &str = "/toolplane.hooks.v1.HookService/TransformResult";
const AFTER_EXECUTE: &str = "/toolplane.hooks.v1.HookService/AfterExecute";
const REPORT_ERROR: &str = "/toolplane.hooks.v1.HookService/ReportError";
pub(super) const END_CALL: &str = "/toolplane.hooks.v1.HookService/EndCall";

/// The method that is asked in a phase.
pub(super) fn of(phase: Phase) -> &'static str {
    match phase {
        Phase::Authenticate => AUTHENTICATE,
        Phase::FilterTools => FILTER_TOOLS,
        Phase::AuthorizeCode => AUTHORIZE_CODE,
        Phase::BeforeExecute => BEFORE_EXECUTE,
        Phase::TransformResult => TRANSFORM_RESULT,
        Phase::AfterExecute => AFTER_EXECUTE,
        Phase::ReportError => REPORT_ERROR,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message as _;
    use prost_types::FileDescriptorSet;

    use super::*;

    #[test]
    fn they_are_the_methods_of_the_service() {
        let files = FileDescriptorSet::decode(toolplane_proto::FILE_DESCRIPTOR_SET).unwrap().file;
        let file = files.into_iter().find(|file| file.package() == "toolplane.hooks.v1").unwrap();
        let service = file.service.iter().find(|service| service.name() == "HookService").unwrap();
        let methods = service.method.iter();
        let paths: BTreeSet<String> =
            methods.map(|method| format!("/toolplane.hooks.v1.HookService/{}", method.name())).collect();
        let known = Phase::ALL.map(of).into_iter().chain([DESCRIBE, END_CALL]);
        assert_eq!(paths, known.map(ToOwned::to_owned).collect());
    }
}
