//! Source code: kept line for line, with its language.

use docmill_api::{StepContext, TextKind};

use crate::plain::{decoded, verbatim};
use crate::reader::{Input, Parsed, ReadError, Reader};

/// Reads source code in one language.
#[derive(Debug)]
pub(crate) struct CodeReader<'a> {
    pub(crate) language: &'a str,
}

impl Reader for CodeReader<'_> {
    fn read(&self, input: &Input<'_>, _cx: &StepContext) -> Result<Parsed, ReadError> {
        Ok(verbatim("code", TextKind::Code(self.language.to_owned()), &decoded(input)?))
    }
}
