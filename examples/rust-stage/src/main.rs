//! docmill with the stage `language`.

fn main() -> std::process::ExitCode {
    docmill::cli::main_with(|registry| {
        #[cfg(feature = "builtin")]
        docmill::builtin::register(registry);
        docmill_language::register(registry);
    })
}
