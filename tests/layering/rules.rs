//! The rules as tables, and their check for one file.

use super::source::{Source, Use};

/// The modules and their layers. A module may use lower layers and itself.
const LAYERS: [(&str, u8); 22] = [
    ("bin", 9),
    ("fuzz", 9),
    ("app", 8),
    ("daemon", 7),
    ("job", 6),
    ("pg", 5),
    ("repository", 5),
    ("protocol", 5),
    ("status", 5),
    ("config", 4),
    ("codec", 3),
    ("format", 3),
    ("vault", 3),
    ("storage", 2),
    ("crypto", 2),
    ("net", 2),
    ("logging", 2),
    ("sys", 1),
    ("pool", 1),
    ("unit", 0),
    ("error", 0),
    ("lib", 10),
];

/// The external crates, and the modules that may use each.
pub const CRATE_USERS: [(&str, &[&str]); 32] = [
    ("base64", &["vault/", "protocol/", "crypto/"]),
    ("blake3", &["codec/"]),
    ("bytes", &["pg/"]),
    ("bzip2", &["codec/"]),
    ("clap", &["app/"]),
    ("crc32c", &["codec/", "format/"]),
    ("crossbeam_channel", &["pool/"]),
    ("daemonize", &["sys/"]),
    ("fallible_iterator", &["pg/"]),
    ("flate2", &["codec/"]),
    ("httparse", &["daemon/"]),
    ("jiff", &["job/", "logging/", "unit/"]),
    ("libc", &["sys/"]),
    ("log", &[""]),
    ("lz4", &["codec/"]),
    ("mio", &["daemon/", "sys/"]),
    ("openssl", &["crypto/"]),
    ("postgres_protocol", &["pg/"]),
    ("ring", &["crypto/"]),
    ("rpassword", &["app/"]),
    ("rustix", &["storage/", "net/", "sys/", "error.rs"]),
    ("rustls", &["net/"]),
    ("serde", &["config/", "format/", "protocol/", "repository/"]),
    (
        "serde_json",
        &["app/", "format/", "protocol/", "repository/"],
    ),
    ("signal_hook", &["daemon/", "sys/"]),
    ("signal_hook_mio", &["daemon/", "sys/"]),
    ("socket2", &["net/"]),
    ("syslog", &["logging/"]),
    ("tar", &["format/"]),
    ("toml", &["config/"]),
    ("zeroize", &["app/", "crypto/", "pg/", "vault/"]),
    ("zstd", &["codec/"]),
];

/// Calls that sync files, or create and remove directory entries; from any module.
const DURABLE: [&str; 10] = [
    "sync_all",
    "sync_data",
    "fsync",
    "fdatasync",
    "syncfs",
    "renameat",
    "renameat_with",
    "linkat",
    "unlinkat",
    "symlinkat",
];

/// The same for names that are such calls only after `fs::`.
const DURABLE_FS: [&str; 8] = [
    "rename",
    "hard_link",
    "remove_file",
    "remove_dir",
    "remove_dir_all",
    "link",
    "unlink",
    "symlink",
];

/// Files outside `storage/` that may make such calls, and why.
const DURABLE_EXCEPTIONS: [(&str, &str); 0] = [];

/// Files that may name a compression method, besides those of the methods, and why.
const METHOD_USERS: [(&str, &str); 2] = [
    (
        "protocol/payload.rs",
        "the C program has a buffer of its own for bzip2",
    ),
    (
        "repository/manifest_line.rs",
        "the version of a manifest says how its lines are compressed",
    ),
];

/// The most columns of a line of code or of a comment.
const MAX_COLUMNS: usize = 100;

/// The lines of the file `name` (below the root) with more than [`MAX_COLUMNS`], except those with
/// a URL and those of tables that `rustfmt::skip` keeps at one row per line.
pub fn long_lines(name: &str, text: &str) -> Vec<String> {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let mut table = None;
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.contains("#[rustfmt::skip]") {
            table = Some(indent(line));
        } else if table == Some(indent(line)) && line.trim_start().starts_with(['}', ']']) {
            table = None;
        }
        let columns = line.chars().count();
        if columns > MAX_COLUMNS && table.is_none() && !line.contains("https://") {
            found.push(format!("{name}:{number}: {columns} columns"));
        }
    }
    found
}

/// The violations in the file `name` (below `src/`) with this text.
pub fn problems(name: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    if name.ends_with("tests.rs") || name.contains("/tests/") {
        return found; // the rules don't apply to test code
    }
    let source = Source::read(text);
    let mut report = |line: usize, what: String| found.push(format!("src/{name}:{line}: {what}"));
    for used in &source.uses {
        check_layer(name, used, &mut report);
        check_crate(name, used, &mut report);
        check_method(name, used, &mut report);
        if !name.starts_with("storage/") {
            check_durable(name, used, &mut report);
        }
    }
    for (line, word) in &source.words {
        if word == "unsafe" && !name.starts_with("sys/") {
            report(*line, "unsafe outside of sys".to_owned());
        }
        let code = ["fn", "struct", "enum", "trait", "impl", "static"].contains(&word.as_str());
        if code && name.ends_with("mod.rs") {
            report(*line, format!("{word} in mod.rs"));
        }
    }
    found
}

fn check_layer(name: &str, used: &Use, report: &mut impl FnMut(usize, String)) {
    let module = name.split(['/', '.']).next().unwrap();
    let depth = depth(name);
    let supers = used.path.iter().take_while(|part| *part == "super").count();
    let target = match used.path.first().map(String::as_str) {
        Some("crate" | "pgmoneta") => used.path.get(1),
        Some("super") if supers >= depth => used.path.get(supers),
        _ => None,
    };
    let Some(target) = target else { return };
    let layer = |wanted: &str| {
        LAYERS
            .iter()
            .find(|(name, _)| *name == wanted)
            .map(|(_, layer)| *layer)
    };
    let Some(lower) = layer(target) else { return }; // a macro or an item of lib.rs
    let Some(own) = layer(module) else {
        return report(used.line, format!("{module} has no layer"));
    };
    let allowed = module == target
        || lower < own && (module != "bin" || target == "app")
        || (module == "unit" && target == "error");
    if !allowed {
        report(used.line, format!("{module} uses {target}"));
    }
}

/// The number of `super` from this file's module to the crate root.
fn depth(name: &str) -> usize {
    let parts = name.split('/').count();
    if name.ends_with("/mod.rs") {
        parts - 1
    } else {
        parts
    }
}

fn check_crate(name: &str, used: &Use, report: &mut impl FnMut(usize, String)) {
    let Some(first) = used.path.first() else {
        return;
    };
    if used.path.len() < 2 && !used.imported {
        return; // a variable of that name
    }
    let allowed = CRATE_USERS.iter().find(|(name, _)| name == first);
    if let Some((crate_name, places)) = allowed
        && !places.iter().any(|place| name.starts_with(place))
    {
        report(
            used.line,
            format!("{crate_name} is used only in {}", places.join(" ")),
        );
    }
}

/// One more compression method is one more file and its row in the table.
fn check_method(name: &str, used: &Use, report: &mut impl FnMut(usize, String)) {
    let [.., compression, method] = used.path.as_slice() else {
        return;
    };
    let named = compression == "Compression"
        && method.starts_with(char::is_uppercase)
        && !["None", "ALL", "NAMES"].contains(&method.as_str());
    let allowed = name.starts_with("codec/compression/")
        || METHOD_USERS.iter().any(|(file, _)| *file == name);
    if named && !allowed {
        report(used.line, format!("{method} outside of its row"));
    }
}

fn check_durable(name: &str, used: &Use, report: &mut impl FnMut(usize, String)) {
    let Some(last) = used.path.last().map(String::as_str) else {
        return;
    };
    let after_fs = used
        .path
        .iter()
        .rev()
        .nth(1)
        .is_some_and(|part| part == "fs");
    let excepted = DURABLE_EXCEPTIONS.iter().any(|(file, _)| *file == name);
    if (used.called || used.imported)
        && (DURABLE.contains(&last) || after_fs && DURABLE_FS.contains(&last))
        && !excepted
    {
        report(used.line, format!("{last} outside of storage"));
    }
}
