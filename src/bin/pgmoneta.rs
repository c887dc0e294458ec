//! `pgmoneta`, the backup daemon.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgmoneta::app::pgmoneta::main()
}
