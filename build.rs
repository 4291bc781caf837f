//! How the program is linked.

use std::process::Command;

/// The first glibc that applies packed relocations.
const PACKED_SINCE: (u32, u32) = (2, 36);

/// The program is position-independent, and every pointer in its data has a relocation: unpacked they are 16 MB that are
/// read at every start, and stay in memory (docs/performance.md). Packed, they are some hundred kilobytes. A linker that
/// does not know the option says so and goes on; an older glibc would refuse the program, so it is asked first.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    let native = std::env::var("HOST").ok() == std::env::var("TARGET").ok();
    if native && target("OS") == "linux" && target("ENV") == "gnu" && glibc().is_some_and(|glibc| glibc >= PACKED_SINCE)
    {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}

/// The version of this machine's glibc.
fn glibc() -> Option<(u32, u32)> {
    let said = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?.stdout;
    let said = String::from_utf8(said).ok()?;
    let (major, rest) = said.trim().strip_prefix("glibc ")?.split_once('.')?;
    let minor = rest.split('.').next()?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
