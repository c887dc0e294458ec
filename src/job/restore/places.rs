//! The directories that a restore writes to, checked before the first byte.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::Options;
use super::access::out_of_sight;
use crate::error::{Context, Failure, Kind, Result};
use crate::repository::TablespaceInfo;
use crate::storage::{Claim, Claimed, Filesystem};
use crate::unit::ByteSize;

/// The room that is left over at least: what the server needs to start, and what sums of sizes do not count.
const RESERVE: u64 = 16 << 20;

/// A page of most file systems: no file takes less.
const BLOCK: u64 = 4096;

/// The directories that a restore writes to.
#[derive(Clone, Debug)]
pub(super) struct Places {
    /// The data directory.
    pub data: PathBuf,
    /// The tablespaces and their directories.
    pub tablespaces: Vec<(TablespaceInfo, PathBuf)>,
}

/// What is needed below a directory.
#[derive(Clone, Copy, Default)]
struct Needed {
    bytes: u64,
    files: u64,
}

/// How much goes where.
#[derive(Default)]
pub(super) struct Demand(BTreeMap<PathBuf, Needed>);

impl Places {
    /// Finds and checks them. `name` is that of the data directory below `options.directory`.
    pub fn new(
        options: &Options,
        base_dir: &Path,
        name: &str,
        tablespaces: &[TablespaceInfo],
    ) -> Result<Places> {
        check_path(&options.directory, base_dir)?;
        let mut mapped: BTreeMap<u32, PathBuf> = BTreeMap::new();
        for (from, to) in &options.tablespaces {
            let tablespace = named(tablespaces, from)?;
            check_path(to, base_dir)?;
            if mapped.insert(tablespace.oid, to.clone()).is_some() {
                let message = format!("the tablespace {from} is mapped twice");
                return Err(Failure::new(Kind::Usage, message));
            }
        }
        let place = |tablespace: &TablespaceInfo| {
            let beside = || {
                options
                    .directory
                    .join(format!("{name}-{}", tablespace.name))
            };
            mapped.remove(&tablespace.oid).unwrap_or_else(beside)
        };
        let mut place = place;
        let places = Places {
            data: options.directory.join(name),
            tablespaces: tablespaces
                .iter()
                .map(|tablespace| (tablespace.clone(), place(tablespace)))
                .collect(),
        };
        places.check_apart()?;
        for path in places.all() {
            check_empty(path)?;
        }
        Ok(places)
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Path> {
        let tablespaces = self.tablespaces.iter().map(|(_, path)| path.as_path());
        std::iter::once(self.data.as_path()).chain(tablespaces)
    }

    /// Where a path of the manifest goes, and below which of the directories that is.
    pub fn locate(&self, path: &Path) -> (&Path, PathBuf) {
        for (tablespace, place) in &self.tablespaces {
            let link = Path::new("pg_tblspc").join(tablespace.oid.to_string());
            if let Ok(rest) = path.strip_prefix(link) {
                return (place, place.join(rest));
            }
        }
        (&self.data, self.data.join(path))
    }

    /// None of them may lie in another one.
    fn check_apart(&self) -> Result<()> {
        let all: Vec<&Path> = self.all().collect();
        for (index, one) in all.iter().enumerate() {
            for other in all.iter().skip(index + 1) {
                if one.starts_with(other) || other.starts_with(one) {
                    let (one, other) = (one.display(), other.display());
                    let message = format!("{one} and {other} lie in each other");
                    return Err(Failure::new(Kind::Usage, message)
                        .hint("give each tablespace a directory of its own"));
                }
            }
        }
        Ok(())
    }
}

/// Finds a tablespace by its name, its OID or its location on the server.
fn named<'t>(tablespaces: &'t [TablespaceInfo], name: &str) -> Result<&'t TablespaceInfo> {
    let fits = |one: &&TablespaceInfo| {
        let names = [one.short_name(), &one.name, &one.location()].contains(&name);
        names || one.oid.to_string() == name
    };
    let mut fitting = tablespaces.iter().filter(fits);
    let message = match (fitting.next(), fitting.next()) {
        (Some(found), None) => return Ok(found),
        (None, _) => format!("the backup has no tablespace {name:?}"),
        (Some(_), Some(_)) => format!("{name:?} fits more than one tablespace of the backup"),
    };
    let there: Vec<String> = tablespaces
        .iter()
        .map(|one| format!("{} (OID {}, {})", one.short_name(), one.oid, one.location()))
        .collect();
    Err(
        Failure::new(Kind::Usage, message).hint(if there.is_empty() {
            "it has none at all".to_owned()
        } else {
            format!("it has {}", there.join(", "))
        }),
    )
}

/// Whether a directory may be written to: absolute, without `..`, and neither in the repository nor in a cluster.
fn check_path(path: &Path, base_dir: &Path) -> Result<()> {
    let shown = path.display();
    let wrong = |what: &str| Failure::new(Kind::Usage, format!("the directory {shown:?} {what}"));
    if !path.is_absolute() {
        return Err(wrong("is not absolute"));
    }
    let strange = |byte: &u8| byte.is_ascii_control();
    if path.as_os_str().as_bytes().iter().any(strange) {
        return Err(wrong("has a line break or another control character in it"));
    }
    let plain = |component| matches!(component, Component::RootDir | Component::Normal(_));
    if !path.components().all(plain) {
        return Err(wrong("has '..' in it").hint("give the path without it"));
    }
    let parent = existing(path).and_then(|path| path.canonicalize().ok());
    let Some(parent) = parent else {
        return Ok(());
    };
    if base_dir
        .canonicalize()
        .is_ok_and(|base| parent.starts_with(base))
    {
        return Err(wrong("lies in the repository"));
    }
    match parent.ancestors().find(|path| is_data_directory(path)) {
        Some(data) => {
            let message = format!("lies in {}, the data directory of a server", data.display());
            Err(wrong(&message).hint("choose a directory outside: a server backs up what is in it"))
        }
        None => Ok(()),
    }
}

/// Whether a cluster is or was in a directory.
fn is_data_directory(path: &Path) -> bool {
    path.join("PG_VERSION").is_file() && path.join("global").is_dir()
}

/// Whether nothing is there yet; `true` if there is an empty directory.
pub(super) fn check_empty(path: &Path) -> Result<bool> {
    let doing = || format!("look into {}", path.display());
    match std::fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            // Or something above it is none.
            let there = path.symlink_metadata().is_ok();
            if there { Err(taken(path)) } else { Ok(false) }
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            Err(out_of_sight(path, "look into"))
        }
        Err(error) => Err(error).with_context(doing),
        Ok(mut entries) => match entries.next() {
            None => Ok(true),
            Some(_) => match Claim::of_other(path)? {
                Some(claimed) => Err(claimed_by(path, &claimed)),
                None => Err(taken(path)),
            },
        },
    }
}

fn taken(path: &Path) -> Failure {
    let message = format!("{} exists and is not an empty directory", path.display());
    Failure::new(Kind::Usage, message).hint("remove it, or choose another directory")
}

/// What another restore left or leaves in its directory.
fn claimed_by(path: &Path, other: &Claimed) -> Failure {
    let (shown, what) = (path.display(), &other.text);
    if other.alive {
        let message = format!("another restore writes to {shown} ({what})");
        return Failure::new(Kind::Busy, message)
            .hint("wait for its end, or choose another directory");
    }
    let message = format!("{shown} has a restore in it that did not come to its end ({what})");
    Failure::new(Kind::Usage, message).hint(format!(
        "nothing works there any more: remove {shown}, and restore again"
    ))
}

/// The nearest directory at or above `path` that exists.
fn existing(path: &Path) -> Option<&Path> {
    path.ancestors().find(|path| path.is_dir())
}

impl Demand {
    /// Adds a file of `bytes` below `directory`.
    pub fn add(&mut self, directory: &Path, bytes: u64) {
        let blocks = bytes.div_ceil(BLOCK).saturating_mul(BLOCK);
        if !self.0.contains_key(directory) {
            self.0.insert(directory.to_owned(), Needed::default());
        }
        if let Some(needed) = self.0.get_mut(directory) {
            needed.bytes = needed.bytes.saturating_add(blocks);
            needed.files = needed.files.saturating_add(1);
        }
    }

    /// Fails with [`Kind::NoSpace`] if a file system has not enough room.
    pub fn check(&self) -> Result<()> {
        let mut devices: BTreeMap<u64, (&Path, Needed)> = BTreeMap::new();
        for (path, more) in &self.0 {
            let place = existing(path).unwrap_or(Path::new("/"));
            let device = std::fs::metadata(place)
                .with_context(|| format!("look at {}", place.display()))?
                .dev();
            let (_, needed) = devices.entry(device).or_insert((place, Needed::default()));
            needed.bytes = needed.bytes.saturating_add(more.bytes);
            needed.files = needed.files.saturating_add(more.files);
        }
        for (place, needed) in devices.into_values() {
            let space = Filesystem::space(place)?;
            let reserve = needed.bytes / 100 + RESERVE;
            let bytes = needed.bytes.saturating_add(reserve);
            let short = if bytes > space.free {
                let (bytes, free) = (ByteSize(bytes), ByteSize(space.free));
                format!(
                    "space on the file system of {}: {bytes} are needed, {free} are free",
                    place.display()
                )
            } else if needed.files > space.free_files {
                let (files, free) = (needed.files, space.free_files);
                format!(
                    "room for files on the file system of {}: {files} are needed, {free} can be made",
                    place.display()
                )
            } else {
                continue;
            };
            return Err(Failure::new(Kind::NoSpace, format!("not enough {short}")));
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

    fn places(directory: &str, mapped: &[(&str, &str)]) -> Result<Places> {
        let options = Options {
            directory: directory.into(),
            tablespaces: mapped
                .iter()
                .map(|(from, to)| ((*from).to_owned(), PathBuf::from(to)))
                .collect(),
            ..Options::default()
        };
        let tablespaces = [tablespace(16385, "/srv/one"), tablespace(16386, "/srv/two")];
        Places::new(
            &options,
            Path::new("/nowhere/base"),
            "primary-1",
            &tablespaces,
        )
    }

    #[test]
    fn tablespaces_go_beside_the_target_or_where_they_are_told() {
        let places = places("/nowhere/r", &[("/srv/two", "/nowhere/new")]).unwrap();
        assert_eq!(places.data, Path::new("/nowhere/r/primary-1"));
        let (place, path) = places.locate(Path::new("pg_tblspc/16385/PG_15/1/2"));
        assert_eq!(place, Path::new("/nowhere/r/primary-1-tblspc_16385"));
        assert_eq!(
            path,
            Path::new("/nowhere/r/primary-1-tblspc_16385/PG_15/1/2")
        );
        let (_, path) = places.locate(Path::new("pg_tblspc/16386/x"));
        assert_eq!(path, Path::new("/nowhere/new/x"));
        let (_, path) = places.locate(Path::new("pg_tblspc/16387/x"));
        assert_eq!(path, Path::new("/nowhere/r/primary-1/pg_tblspc/16387/x"));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
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
            let refused = places("/nowhere/r", mapped);
            // A base directory that does not exist holds nothing.
            if mapped[0].1.starts_with("/nowhere/base") {
                continue;
            }
            assert_eq!(refused.unwrap_err().kind(), Kind::Usage, "{mapped:?}");
        }
        for directory in ["", "r", "./r", "/r/../s", "/r\n"] {
            assert_eq!(
                places(directory, &[]).unwrap_err().kind(),
                Kind::Usage,
                "{directory}"
            );
        }
    }

    #[test]
    fn the_repository_and_what_is_not_empty_are_spared() {
        let root =
            std::env::temp_dir().join(format!("pgmoneta-restore-places-{}", std::process::id()));
        let base = root.join("base");
        std::fs::create_dir_all(base.join("primary")).unwrap();
        let options = |directory: PathBuf| Options {
            directory,
            ..Options::default()
        };
        let at = |directory| Places::new(&options(directory), &base, "primary-1", &[]);
        assert!(at(base.join("primary/r")).is_err());
        assert!(at(base.clone()).is_err());
        assert!(at(root.join("r")).is_ok());
        std::fs::create_dir_all(root.join("r/primary-1")).unwrap();
        assert!(at(root.join("r")).is_ok(), "an empty one is fine");
        std::fs::write(root.join("r/primary-1/x"), "").unwrap();
        let taken = at(root.join("r")).unwrap_err();
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
        assert!(taken.message().contains("not an empty directory"));
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
    fn too_much_for_a_file_system_is_refused() {
        let mut demand = Demand::default();
        demand.add(Path::new("/tmp/pgmoneta/x"), 1);
        demand.check().unwrap();
        demand.add(Path::new("/tmp/pgmoneta/y"), 1 << 60);
        assert_eq!(demand.check().unwrap_err().kind(), Kind::NoSpace);
    }
}
