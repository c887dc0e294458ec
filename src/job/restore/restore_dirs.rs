//! The directories that a restore writes to, and the space it needs, checked before the first
//! write.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Options;
use super::permission::missing_permission;
use crate::error::{Context, Error, ErrorKind, Result};
use crate::repository::TablespaceInfo;
use crate::storage::{Claim, ExistingClaim, Filesystem};
use crate::unit::ByteSize;

/// Bytes that must remain free: for the start of the server, and for file system metadata.
const RESERVE: u64 = 16 << 20;

/// The block size of most file systems in bytes: the minimum that a file uses.
const BLOCK: u64 = 4096;

/// Where the directories of a restore are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// On this host; their paths are absolute.
    Host,
    /// In an archive, beside each other; their paths are names.
    Archive,
}

/// The directories that a restore writes to.
#[derive(Clone, Debug)]
pub(super) struct RestoreDirs {
    pub place: Place,
    /// The new data directory.
    pub data: PathBuf,
    /// The tablespaces and their new directories, without those in the data directory.
    pub tablespaces: Vec<(TablespaceInfo, PathBuf)>,
    /// Whether there are tablespaces in the data directory.
    pub has_in_place_tablespaces: bool,
}

/// The space that is needed below a directory.
#[derive(Clone, Copy, Default)]
struct Amount {
    bytes: u64,
    files: u64,
}

/// The space that is needed, by directory.
#[derive(Default)]
pub(super) struct SpaceNeeded(BTreeMap<PathBuf, Amount>);

impl RestoreDirs {
    /// Determines and checks the directories. `name` is that of the data directory below
    /// `options.directory`.
    pub fn new(
        options: &Options,
        base_dir: &Path,
        name: &str,
        tablespaces: &[TablespaceInfo],
    ) -> Result<RestoreDirs> {
        check_path(&options.directory, base_dir)?;
        let mut mapped: BTreeMap<u32, PathBuf> = BTreeMap::new();
        for (from, to) in &options.tablespaces {
            let tablespace = find_tablespace(tablespaces, from)?;
            if tablespace.is_in_place() {
                return Err(is_in_place(tablespace));
            }
            check_path(to, base_dir)?;
            if mapped.insert(tablespace.oid, to.clone()).is_some() {
                let message = format!("the tablespace {from} is mapped twice");
                return Err(Error::new(ErrorKind::Usage, message));
            }
        }
        let dir = |tablespace: &TablespaceInfo| {
            let default = || {
                options
                    .directory
                    .join(format!("{name}-{}", tablespace.name))
            };
            mapped.remove(&tablespace.oid).unwrap_or_else(default)
        };
        let mut dir = dir;
        let dirs = RestoreDirs {
            place: Place::Host,
            data: options.directory.join(name),
            tablespaces: tablespaces
                .iter()
                .filter(|tablespace| !tablespace.is_in_place())
                .map(|tablespace| (tablespace.clone(), dir(tablespace)))
                .collect(),
            has_in_place_tablespaces: tablespaces.iter().any(TablespaceInfo::is_in_place),
        };
        dirs.check_disjoint()?;
        for path in dirs.all() {
            check_empty(path)?;
        }
        Ok(dirs)
    }

    /// The directories in an archive; `name` is that of the data directory.
    pub fn in_archive(name: &str, tablespaces: &[TablespaceInfo]) -> RestoreDirs {
        let outside = tablespaces.iter().filter(|one| !one.is_in_place());
        RestoreDirs {
            place: Place::Archive,
            data: name.into(),
            tablespaces: outside
                .map(|one| (one.clone(), format!("{name}-{}", one.name).into()))
                .collect(),
            has_in_place_tablespaces: tablespaces.iter().any(TablespaceInfo::is_in_place),
        }
    }

    /// The target of the link in `pg_tblspc` to the directory of a tablespace.
    pub fn link_to(&self, directory: &Path) -> PathBuf {
        match self.place {
            Place::Host => directory.to_owned(),
            Place::Archive => Path::new("../..").join(directory),
        }
    }

    /// The data directory and those of the tablespaces.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let tablespaces = self.tablespaces.iter().map(|(_, path)| path.as_path());
        std::iter::once(self.data.as_path()).chain(tablespaces)
    }

    /// The new path of a path in the manifest, and the directory that contains it.
    pub fn locate(&self, path: &Path) -> (&Path, PathBuf) {
        for (tablespace, dir) in &self.tablespaces {
            let link = Path::new("pg_tblspc").join(tablespace.oid.to_string());
            if let Ok(rest) = path.strip_prefix(link) {
                return (dir, dir.join(rest));
            }
        }
        (&self.data, self.data.join(path))
    }

    /// No directory may contain another one.
    fn check_disjoint(&self) -> Result<()> {
        let all: Vec<&Path> = self.all().collect();
        for (index, one) in all.iter().enumerate() {
            for other in all.iter().skip(index + 1) {
                if one.starts_with(other) || other.starts_with(one) {
                    let (one, other) = (one.display(), other.display());
                    let message = format!("{one} and {other} overlap");
                    return Err(Error::new(ErrorKind::Usage, message)
                        .with_hint("give each tablespace a directory of its own"));
                }
            }
        }
        Ok(())
    }
}

/// Finds a tablespace by its name, its OID or its location on the server.
fn find_tablespace<'t>(
    tablespaces: &'t [TablespaceInfo],
    name: &str,
) -> Result<&'t TablespaceInfo> {
    let matches_name = |one: &&TablespaceInfo| {
        let names = [one.short_name(), &one.name, &one.location()].contains(&name);
        names || one.oid.to_string() == name
    };
    let mut matching = tablespaces.iter().filter(matches_name);
    let message = match (matching.next(), matching.next()) {
        (Some(found), None) => return Ok(found),
        (None, _) => format!("the backup has no tablespace {name:?}"),
        (Some(_), Some(_)) => format!("{name:?} matches more than one tablespace of the backup"),
    };
    let available: Vec<String> = tablespaces
        .iter()
        .map(|one| format!("{} (OID {}, {})", one.short_name(), one.oid, one.location()))
        .collect();
    Err(
        Error::new(ErrorKind::Usage, message).with_hint(if available.is_empty() {
            "it has no tablespaces".to_owned()
        } else {
            format!("it has {}", available.join(", "))
        }),
    )
}

fn is_in_place(tablespace: &TablespaceInfo) -> Error {
    let (name, oid) = (tablespace.short_name(), tablespace.oid);
    let message = format!(
        "the tablespace {name} (OID {oid}) is a directory below pg_tblspc \
         (allow_in_place_tablespaces), which cannot be moved"
    );
    Error::new(ErrorKind::Usage, message)
        .with_hint("omit --tablespace for it: it is restored in the data directory")
}

/// Checks that a directory is absolute, has no `..`, and is neither in the repository nor in a data
/// directory.
pub(super) fn check_path(path: &Path, base_dir: &Path) -> Result<()> {
    let quoted = path.display();
    let invalid =
        |what: &str| Error::new(ErrorKind::Usage, format!("the directory {quoted:?} {what}"));
    if !path.is_absolute() {
        return Err(invalid("is not absolute"));
    }
    let control = |byte: &u8| byte.is_ascii_control();
    if path.as_os_str().as_bytes().iter().any(control) {
        return Err(invalid(
            "contains a line break or another control character",
        ));
    }
    let plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
    if !path.components().all(plain) {
        return Err(invalid("contains '..'").with_hint("use a path without it"));
    }
    let parent = nearest_existing(path).and_then(|path| path.canonicalize().ok());
    let Some(parent) = parent else {
        return Ok(());
    };
    if base_dir
        .canonicalize()
        .is_ok_and(|base| parent.starts_with(base))
    {
        return Err(invalid("is in the repository"));
    }
    match parent.ancestors().find(|path| is_data_directory(path)) {
        Some(data) => {
            let message = format!("is in {}, the data directory of a server", data.display());
            Err(invalid(&message)
                .with_hint("choose a directory outside: backups of that server would contain it"))
        }
        None => Ok(()),
    }
}

/// Whether a directory is or was a data directory.
fn is_data_directory(path: &Path) -> bool {
    path.join("PG_VERSION").is_file() && path.join("global").is_dir()
}

/// Fails unless the directory is empty or missing; `true` if it exists.
pub(super) fn check_empty(path: &Path) -> Result<bool> {
    let action = || format!("read the directory {}", path.display());
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            // Either the path itself or an ancestor is not a directory.
            let exists = path.symlink_metadata().is_ok();
            if exists {
                Err(not_empty(path))
            } else {
                Ok(false)
            }
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(missing_permission(path, "read"))
        }
        Err(error) => Err(error).with_context(action),
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(_) => match Claim::find(path)? {
                Some(claimed) => Err(claimed_by(path, &claimed)),
                None => Err(not_empty(path)),
            },
        },
    }
}

fn not_empty(path: &Path) -> Error {
    let message = format!("{} exists and is not an empty directory", path.display());
    Error::new(ErrorKind::Usage, message).with_hint("remove it, or choose another directory")
}

/// The error for a directory of another restore, which runs or was interrupted.
fn claimed_by(path: &Path, other: &ExistingClaim) -> Error {
    let (display, what) = (path.display(), &other.text);
    if other.owner_alive {
        let message = format!("another restore writes to {display} ({what})");
        return Error::new(ErrorKind::Busy, message)
            .with_hint("wait until it ends, or choose another directory");
    }
    let message = format!("{display} contains an interrupted restore ({what})");
    Error::new(ErrorKind::Usage, message).with_hint(format!(
        "it is not running: remove {display}, and restore again"
    ))
}

/// The nearest directory at or above `path` that exists.
pub(super) fn nearest_existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_dir())
}

impl SpaceNeeded {
    /// Adds a file of `bytes` below `directory`.
    pub fn add(&mut self, directory: &Path, bytes: u64) {
        let blocks = bytes.div_ceil(BLOCK).saturating_mul(BLOCK);
        if !self.0.contains_key(directory) {
            self.0.insert(directory.to_owned(), Amount::default());
        }
        if let Some(needed) = self.0.get_mut(directory) {
            needed.bytes = needed.bytes.saturating_add(blocks);
            needed.files = needed.files.saturating_add(1);
        }
    }

    /// Fails with [`ErrorKind::NoSpace`] if a file system has too little space or too few inodes.
    pub fn check(&self) -> Result<()> {
        let mut devices: BTreeMap<u64, (&Path, Amount)> = BTreeMap::new();
        for (path, more) in &self.0 {
            let dir = nearest_existing(path).unwrap_or(Path::new("/"));
            let device = std::fs::metadata(dir)
                .with_context(|| format!("look at {}", dir.display()))?
                .dev();
            let (_, needed) = devices.entry(device).or_insert((dir, Amount::default()));
            needed.bytes = needed.bytes.saturating_add(more.bytes);
            needed.files = needed.files.saturating_add(more.files);
        }
        for (dir, needed) in devices.into_values() {
            let space = Filesystem::space(dir)?;
            let reserve = needed.bytes / 100 + RESERVE;
            let bytes = needed.bytes.saturating_add(reserve);
            let short = if bytes > space.free {
                let (bytes, free) = (ByteSize(bytes), ByteSize(space.free));
                format!(
                    "space on the file system of {}: {bytes} are needed, {free} are free",
                    dir.display()
                )
            } else if needed.files > space.free_files {
                let (files, free) = (needed.files, space.free_files);
                format!(
                    "inodes on the file system of {}: {files} are needed, {free} are free",
                    dir.display()
                )
            } else {
                continue;
            };
            return Err(Error::new(
                ErrorKind::NoSpace,
                format!("not enough {short}"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tablespace(oid: u32, path: &str) -> TablespaceInfo {
        TablespaceInfo {
            name: format!("tblspc_{oid}"),
            oid,
            path: path.into(),
        }
    }

    fn dirs(directory: &str, mapped: &[(&str, &str)]) -> Result<RestoreDirs> {
        let options = Options {
            directory: directory.into(),
            tablespaces: mapped
                .iter()
                .map(|(from, to)| ((*from).to_owned(), PathBuf::from(to)))
                .collect(),
            ..Options::default()
        };
        let tablespaces = [
            tablespace(16385, "/srv/one"),
            tablespace(16386, "/srv/two"),
            tablespace(16388, "pg_tblspc/16388"),
        ];
        RestoreDirs::new(
            &options,
            Path::new("/nowhere/base"),
            "primary-1",
            &tablespaces,
        )
    }

    #[test]
    fn tablespaces_are_placed_beside_the_data_directory_or_as_mapped() {
        let dirs = dirs("/nowhere/r", &[("/srv/two", "/nowhere/new")]).unwrap();
        assert_eq!(dirs.data, Path::new("/nowhere/r/primary-1"));
        let (dir, path) = dirs.locate(Path::new("pg_tblspc/16385/PG_15/1/2"));
        assert_eq!(dir, Path::new("/nowhere/r/primary-1-tblspc_16385"));
        assert_eq!(
            path,
            Path::new("/nowhere/r/primary-1-tblspc_16385/PG_15/1/2")
        );
        let (_, path) = dirs.locate(Path::new("pg_tblspc/16386/x"));
        assert_eq!(path, Path::new("/nowhere/new/x"));
        for inside in ["pg_tblspc/16387/x", "pg_tblspc/16388/x"] {
            let (dir, path) = dirs.locate(Path::new(inside));
            assert_eq!(dir, dirs.data);
            assert_eq!(path, dirs.data.join(inside));
        }
        assert_eq!(dirs.tablespaces.len(), 2);
    }

    #[test]
    fn invalid_mappings_and_directories_are_refused() {
        let one = "/nowhere/one";
        for mapped in [
            &[("16390", one)][..],
            &[("/srv", one)],
            &[("16385", one), ("/srv/one", "/nowhere/two")],
            &[("16385", one), ("16386", one)],
            &[("16385", one), ("16386", "/nowhere/one/two")],
            &[("16385", "/nowhere/r/primary-1/x")],
            &[("16385", "/nowhere/r")],
            &[("16385", "one")],
            &[("16385", "/nowhere/../one")],
            &[("16385", "/nowhere/o\nne")],
            &[("16385", "/nowhere/base/one")],
        ] {
            let refused = dirs("/nowhere/r", mapped);
            // The base directory of this test does not exist.
            if mapped[0].1.starts_with("/nowhere/base") {
                continue;
            }
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Usage, "{mapped:?}");
        }
        for directory in ["", "r", "./r", "/r/../s", "/r\n"] {
            assert_eq!(
                dirs(directory, &[]).unwrap_err().kind(),
                ErrorKind::Usage,
                "{directory}"
            );
        }
    }

    #[test]
    fn the_repository_and_directories_with_files_are_refused() {
        let root =
            std::env::temp_dir().join(format!("pgmoneta-restore-places-{}", std::process::id()));
        let base = root.join("base");
        std::fs::create_dir_all(base.join("primary")).unwrap();
        let options = |directory: PathBuf| Options {
            directory,
            ..Options::default()
        };
        let at = |directory| RestoreDirs::new(&options(directory), &base, "primary-1", &[]);
        assert!(at(base.join("primary/r")).is_err());
        assert!(at(base.clone()).is_err());
        assert!(at(root.join("r")).is_ok());
        std::fs::create_dir_all(root.join("r/primary-1")).unwrap();
        assert!(at(root.join("r")).is_ok(), "an empty one is accepted");
        std::fs::write(root.join("r/primary-1/x"), "").unwrap();
        let not_empty = at(root.join("r")).unwrap_err();
        std::fs::create_dir_all(root.join("data/global")).unwrap();
        std::fs::create_dir_all(root.join("data/base")).unwrap();
        std::fs::write(root.join("data/PG_VERSION"), "17\n").unwrap();
        std::os::unix::fs::symlink(root.join("data/base"), root.join("link")).unwrap();
        let inside = ["data", "data/base", "data/base/new/r", "link/r"];
        let inside = inside.map(|path| at(root.join(path)));
        std::fs::create_dir_all(root.join("s")).unwrap();
        std::fs::write(root.join("s/primary-1"), "").unwrap();
        let file = at(root.join("s"));
        std::fs::remove_dir_all(&root).unwrap();
        assert!(not_empty.message().contains("not an empty directory"));
        assert!(file.is_err());
        for refused in inside {
            let message = refused.unwrap_err().message().to_owned();
            assert!(
                message.contains("the data directory of a server"),
                "{message}"
            );
        }
    }

    #[test]
    fn too_little_space_is_refused() {
        let mut space = SpaceNeeded::default();
        space.add(Path::new("/tmp/pgmoneta/x"), 1);
        space.check().unwrap();
        space.add(Path::new("/tmp/pgmoneta/y"), 1 << 60);
        assert_eq!(space.check().unwrap_err().kind(), ErrorKind::NoSpace);
    }
}
