use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::crypto::{MasterKey, Secret};
use crate::error::ErrorKind;

/// A temporary directory with mode 0700.
struct TempDir(PathBuf);

impl TempDir {
    fn new() -> TempDir {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("pgmoneta-vault-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        chmod(&path, 0o700);
        TempDir(path)
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, text).unwrap();
        chmod(&path, 0o600);
        path
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn secret(text: &str) -> Secret {
    Secret::new(text.as_bytes().to_vec())
}

/// A key and a record in the format of the C program, computed by another implementation.
const KEY_FILE: &str = "Y29ycmVjdCBob3JzZSBiYXR0ZXJ5\nAAECAwQFBgcICQoLDA0ODw==\n";
const RECORD: &str = "u:EBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqK50hbe/KF2Sfr7Lx5CtXiwnGRu0VXg==";

fn key(dir: &TempDir) -> MasterKey {
    load_master_key(&dir.file("master.key", KEY_FILE)).unwrap()
}

fn other_key() -> MasterKey {
    MasterKey::for_tests(1)
}

fn password(path: &Path, key: &MasterKey, user: &str) -> String {
    let vault = Vault::load(path, key).unwrap();
    let password = vault.password(user).unwrap();
    String::from_utf8(password.expose().to_vec()).unwrap()
}

#[test]
fn a_file_of_the_c_program_is_decrypted() {
    let dir = TempDir::new();
    let key = key(&dir);
    let path = dir.file("users", format!("# users\n\n{RECORD} # note\r\n"));
    assert_eq!(password(&path, &key, "u"), "hello");
    let vault = Vault::load(&path, &key).unwrap();
    assert_eq!(vault.names().collect::<Vec<_>>(), ["u"]);
    assert!(vault.password("v").is_none());
    assert_eq!((vault.len(), vault.is_empty()), (1, false));
}

#[test]
fn a_master_key_is_created_once_and_read_back() {
    let dir = TempDir::new();
    let path = dir.0.join(".pgmoneta").join("master.key");
    let failure = load_master_key(&path).err().unwrap();
    assert_eq!(
        failure.hint(),
        Some(
            "copy back the key of the users files and encrypted backups (it is looked for in \
             HOME), or create the first one with: pgmoneta-admin master-key"
        )
    );

    assert!(create_master_key(&path, &secret("short")).is_err());
    assert!(!path.exists() && !path.parent().unwrap().exists());

    create_master_key(&path, &secret("correct horse battery")).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text.lines().next(), Some("Y29ycmVjdCBob3JzZSBiYXR0ZXJ5"));
    assert_eq!(text.lines().count(), 2);
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);
    let directory = path.parent().unwrap();
    assert_eq!(directory.metadata().unwrap().mode() & 0o777, 0o700);
    assert_eq!(directory.read_dir().unwrap().count(), 1);
    load_master_key(&path).unwrap();

    let failure = create_master_key(&path, &secret("another secret")).unwrap_err();
    assert!(failure.message().ends_with("exists already"), "{failure}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
}

#[test]
fn a_long_master_key_is_read_whole() {
    let dir = TempDir::new();
    let path = dir.0.join("master.key");
    create_master_key(&path, &secret(&"x".repeat(8191))).unwrap();
    load_master_key(&path).unwrap();
}

#[test]
fn a_damaged_master_key_is_refused() {
    let dir = TempDir::new();
    let rows = [
        ("", "line 1, the key, is empty"),
        ("Y29ycmVjdA==\n", "line 2, the salt, is missing"),
        (
            "???\nAAECAwQFBgcICQoLDA0ODw==\n",
            "line 1, the key, is not base64",
        ),
        (
            "Y29ycmVjdA==\nAAEC\n",
            "line 2, the salt, is not the base64 of 16 bytes",
        ),
    ];
    for (text, expected) in rows {
        let failure = load_master_key(&dir.file("master.key", text))
            .err()
            .unwrap();
        assert!(failure.message().ends_with(expected), "{failure}");
    }
}

#[test]
fn permissions_for_other_users_are_refused() {
    let dir = TempDir::new();
    let path = dir.file("master.key", KEY_FILE);
    chmod(&path, 0o640);
    let failure = load_master_key(&path).err().unwrap();
    assert_eq!(
        failure.hint(),
        Some(format!("chmod 0600 {}", path.display()).as_str())
    );
    chmod(&path, 0o600);
    chmod(&dir.0, 0o755);
    let failure = load_master_key(&path).err().unwrap();
    assert_eq!(
        failure.hint(),
        Some(format!("chmod 0700 {}", dir.0.display()).as_str())
    );
    let failure = create_master_key(&dir.0.join("new"), &secret("12345678")).unwrap_err();
    assert_eq!(failure.kind(), ErrorKind::Permission);
    let users = dir.file("users", "");
    chmod(&users, 0o644);
    assert_eq!(
        UsersFile::read(&users).err().unwrap().kind(),
        ErrorKind::Permission
    );
}

#[test]
fn another_key_and_a_damaged_record_have_different_errors() {
    let dir = TempDir::new();
    let key = key(&dir);
    let path = dir.file("users", format!("{RECORD}\n"));
    let failure = Vault::load(&path, &other_key()).err().unwrap();
    assert_eq!(failure.kind(), ErrorKind::Authentication);
    assert!(
        failure
            .message()
            .ends_with("can be decrypted with this master key")
    );

    let changed = RECORD.replace("u:EB", "v:EC");
    let rows = [
        format!("{RECORD}\n{changed}\n"),
        format!("{RECORD}\nv:EBES\n"),
        format!("{RECORD}\nv:not base64\n"),
    ];
    for text in rows {
        let failure = Vault::load(&dir.file("users", text), &key).err().unwrap();
        assert_eq!(failure.kind(), ErrorKind::Corrupt);
        assert!(failure.message().contains("users:2: the record of user v"));
    }
    let failure = Vault::load(&dir.file("users", "a\n"), &key).err().unwrap();
    assert!(failure.message().contains("users:1: there is no ':'"));
}

#[test]
fn add_edit_and_remove_change_one_line() {
    let dir = TempDir::new();
    let key = key(&dir);
    let path = dir.0.join("users");
    UsersFile::add(&path, "a", &secret("one"), &key).unwrap();
    assert_eq!(path.metadata().unwrap().mode() & 0o777, 0o600);

    let first = std::fs::read_to_string(&path).unwrap();
    let around = format!(
        "# top\n\n{RECORD}\t; keep\r\n  {}# no line feed",
        first.trim()
    );
    let path = dir.file("users", &around);
    let long = "x".repeat(8000);
    let file = UsersFile::add(&path, "long one", &secret(&long), &key).unwrap();
    assert_eq!(file.names(), ["u", "a", "long one"]);
    assert_eq!(password(&path, &key, "long one"), long);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.starts_with(&format!("{around}\n")));

    UsersFile::edit(&path, "u", &secret("two"), &key).unwrap();
    assert_eq!(password(&path, &key, "u"), "two");
    let edited = std::fs::read_to_string(&path).unwrap();
    assert!(edited.starts_with("# top\n\nu:") && edited.contains("\t; keep\r\n  a:"));
    assert!(!edited.contains(RECORD));

    UsersFile::edit(&path, "long one", &secret("3"), &key).unwrap();
    let file = UsersFile::remove(&path, "u").unwrap();
    assert_eq!(file.names(), ["a", "long one"]);
    assert_eq!(password(&path, &key, "a"), "one");
    assert_eq!(password(&path, &key, "long one"), "3");
    let names: Vec<_> = dir.0.read_dir().unwrap().collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn a_refused_edit_changes_nothing() {
    let dir = TempDir::new();
    let key = key(&dir);
    let path = dir.file("users", format!("{RECORD}\n"));
    let kind = |result: crate::error::Result<UsersFile>| result.err().unwrap().kind();
    assert_eq!(
        kind(UsersFile::add(&path, "u", &secret("x"), &key)),
        ErrorKind::Usage
    );
    assert_eq!(
        kind(UsersFile::add(&path, "a:b", &secret("x"), &key)),
        ErrorKind::Usage
    );
    assert_eq!(
        kind(UsersFile::add(&path, "v", &secret(""), &key)),
        ErrorKind::Usage
    );
    assert_eq!(
        kind(UsersFile::add(&path, "v", &secret("x"), &other_key())),
        ErrorKind::Authentication
    );
    assert_eq!(
        kind(UsersFile::edit(&path, "v", &secret("x"), &key)),
        ErrorKind::NotFound
    );
    assert_eq!(kind(UsersFile::remove(&path, "v")), ErrorKind::NotFound);
    assert_eq!(
        std::fs::read_to_string(&path).unwrap(),
        format!("{RECORD}\n")
    );
    // The only record can be replaced with any key.
    UsersFile::edit(&path, "u", &secret("x"), &other_key()).unwrap();
    assert_eq!(password(&path, &other_key(), "u"), "x");
}

#[test]
fn a_symbolic_link_is_kept() {
    let dir = TempDir::new();
    let key = key(&dir);
    let target = dir.file("target", "");
    let link = dir.0.join("users");
    symlink("target", &link).unwrap();
    UsersFile::add(&link, "a", &secret("x"), &key).unwrap();
    assert!(link.symlink_metadata().unwrap().is_symlink());
    assert_eq!(password(&target, &key, "a"), "x");
}

#[test]
fn concurrent_writers_lose_no_user() {
    let dir = TempDir::new();
    let path = dir.0.join("users");
    let key = key(&dir);
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let (path, key) = (&path, &key);
            scope.spawn(move || {
                for user in 0..10 {
                    let name = format!("u{writer}-{user}");
                    UsersFile::add(path, &name, &secret("x"), key).unwrap();
                }
            });
        }
    });
    assert_eq!(Vault::load(&path, &key).unwrap().len(), 40);
}

#[test]
fn a_byte_order_mark_is_accepted_in_every_file() {
    let dir = TempDir::new();
    let key_file = dir.file("marked.key", format!("\u{feff}{KEY_FILE}"));
    let key = load_master_key(&key_file).unwrap();
    let users = dir.file("users.conf", format!("\u{feff}{RECORD}\n"));
    let expected = password(&dir.file("plain.conf", RECORD), &key, "u");
    assert_eq!(password(&users, &key, "u"), expected);
    UsersFile::edit(&users, "u", &secret("another one"), &key).unwrap();
    assert_eq!(password(&users, &key, "u"), "another one");
}
