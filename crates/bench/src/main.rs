//! `cargo xtask bench engine` on this machine, without a browser.

#[cfg(not(target_arch = "wasm32"))]
mod native;

#[cfg(not(target_arch = "wasm32"))]
fn main() -> std::process::ExitCode {
    native::main()
}

/// In JavaScript the library is called.
#[cfg(target_arch = "wasm32")]
fn main() {}
