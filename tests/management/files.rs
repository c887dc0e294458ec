//! `compress`, `decompress`, `encrypt` and `decrypt` of single files, by the daemon and without
//! one.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use crate::harness::{Cluster, Daemon, Output, Scratch, names, write_owned};

/// A daemon with these settings, and a directory for files.
fn daemon(scratch: &Scratch, settings: &str) -> Daemon {
    let cluster = Cluster::builder(scratch).create();
    scratch.directory("files");
    Daemon::builder(scratch)
        .global(settings)
        .server("primary", &cluster)
        .start()
}

/// Text that compresses, of more than one frame.
fn content() -> Vec<u8> {
    let lines = (0..200_000).map(|number| format!("line {number}\n"));
    lines.collect::<String>().into_bytes()
}

#[test]
fn a_file_is_compressed_and_encrypted_and_comes_back_unchanged() {
    for (settings, compressed, tool) in [
        ("compression = zstd\nencryption = aes192", "f.zstd", "zstd"),
        ("compression = gzip\nencryption = aes256", "f.gz", "gzip"),
    ] {
        let scratch = Scratch::new("files");
        let daemon = daemon(&scratch, settings);
        let directory = scratch.join("files");
        let path = scratch.write("files/f", content());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let run = |command: &str, name: &str| {
            let path = directory.join(name);
            let path = path.to_str().unwrap();
            let output = daemon.cli(&[command, path, "--format", "raw"]).ok().json();
            assert_eq!(output["Request"]["SourceFile"], path);
            let made = output["Response"]["DestinationFile"].as_str().unwrap();
            let made = made.strip_prefix(directory.to_str().unwrap()).unwrap()[1..].to_owned();
            assert_eq!(
                names(&directory),
                [made.as_str()],
                "only the result is left"
            );
            made
        };
        assert_eq!(run("compress", "f"), compressed);
        let stored = directory.join(compressed);
        let plain = Command::new(tool).arg("-dc").arg(&stored).output().unwrap();
        assert_eq!(plain.stdout, content(), "{tool} does not read it");
        let encrypted = run("encrypt", compressed);
        assert_eq!(encrypted, format!("{compressed}.aes"));
        assert_eq!(run("decrypt", &encrypted), compressed);
        assert_eq!(run("decompress", compressed), "f");
        assert_eq!(fs::read(&path).unwrap(), content());
        let after = fs::metadata(&path).unwrap();
        assert_eq!(
            (after.mode(), after.mtime()),
            (before.mode(), before.mtime())
        );
    }
}

#[test]
fn what_cannot_be_converted_is_an_error_and_stays() {
    let scratch = Scratch::new("unfit");
    let mut daemon = daemon(&scratch, "compression = none\nencryption = none");
    let directory = scratch.join("files");
    let path = |name: &str| directory.join(name).to_str().unwrap().to_owned();
    let secret = content();
    scratch.write("files/f", &secret);
    scratch.write("files/f.zstd", "not zstd");
    scratch.write("files/g.aes", &secret);
    scratch.write("files/h.gz.aes", &secret);
    symlink("f", directory.join("link")).unwrap();
    write_owned(&daemon.base_dir().join("primary/stray.gz"), &secret);
    let inside = daemon.base_dir().join("primary/stray.gz");
    let kept = names(&directory);
    for (command, path, code, text) in [
        ("compress", path("f"), 2101, "no compression"),
        ("encrypt", path("f"), 1503, "no encryption"),
        ("decompress", path("f"), 2001, ".zstd, .lz4"),
        ("decompress", path("f.zstd"), 2001, "f exists already"),
        ("decrypt", path("f"), 1403, ".aes"),
        ("decrypt", path("g.aes"), 1403, "another master key"),
        ("decrypt", path("none.aes"), 1400, "none.aes"),
        ("decompress", path("h.gz.aes"), 2001, "decrypt it first"),
        ("encrypt", path("g.aes"), 1503, "already"),
        (
            "decompress",
            directory.to_str().unwrap().to_owned(),
            2001,
            "suffix",
        ),
        (
            "decompress",
            inside.to_str().unwrap().to_owned(),
            2001,
            "in the repository",
        ),
    ] {
        let output = daemon.cli(&[command, &path, "--format", "json"]);
        let output = output.fails(1, text);
        assert_eq!(output.json()["Outcome"]["Error"], code, "{output}");
        assert_eq!(names(&directory), kept, "{output}");
    }
    assert_eq!(fs::read(&inside).unwrap(), secret);
    fs::remove_file(directory.join("f")).unwrap();
    daemon
        .cli(&["decompress", &path("f.zstd")])
        .fails(1, "f.zstd");
    assert!(directory.join("f.zstd").exists() && !directory.join("f").exists());
    // Directories, links and special files are not files.
    fs::create_dir(directory.join("d.gz")).unwrap();
    daemon
        .cli(&["decompress", &path("d.gz")])
        .fails(1, "not a regular file");
    fs::rename(directory.join("link"), directory.join("link.gz")).unwrap();
    daemon
        .cli(&["decompress", &path("link.gz")])
        .fails(1, "symbolic link");
    daemon.stop();
}

#[test]
fn the_master_key_and_the_repository_are_not_converted_without_a_daemon_either() {
    let scratch = Scratch::new("precious");
    let mut daemon = daemon(&scratch, "encryption = aes256");
    let key = daemon.directory().join("home/.pgmoneta/master.key");
    let inside = daemon.base_dir().join("primary/stray.gz");
    write_owned(&inside, content());
    for running in [true, false] {
        for (command, path, text) in [
            ("encrypt", &key, "is the master key"),
            ("compress", &key, "is the master key"),
            ("decompress", &inside, "in the repository"),
        ] {
            let output = daemon.cli(&[command, path.to_str().unwrap()]);
            output.fails(1, text);
            assert!(path.exists(), "{command}");
        }
        if running {
            daemon.stop();
        }
    }
}

#[test]
fn without_a_daemon_the_client_converts_files_itself() {
    let scratch = Scratch::new("alone");
    let mut daemon = daemon(&scratch, "compression = lz4");
    daemon.stop();
    let directory = scratch.join("files");
    let path = scratch.write("files/f", content());
    for (command, name, made) in [
        ("compress", "f", "f.zstd"),
        ("encrypt", "f.zstd", "f.zstd.aes"),
        ("decrypt", "f.zstd.aes", "f.zstd"),
        ("decompress", "f.zstd", "f"),
    ] {
        let path = directory.join(name);
        let output = daemon.cli(&[command, path.to_str().unwrap()]).ok();
        assert!(output.stderr.contains("no daemon is running"), "{output}");
        assert!(output.stdout.contains(&format!("{made}\n")), "{output}");
        assert_eq!(names(&directory), [made]);
    }
    assert_eq!(fs::read(&path).unwrap(), content());
    let missing = directory.join("none.gz");
    let output = daemon.cli(&["decompress", missing.to_str().unwrap(), "--format", "json"]);
    assert_eq!(output.fails(1, "none.gz").json()["Outcome"]["Error"], 2001);
    // Without any configuration too.
    if Path::new("/etc/pgmoneta").exists() {
        return;
    }
    let mut command = daemon.program("pgmoneta-cli");
    let output = Output::of(command.arg("compress").arg(&path)).ok();
    assert!(output.stderr.contains("no daemon"), "{output}");
    assert_eq!(names(&directory), ["f.zstd"]);
}
