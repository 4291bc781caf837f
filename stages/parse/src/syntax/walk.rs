//! The way through a syntax tree that finds its units. With a cursor, not by recursion: a tree may be as deep as
//! its text is long.

use docmill_api::Block;
use tree_sitter::{Node, Tree};

use super::grammar::{Grammar, Role};
use super::names::{holds, name};

/// How deep units may stand in one another: deeper than people nest, and little enough that a chunk's path is short.
const MAX_DEPTH: u8 = 12;

/// How deep the tree is followed.
const MAX_LEVELS: usize = 1000;

/// How many units a file may have: some 5 MB of them. The rest of the file has none.
const MAX_UNITS: usize = 1 << 16;

/// One level of the walk: the children of one node.
#[derive(Default)]
struct Level {
    /// Whether the node is a unit.
    unit: bool,
    /// Where the node's extent goes to the one unit in it: from where to where.
    wrapper: Option<(usize, usize)>,
}

/// What was found so far.
struct Walk<'a> {
    text: &'a str,
    blocks: Vec<Block>,
    depth: u8,
    /// From where to where the last comments and attributes stand, while nothing has come between them and what is next.
    lead: Option<(usize, usize)>,
}

/// The units of a tree, ascending, an outer one before those in it.
pub(super) fn units(grammar: &Grammar, tree: &Tree, text: &str) -> Vec<Block> {
    let roles = grammar.roles(&grammar.language());
    let mut walk = Walk { text, blocks: Vec::new(), depth: 0, lead: None };
    let mut levels = vec![Level::default()];
    let mut cursor = tree.walk();
    if !cursor.goto_first_child() {
        return walk.blocks;
    }
    while walk.blocks.len() < MAX_UNITS {
        let node = cursor.node();
        let role = roles.get(usize::from(node.kind_id())).copied().flatten();
        let level = levels.last_mut().expect("the root's is never taken");
        let inner = walk.visit(node, role, level);
        if levels.len() < MAX_LEVELS && role != Some(Role::Lead) && cursor.goto_first_child() {
            walk.depth += u8::from(inner.unit);
            levels.push(inner);
            continue;
        }
        while !cursor.goto_next_sibling() {
            if levels.len() == 1 || !cursor.goto_parent() {
                return walk.blocks;
            }
            walk.depth -= u8::from(levels.pop().is_some_and(|level| level.unit));
        }
    }
    walk.blocks
}

impl Walk<'_> {
    /// Notes the unit that a node is. What its children's level begins with.
    fn visit(&mut self, node: Node<'_>, role: Option<Role>, level: &mut Level) -> Level {
        // Of a node that is no unit, the first child may be one.
        self.lead = self.lead.filter(|(_, end)| is_near(self.text, *end, node.start_byte()));
        let start = self.lead.map_or(node.start_byte(), |(start, _)| start);
        let mut inner = Level::default();
        match role {
            Some(Role::Lead) => {
                let range = node.byte_range();
                let end = range.start + self.text.get(range.clone()).unwrap_or_default().trim_end().len();
                let own_line = self.lead.is_some() || begins_line(self.text, range.start);
                self.lead = own_line.then_some((start, end));
            }
            Some(Role::Wrapper) => {
                inner.wrapper = Some((start, node.end_byte()));
                self.lead = None;
            }
            Some(Role::Unit(say) | Role::Holder(say)) => {
                let is_unit = matches!(role, Some(Role::Unit(_))) || holds(say, node);
                if !is_unit || self.depth >= MAX_DEPTH || node.is_missing() {
                    return inner;
                }
                self.lead = None;
                let (start, end) = level.wrapper.take().unwrap_or((start, node.end_byte()));
                if self.text.get(start..end).is_some_and(|text| !text.trim().is_empty()) {
                    self.blocks.push(Block { start, end, depth: self.depth, name: name(say, node, self.text) });
                    inner.unit = true;
                }
            }
            None => {}
        }
        inner
    }
}

/// Whether nothing but white space without a blank line is between two places.
fn is_near(text: &str, end: usize, start: usize) -> bool {
    text.get(end..start).is_some_and(|between| {
        between.trim().is_empty() && memchr::memchr_iter(b'\n', between.as_bytes()).take(2).count() < 2
    })
}

/// Whether only white space stands before a place on its line: a comment behind code is about that code.
fn begins_line(text: &str, place: usize) -> bool {
    let before = text.get(..place).unwrap_or_default();
    before.trim_end_matches([' ', '\t']).is_empty() || before.trim_end_matches([' ', '\t']).ends_with('\n')
}

/// How many bytes of the text the grammar could make nothing of.
pub(super) fn error_bytes(tree: &Tree) -> usize {
    let mut cursor = tree.walk();
    let mut bytes = 0;
    let mut levels = 0;
    loop {
        let node = cursor.node();
        if node.is_error() || node.is_missing() {
            bytes += node.byte_range().len() + 1;
        } else if node.has_error() && levels < MAX_LEVELS && cursor.goto_first_child() {
            levels += 1;
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return bytes;
            }
            levels -= 1;
        }
    }
}
