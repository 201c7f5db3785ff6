//! How the program is linked, for a quick start: the unwinder in it (loading it as a shared library of its own is a tenth
//! of what a cached token costs), what a cached token goes through side by side (`.cargo/order.ld`), the relocations packed.

#![expect(clippy::disallowed_methods, reason = "how a build script learns things")]

use std::env;
use std::path::Path;
use std::process::Command;

/// Which functions lie side by side, as a linker script; `benches/order` writes it.
const ORDER: &str = ".cargo/order.ld";

/// The first version of GNU's C library that reads packed relocations; older ones refuse to start the program.
const PACKED_SINCE: (u32, u32) = (2, 36);

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CC");
    if is_gnu_linux_here()
        && let Some(folder) = folder_of("libgcc_eh.a")
    {
        println!("cargo::rustc-link-search=native={folder}");
        println!("cargo::rustc-link-lib=static:-bundle=gcc_eh");
    }
    println!("cargo::rerun-if-changed={ORDER}");
    if cargo_says("PROFILE", "release") && is_gnu_linux_here() && has_own_linker() {
        if Path::new(ORDER).exists() {
            let folder = env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
            println!("cargo::rustc-link-arg-bins=-T{folder}/{ORDER}");
        }
        if c_library().is_some_and(|version| version >= PACKED_SINCE) {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
    }
}

/// Whether the linker is the one that comes with the compiler: another one may not know these words.
fn has_own_linker() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    let linker = env::var("RUSTC_LINKER").is_ok();
    !linker && !["linker", "link-arg", "link-self-contained"].iter().any(|word| flags.contains(word))
}

/// Asks for the version of the C library here; what is built here needs one that is as new.
fn c_library() -> Option<(u32, u32)> {
    let answer = Command::new("getconf").arg("GNU_LIBC_VERSION").output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let (major, minor) = text.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether cargo says so.
fn cargo_says(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

/// Whether the program is for this machine, and its C library GNU's: std names `libgcc_s.so` there.
fn is_gnu_linux_here() -> bool {
    cargo_says("CARGO_CFG_TARGET_OS", "linux")
        && cargo_says("CARGO_CFG_TARGET_ENV", "gnu")
        && env::var("HOST") == env::var("TARGET")
}

/// Asks the C compiler in which folder a library is; where it has none, std's choice stays.
fn folder_of(library: &str) -> Option<String> {
    let compiler = env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let answer = Command::new(compiler).arg(format!("-print-file-name={library}")).output().ok()?;
    let path = String::from_utf8(answer.stdout).ok()?;
    let path = Path::new(path.trim());
    path.is_absolute().then(|| path.parent()?.to_str().map(str::to_owned))?
}
