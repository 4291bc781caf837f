//! Source code: kept line for line, with its language, and with its units where a grammar knows them.

use docmill_api::{StepContext, TextKind};

use crate::plain::{decoded, verbatim};
use crate::reader::{Input, Parsed, ReadError, Reader};
use crate::syntax;

/// Reads source code in one language.
#[derive(Debug)]
pub(crate) struct CodeReader<'a> {
    pub(crate) language: &'a str,
}

impl Reader for CodeReader<'_> {
    fn read(&self, input: &Input<'_>, cx: &StepContext) -> Result<Parsed, ReadError> {
        let mut parsed = verbatim("code", TextKind::Code(self.language.to_owned()), &decoded(input)?);
        parsed.blocks = syntax::blocks(self.language, &parsed.content, cx)?;
        Ok(parsed)
    }
}
