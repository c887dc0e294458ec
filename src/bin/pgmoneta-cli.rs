//! `pgmoneta-cli`, the client of the daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgmoneta::app::cli::main()
}
