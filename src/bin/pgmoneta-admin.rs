//! The tool for the master key and the users.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgmoneta::app::admin::main()
}
