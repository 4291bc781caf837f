//! What names say: media types by extension and by file name, and groups of media types.

/// The media type that a text's name gives; `None` for one that says nothing.
pub(super) fn text(name: &str) -> Option<&'static str> {
    let name = base(name);
    let whole = match name.as_str() {
        "makefile" | "gnumakefile" | "justfile" => Some("text/x-makefile"),
        "dockerfile" | "containerfile" => Some("text/x-dockerfile"),
        "cmakelists.txt" => Some("text/x-cmake"),
        "gemfile" | "rakefile" | "vagrantfile" | "podfile" => Some("text/x-ruby"),
        "jenkinsfile" => Some("text/x-groovy"),
        "build.bazel" | "workspace.bazel" | "module.bazel" => Some("text/x-starlark"),
        "cargo.lock" | "poetry.lock" => Some("application/toml"),
        ".bashrc" | ".profile" | ".zshrc" | ".bash_profile" => Some("text/x-shellscript"),
        _ if name.starts_with("dockerfile.") => Some("text/x-dockerfile"),
        _ => None,
    };
    whole.or_else(|| extension(&name).and_then(|extension| data(extension).or_else(|| code(extension))))
}

/// Documents and data.
fn data(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "txt" | "text" | "log" | "ini" | "cfg" | "conf" | "properties" | "env" | "srt" => "text/plain",
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "rmd" | "qmd" => "text/markdown",
        "rst" => "text/prs.fallenstein.rst",
        "adoc" | "asciidoc" => "text/asciidoc",
        "org" => "text/org",
        "csv" => "text/csv",
        "tsv" | "tab" => "text/tab-separated-values",
        "json" | "geojson" | "webmanifest" | "har" => "application/json",
        "jsonl" | "ndjson" => "application/x-ndjson",
        "ipynb" => "application/x-ipynb+json",
        "yaml" | "yml" => "application/yaml",
        "toml" => "application/toml",
        "xml" | "xsd" | "xsl" | "xslt" | "rss" | "atom" | "wsdl" | "plist" | "kml" | "gpx" => "application/xml",
        "svg" => "image/svg+xml",
        // Read alike, whatever the letter before says.
        "html" | "htm" | "xhtml" | "xht" => "text/html",
        "eml" => "message/rfc822",
        "mbox" => "application/mbox",
        "rtf" => "application/rtf",
        "ics" => "text/calendar",
        "vcf" => "text/vcard",
        "vtt" => "text/vtt",
        _ => return None,
    })
}

/// Source code: `text/x-<language>`.
fn code(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "text/x-rust",
        "py" | "pyi" | "pyw" => "text/x-python",
        "js" | "mjs" | "cjs" | "jsx" => "text/x-javascript",
        "ts" | "mts" | "cts" | "tsx" => "text/x-typescript",
        "java" => "text/x-java",
        "kt" | "kts" => "text/x-kotlin",
        "scala" | "sc" => "text/x-scala",
        "go" => "text/x-go",
        "c" | "h" => "text/x-c",
        "cc" | "cpp" | "cxx" | "hpp" | "hh" | "hxx" | "ino" | "cu" | "cuh" => "text/x-c++",
        "cs" => "text/x-csharp",
        "fs" | "fsx" | "fsi" => "text/x-fsharp",
        "vb" => "text/x-vb",
        "swift" => "text/x-swift",
        "m" | "mm" => "text/x-objective-c",
        "rb" => "text/x-ruby",
        "php" => "text/x-php",
        "pl" | "pm" => "text/x-perl",
        "lua" => "text/x-lua",
        "r" => "text/x-r",
        "jl" => "text/x-julia",
        "sh" | "bash" | "zsh" | "fish" | "ksh" => "text/x-shellscript",
        "ps1" | "psm1" => "text/x-powershell",
        "bat" | "cmd" => "text/x-batch",
        "sql" => "text/x-sql",
        "css" | "scss" | "sass" | "less" => "text/x-css",
        "vue" => "text/x-vue",
        "svelte" => "text/x-svelte",
        "dart" => "text/x-dart",
        "ex" | "exs" => "text/x-elixir",
        "erl" | "hrl" => "text/x-erlang",
        "hs" => "text/x-haskell",
        "clj" | "cljs" | "cljc" => "text/x-clojure",
        "ml" | "mli" => "text/x-ocaml",
        "el" | "lisp" | "scm" => "text/x-lisp",
        "nim" => "text/x-nim",
        "zig" => "text/x-zig",
        "groovy" | "gradle" => "text/x-groovy",
        "tf" | "hcl" => "text/x-hcl",
        "nix" => "text/x-nix",
        "bzl" | "bazel" => "text/x-starlark",
        "proto" => "text/x-protobuf",
        "graphql" | "gql" => "text/x-graphql",
        "cmake" => "text/x-cmake",
        "mk" => "text/x-makefile",
        "dockerfile" => "text/x-dockerfile",
        "asm" | "s" => "text/x-asm",
        "sol" => "text/x-solidity",
        "pas" => "text/x-pascal",
        "f90" | "f95" | "f" => "text/x-fortran",
        "diff" | "patch" => "text/x-diff",
        "tex" | "sty" => "text/x-tex",
        _ => return None,
    })
}

/// The media type that a binary document's name gives: for files whose content says too little, or is broken.
pub(super) fn binary(name: &str) -> Option<&'static str> {
    use super::container::{DOCX, PPTX, XLSB, XLSX};
    Some(match extension(&base(name))? {
        "pdf" => "application/pdf",
        "docx" => DOCX,
        "docm" => "application/vnd.ms-word.document.macroenabled.12",
        "dotx" => "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
        "xlsx" => XLSX,
        "xlsm" => "application/vnd.ms-excel.sheet.macroenabled.12",
        "xlsb" => XLSB,
        "xltx" => "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
        "pptx" => PPTX,
        "pptm" => "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        "ppsx" => "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
        "potx" => "application/vnd.openxmlformats-officedocument.presentationml.template",
        "odt" | "ott" => "application/vnd.oasis.opendocument.text",
        "ods" | "ots" => "application/vnd.oasis.opendocument.spreadsheet",
        "odp" | "otp" => "application/vnd.oasis.opendocument.presentation",
        "epub" => "application/epub+zip",
        "doc" | "dot" => "application/msword",
        "xls" | "xlt" => "application/vnd.ms-excel",
        "ppt" | "pps" => "application/vnd.ms-powerpoint",
        "msg" => "application/vnd.ms-outlook",
        "hwp" => "application/x-hwp",
        _ => return None,
    })
}

/// The plain type that a variant is read as.
pub(super) fn family(media_type: &str) -> Option<&'static str> {
    use super::container::{DOCX, PPTX, XLSX};
    let starts = |prefixes: [&str; 2]| prefixes.iter().any(|prefix| media_type.starts_with(prefix));
    if starts(["application/vnd.ms-word.document", "application/vnd.openxmlformats-officedocument.wordprocessingml."]) {
        Some(DOCX)
    } else if starts(["application/vnd.ms-excel.sheet", "application/vnd.openxmlformats-officedocument.spreadsheetml."])
    {
        Some(XLSX)
    } else if starts([
        "application/vnd.ms-powerpoint.presentation",
        "application/vnd.openxmlformats-officedocument.presentationml.",
    ]) {
        Some(PPTX)
    } else {
        None
    }
}

/// Whether a media type is source code.
pub(super) fn is_code(media_type: &str) -> bool {
    media_type.starts_with("text/x-")
}

/// Formats of prose that may open with a tag or with lines like those of a message, and are none.
pub(super) fn is_prose(media_type: &str) -> bool {
    matches!(
        media_type,
        "text/markdown"
            | "text/prs.fallenstein.rst"
            | "text/asciidoc"
            | "text/org"
            | "message/rfc822"
            | "application/mbox"
    )
}

/// Whether a server's word is worth more than `text/plain`.
pub(super) fn is_known_text(media_type: &str) -> bool {
    matches!(
        media_type,
        "text/html"
            | "text/markdown"
            | "text/csv"
            | "text/tab-separated-values"
            | "text/calendar"
            | "text/vcard"
            | "text/vtt"
            | "application/json"
            | "application/x-ndjson"
            | "application/yaml"
            | "application/toml"
            | "application/xml"
            | "message/rfc822"
    )
}

/// Elements that HTML without its frame begins with.
pub(super) fn is_html_tag(tag: &str) -> bool {
    matches!(
        tag,
        "head"
            | "body"
            | "title"
            | "meta"
            | "link"
            | "style"
            | "script"
            | "div"
            | "p"
            | "span"
            | "table"
            | "ul"
            | "ol"
            | "h1"
            | "h2"
            | "h3"
            | "a"
            | "b"
            | "br"
            | "font"
            | "img"
            | "iframe"
            | "main"
            | "article"
            | "section"
            | "header"
            | "nav"
            | "form"
            | "center"
            | "pre"
    )
}

/// The last part of a path, in lower case.
fn base(name: &str) -> String {
    name.rsplit('/').next().unwrap_or_default().to_ascii_lowercase()
}

fn extension(base: &str) -> Option<&str> {
    base.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension)
}
