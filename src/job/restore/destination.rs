//! Where a restore writes its small files.

use std::path::Path;

use crate::error::Result;

/// New directories, or an archive.
pub(super) trait Destination {
    /// Creates a directory, unless this restore has created it.
    fn create_directory(&mut self, path: &Path, mode: u32) -> Result<()>;

    /// Creates a symbolic link with the target `text`.
    fn create_link(&mut self, text: &Path, link: &Path) -> Result<()>;

    /// Creates a small file.
    fn write_file(&mut self, path: &Path, content: &[u8], mode: u32) -> Result<()>;
}
