//! `pgmoneta-admin`, the tool for the master key, the repository and the users.

use std::process::ExitCode;

fn main() -> ExitCode {
    pgmoneta::app::admin::main()
}
