//! Symbolic links between the backups of a server.
//!
//! The C program writes links with absolute texts, `<base_dir>/<server>/backup/<label>/…`, which
//! lead nowhere once the repository was moved, or elsewhere. So they are not followed by the
//! system: what comes after `<server>/backup` is looked up in the repository that is being read,
//! and nothing outside of it is ever opened.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::error::{Context, Error, ErrorKind, Result};
use crate::unit::Label;

/// The most links that are followed for one path, as in Linux.
const MAX_LINKS: usize = 40;

/// The path of what `path` leads to, which is relative to `backups`, the directory of the backups
/// of a server: below it, and without links. [`ErrorKind::NotFound`] if it does not exist;
/// [`ErrorKind::Corrupt`] if a link leads to nothing, out of the directory, or in circles.
pub(super) fn resolve(backups: &Path, path: &Path) -> Result<PathBuf> {
    let mut walk = Walk {
        backups,
        resolved: Vec::new(),
        pending: VecDeque::new(),
        last_link: None,
        links: 0,
    };
    walk.insert(path)?;
    while let Some(name) = walk.pending.pop_front() {
        walk.step(name)?;
    }
    Ok(walk.at())
}

/// The path below `backups` to which the link `path` leads, which is relative to it: one step, so
/// that the last name may be a link again. `None` if its directory leads to nothing or elsewhere.
pub(super) fn step(backups: &Path, path: &Path) -> Result<Option<PathBuf>> {
    let link = backups.join(path);
    let text = std::fs::read_link(&link);
    let text = text.with_context(|| format!("read the link {}", link.display()))?;
    let mut target = if text.is_absolute() {
        match below_backups(backups, &text) {
            Some(below) => below,
            None => return Ok(None),
        }
    } else {
        path.parent().unwrap_or(path).join(text)
    };
    let name = target.file_name().map(OsString::from);
    target.pop();
    let Some(name) = name.filter(|_| target != Path::new("")) else {
        return Ok(None);
    };
    match resolve(backups, &target) {
        Ok(directory) => {
            let found = directory.join(name);
            Ok(found.strip_prefix(backups).ok().map(Path::to_owned))
        }
        Err(failure) if matches!(failure.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => {
            Ok(None)
        }
        Err(failure) => Err(failure),
    }
}

/// What comes after `<server>/backup/` in an absolute text; it begins with a label.
fn below_backups(backups: &Path, text: &Path) -> Option<PathBuf> {
    let backup = backups.file_name()?;
    let server = backups.parent()?.file_name()?;
    let names: Vec<Component<'_>> = text.components().collect();
    let named = |component: &Component<'_>, name| component.as_os_str() == name;
    let is_label = |component: &Component<'_>| {
        let name = component.as_os_str().to_str();
        name.is_some_and(|name| name.parse::<Label>().is_ok())
    };
    let at = names.windows(3).position(|three| match three {
        [one, two, label] => named(one, server) && named(two, backup) && is_label(label),
        _ => false,
    })?;
    Some(names.into_iter().skip(at + 2).collect())
}

/// What is left of a path that is followed.
struct Walk<'a> {
    backups: &'a Path,
    /// The names below `backups` up to here, none of which is a link.
    resolved: Vec<OsString>,
    pending: VecDeque<OsString>,
    /// The link that was followed last, and its text.
    last_link: Option<(PathBuf, PathBuf)>,
    links: usize,
}

impl Walk<'_> {
    fn at(&self) -> PathBuf {
        let mut path = self.backups.to_owned();
        path.extend(&self.resolved);
        path
    }

    /// Puts the names of a relative path before those that are pending.
    fn insert(&mut self, path: &Path) -> Result<()> {
        let mut names = Vec::new();
        for component in path.components() {
            match component {
                Component::Normal(name) => names.push(name.to_owned()),
                Component::ParentDir => names.push("..".into()),
                Component::CurDir => {}
                Component::RootDir | Component::Prefix(_) => return Err(self.outside()),
            }
        }
        for name in names.into_iter().rev() {
            self.pending.push_front(name);
        }
        Ok(())
    }

    fn step(&mut self, name: OsString) -> Result<()> {
        if name == ".." {
            return match self.resolved.pop() {
                Some(_) => Ok(()),
                None => Err(self.outside()),
            };
        }
        self.resolved.push(name);
        let path = self.at();
        let found = match path.symlink_metadata() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(self.missing(&path));
            }
            found => found.with_context(|| format!("look at {}", path.display()))?,
        };
        if !found.is_symlink() {
            return Ok(());
        }
        let text = std::fs::read_link(&path);
        let text = text.with_context(|| format!("read the link {}", path.display()))?;
        self.links += 1;
        if self.links > MAX_LINKS {
            let message = format!("{}: there are too many links, or a circle", path.display());
            return Err(Error::new(ErrorKind::Corrupt, message));
        }
        self.resolved.pop();
        self.last_link = Some((path, text.clone()));
        if text.is_absolute() {
            self.resolved.clear();
            let below = below_backups(self.backups, &text).ok_or_else(|| self.outside())?;
            self.insert(&below)
        } else {
            self.insert(&text)
        }
    }

    fn outside(&self) -> Error {
        let message = match &self.last_link {
            Some((link, text)) => format!(
                "the link {} leads to {}, which is not a backup of this server",
                link.display(),
                text.display()
            ),
            None => "the path leads out of the backups of the server".to_owned(),
        };
        Error::new(ErrorKind::Corrupt, message)
    }

    fn missing(&self, path: &Path) -> Error {
        let Some((link, text)) = &self.last_link else {
            let message = format!("{} is missing", path.display());
            return Error::new(ErrorKind::NotFound, message);
        };
        let (link, text) = (link.display(), text.display());
        let label = self.resolved.first().map(|name| name.to_string_lossy());
        let what = match label {
            Some(label) if self.resolved.len() == 1 => format!("the backup {label} is gone"),
            _ => format!("{} is missing", path.display()),
        };
        let message = format!("the link {link} leads to {text}, but {what}");
        Error::new(ErrorKind::Corrupt, message)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    const OLD: &str = "20260101000000";
    const NEW: &str = "20260102000000";

    #[test]
    fn links_are_followed_below_the_directory_of_the_backups_only() {
        let root = std::env::temp_dir().join(format!("pgmoneta-links-{}", std::process::id()));
        let backups = root.join("moved/primary/backup");
        for label in [OLD, NEW] {
            fs::create_dir_all(backups.join(label).join("data")).unwrap();
            fs::create_dir_all(backups.join(label).join("tblspc_far")).unwrap();
        }
        fs::write(backups.join(OLD).join("data/a"), "a").unwrap();
        fs::write(backups.join(NEW).join("tblspc_far/t"), "t").unwrap();
        fs::write(root.join("secret"), "s").unwrap();
        let link = |name: &str, text: &str| {
            symlink(text, backups.join(NEW).join("data").join(name)).unwrap();
        };
        link("a", &format!("/srv/x/primary/backup/{OLD}/data/a"));
        link("chain", &format!("/elsewhere/primary/backup/{NEW}/data/a"));
        link("far", &format!("/srv/x/primary/backup/{NEW}/tblspc_far/"));
        link("near", "../tblspc_far");
        link("gone", "/srv/x/primary/backup/20250101000000/data/a");
        link("none", &format!("/srv/x/primary/backup/{OLD}/data/none"));
        link("loop", &format!("/srv/x/primary/backup/{NEW}/data/loop"));
        link("out", "/etc/passwd");
        link("up", "../../../../../secret");
        link(
            "back",
            &format!("/srv/primary/backup/{OLD}/../../../../secret"),
        );
        link("other", &format!("/srv/x/standby/backup/{OLD}/data/a"));
        let find = |name: &str| resolve(&backups, &Path::new(NEW).join("data").join(name));
        let file = backups.join(OLD).join("data/a");
        assert_eq!(find("a").unwrap(), file);
        assert_eq!(find("chain").unwrap(), file);
        let far = backups.join(NEW).join("tblspc_far/t");
        assert_eq!(find("far/t").unwrap(), far);
        assert_eq!(find("near/t").unwrap(), far);
        for (name, kind, word) in [
            (
                "gone",
                ErrorKind::Corrupt,
                "the backup 20250101000000 is gone",
            ),
            ("none", ErrorKind::Corrupt, "data/none is missing"),
            ("loop", ErrorKind::Corrupt, "circle"),
            ("out", ErrorKind::Corrupt, "/etc/passwd"),
            ("up", ErrorKind::Corrupt, "../secret"),
            ("back", ErrorKind::Corrupt, "not a backup of this server"),
            ("other", ErrorKind::Corrupt, "standby"),
            ("missing", ErrorKind::NotFound, "missing"),
        ] {
            let failure = find(name).unwrap_err();
            assert_eq!(failure.kind(), kind, "{name}: {failure}");
            assert!(failure.message().contains(word), "{name}: {failure}");
        }
        assert!(resolve(&backups, Path::new("../x")).is_err());
        fs::remove_dir_all(&root).unwrap();
    }
}
