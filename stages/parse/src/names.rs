//! The tables that say which format a media type or a file name means. Data only; `media` weighs it.

use crate::media::Format;
use crate::office::Kind;

/// The media type of a Word document.
pub(crate) const DOCX: &str = "application/vnd.openxmlformats-officedocument.wordprocessingml.document";

/// What a media type means; `None` for those that mean nothing.
pub(crate) fn by_media_type(media_type: &str) -> Option<Format> {
    if let Some(kind) = Kind::by_media_type(media_type) {
        return Some(Format::Office(kind));
    }
    Some(match media_type {
        "application/pdf" | "application/x-pdf" => Format::Pdf,
        DOCX => Format::Docx,
        "text/html" | "application/xhtml+xml" => Format::Html,
        "text/markdown" | "text/x-markdown" => Format::Markdown,
        "application/json" | "text/json" => Format::Json { lines: false },
        "application/x-ipynb+json" => Format::Notebook,
        "application/x-ndjson" | "application/jsonl" | "application/x-jsonlines" => Format::Json { lines: true },
        "text/csv" | "application/csv" => Format::Csv(None),
        "text/tab-separated-values" => Format::Csv(Some(b'\t')),
        "application/xml" | "text/xml" => Format::Code("xml"),
        "application/yaml" | "application/x-yaml" | "text/yaml" | "text/x-yaml" => Format::Code("yaml"),
        "application/toml" => Format::Code("toml"),
        "application/javascript" | "text/javascript" => Format::Code("javascript"),
        "application/x-sh" | "text/x-shellscript" => Format::Code("shell"),
        "message/rfc822" => Format::Mail,
        "application/epub+zip" => Format::Epub,
        "application/vnd.ms-outlook" => Format::Unread("msg"),
        "image/svg+xml" => Format::Image("image/svg+xml"),
        other if other.starts_with("image/") => Format::Image("image/*"),
        other if other.starts_with("text/") => Format::Plain,
        other if other.ends_with("+json") => Format::Json { lines: false },
        other if other.ends_with("+xml") => Format::Code("xml"),
        _ => return None,
    })
}

/// What a file name means, by its whole or by its extension.
pub(crate) fn by_filename(filename: &str) -> Option<Format> {
    let name = filename.rsplit(['/', '\\']).next().unwrap_or_default().to_ascii_lowercase();
    let whole = match name.as_str() {
        "dockerfile" | "containerfile" => Some("dockerfile"),
        "makefile" | "gnumakefile" => Some("make"),
        "cmakelists.txt" => Some("cmake"),
        "rakefile" | "gemfile" | "vagrantfile" => Some("ruby"),
        "jenkinsfile" => Some("groovy"),
        "justfile" => Some("just"),
        ".bashrc" | ".profile" | ".zshrc" => Some("shell"),
        ".gitignore" | ".dockerignore" | ".editorconfig" | ".gitattributes" => Some("ini"),
        _ => None,
    };
    if let Some(language) = whole {
        return Some(Format::Code(language));
    }
    let (stem, extension) = name.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    by_extension(extension).or_else(|| language(extension).map(Format::Code))
}

fn by_extension(extension: &str) -> Option<Format> {
    if let Some(kind) = Kind::by_extension(extension) {
        return Some(Format::Office(kind));
    }
    Some(match extension {
        "pdf" => Format::Pdf,
        "docx" | "docm" | "dotx" | "dotm" => Format::Docx,
        "html" | "htm" | "xhtml" | "xht" => Format::Html,
        "md" | "markdown" | "mdown" | "mkd" | "mdx" | "qmd" | "rmd" => Format::Markdown,
        "epub" => Format::Epub,
        "eml" => Format::Mail,
        "ipynb" => Format::Notebook,
        "json" | "geojson" | "webmanifest" | "har" => Format::Json { lines: false },
        "jsonl" | "ndjson" => Format::Json { lines: true },
        "csv" => Format::Csv(None),
        "tsv" | "tab" => Format::Csv(Some(b'\t')),
        "txt" | "text" | "log" | "rst" | "adoc" | "asciidoc" | "org" | "tex" | "ltx" | "bib" | "srt" | "vtt" | "po"
        | "pot" | "diff" | "patch" | "textile" | "wiki" | "me" | "nfo" => Format::Plain,
        "svg" => Format::Image("image/svg+xml"),
        "png" => Format::Image("image/png"),
        "jpg" | "jpeg" => Format::Image("image/jpeg"),
        "gif" => Format::Image("image/gif"),
        "webp" => Format::Image("image/webp"),
        "tif" | "tiff" => Format::Image("image/tiff"),
        "bmp" => Format::Image("image/bmp"),
        "heic" | "heif" | "avif" => Format::Image("image/heif"),
        other => Format::Unread(unread(other)?),
    })
}

/// Formats that people keep documents in and that have no reader here yet.
fn unread(extension: &str) -> Option<&'static str> {
    const KNOWN: [&str; 14] =
        ["odg", "msg", "mbox", "pages", "numbers", "key", "hwp", "hwpx", "mobi", "azw3", "djvu", "chm", "ps", "zip"];
    KNOWN.into_iter().find(|known| *known == extension)
}

/// The language that an extension means.
fn language(extension: &str) -> Option<&'static str> {
    Some(match extension {
        "rs" => "rust",
        "py" | "pyi" | "pyw" | "pyx" => "python",
        "js" | "mjs" | "cjs" | "jsx" => "javascript",
        "ts" | "tsx" | "mts" | "cts" => "typescript",
        "java" => "java",
        "kt" | "kts" => "kotlin",
        "scala" | "sc" | "sbt" => "scala",
        "groovy" | "gradle" => "groovy",
        "c" | "h" => "c",
        "cc" | "cpp" | "cxx" | "c++" | "hh" | "hpp" | "hxx" | "ipp" | "inl" => "cpp",
        "cs" | "csx" => "csharp",
        "fs" | "fsi" | "fsx" => "fsharp",
        "vb" | "vbs" | "bas" => "basic",
        "go" => "go",
        "rb" | "erb" | "gemspec" => "ruby",
        "php" | "phtml" => "php",
        "swift" => "swift",
        "m" | "mm" => "objective-c",
        "dart" => "dart",
        "lua" => "lua",
        "pl" | "pm" => "perl",
        "r" => "r",
        "jl" => "julia",
        "hs" | "lhs" => "haskell",
        "ml" | "mli" => "ocaml",
        "clj" | "cljs" | "cljc" | "edn" => "clojure",
        "ex" | "exs" => "elixir",
        "erl" | "hrl" => "erlang",
        "elm" => "elm",
        "lisp" | "lsp" | "cl" | "el" | "scm" | "rkt" => "lisp",
        "nim" => "nim",
        "zig" => "zig",
        "d" => "d",
        "v" | "sv" | "svh" => "verilog",
        "vhd" | "vhdl" => "vhdl",
        "f" | "for" | "f90" | "f95" => "fortran",
        "pas" | "dpr" => "pascal",
        "adb" | "ads" => "ada",
        "cob" | "cbl" => "cobol",
        "asm" | "s" | "nasm" => "assembly",
        "cu" | "cuh" => "cuda",
        "sol" => "solidity",
        "sql" | "ddl" => "sql",
        "graphql" | "gql" => "graphql",
        "proto" => "protobuf",
        "thrift" => "thrift",
        "sh" | "bash" | "zsh" | "ksh" | "fish" | "bats" => "shell",
        "ps1" | "psm1" | "psd1" => "powershell",
        "bat" | "cmd" => "batch",
        "mk" | "mak" => "make",
        "cmake" => "cmake",
        "dockerfile" => "dockerfile",
        "tf" | "tfvars" | "hcl" => "hcl",
        "nix" => "nix",
        "bzl" | "star" => "starlark",
        "vue" => "vue",
        "svelte" => "svelte",
        "css" => "css",
        "scss" | "sass" => "scss",
        "less" => "less",
        "xml" | "xsd" | "xsl" | "xslt" | "rss" | "atom" | "plist" | "xaml" | "csproj" | "wsdl" => "xml",
        "yaml" | "yml" => "yaml",
        "toml" => "toml",
        "ini" | "cfg" | "conf" | "properties" | "env" | "cnf" => "ini",
        "vim" => "vim",
        "awk" => "awk",
        "tcl" => "tcl",
        "jinja" | "j2" | "tmpl" | "hbs" | "mustache" => "template",
        _ => return None,
    })
}

/// The language of a script that names its interpreter in its first line, in lower case.
pub(crate) fn by_interpreter(head: &str) -> Option<Format> {
    let line = head.strip_prefix("#!")?.lines().next()?;
    let program = line.split_whitespace().flat_map(|word| word.rsplit('/').next()).find(|word| *word != "env")?;
    let language = match program.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "sh" | "bash" | "zsh" | "dash" | "ksh" | "fish" => "shell",
        "python" => "python",
        "node" | "deno" | "bun" => "javascript",
        "perl" => "perl",
        "ruby" => "ruby",
        "php" => "php",
        "lua" => "lua",
        "rscript" => "r",
        "awk" | "gawk" => "awk",
        "make" => "make",
        _ => return None,
    };
    Some(Format::Code(language))
}
