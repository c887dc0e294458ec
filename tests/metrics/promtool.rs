//! `promtool`, which knows the exposition format.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program: in the path, or where tests/install.sh puts it. `None` if it is missing, unless
/// `CI` is set.
pub fn program() -> Option<PathBuf> {
    let servers = std::env::var_os("PGMONETA_TEST_SERVERS").map(PathBuf::from);
    let servers =
        servers.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target/postgresql"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    places.push(servers.with_file_name("promtool"));
    let mut programs = places.iter().map(|place| place.join("promtool"));
    let found = programs.find(|program| program.is_file());
    let missing = "promtool is missing; tests/install.sh test installs it";
    assert!(
        found.is_some() || std::env::var_os("CI").is_none(),
        "{missing}"
    );
    if found.is_none() {
        println!("skipped: {missing}");
    }
    found
}

/// What `promtool check metrics` says about a text, without what it says about names of the C
/// program; `None` if there is none.
pub fn check(text: &str) -> Option<Vec<String>> {
    let mut command = Command::new(program()?);
    command.args(["check", "metrics"]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    // 1 is an error in the text, 3 only a complaint about names.
    let code = output.status.code();
    let said = String::from_utf8(output.stderr).unwrap() + &String::from_utf8_lossy(&output.stdout);
    assert!(matches!(code, Some(0 | 3)), "{code:?}: {said}");
    let by_c_program = |line: &&str| {
        let name = line.split(' ').next().unwrap_or_default();
        // Its dashboards query this one, which it does not have.
        name == "pgmoneta_backup_count" || NAMES_OF_C.lines().any(|known| known == name)
    };
    let others = said.lines().filter(|line| !by_c_program(line));
    Some(others.map(str::to_owned).collect())
}

/// The names of the C program, of which Prometheus would not recommend some.
pub const NAMES_OF_C: &str = include_str!("names_of_c.txt");
