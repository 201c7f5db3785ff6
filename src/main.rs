//! Builds the [`Host`] from the operating system, runs tokenkeep in it and returns its exit code.

#![cfg_attr(all(target_os = "linux", target_env = "gnu"), no_main)]

use tokenkeep::host::Host;

/// Where GNU's C library begins. What std does before its own `main` costs a twentieth of handing out a cached token, most
/// of it for finding the end of the stack in `/proc/self/maps`; what is needed of it [`Host::of_this_process`] does.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the name is the C library's, and nobody else in the program has it")]
#[unsafe(no_mangle)]
extern "C" fn main() -> std::ffi::c_int {
    tokenkeep::run(Host::of_this_process()).into()
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn main() -> std::process::ExitCode {
    tokenkeep::run(Host::of_this_process()).into()
}
