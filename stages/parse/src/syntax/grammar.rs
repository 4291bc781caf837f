//! Which grammars read which language, and which of their nodes are units. Data, and the little that turns it into a
//! table by node number.

use tree_sitter::Language;

use super::names::Say;

/// A language's grammar with what its nodes mean here.
pub(super) struct Grammar {
    language: fn() -> Language,
    roles: &'static [(&'static str, Role)],
}

/// What a node is to the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A unit, and how it is called.
    Unit(Say),
    /// A unit if what it declares is a function or a class.
    Holder(Say),
    /// Gives its extent to the one unit in it: decorators, `export`, `template`.
    Wrapper,
    /// Belongs to the unit behind it: comments, attributes.
    Lead,
}

use Role::{Holder, Lead, Unit, Wrapper};
use Say::{Assigned, Call, Declared, Function, Implementation, Keyed, Method, Typedef, Word};

impl Grammar {
    /// The grammars for a language, the likeliest first; none where none is known.
    pub(super) fn of(language: &str) -> &'static [Self] {
        match language {
            "rust" => &RUST,
            "python" => &PYTHON,
            "javascript" => &JAVASCRIPT,
            "typescript" => &TYPESCRIPT,
            "go" => &GO,
            "java" => &JAVA,
            "c" => &C_AND_CPP,
            "cpp" => &CPP,
            "ruby" => &RUBY,
            "shell" => &BASH,
            _ => &[],
        }
    }

    pub(super) fn language(&self) -> Language {
        (self.language)()
    }

    /// The roles by node number.
    pub(super) fn roles(&self, language: &Language) -> Vec<Option<Role>> {
        let count = u16::try_from(language.node_kind_count()).unwrap_or(u16::MAX);
        let role = |id: u16| {
            let kind = language.node_kind_for_id(id).filter(|_| language.node_kind_is_named(id))?;
            self.roles.iter().find(|(name, _)| *name == kind).map(|(_, role)| *role)
        };
        (0..count).map(role).collect()
    }
}

static RUST: [Grammar; 1] = [Grammar {
    language: || tree_sitter_rust::LANGUAGE.into(),
    roles: &[
        ("function_item", Unit(Word("fn"))),
        ("function_signature_item", Unit(Word("fn"))),
        ("struct_item", Unit(Word("struct"))),
        ("enum_item", Unit(Word("enum"))),
        ("union_item", Unit(Word("union"))),
        ("trait_item", Unit(Word("trait"))),
        ("impl_item", Unit(Implementation)),
        ("mod_item", Unit(Word("mod"))),
        ("type_item", Unit(Word("type"))),
        ("const_item", Unit(Word("const"))),
        ("static_item", Unit(Word("static"))),
        ("macro_definition", Unit(Word("macro_rules!"))),
        ("foreign_mod_item", Unit(Word("extern"))),
        ("line_comment", Lead),
        ("block_comment", Lead),
        ("attribute_item", Lead),
    ],
}];

static PYTHON: [Grammar; 1] = [Grammar {
    language: || tree_sitter_python::LANGUAGE.into(),
    roles: &[
        ("function_definition", Unit(Function("def"))),
        ("class_definition", Unit(Word("class"))),
        ("decorated_definition", Wrapper),
        ("type_alias_statement", Unit(Word("type"))),
        ("comment", Lead),
    ],
}];

const SCRIPT: [(&str, Role); 12] = [
    ("function_declaration", Unit(Word("function"))),
    ("generator_function_declaration", Unit(Word("function"))),
    ("class_declaration", Unit(Word("class"))),
    ("method_definition", Unit(Call)),
    ("lexical_declaration", Holder(Declared)),
    ("variable_declaration", Holder(Declared)),
    ("expression_statement", Holder(Assigned)),
    ("pair", Holder(Keyed)),
    ("field_definition", Holder(Keyed)),
    ("public_field_definition", Holder(Keyed)),
    ("export_statement", Wrapper),
    ("comment", Lead),
];

static JAVASCRIPT: [Grammar; 1] = [Grammar { language: || tree_sitter_javascript::LANGUAGE.into(), roles: &SCRIPT }];

const TYPED_SCRIPT: &[(&str, Role)] = &[
    SCRIPT[0],
    SCRIPT[1],
    SCRIPT[2],
    SCRIPT[3],
    SCRIPT[4],
    SCRIPT[5],
    SCRIPT[6],
    SCRIPT[7],
    SCRIPT[8],
    SCRIPT[9],
    SCRIPT[10],
    SCRIPT[11],
    ("abstract_class_declaration", Unit(Word("class"))),
    ("interface_declaration", Unit(Word("interface"))),
    ("type_alias_declaration", Unit(Word("type"))),
    ("enum_declaration", Unit(Word("enum"))),
    ("internal_module", Unit(Word("namespace"))),
    ("module", Unit(Word("module"))),
    ("function_signature", Unit(Word("function"))),
    ("ambient_declaration", Wrapper),
];

/// Markup within code is only in the second, casts in angle brackets are only in the first.
static TYPESCRIPT: [Grammar; 2] = [
    Grammar { language: || tree_sitter_typescript::LANGUAGE_TYPESCRIPT.into(), roles: TYPED_SCRIPT },
    Grammar { language: || tree_sitter_typescript::LANGUAGE_TSX.into(), roles: TYPED_SCRIPT },
];

static GO: [Grammar; 1] = [Grammar {
    language: || tree_sitter_go::LANGUAGE.into(),
    roles: &[
        ("function_declaration", Unit(Word("func"))),
        ("method_declaration", Unit(Method)),
        ("type_declaration", Unit(Word("type"))),
        ("const_declaration", Unit(Word("const"))),
        ("comment", Lead),
    ],
}];

static JAVA: [Grammar; 1] = [Grammar {
    language: || tree_sitter_java::LANGUAGE.into(),
    roles: &[
        ("class_declaration", Unit(Word("class"))),
        ("interface_declaration", Unit(Word("interface"))),
        ("enum_declaration", Unit(Word("enum"))),
        ("record_declaration", Unit(Word("record"))),
        ("annotation_type_declaration", Unit(Word("@interface"))),
        ("method_declaration", Unit(Call)),
        ("constructor_declaration", Unit(Call)),
        ("compact_constructor_declaration", Unit(Call)),
        ("line_comment", Lead),
        ("block_comment", Lead),
    ],
}];

const C: &[(&str, Role)] = &[
    ("function_definition", Unit(Call)),
    ("struct_specifier", Holder(Word("struct"))),
    ("union_specifier", Holder(Word("union"))),
    ("enum_specifier", Holder(Word("enum"))),
    ("type_definition", Unit(Typedef)),
    ("preproc_function_def", Unit(Word("#define"))),
    ("comment", Lead),
];

const CPP_ROLES: &[(&str, Role)] = &[
    C[0],
    C[1],
    C[2],
    C[3],
    C[4],
    C[5],
    C[6],
    ("class_specifier", Holder(Word("class"))),
    ("namespace_definition", Unit(Word("namespace"))),
    ("alias_declaration", Unit(Word("using"))),
    ("concept_definition", Unit(Word("concept"))),
    ("template_declaration", Wrapper),
];

static CPP: [Grammar; 1] = [Grammar { language: || tree_sitter_cpp::LANGUAGE.into(), roles: CPP_ROLES }];

/// A header may be of either.
static C_AND_CPP: [Grammar; 2] = [
    Grammar { language: || tree_sitter_c::LANGUAGE.into(), roles: C },
    Grammar { language: || tree_sitter_cpp::LANGUAGE.into(), roles: CPP_ROLES },
];

static RUBY: [Grammar; 1] = [Grammar {
    language: || tree_sitter_ruby::LANGUAGE.into(),
    roles: &[
        ("method", Unit(Word("def"))),
        ("singleton_method", Unit(Function("def"))),
        ("class", Unit(Word("class"))),
        ("module", Unit(Word("module"))),
        ("singleton_class", Unit(Word("class"))),
        ("comment", Lead),
    ],
}];

static BASH: [Grammar; 1] = [Grammar {
    language: || tree_sitter_bash::LANGUAGE.into(),
    roles: &[("function_definition", Unit(Call)), ("comment", Lead)],
}];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_is_of_a_node_that_its_grammar_has() {
        for language in ["rust", "python", "javascript", "typescript", "go", "java", "c", "cpp", "ruby", "shell"] {
            for grammar in Grammar::of(language) {
                let roles = grammar.roles(&grammar.language());
                for (kind, role) in grammar.roles {
                    // The two script grammars share a table; each has one kind of field.
                    let shared = kind.ends_with("field_definition");
                    assert!(shared || roles.contains(&Some(*role)), "{language}: {kind}");
                }
                assert!(roles.iter().flatten().count() >= 2, "{language}");
            }
        }
    }
}
