//! The unprivileged user of servers and daemons.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// The user of the processes that the tests start.
#[derive(Clone, Copy, Debug)]
pub enum User {
    /// The current user, who is not root.
    Me,
    /// Another user, since the current one is root.
    Other { uid: u32, gid: u32 },
}

/// The current user; `postgres` or `nobody` when run by root.
pub fn user() -> User {
    static USER: OnceLock<User> = OnceLock::new();
    *USER.get_or_init(|| {
        if !rustix::process::getuid().is_root() {
            return User::Me;
        }
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let find = |name: &str| {
            let line = passwd
                .lines()
                .find(|line| line.split(':').next() == Some(name))?;
            let mut fields = line.split(':').skip(2);
            let uid = fields.next()?.parse().ok()?;
            let gid = fields.next()?.parse().ok()?;
            Some(User::Other { uid, gid })
        };
        find("postgres")
            .or_else(|| find("nobody"))
            .expect("the user postgres or nobody, as the servers do not run as root")
    })
}

impl User {
    /// A command of this user, in the C locale, without variables of PostgreSQL or pgmoneta in its
    /// environment.
    pub fn command(self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .env_remove("PGMONETA_CONFIG_DIR")
            .env_remove("PGMONETA_PASSWORD");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("PG") {
                command.env_remove(name);
            }
        }
        command.env("LC_ALL", "C").env("TZ", "UTC").current_dir("/");
        if let User::Other { uid, gid } = self {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Changes the owner of a file or directory to this user.
    pub fn chown(self, path: &Path) {
        if let User::Other { uid, gid } = self {
            chown(path, Some(uid), Some(gid)).unwrap();
        }
    }

    /// Whether this user can access `path`: every directory above it has mode o+x.
    pub fn can_access(self, path: &Path) -> bool {
        use std::os::unix::fs::PermissionsExt;
        match self {
            User::Me => true,
            User::Other { .. } => path.ancestors().skip(1).all(|directory| {
                fs::metadata(directory).is_ok_and(|m| m.permissions().mode() & 0o1 != 0)
            }),
        }
    }
}
