//! A repository for a test, and a manifest with one of everything.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::codec::{Compression, DigestValues, OwnDigests, StoredFormat};
use crate::crypto::MasterKey;
use crate::format::ConfigFile;
use crate::repository::{Manifest, ManifestFile, ManifestWriter, Repository, TablespaceInfo};
use crate::unit::{Encryption, Label};

/// A repository that is removed on drop.
pub struct Scratch(PathBuf, pub Repository);

impl Scratch {
    pub fn new(name: &str) -> Scratch {
        let base = format!("pgmoneta-{name}-{}", std::process::id());
        let base = std::env::temp_dir().join(base);
        std::fs::create_dir_all(&base).unwrap();
        let repository = Repository::create(&base, &"primary".parse().unwrap()).unwrap();
        Scratch(base, repository)
    }

    pub fn add(&self, label: &str, info: &str) -> PathBuf {
        let path = self.1.backup_path().join(label);
        std::fs::create_dir_all(&path).unwrap();
        std::fs::write(path.join("backup.info"), info).unwrap();
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn label(text: &str) -> Label {
    text.parse().unwrap()
}

pub fn key() -> MasterKey {
    MasterKey::for_tests(1)
}

pub const ZSTD: StoredFormat = StoredFormat {
    compression: Compression::Zstd,
    encryption: Encryption::None,
};

pub fn written(directory: &Path, label: &Label) -> Manifest {
    written_as(directory, label, ZSTD)
}

pub fn written_as(directory: &Path, label: &Label, stored: StoredFormat) -> Manifest {
    let mut writer = ManifestWriter::create(directory, label, 7, stored).unwrap();
    let file = |path: &[u8]| {
        let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
        ManifestFile {
            stored_path: Path::new("data").join(&path),
            stored: Some(stored),
            path,
            size: 3,
            modified: -1,
            mode: 0o640,
            stored_size: 12,
            digests: DigestValues::Own(OwnDigests {
                crc32c: 0xfe,
                blake3: [3; 32],
                sha256: crate::crypto::Sha256::of(b"stored"),
            }),
            combined: None,
        }
    };
    let tablespace = TablespaceInfo {
        name: "tblspc_5".to_owned(),
        oid: 5,
        path: "/a\nb".into(),
    };
    let mut other = file(b"pg_wal/00000001000000000000000A");
    other.stored = Some(StoredFormat {
        compression: Compression::Gzip,
        encryption: Encryption::Aes128,
    });
    let manifest = Manifest {
        stored,
        files: vec![file(b"PG_VERSION"), file(b"odd \xff\n\\name")],
        directories: vec![("base".into(), 0o700)],
        links: vec![("pg_wal".into(), "/srv/wal".into())],
        tablespaces: vec![tablespace],
        wal: vec![other],
        config: vec![(ConfigFile::Hba, file(b"etc/pg_hba.conf"))],
        combined: false,
    };
    writer.tablespace(&manifest.tablespaces[0]).unwrap();
    writer.directory(&manifest.directories[0].0, 0o700).unwrap();
    writer
        .link(&manifest.links[0].0, &manifest.links[0].1)
        .unwrap();
    for file in &manifest.files {
        writer.file(file).unwrap();
        let stored = directory.join(&file.stored_path);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(stored, b"stored").unwrap();
    }
    writer.wal(&manifest.wal[0]).unwrap();
    let (what, config) = &manifest.config[0];
    writer.config(*what, config).unwrap();
    for file in [&manifest.wal[0], config] {
        let stored = directory.join(&file.stored_path);
        std::fs::create_dir_all(stored.parent().unwrap()).unwrap();
        std::fs::write(stored, b"stored").unwrap();
    }
    writer.finish().unwrap();
    manifest
}
