//! Compresses, decompresses, encrypts or decrypts one file, and then removes the original.

use std::ffi::OsStr;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::codec::{
    Compression, Digests, EncodeOptions, StoredFormat, StoredReader, Suffixes, encode,
};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::repository::is_in_repository;
use crate::storage::{AtomicFile, open_file, remove_file};
use crate::sys::{InterruptibleReader, Stop};
use crate::unit::Encryption;
use crate::vault;

/// What is done with the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversion {
    /// Compresses it by the configured method.
    Compress,
    /// Decompresses it by the method that its suffix tells.
    Decompress,
    /// Encrypts it by the configured cipher.
    Encrypt,
    /// Decrypts it; the key size is detected.
    Decrypt,
}

/// How files are converted.
pub struct ConvertOptions<'a> {
    /// The method and the cipher of files that are written, and the master key.
    pub coding: EncodeOptions,
    /// Ends the conversion; nothing has changed then.
    pub stop: &'a Stop,
}

/// The file that is converted.
struct Original<'a> {
    path: &'a Path,
    file: File,
    found: Metadata,
}

/// Converts the file and returns the path of the result, which has the permissions and the time of
/// the original. The original is removed once the result is on stable storage and was read back;
/// before that nothing changes. An existing result is [`ErrorKind::Usage`].
pub fn run(conversion: Conversion, path: &Path, options: &ConvertOptions<'_>) -> Result<PathBuf> {
    let (read, write) = formats(conversion, path, &options.coding)?;
    let target = target(path, read, write);
    let action = || format!("write {}", target.display());
    let original = Original::open(path)?;
    check_free(&target)?;
    let mut result = AtomicFile::create(&target)?;
    let digests = if write == StoredFormat::PLAIN {
        decode_to(&original, read, &mut result, options)
    } else {
        let mut input = original.reader(options.stop)?;
        let coding = EncodeOptions {
            compression: write.compression,
            encryption: write.encryption,
            ..options.coding.clone()
        };
        encode(&mut input, &mut result, &coding)
    };
    let digests = digests.with_context(action)?;
    result.copy_attributes(&original.found)?;
    let written = result.sync()?;
    read_back(written, write, &digests, options).with_context(|| {
        let written = written.display();
        format!("read {written} back before {} is removed", path.display())
    })?;
    original.check_unchanged()?;
    result.commit_exclusively()?;
    remove_file(path)?;
    Ok(target)
}

/// The format of the original as far as it is read, and that of the result. One of them is plain.
fn formats(
    conversion: Conversion,
    path: &Path,
    coding: &EncodeOptions,
) -> Result<(Suffixes, StoredFormat)> {
    let name = path.file_name().unwrap_or_default();
    let (_, suffixes) = Suffixes::split_name(name.to_str().unwrap_or_default());
    let refused = |what: String, hint: &str| {
        let message = format!("{} {what}", path.display());
        Err(Error::new(ErrorKind::Usage, message).with_hint(hint))
    };
    let compressed = suffixes.compression != Compression::None;
    let (mut read, mut write) = (Suffixes::NONE, StoredFormat::PLAIN);
    match conversion {
        Conversion::Compress | Conversion::Decompress if suffixes.encrypted => {
            return refused("is encrypted".to_owned(), "decrypt it first");
        }
        Conversion::Compress if compressed => {
            return refused("is compressed already".to_owned(), "nothing is to be done");
        }
        Conversion::Compress if coding.compression == Compression::None => {
            let what = "cannot be compressed: the configuration has no compression";
            return refused(
                what.to_owned(),
                "set compression, such as compression = zstd",
            );
        }
        Conversion::Compress => write.compression = coding.compression,
        Conversion::Decompress if !compressed => {
            let known = Compression::ALL.iter().map(|method| method.suffix());
            let known: Vec<_> = known.filter(|suffix| !suffix.is_empty()).collect();
            let what = "does not have the suffix of a compressed file";
            return refused(what.to_owned(), &format!("known are {}", known.join(", ")));
        }
        Conversion::Decompress => read.compression = suffixes.compression,
        Conversion::Encrypt if suffixes.encrypted => {
            return refused("is encrypted already".to_owned(), "nothing is to be done");
        }
        Conversion::Encrypt if coding.encryption == Encryption::None => {
            let what = "cannot be encrypted: the configuration has no encryption";
            return refused(
                what.to_owned(),
                "set encryption, such as encryption = aes256",
            );
        }
        Conversion::Encrypt => write.encryption = coding.encryption,
        Conversion::Decrypt if !suffixes.encrypted => {
            let what = format!("does not have the suffix {}", Encryption::Aes256.suffix());
            return refused(what, "only an encrypted file can be decrypted");
        }
        Conversion::Decrypt => read.encrypted = true,
    }
    Ok((read, write))
}

/// The path of the result: the suffix of what is written is added, that of what is read removed.
fn target(path: &Path, read: Suffixes, write: StoredFormat) -> PathBuf {
    let bytes = path.as_os_str().as_bytes();
    let mut name = match bytes.strip_suffix(read.text().as_bytes()) {
        Some(rest) => OsStr::from_bytes(rest).to_owned(),
        None => path.as_os_str().to_owned(),
    };
    name.push(write.suffix());
    name.into()
}

fn check_free(target: &Path) -> Result<()> {
    if target.symlink_metadata().is_err() {
        return Ok(());
    }
    let message = format!("{} exists already", target.display());
    Err(Error::new(ErrorKind::Usage, message).with_hint("move it away first"))
}

impl<'a> Original<'a> {
    fn open(path: &'a Path) -> Result<Original<'a>> {
        let action = || format!("open {}", path.display());
        let refused = |what: &str, hint: &str| {
            let message = format!("{} {what}", path.display());
            Err(Error::new(ErrorKind::Usage, message).with_hint(hint))
        };
        let link = path.symlink_metadata().with_context(action)?;
        if link.is_symlink() {
            return refused("is a symbolic link", "name the file itself");
        }
        let directory = path.parent().unwrap_or(path).canonicalize();
        let directory = directory.with_context(action)?;
        if is_in_repository(&directory) {
            let hint = "copy it to another directory first: a backup needs its files as they are";
            return refused("is in the repository", hint);
        }
        let key = vault::master_key_path().and_then(|key| Ok(key.canonicalize()?));
        if key.is_ok_and(|key| path.canonicalize().is_ok_and(|path| path == key)) {
            return refused("is the master key", "without it nothing can be decrypted");
        }
        let file = open_file(path).with_context(action)?;
        let found = file.metadata().with_context(action)?;
        Ok(Original { path, file, found })
    }

    fn reader<'s>(&self, stop: &'s Stop) -> Result<InterruptibleReader<'s, File>> {
        Ok(InterruptibleReader::new(self.file.try_clone()?, stop))
    }

    /// Fails if the file was written to or replaced since it was opened.
    fn check_unchanged(&self) -> Result<()> {
        let stamp = |found: &Metadata| {
            let (modified, changed) = (
                (found.mtime(), found.mtime_nsec()),
                (found.ctime(), found.ctime_nsec()),
            );
            (found.dev(), found.ino(), found.size(), modified, changed)
        };
        let path = self.path.display();
        let now = self.path.symlink_metadata();
        let now = now.with_context(|| format!("look at {path}"))?;
        if stamp(&now) == stamp(&self.found) {
            return Ok(());
        }
        let message = format!("{path} was changed meanwhile; it stays as it is");
        Err(Error::new(ErrorKind::Busy, message).with_hint("try again when nobody writes to it"))
    }
}

/// Writes the plain bytes of the original.
fn decode_to(
    original: &Original<'_>,
    suffixes: Suffixes,
    result: &mut AtomicFile,
    options: &ConvertOptions<'_>,
) -> Result<Digests> {
    let mut source = if suffixes.encrypted {
        let key = options.coding.key.as_ref();
        let key = key.ok_or_else(|| Error::new(ErrorKind::Internal, "there is no master key"))?;
        // What a decrypted file begins with is not known: the tag tells the key size.
        StoredReader::probe(original.path, suffixes, key, &|_| false)?
    } else {
        let stored = StoredFormat {
            compression: suffixes.compression,
            encryption: Encryption::None,
        };
        StoredReader::new(original.file.try_clone()?, stored, None)?
    };
    let mut input = InterruptibleReader::new(&mut source, options.stop);
    io::copy(&mut input, result).with_context(|| format!("decode {}", original.path.display()))?;
    let digests = source.finish();
    digests.with_context(|| format!("decode {}", original.path.display()))
}

/// Fails unless the file at `path` has the plain bytes that were read from the original.
fn read_back(
    path: &Path,
    stored: StoredFormat,
    expected: &Digests,
    options: &ConvertOptions<'_>,
) -> Result<()> {
    let mut source = StoredReader::open(path, stored, options.coding.key.clone())?;
    let size = io::copy(
        &mut InterruptibleReader::new(&mut source, options.stop),
        &mut io::sink(),
    )?;
    let found = source.finish()?;
    if size == expected.plain_size && found.values.have_same_plain(&expected.values) {
        return Ok(());
    }
    let message = "it does not have the bytes that were written: the disk is not reliable";
    Err(Error::new(ErrorKind::Corrupt, message))
}
