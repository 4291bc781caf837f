//! The syntactic units of source code: functions, types and methods with the comments that belong to them, so that a
//! chunker can cut between them.
//!
//! Apart from the reader because the grammars are generated C code that runs on hostile input: the stage sends what has
//! a grammar to a child process ([`has_grammar`]). Whatever goes wrong here costs the units, never the text: a file
//! that is too large, or on which the parser toils too long, has none. Both bounds are counts, not times, so that the
//! same file has the same units on any machine.

mod grammar;
mod names;
mod walk;

use std::ops::ControlFlow;

use docmill_api::{Block, StepContext};
use tree_sitter::{ParseOptions, ParseState, Parser, Tree};

use crate::reader::ReadError;
use grammar::Grammar;

/// The largest file that is parsed: a syntax tree takes some 30 times the text's memory, and what is larger was not
/// written by hand.
const MAX_BYTES: usize = 2 << 20;

/// How often the parser may report progress before it is stopped: it does after every hundred operations, and usual
/// code takes under one report for 20 bytes. Text that is no code at all takes up to three times as many.
const REPORTS: usize = 20_000;
const BYTES_PER_REPORT: usize = 4;

/// How deep brackets may stand in one another: the parser frees its stack by recursion, and no person nests like that.
/// What nests without brackets is bounded by the file's size, for which a child's stack is large enough.
const MAX_NESTING: usize = 1000;

/// How many reports lie between two looks at the clock.
const REPORTS_PER_LOOK: usize = 64;

/// Whether code in this language is read by a grammar.
pub(crate) fn has_grammar(language: &str) -> bool {
    !Grammar::of(language).is_empty()
}

/// The units of a text, ascending, an outer one before those in it.
pub(crate) fn blocks(language: &str, text: &str, cx: &StepContext) -> Result<Vec<Block>, ReadError> {
    if text.len() > MAX_BYTES || nesting(text) > MAX_NESTING {
        return Ok(Vec::new());
    }
    let mut best: Option<(usize, &Grammar, Tree)> = None;
    for grammar in Grammar::of(language) {
        let Some(tree) = parsed(grammar, text, cx)? else { continue };
        let errors = if tree.root_node().has_error() { walk::error_bytes(&tree) } else { 0 };
        if best.as_ref().is_none_or(|(fewest, _, _)| errors < *fewest) {
            best = Some((errors, grammar, tree));
        }
        if errors == 0 {
            break;
        }
    }
    Ok(best.map_or_else(Vec::new, |(_, grammar, tree)| walk::units(grammar, &tree, text)))
}

/// How deep brackets stand in one another at most; those in strings and comments are counted too.
fn nesting(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'(' | b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b')' | b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The syntax tree, or `None` where the parser gave up.
fn parsed(grammar: &Grammar, text: &str, cx: &StepContext) -> Result<Option<Tree>, ReadError> {
    let mut parser = Parser::new();
    if parser.set_language(&grammar.language()).is_err() {
        return Ok(None);
    }
    let budget = REPORTS + text.len() / BYTES_PER_REPORT;
    let (mut reports, mut over) = (0_usize, false);
    let mut progress = |_: &ParseState| {
        reports += 1;
        over = over || (reports.is_multiple_of(REPORTS_PER_LOOK) && cx.is_over());
        if over || reports > budget { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let bytes = text.as_bytes();
    let mut rest = |from: usize, _| bytes.get(from..).unwrap_or_default();
    let options = ParseOptions::new().progress_callback(&mut progress);
    let tree = parser.parse_with_options(&mut rest, None, Some(options));
    if over { Err(ReadError::OutOfTime) } else { Ok(tree) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each unit as its depth, name and first and last line.
    fn units(language: &str, text: &str) -> Vec<String> {
        let blocks = blocks(language, text, &StepContext::detached()).expect("in time");
        assert_nested(&blocks, text);
        let line = |at: usize| text[..at].matches('\n').count() + 1;
        blocks
            .iter()
            .map(|block| format!("{} {} {}-{}", block.depth, block.name, line(block.start), line(block.end)))
            .collect()
    }

    fn assert_nested(blocks: &[Block], text: &str) {
        let mut open: Vec<&Block> = Vec::new();
        let mut start = 0;
        for block in blocks {
            assert!(text.get(block.start..block.end).is_some_and(|text| !text.trim().is_empty()), "{block:?}");
            assert!(block.start >= start, "{block:?} begins before the one before it");
            start = block.start;
            open.truncate(usize::from(block.depth));
            assert_eq!(open.len(), usize::from(block.depth), "{block:?} has no outer unit");
            if let Some(outer) = open.last() {
                assert!(outer.start <= block.start && block.end <= outer.end, "{block:?} is not within {outer:?}");
            }
            open.push(block);
        }
    }

    #[test]
    fn rust() {
        let text = "//! File.\n\nuse a::b;\n\nconst A: u8 = 1;\n\n/// What.\n#[derive(Debug)]\npub struct Basket<T> {\n    a: T,\n}\n\n\
                    // apart\n\nimpl<T> Reader for Basket<T> {\n    /// Sums.\n    #[inline]\n    async fn total(&self) -> u8 { 1 }\n}\n\
                    mod inner {\n    trait Zorblax {}\n    macro_rules! m { () => {} }\n}\n";
        assert_eq!(
            units("rust", text),
            [
                "0 const A 5-5",
                "0 struct Basket 7-11",
                "0 impl Reader for Basket<T> 15-19",
                "1 fn total 16-18",
                "0 mod inner 20-23",
                "1 trait Zorblax 21-21",
                "1 macro_rules! m 22-22",
            ]
        );
    }

    #[test]
    fn python() {
        let text = "import x\n\n# On baskets.\n@dataclass\nclass Basket(Base):\n    \"\"\"Doc.\"\"\"\n\n    @property\n    def total(self):\n        \
                    def inner():\n            pass\n        return 1\n\nasync def zorblax():\n    pass\n";
        assert_eq!(
            units("python", text),
            ["0 class Basket 3-12", "1 def total 8-12", "2 def inner 10-11", "0 async def zorblax 14-15"]
        );
    }

    #[test]
    fn javascript_and_typescript() {
        let text = "/** Sums. */\nexport async function total(a) { return a }\nclass Basket extends Base {\n  get size() { return 1 }\n}\n\
                    const zorblax = (a) => {\n  return a\n}\nmodule.exports.quorvex = function () {}\n";
        let expected = [
            "0 function total 1-2",
            "0 class Basket 3-5",
            "1 size() 4-4",
            "0 const zorblax 6-8",
            "0 module.exports.quorvex 9-9",
        ];
        assert_eq!(units("javascript", text), expected);
        assert_eq!(units("typescript", text), expected);
        let text = "export interface Basket { a: string }\ntype Zorblax = { b: number }\nexport default abstract class Q<T> {\n  m(): void {}\n}\n\
                    enum E { A }\nnamespace N {\n  export const f = () => <T,>(x: T) => x\n}\n";
        assert_eq!(
            units("typescript", text),
            [
                "0 interface Basket 1-1",
                "0 type Zorblax 2-2",
                "0 class Q 3-5",
                "1 m() 4-4",
                "0 enum E 6-6",
                "0 namespace N 7-9",
                "1 const f 8-8"
            ]
        );
        let page = "export function Zorblax() {\n  return <div className=\"a\">{1}</div>\n}\nclass B {}\n";
        assert_eq!(units("typescript", page), ["0 function Zorblax 1-3", "0 class B 4-4"], "as TSX");
    }

    #[test]
    fn go_and_java() {
        let text = "package a\n\nconst (\n\tA = 1\n)\n\n// Basket holds.\ntype Basket struct {\n\ta int\n}\n\n// Total sums.\nfunc (b *Basket) Total() int { return 1 }\n\nfunc main() {}\n";
        assert_eq!(
            units("go", text),
            ["0 const A 3-5", "0 type Basket 7-10", "0 func (b *Basket) Total 12-13", "0 func main 15-15"]
        );
        let text = "package a;\n\n/** Holds. */\n@Deprecated\npublic class Basket {\n  int a;\n\n  // One.\n  Basket() {}\n\n  @Override\n  public int total() { return 1; }\n  interface Inner { void x(); }\n}\nrecord R(int a) {}\n";
        assert_eq!(
            units("java", text),
            [
                "0 class Basket 3-14",
                "1 Basket() 8-9",
                "1 total() 11-12",
                "1 interface Inner 13-13",
                "2 x() 13-13",
                "0 record R 15-15"
            ]
        );
    }

    #[test]
    fn c_and_its_headers_with_classes() {
        let text = "#include <a.h>\n\n/* Holds. */\nstruct basket {\n  int a;\n};\n\ntypedef struct { int b; } quorvex;\n\n// Sums.\nstatic int *total(struct basket *b)\n{\n  return 0;\n}\n";
        assert_eq!(units("c", text), ["0 struct basket 3-6", "0 typedef quorvex 8-8", "0 total() 10-14"]);
        let text = "namespace shop {\ntemplate <typename T>\nclass Basket : public Base {\n public:\n  int total() const { return 1; }\n};\nint Basket<int>::size() { return 2; }\n}\nenum class E { A };\n";
        let expected = [
            "0 namespace shop 1-8",
            "1 class Basket 2-6",
            "2 total() 5-5",
            "1 Basket<int>::size() 7-7",
            "0 enum E 9-9",
        ];
        assert_eq!(units("cpp", text), expected);
        assert_eq!(units("c", text), expected, "a header is read as what it is");
    }

    #[test]
    fn ruby_and_bash() {
        let text = "module Shop\n  # Holds.\n  class Basket < Base\n    def total\n      1\n    end\n    def self.make; end\n  end\nend\n";
        assert_eq!(
            units("ruby", text),
            ["0 module Shop 1-9", "1 class Basket 2-8", "2 def total 4-6", "2 def self.make 7-7"]
        );
        let text = "#!/bin/sh\n\n# Sums.\ntotal() {\n  echo 1\n}\nfunction zorblax {\n  total\n}\n";
        assert_eq!(units("shell", text), ["0 total() 3-6", "0 zorblax() 7-9"]);
    }

    #[test]
    fn broken_code_gives_what_can_be_found() {
        let text = "fn whole() {}\n\nfn broken( {{{ let ;;\n\nfn zorblax() { 1 }\n";
        let found = units("rust", text);
        assert!(found.iter().any(|unit| unit.contains("fn whole")), "{found:?}");
        assert!(found.iter().any(|unit| unit.contains("fn zorblax")), "{found:?}");
        assert_eq!(units("cobol", text), Vec::<String>::new(), "no grammar, no units");
    }

    #[test]
    fn hostile_code_is_bounded() {
        const POOL_STACK: usize = 16 << 20;
        let work = std::thread::Builder::new().stack_size(POOL_STACK).spawn(|| {
            let found = |language: &str, text: &str| {
                let blocks = blocks(language, text, &StepContext::detached()).expect("in time");
                assert_nested(&blocks, text);
                blocks.len()
            };
            assert_eq!(found("rust", &"fn a() {".repeat(20_000)), 0, "nested too deeply");
            let deep = format!("{}{}", "fn a() {".repeat(900), "}".repeat(900));
            assert_eq!(found("rust", &deep), 12, "no path is endless");
            assert_eq!(found("rust", &"fn a(){}\n".repeat(70_000)), 1 << 16, "no file has more");
            assert_eq!(found("rust", &"fn a(){}\n".repeat(300_000)), 0, "too large");
            let texts =
                ["([{", "{[(".repeat(300).as_str(), "\"'`", "a<b>::", "- ! ", "if a ", "=🎉;\u{feff}é", "/*", "<<E\n"]
                    .map(|text| text.repeat(6_000 / text.len()));
            for language in ["rust", "python", "javascript", "typescript", "go", "java", "c", "cpp", "ruby", "shell"] {
                texts.iter().for_each(|text| {
                    found(language, text);
                });
            }
        });
        work.expect("a thread").join().expect("no overflow, no panic");
    }

    #[test]
    fn time_that_is_up_ends_the_parse() {
        let cancel = docmill_api::CancellationToken::new();
        cancel.cancel();
        let cx = StepContext::new(cancel, None);
        assert_eq!(blocks("rust", &"fn a() { b(c) }\n".repeat(10_000), &cx), Err(ReadError::OutOfTime));
    }
}
