//! How the program is linked.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

/// The first glibc that applies packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);
/// The functions that a run executes, a name a line, compressed.
const EXECUTED: &str = "tools/order/functions.gz";

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={EXECUTED}");
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let native = env::var("HOST").ok() == env::var("TARGET").ok();
    if !native || target("OS") != "linux" || target("ENV") != "gnu" {
        return Ok(());
    }
    // The program is position-independent, and every pointer in its data has a relocation: unpacked they are 16 MB that are
    // read at every start, and stay in memory (docs/performance.md). Packed, they are some hundred kilobytes. A linker
    // that does not know the option says so and goes on; an older glibc would refuse the program, so it is asked first.
    if glibc().is_some_and(|glibc| glibc >= PACKED_SINCE) {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
    // A run executes a tenth of the program's code, which lies all over it, and the system keeps 64 KB around each piece in
    // memory. Side by side it is 80 MB less (docs/performance.md).
    if target("ARCH") == "x86_64" && env::var("PROFILE").is_ok_and(|profile| profile == "release") {
        let order = order(&PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()))?;
        if links(&order)? {
            order.iter().for_each(|argument| println!("cargo:rustc-link-arg-bins={argument}"));
        }
    }
    Ok(())
}

/// What tells LLD to begin with the functions of the list. It passes over names that a program does not have.
fn order(directory: &Path) -> io::Result<[String; 2]> {
    let list = directory.join("functions");
    let mut names = Vec::new();
    flate2::read::GzDecoder::new(fs::File::open(EXECUTED)?).read_to_end(&mut names)?;
    fs::write(&list, names)?;
    Ok([format!("-Wl,--symbol-ordering-file={}", list.display()), "-Wl,--no-warn-symbol-ordering".to_owned()])
}

/// Whether the linker that the program will be linked by takes these arguments. LLD does, which is rustc's own; others
/// end with an error, so one is asked with a program of nothing.
fn links(arguments: &[String]) -> io::Result<bool> {
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let source = out.join("nothing.rs");
    fs::write(&source, "fn main() {}\n")?;
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.arg(&source).arg("-o").arg(out.join("nothing"));
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        rustc.arg("-C").arg(format!("linker={}", linker.display()));
    }
    rustc.args(env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default().split('\x1f').filter(|flag| !flag.is_empty()));
    for argument in arguments {
        rustc.arg("-C").arg(format!("link-arg={argument}"));
    }
    Ok(rustc.stdout(Stdio::null()).stderr(Stdio::null()).status()?.success())
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let (major, rest) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
