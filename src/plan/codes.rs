//! The codes of all complaints, each with what it means, an example and the way out.
//!
//! They stand in one place because three things are made from them: the complaints, the reference page and the test
//! that keeps the two together. A code is never given another meaning; one that is no longer used stays unused.

/// A code's entry in the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Code {
    /// As printed: `docmill-E0011`. `E` stops the command, `W` does not.
    pub id: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// What brings it about.
    pub example: &'static str,
    /// How to mend it.
    pub fix: &'static str,
}

/// Declares every code once: as a constant to complain with and as an entry of [`ALL`].
macro_rules! codes {
    ($($name:ident = $id:literal, $meaning:literal, $example:literal, $fix:literal;)*) => {
        $(
            #[doc = $meaning]
            pub const $name: &str = concat!("docmill-", $id);
        )*
        /// Every code, in the order of the reference.
        pub const ALL: &[Code] = &[
            $(Code { id: concat!("docmill-", $id), meaning: $meaning, example: $example, fix: $fix },)*
        ];
    };
}

codes! {
    NO_FILE = "E0001", "the pipeline file cannot be read",
        "`docmill check` where there is no `pipeline.toml`",
        "name the file with `--pipeline FILE`, or go to its directory";
    SYNTAX = "E0002", "the file is not TOML",
        "`width = = 3`",
        "write the value as TOML: texts in quotes, lists in brackets";
    DUPLICATE_KEY = "E0003", "a key or table stands twice",
        "two tables `[stages.parse]`",
        "rename one of them, or make them one";
    BAD_SETTING = "E0004", "a `--set` or a variable cannot be read",
        "`--set stages.embed.width`",
        "write `--set KEY=VALUE`, the key dotted, the value in TOML";
    UNKNOWN_TABLE = "E0010", "no such table at the top of the file",
        "`[stage.parse]`",
        "the tables are `[run]` and `[stages.NAME]`";
    UNKNOWN_KEY = "E0011", "no such key in this table",
        "`widht = 3`",
        "take the name that is proposed, or see `docmill stages KIND`";
    WRONG_TYPE = "E0012", "a value of the wrong type",
        "`width = \"three\"`",
        "write the value as the message says";
    MISSING_KEY = "E0013", "a key that must be set is missing",
        "a stage that must be told a `command` and is not",
        "set it; `docmill stages KIND` shows an example";
    OUT_OF_RANGE = "E0014", "a value beyond its bounds",
        "`queue = 0`",
        "choose a value within the bounds that the message names";
    UNSUPPORTED = "E0015", "a table or value that this version does not support",
        "`uri = \"ftp://host/path\"` in `[blobs]`",
        "take it out, or use a version that supports it";
    REFUSED = "E0016", "the stage itself refuses a value",
        "`overlap = 600` with `tokens = 512`",
        "follow the message: it is the stage's own";
    NOT_APPLICABLE = "E0017", "a key that this kind of stage does not have",
        "`isolation = \"process\"` on a download",
        "take it out: it would have no effect";
    BAD_NAME = "E0018", "a stage name that cannot be used",
        "`[stages.\"a b\"]`",
        "use letters, digits, `-` and `_`";
    NO_STAGES = "E0020", "the pipeline has no stages",
        "an empty file",
        "add a source, a sink and what lies between";
    UNKNOWN_KIND = "E0021", "no stage of this kind is known",
        "`kind = \"pars\"`",
        "take the name that is proposed, or see `docmill stages`";
    NO_KIND = "E0022", "a stage does not say what it is",
        "`[stages.parse]` without `kind`",
        "add `kind = \"…\"`";
    UNKNOWN_INPUT = "E0023", "an input names no stage",
        "`inputs = [\"prase\"]`",
        "take the name that is proposed, or add the stage";
    SELF_INPUT = "E0024", "a stage reads itself",
        "`inputs = [\"chunk\"]` in `[stages.chunk]`",
        "name the stage before it";
    DUPLICATE_INPUT = "E0025", "an input is named twice",
        "`inputs = [\"chunk\", \"chunk\"]`",
        "name it once";
    CYCLE = "E0026", "stages read each other in a ring",
        "`a` reads `b`, `b` reads `a`",
        "take one of the ring's edges out";
    NO_SOURCE = "E0027", "no stage lists documents",
        "a pipeline that begins with `parse`",
        "add a source, such as a stage of kind `files`";
    SOURCE_WITH_INPUTS = "E0028", "a source has inputs",
        "`inputs` in a stage of kind `files`",
        "take `inputs` out: a source begins the pipeline";
    NO_INPUTS = "E0029", "a stage has no inputs",
        "`[stages.parse]` without `inputs`",
        "add `inputs = [\"…\"]`";
    UNREAD = "E0030", "nobody reads what a stage gives",
        "a `chunk` that no other stage names",
        "name it in the `inputs` of another stage, or take it out";
    NO_SINK = "E0031", "no stage makes results durable",
        "a pipeline that ends with `embed`",
        "add a sink, such as a stage of kind `lancedb`";
    EDGE_TYPE = "E0032", "a stage cannot read what its input gives",
        "`embed` reads `parse`, which gives text",
        "put the stage that is named between the two";
    TWO_EMBEDDINGS = "E0033", "vectors of two models meet",
        "two `embed` stages of different models, one store",
        "give each model a store, or use one model";
    SINK_AS_INPUT = "E0034", "an input is a sink, which gives nothing",
        "`inputs = [\"store\"]`",
        "read the stage before the sink";
    WIDER_THAN_CPUS = "W0001", "a CPU stage is wider than the CPU pool",
        "`width = 64` on two CPUs",
        "use `\"auto\"`, or at most the number of CPUs";
    NO_EFFECT = "W0002", "a key that has no effect here",
        "`width = 4` on a source",
        "take it out";
    LONG_WAIT = "W0003", "a batch waits long for its last item",
        "`wait = \"1m\"`",
        "a batch is also handed over when it is full: milliseconds are enough";
}

/// The reference page of all codes, in Markdown.
#[must_use]
pub fn reference() -> String {
    let mut page = String::from(
        "# Complaints\n\nEvery complaint about a configuration has one of these codes. `E` is an error:\n\
         nothing is run, the exit code is 3. `W` is a warning. All complaints come at once, each with its place in the file, variable or `--set`.\n\
         This page is printed from the code (`src/plan/codes.rs`); a test compares the two.\n\n\
         | code | meaning | example | fix |\n|---|---|---|---|\n",
    );
    for code in ALL {
        let cells = [code.id, code.meaning, code.example, code.fix].map(|cell| cell.replace('|', "\\|"));
        page.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    page
}
