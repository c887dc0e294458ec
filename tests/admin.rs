//! `pgmoneta-admin`: the files that it writes are valid, and a failed command changes nothing.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use pgmoneta::crypto::{MasterKey, Secret};
use pgmoneta::unit::Encryption;

use crate::harness::{Call, Faults, Output, Scratch, program, test_timeout, user, wait_until};

/// A home directory, in which the master key and the users file are.
struct Home {
    scratch: Scratch,
}

/// Files that the C program wrote: the master key is "correct horse battery", the password of `u`
/// "hello".
const KEY_FILE: &str = "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\nAAECAwQFBgcICQoLDA0ODw==\n";
const RECORD: &str = "u:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK50hbe/KF2Sfr7Lx5CtXiwnGRu0VXg==";

impl Home {
    fn new() -> Home {
        let scratch = Scratch::new("admin");
        Home { scratch }
    }

    /// With the master key of the C program.
    fn with_key() -> Home {
        let home = Home::new();
        home.scratch.directory(".pgmoneta");
        home.scratch.write(".pgmoneta/master.key", KEY_FILE);
        home
    }

    fn command(&self) -> Command {
        let mut command = user().command(program("pgmoneta-admin"));
        command
            .env("HOME", self.scratch.path())
            .stdin(Stdio::null());
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Output::of(self.command().args(arguments))
    }

    fn users(&self) -> PathBuf {
        self.scratch.join("users")
    }

    /// Runs `user` with that subcommand on the users file.
    fn user(&self, subcommand: &str, arguments: &[&str]) -> Output {
        let users = self.users();
        let mut command = self.command();
        command.arg("-f").arg(users).args(["user", subcommand]);
        Output::of(command.args(arguments))
    }

    /// The key in `master.key`, read independently of the program.
    fn key(&self) -> MasterKey {
        let text = fs::read_to_string(self.scratch.join(".pgmoneta/master.key")).unwrap();
        let lines: Vec<_> = text.lines().collect();
        let [secret, salt] = lines.as_slice() else {
            panic!("{text:?} has not two lines");
        };
        let salt = STANDARD.decode(salt).unwrap().try_into().unwrap();
        MasterKey::derive(&Secret::new(STANDARD.decode(secret).unwrap()), &salt)
    }

    /// The password of a user, decrypted independently of the program.
    fn password(&self, name: &str) -> String {
        let text = fs::read_to_string(self.users()).unwrap();
        let encoded = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .unwrap();
        let container = STANDARD.decode(encoded).unwrap();
        let password = self.key().open(&container, Encryption::Aes256).unwrap();
        String::from_utf8(password.expose().to_vec()).unwrap()
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_master_key_and_users_are_created_and_changed() {
    let home = Home::new();
    home.run(&["-g", "master-key"]).ok();
    assert_eq!(mode(&home.scratch.join(".pgmoneta")), 0o700);
    assert_eq!(mode(&home.scratch.join(".pgmoneta/master.key")), 0o600);

    home.user("add", &["-U", "repl", "-P", "-secret #;:é"]).ok();
    assert_eq!(mode(&home.users()), 0o600);
    let added = home.user("add", &["-U", "gen", "-g", "-l", "1024"]).ok();
    let line = added.stdout.lines().next().unwrap().to_owned();
    let generated = line.strip_prefix("Password : ").unwrap();
    assert_eq!(generated.len(), 1024);
    assert_eq!(home.password("gen"), generated);
    assert_eq!(home.password("repl"), "-secret #;:é");

    assert_eq!(home.user("ls", &[]).ok().stdout, "repl\ngen\n");
    home.user("edit", &["-U", "gen", "-P", "short"]).ok();
    assert_eq!(home.password("gen"), "short");
    home.user("del", &["-U", "repl"]).ok();
    assert_eq!(home.user("ls", &[]).ok().stdout, "gen\n");
    assert_eq!(home.password("gen"), "short");
}

#[test]
fn the_files_of_the_c_program_are_read_and_kept() {
    let home = Home::with_key();
    let text = format!("# people\n{RECORD}   ; an old one\n\n");
    home.scratch.write("users", &text);
    home.user("add", &["-U", "v", "-P", "x"]).ok();
    let after = fs::read_to_string(home.users()).unwrap();
    assert!(after.starts_with(&text), "{after}");
    assert_eq!(home.password("v"), "x");
    home.user("del", &["-U", "v"]).ok();
    assert_eq!(fs::read_to_string(home.users()).unwrap(), text);
}

#[test]
fn documents_have_the_members_of_the_c_program() {
    let home = Home::with_key();
    let added = home
        .user("add", &["-U", "a", "-g", "-F", "json"])
        .ok()
        .json();
    assert_eq!(added["Header"]["Command"], 101);
    assert_eq!(added["Header"]["Output"], 1);
    assert_eq!(added["Outcome"]["Status"], true);
    assert!(
        added["Outcome"]["Time"]
            .as_str()
            .unwrap()
            .starts_with("00:00:")
    );
    assert_eq!(added["Response"]["Users"], serde_json::json!(["a"]));
    assert_eq!(added["Response"]["Password"], home.password("a"));
    let listed = home.user("ls", &["-F", "json"]).ok().json();
    assert_eq!(listed["Header"]["Command"], 104);
    assert_eq!(listed["Response"]["Users"], serde_json::json!(["a"]));
    let failed = home
        .user("del", &["-U", "b", "-F", "json"])
        .fails(1, "user b is not in");
    let failed: serde_json::Value = serde_json::from_str(&failed.stdout).unwrap();
    assert_eq!(failed["Outcome"]["Status"], false);
    assert_eq!(failed["Outcome"]["Error"], 1);
    assert_eq!(failed["Outcome"]["Workflow"], "admin");
    let key = home.run(&["-P", "another master key", "master-key", "-F", "json"]);
    key.fails(1, "exists already");
}

#[test]
fn a_failed_command_changes_nothing() {
    let home = Home::new();
    let key = home.scratch.join(".pgmoneta");
    home.run(&["-P", "short", "master-key"])
        .fails(1, "fewer than 8");
    assert!(!key.exists(), "a rejected key left a directory behind");
    home.user("add", &["-U", "a", "-P", "x"])
        .fails(1, "master-key");

    let home = Home::with_key();
    let users = home.scratch.write("users", format!("{RECORD}\n"));
    let too_long = "x".repeat(8192);
    let long_name = "n".repeat(128);
    let rows: [(&str, &[&str], &str); 9] = [
        ("add", &["-U", "u", "-P", "x"], "already"),
        ("add", &["-U", "a:b", "-P", "x"], "cannot be a user name"),
        ("add", &["-U", "a\nb", "-P", "x"], "cannot be a user name"),
        ("add", &["-U", " a", "-P", "x"], "cannot be a user name"),
        (
            "add",
            &["-U", &long_name, "-P", "x"],
            "cannot be a user name",
        ),
        ("add", &["-U", "a", "-P", ""], "empty"),
        ("add", &["-U", "a", "-P", &too_long], "longer than"),
        ("edit", &["-U", "nobody", "-P", "x"], "is not in"),
        ("del", &["-U", "nobody"], "is not in"),
    ];
    for (subcommand, arguments, text) in rows {
        home.user(subcommand, arguments).fails(1, text);
    }
    home.run(&["-g", "master-key"]).fails(1, "exists already");
    assert_eq!(fs::read_to_string(users).unwrap(), format!("{RECORD}\n"));
    let names = fs::read_dir(home.scratch.path()).unwrap().count();
    assert_eq!(names, 2, "a failed command left a file behind");

    for arguments in [
        &["user", "add"][..],
        &[],
        &["-l", "0", "-g", "master-key"],
        &["--unknown"],
    ] {
        home.run(arguments).fails(2, "");
    }
    let version = home.run(&["--version"]).ok().stdout;
    assert_eq!(
        version,
        concat!("pgmoneta-admin ", env!("CARGO_PKG_VERSION"), "\n")
    );
}

#[test]
fn a_wrong_key_and_a_damaged_record_have_different_errors() {
    let home = Home::with_key();
    let users = home.scratch.write("users", format!("{RECORD}\n"));
    fs::remove_file(home.scratch.join(".pgmoneta/master.key")).unwrap();
    home.run(&["-P", "another master key", "master-key"]).ok();
    home.user("add", &["-U", "v", "-P", "x"])
        .fails(1, "can be decrypted with this master key");
    assert_eq!(fs::read_to_string(&users).unwrap(), format!("{RECORD}\n"));

    let home = Home::with_key();
    home.scratch.write("users", "broken line\n");
    let listed = home.user("ls", &[]).ok();
    assert!(
        listed.stderr.contains("line 1 is not a valid record"),
        "{}",
        listed.stderr
    );
    home.scratch.write(".pgmoneta/master.key", "no base64\n");
    home.user("add", &["-U", "v", "-P", "x"])
        .fails(1, "master key");
}

#[test]
fn files_that_others_can_access_are_refused_with_a_hint() {
    let home = Home::with_key();
    let key = home.scratch.join(".pgmoneta/master.key");
    chmod(&key, 0o644);
    home.user("add", &["-U", "v", "-P", "x"])
        .fails(1, "chmod 0600");
    chmod(&key, 0o600);
    chmod(&home.scratch.join(".pgmoneta"), 0o750);
    home.user("add", &["-U", "v", "-P", "x"])
        .fails(1, "chmod 0700");
    chmod(&home.scratch.join(".pgmoneta"), 0o700);
    let users = home.scratch.write("users", "");
    chmod(&users, 0o660);
    home.user("ls", &[]).fails(1, "chmod 0600");
}

#[test]
fn passwords_are_read_from_the_environment_and_a_pipe() {
    let home = Home::with_key();
    let mut command = home.command();
    command
        .env("PGMONETA_PASSWORD", "from the environment")
        .arg("-f")
        .arg(home.users());
    Output::of(command.args(["user", "add", "-U", "env"])).ok();
    assert_eq!(home.password("env"), "from the environment");

    let mut command = home.command();
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .arg("-f")
        .arg(home.users());
    let mut child = command.args(["user", "add"]).spawn().unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(b"piped\nfrom a pipe\n")
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert_eq!(home.password("piped"), "from a pipe");
    home.user("add", &["-U", "nothing"])
        .fails(1, "standard input ended");
}

#[test]
fn without_home_the_home_directory_is_that_of_the_passwd_entry() {
    let home = Home::new();
    let mut command = home.command();
    command.env_remove("HOME").arg("-f").arg(home.users());
    // The user of the test may have a master key or not; it must not be searched for in the scratch
    // directory.
    let output = Output::of(command.args(["user", "add", "-U", "x", "-P", "y"]));
    assert!(!home.scratch.join(".pgmoneta").exists());
    assert!(!output.stderr.contains("not known"), "{output}");
    let mut command = home.command();
    command.env("HOME", "relative").arg("-f").arg(home.users());
    Output::of(command.args(["user", "add", "-U", "x", "-P", "y"])).fails(1, "set HOME");
}

/// After a kill at any file operation the users file is the old one or the new one, and has every
/// user whose addition succeeded.
#[cfg(target_os = "linux")]
#[test]
fn a_kill_leaves_the_old_users_file_or_the_new_one() {
    let home = Home::with_key();
    let faults = Faults::new(&home.scratch, home.scratch.path());
    let add = |name: &str| {
        let mut command = home.command();
        command.envs(faults.environment()).stdout(Stdio::null());
        command.arg("-f").arg(home.users());
        let status = command.args(["user", "add", "-g", "-U", name]).status();
        status.unwrap().success()
    };
    assert!(add("first"));
    faults.steps.count("");
    assert!(add("second"));
    let counted = faults.steps.counted();
    let calls =
        Call::ALL.map(|call| (1..=counted[call as usize]).map(move |number| (call, number)));
    let calls: Vec<_> = calls.into_iter().flatten().collect();
    assert!(
        counted[Call::Rename as usize] == 1 && calls.len() > 5,
        "{calls:?}"
    );
    let mut names = vec!["first".to_owned(), "second".to_owned()];
    for (call, number) in calls {
        let name = format!("{call:?}{number}");
        faults.steps.kill_at("", call, number);
        assert!(!add(&name), "it was not killed at {name}");
        let text = fs::read_to_string(home.users()).unwrap();
        assert!(text.ends_with('\n'), "{text:?}");
        let present: Vec<_> = text
            .lines()
            .map(|line| line.split(':').next().unwrap())
            .collect();
        if present.len() > names.len() {
            names.push(name);
        }
        assert_eq!(present, names);
        for name in present {
            assert_eq!(container_length(&text, name), 64 + 44);
        }
    }
    faults.steps.release();
    home.user("add", &["-U", "last", "-P", "x"]).ok();
    assert_eq!(home.password("last"), "x");
}

/// The length of a user's encrypted password, in bytes.
fn container_length(text: &str, name: &str) -> usize {
    let line = text
        .lines()
        .find(|line| line.starts_with(&format!("{name}:")));
    let encoded = line.unwrap().split(':').nth(1).unwrap();
    STANDARD.decode(encoded).unwrap().len()
}

#[test]
fn passwords_are_read_from_a_terminal_without_echo() {
    let home = Home::with_key();
    let mut terminal = Terminal::start(&home, "user add");
    terminal.answer("User name: ", "");
    terminal.answer("User name: ", "typed");
    terminal.answer_hidden("Password : ", "one");
    terminal.answer_hidden("Verify   : ", "two");
    terminal.answer_hidden("Password : ", "typed secret");
    terminal.answer_hidden("Verify   : ", "typed secret");
    let shown = terminal.end();
    assert!(shown.contains("the passwords differ"), "{shown}");
    assert!(
        !shown.contains("typed secret"),
        "the password was shown: {shown}"
    );
    assert_eq!(home.password("typed"), "typed secret");

    let home = Home::new();
    let mut terminal = Terminal::start(&home, "master-key");
    terminal.answer_hidden("Master key: ", "short");
    terminal.answer_hidden("Master key: ", "long enough");
    let shown = terminal.end();
    assert!(!shown.contains("long enough"), "the key was shown: {shown}");
    home.key();
}

/// The program at a pseudo terminal, which script(1) creates.
struct Terminal {
    child: Child,
    output: Receiver<Vec<u8>>,
    shown: String,
    /// The offset in `shown` behind the last prompt that was answered, in bytes.
    answered: usize,
}

impl Terminal {
    fn start(home: &Home, words: &str) -> Terminal {
        let tool = program("pgmoneta-admin");
        let line = format!("{} -f {} {words}", tool.display(), home.users().display());
        let mut command = user().command("script");
        command.env("HOME", home.scratch.path());
        if cfg!(target_os = "linux") {
            command.args(["-q", "-e", "-c", &line, "/dev/null"]);
        } else {
            command.args(["-q", "/dev/null", "sh", "-c", &line]);
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let mut stdout = child.stdout.take().unwrap();
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = stdout.read(&mut bytes) {
                if sender.send(bytes[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal {
            child,
            output,
            shown: String::new(),
            answered: 0,
        }
    }

    /// Waits for a prompt and until echo is off, and types an answer.
    fn answer_hidden(&mut self, prompt: &str, answer: &str) {
        self.wait_for(prompt);
        // The library prints the prompt before it turns echo off.
        wait_until("echo is off", 30, || !self.echoes());
        self.type_in(answer);
    }

    /// Waits for a prompt and types an answer.
    fn answer(&mut self, prompt: &str, answer: &str) {
        self.wait_for(prompt);
        self.type_in(answer);
    }

    /// Whether echo is on at the terminal of the program.
    #[cfg(target_os = "linux")]
    fn echoes(&self) -> bool {
        let script = self.child.id();
        let children = fs::read_to_string(format!("/proc/{script}/task/{script}/children"));
        let tool = children.unwrap();
        let terminal = fs::File::open(format!("/proc/{}/fd/0", tool.trim())).unwrap();
        let modes = rustix::termios::tcgetattr(terminal).unwrap().local_modes;
        modes.contains(rustix::termios::LocalModes::ECHO)
    }

    /// On other systems the terminal that script(1) created is unknown.
    #[cfg(not(target_os = "linux"))]
    fn echoes(&self) -> bool {
        false
    }

    fn wait_for(&mut self, prompt: &str) {
        while !self.shown[self.answered..].contains(prompt) {
            let bytes = self.output.recv_timeout(test_timeout(30));
            let bytes = bytes.unwrap_or_else(|_| panic!("no {prompt:?} in {:?}", self.shown));
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        self.answered = self.shown.len();
    }

    fn type_in(&self, answer: &str) {
        let mut input = self.child.stdin.as_ref().unwrap();
        input.write_all(format!("{answer}\n").as_bytes()).unwrap();
    }

    /// Waits for the program to end with success; returns all output.
    fn end(mut self) -> String {
        while let Ok(bytes) = self.output.recv_timeout(test_timeout(30)) {
            self.shown.push_str(&String::from_utf8_lossy(&bytes));
        }
        drop(self.child.stdin.take());
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.shown);
        self.shown
    }
}
