//! The binary: see `quorate::cli`.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    quorate::cli::main()
}
