//! The binary: see `quorate::cli`.
#![forbid(unsafe_code)]

/// Records come and go as many small pieces, made on one thread and freed on another.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    quorate::cli::main()
}
