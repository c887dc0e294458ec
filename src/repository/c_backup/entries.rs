//! How the files of a backup of the C program are stored: by their names, which have a suffix for
//! the compression and one for the encryption.

use std::collections::HashSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::super::layout::DATA_DIRECTORY;
use super::tree::Tree;
use crate::codec::Suffixes;
use crate::format::ControlFile;

/// Endings of the names of files that the C program never compresses.
const NEVER_ENCODED: [&str; 2] = ["backup_label", "backup_manifest"];

/// Endings of the names of files that it does not always encrypt.
const SOMETIMES_PLAIN: [&str; 3] = [".history", ".partial", ".tmp"];

/// Finds the stored file of each file of the cluster.
pub struct StoredNames<'a> {
    tree: &'a Tree,
    /// The files of the cluster: the name of one may end with a suffix.
    files: &'a HashSet<&'a Path>,
    /// The suffixes of most files.
    usual: Suffixes,
}

/// Where a file is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredName {
    /// Relative to the directory of the backup.
    pub path: PathBuf,
    pub suffixes: Suffixes,
    /// Whether there is such a file.
    pub exists: bool,
}

impl<'a> StoredNames<'a> {
    pub(super) fn new(tree: &'a Tree, files: &'a HashSet<&'a Path>) -> StoredNames<'a> {
        // The control file is in every cluster, and only its stored file has its name.
        let control = Path::new(ControlFile::PATH);
        let mut all = Suffixes::all();
        let usual = all.find(|suffixes| tree.files.contains(&with_suffixes(control, *suffixes)));
        StoredNames {
            tree,
            files,
            usual: usual.unwrap_or(Suffixes::NONE),
        }
    }

    /// The suffixes of most files.
    pub(super) fn usual(&self) -> Suffixes {
        self.usual
    }

    /// Where the file `path` of the cluster is stored.
    pub(super) fn find(&self, path: &Path) -> StoredName {
        let usual = if has_ending(path, &NEVER_ENCODED) {
            Suffixes::NONE
        } else {
            self.usual
        };
        let others = Suffixes::all().filter(|suffixes| *suffixes != usual);
        let mut candidates = std::iter::once(usual).chain(others);
        let found = candidates.find(|suffixes| {
            let name = with_suffixes(path, *suffixes);
            let is_other = *suffixes != Suffixes::NONE && self.files.contains(name.as_path());
            self.tree.files.contains(&name) && (!is_other || *suffixes == usual)
        });
        let suffixes = found.unwrap_or(usual);
        StoredName {
            path: Path::new(DATA_DIRECTORY).join(with_suffixes(path, suffixes)),
            suffixes,
            exists: found.is_some(),
        }
    }
}

/// Whether a file of an encrypted backup may be plain.
pub(super) fn may_be_plain(path: &Path) -> bool {
    has_ending(path, &NEVER_ENCODED) || has_ending(path, &SOMETIMES_PLAIN)
}

fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let name = path.to_string_lossy();
    endings.iter().any(|ending| name.ends_with(ending))
}

pub(super) fn with_suffixes(path: &Path, suffixes: Suffixes) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffixes.text());
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Compression;

    #[test]
    fn a_name_that_ends_with_a_suffix_is_not_taken_for_an_encoded_file() {
        let zstd = Suffixes {
            compression: Compression::Zstd,
            encrypted: false,
        };
        let find = |stored: &[&str], path: &str| {
            let mut tree = Tree::default();
            tree.files.extend(stored.iter().map(PathBuf::from));
            let files = HashSet::from(["global/pg_control", "a", "a.gz"].map(Path::new));
            let names = StoredNames::new(&tree, &files);
            let found = names.find(Path::new(path));
            let path = found.path.to_str().unwrap().to_owned();
            (path, found.suffixes, found.exists)
        };
        let plain = ["global/pg_control", "a", "a.gz"];
        assert_eq!(find(&plain, "a"), ("data/a".into(), Suffixes::NONE, true));
        assert_eq!(
            find(&plain, "a.gz"),
            ("data/a.gz".into(), Suffixes::NONE, true)
        );
        assert!(!find(&["global/pg_control", "a.gz"], "a").2);
        let encoded = [
            "global/pg_control.zstd",
            "a.zstd",
            "a.gz.zstd",
            "backup_label",
        ];
        assert_eq!(find(&encoded, "a"), ("data/a.zstd".into(), zstd, true));
        assert_eq!(
            find(&encoded, "a.gz"),
            ("data/a.gz.zstd".into(), zstd, true)
        );
        let label = find(&encoded, "backup_label");
        assert_eq!(label, ("data/backup_label".into(), Suffixes::NONE, true));
        // Other suffixes are possible for one file.
        assert_eq!(
            find(&["global/pg_control.zstd", "a"], "a").1,
            Suffixes::NONE
        );
        assert_eq!(
            find(&["global/pg_control.zstd"], "a"),
            ("data/a.zstd".into(), zstd, false)
        );
    }
}
