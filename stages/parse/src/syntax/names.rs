//! What a unit is called, as its author would say it: `fn main`, `class Basket`, `impl Reader for Csv`, `total()`.

use tree_sitter::Node;

/// How a kind of unit is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// A word and the name.
    Word(&'static str),
    /// The same, after `async` or with the object before the name.
    Function(&'static str),
    /// The name with brackets behind it.
    Call,
    /// A trait and a type.
    Implementation,
    /// A receiver and the name.
    Method,
    /// What a declaration declares.
    Declared,
    /// What is assigned to.
    Assigned,
    /// A key.
    Keyed,
    /// The name at the end of a `typedef`.
    Typedef,
}

/// Names are cut to this many bytes: a chunk carries those of all units around it, and a "name" may be a whole file.
const NAME_BYTES: usize = 120;

/// How many pointers, arrays and brackets may stand around the name in a declaration.
const DECLARATORS: usize = 16;

/// The name of a unit.
pub(super) fn name(say: Say, node: Node<'_>, text: &str) -> String {
    let field = |name: &str| node.child_by_field_name(name).map(|child| said(child, text)).unwrap_or_default();
    let name = match say {
        Say::Word(word) => format!("{word} {}", found(node, text)),
        Say::Function(word) => {
            let asynchronous = if text[node.start_byte()..].starts_with("async") { "async " } else { "" };
            let object = field("object");
            let dot = if object.is_empty() { "" } else { "." };
            format!("{asynchronous}{word} {object}{dot}{}", field("name"))
        }
        Say::Call => match found(node, text) {
            name if name.is_empty() => name,
            name => format!("{name}()"),
        },
        Say::Implementation => match field("trait") {
            name if name.is_empty() => format!("impl {}", field("type")),
            name => format!("impl {name} for {}", field("type")),
        },
        Say::Method => format!("func {} {}", field("receiver"), field("name")),
        Say::Declared => {
            let word = text[node.start_byte()..].split_whitespace().next().unwrap_or_default();
            let declared = node.named_child(0).and_then(|child| child.child_by_field_name("name"));
            format!("{word} {}", declared.map(|child| said(child, text)).unwrap_or_default())
        }
        Say::Assigned => assignment(node)
            .and_then(|child| child.child_by_field_name("left"))
            .map(|child| said(child, text))
            .unwrap_or_default(),
        Say::Keyed => {
            ["key", "name", "property"].into_iter().map(field).find(|name| !name.is_empty()).unwrap_or_default()
        }
        Say::Typedef => format!("typedef {}", declarator(node).map(|child| said(child, text)).unwrap_or_default()),
    };
    shortened(name.trim())
}

/// Whether a node that may hold a function, a class or a body does.
pub(super) fn holds(say: Say, node: Node<'_>) -> bool {
    let value = match say {
        Say::Declared => node.named_child(0).and_then(|child| child.child_by_field_name("value")),
        Say::Assigned => assignment(node).and_then(|child| child.child_by_field_name("right")),
        Say::Keyed => node.child_by_field_name("value"),
        _ => return node.child_by_field_name("body").is_some() && node.child_by_field_name("name").is_some(),
    };
    value.is_some_and(|value| {
        matches!(
            value.kind(),
            "arrow_function" | "function_expression" | "function" | "generator_function" | "class" | "object"
        ) && (value.kind() != "object" || value.start_position().row != value.end_position().row)
    })
}

fn assignment(node: Node<'_>) -> Option<Node<'_>> {
    node.named_child(0).filter(|child| child.kind() == "assignment_expression")
}

/// The name where grammars keep it: in a field, in the declarator, or in the one thing that is declared.
fn found(node: Node<'_>, text: &str) -> String {
    let name = node.child_by_field_name("name").or_else(|| declarator(node)).or_else(|| {
        let child = (0..2).filter_map(|index| node.named_child(index)).find(|child| !child.is_extra())?;
        child.child_by_field_name("name").or_else(|| child.named_child(0)?.child_by_field_name("name")).or_else(|| {
            let first = child.kind();
            (first == "constant" || first == "self").then_some(child)
        })
    });
    name.map(|name| said(name, text)).unwrap_or_default()
}

/// What a C declarator declares, under pointers, arrays, parameters and references.
fn declarator(node: Node<'_>) -> Option<Node<'_>> {
    let mut inner = node.child_by_field_name("declarator")?;
    for _ in 0..DECLARATORS {
        let next = inner.child_by_field_name("declarator").or_else(|| {
            let wraps =
                matches!(inner.kind(), "reference_declarator" | "parenthesized_declarator" | "attributed_declarator");
            if wraps { inner.named_child(0) } else { None }
        });
        let Some(next) = next else { break };
        inner = next;
    }
    Some(inner)
}

/// A node's text on one line.
fn said(node: Node<'_>, text: &str) -> String {
    let whole = text.get(node.byte_range()).unwrap_or_default();
    // Twice the room, since white space is made less.
    let part = &whole[..whole.floor_char_boundary(2 * NAME_BYTES)];
    part.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_BYTES)].trim_end().to_owned()
}
