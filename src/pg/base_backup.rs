//! Base backups (PostgreSQL documentation, "Streaming Replication Protocol", BASE_BACKUP).
//!
//! What comes is one tar archive for each tablespace and, last, one for the data directory, then the server's manifest
//! with CRC-32C checksums. The WAL is not in it: the archive has it. `TABLESPACE_MAP` stays off, so that the archive of
//! the data directory has the entries of `pg_tblspc` as symbolic links to the places on the server (with a slash after
//! the name, as for directories; they are not in the manifest), and no file `tablespace_map`, which at the next start
//! would put the links back to those places whatever a restore made of them.
//!
//! Before version 15 each archive and the manifest is a copy of its own, in the order of the list of tablespaces;
//! from 15 on one copy has all, in typed messages.

use std::time::Duration;

use postgres_protocol::message::backend;

use super::base_backup_command::{command, position_row, tablespace};
use super::warning::{Warning, Warnings};
use super::wire::{Body, Head, protocol};
use super::{Archive, BaseBackupOptions, Connection, Tablespace};
use crate::error::{Context, Failure, Kind, Result};
use crate::net::Deadline;
use crate::unit::{Lsn, Timeline};

/// A running BASE_BACKUP. Dropping it cancels the backup on the server and ends the connection.
pub struct BaseBackup {
    pub(super) connection: Connection,
    format: Format,
    start: (Timeline, Lsn),
    tablespaces: Vec<Tablespace>,
    /// The tablespaces whose archive has come, as indexes.
    seen: Vec<usize>,
    place: Place,
    /// What is left of the current message: its head and how many of its bytes are used up.
    chunk: Option<(Head, usize)>,
    /// A piece that ended what came before it.
    pending: Option<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Before 15: a copy for each archive.
    Copies,
    /// From 15: one copy with typed messages (`bbsink_copystream`, PostgreSQL basebackup_copy.c).
    Typed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    BetweenArchives,
    InArchive,
    BeforeManifest,
    AfterManifest,
}

/// One step of the copied stream.
enum Piece {
    CopyBegins,
    ArchiveBegins { name: Vec<u8> },
    ManifestBegins,
    Data,
    CopyEnds,
}

/// The longest wait for the checkpoint at the start: `checkpoint_timeout` is at most a day.
const CHECKPOINT_PATIENCE: Duration = Duration::from_secs(25 * 3600);
/// The longest silence while data comes. A server may be busy with files that it then leaves out; one that is gone is
/// noticed by TCP keepalive long before.
const DATA_PATIENCE: Duration = Duration::from_secs(1800);
const DOING: &str = "take a base backup";

impl BaseBackup {
    /// Starts it; returns when the checkpoint is done and the archives begin. A checkpoint that is spread may take as
    /// long as the server's `checkpoint_timeout`.
    pub fn start(mut connection: Connection, options: &BaseBackupOptions) -> Result<BaseBackup> {
        let version = connection.version();
        let command = command(version, options).context(DOING)?;
        connection.wire.enlarge();
        connection.warnings = Some(Warnings::default());
        connection.cancel_when_dropped();
        connection.command(&command).context(DOING)?;
        let checkpoint = Deadline::after(CHECKPOINT_PATIENCE);
        let positions = connection.result_set(checkpoint).context(DOING)?;
        let start = position_row(positions).context(DOING)?;
        let rows = connection.result_set(checkpoint).context(DOING)?;
        let tablespaces: Vec<_> = rows
            .into_iter()
            .map(tablespace)
            .collect::<Result<_>>()
            .context(DOING)?;
        Ok(BaseBackup {
            connection,
            format: if version.major >= 15 {
                Format::Typed
            } else {
                Format::Copies
            },
            start,
            tablespaces,
            seen: Vec::new(),
            place: Place::BetweenArchives,
            chunk: None,
            pending: None,
        })
    }

    /// Where WAL must be replayed from.
    pub fn start_position(&self) -> (Timeline, Lsn) {
        self.start
    }

    /// The archives to come.
    pub fn tablespaces(&self) -> &[Tablespace] {
        &self.tablespaces
    }

    /// The next archive, a plain tar; read it to its end before the next call, zeros at its end apart. `None` when all
    /// were read. The one of the data directory comes last, and `global/pg_control` last in it.
    pub fn next_archive(&mut self) -> Result<Option<Archive<'_>>> {
        let Some(index) = self.begin_archive().context(DOING)? else {
            return Ok(None);
        };
        let tablespace = self.tablespaces.get(index).cloned();
        let tablespace = tablespace.ok_or_else(|| protocol("an archive of no tablespace"))?;
        Ok(Some(Archive(self, tablespace)))
    }

    fn begin_archive(&mut self) -> Result<Option<usize>> {
        self.drain()?;
        if self.place != Place::BetweenArchives {
            return Ok(None);
        }
        if self.format == Format::Copies && self.seen.len() == self.tablespaces.len() {
            self.place = Place::BeforeManifest;
            return Ok(None);
        }
        loop {
            let index = match (self.format, self.piece()?) {
                (Format::Typed, Piece::CopyBegins) => continue,
                (Format::Typed, Piece::ArchiveBegins { name }) => self.archive_named(&name)?,
                (Format::Typed, Piece::ManifestBegins)
                    if self.seen.len() == self.tablespaces.len() =>
                {
                    self.place = Place::BeforeManifest;
                    self.pending = Some(Piece::ManifestBegins);
                    return Ok(None);
                }
                (Format::Copies, Piece::CopyBegins) => self.seen.len(),
                _ => return Err(protocol("the archives of the base backup are out of order")),
            };
            self.seen.push(index);
            self.place = Place::InArchive;
            return Ok(Some(index));
        }
    }

    /// The tablespace that an archive called `base.tar` or `<oid>.tar` belongs to.
    fn archive_named(&self, name: &[u8]) -> Result<usize> {
        let wanted = |tablespace: &Tablespace| match tablespace.oid {
            None => name == b"base.tar",
            Some(oid) => name == format!("{oid}.tar").as_bytes(),
        };
        let index = self.tablespaces.iter().position(wanted);
        index
            .filter(|index| !self.seen.contains(index))
            .ok_or_else(|| {
                let name = String::from_utf8_lossy(name).into_owned();
                protocol(format!(
                    "an archive {name:?} that is of no tablespace or came before"
                ))
            })
    }

    /// Skips what follows the end of a tar inside its archive: blocks of zeros.
    fn drain(&mut self) -> Result<()> {
        while self.place == Place::InArchive {
            let bytes = self.fill()?;
            if bytes.iter().any(|&byte| byte != 0) {
                let message = "an archive of the base backup was not read to its end";
                return Err(Failure::new(Kind::Internal, message));
            }
            let count = bytes.len();
            self.consume(count);
        }
        Ok(())
    }

    /// Bytes of the current archive or of the manifest; none at its end.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        if self.place == Place::InArchive && self.rest().is_empty() {
            loop {
                match self.piece()? {
                    Piece::Data if self.rest().is_empty() => {}
                    Piece::Data => break,
                    Piece::CopyEnds if self.format == Format::Copies => {
                        self.place = Place::BetweenArchives;
                        break;
                    }
                    begin @ (Piece::ArchiveBegins { .. } | Piece::ManifestBegins) => {
                        self.pending = Some(begin);
                        self.place = Place::BetweenArchives;
                        break;
                    }
                    _ => return Err(protocol("an archive of the base backup breaks off")),
                }
            }
        }
        Ok(self.rest())
    }

    pub(super) fn consume(&mut self, count: usize) {
        if let Some((_, used)) = &mut self.chunk {
            *used = used.saturating_add(count);
        }
    }

    fn rest(&self) -> &[u8] {
        let Some((head, used)) = &self.chunk else {
            return &[];
        };
        self.connection
            .wire
            .body(head)
            .get(*used..)
            .unwrap_or_default()
    }

    /// The next piece of the stream; the bytes of [`Piece::Data`] are in `chunk`.
    fn piece(&mut self) -> Result<Piece> {
        if let Some(piece) = self.pending.take() {
            return Ok(piece);
        }
        self.chunk = None;
        let deadline = Deadline::after(DATA_PATIENCE);
        loop {
            let head = self.connection.receive(deadline)?;
            let mut body = Body(self.connection.wire.body(&head));
            match head.tag {
                backend::COPY_OUT_RESPONSE_TAG => return Ok(Piece::CopyBegins),
                backend::COPY_DONE_TAG => return Ok(Piece::CopyEnds),
                backend::COPY_DATA_TAG if self.format == Format::Copies => {
                    self.chunk = Some((head, 0));
                    return Ok(Piece::Data);
                }
                backend::COPY_DATA_TAG => match body.u8()? {
                    b'd' => {
                        self.chunk = Some((head, 1));
                        return Ok(Piece::Data);
                    }
                    b'n' => {
                        let name = body.cstr()?.to_vec();
                        // The location, which the list of tablespaces has too.
                        body.cstr()?;
                        body.end()?;
                        return Ok(Piece::ArchiveBegins { name });
                    }
                    b'm' => return Ok(Piece::ManifestBegins),
                    // How far the server is, which we count ourselves.
                    b'p' => self.connection.wire.in_time(deadline)?,
                    tag => {
                        let tag = char::from(tag);
                        return Err(protocol(format!(
                            "base backup data of unknown type {tag:?}"
                        )));
                    }
                },
                _ => {
                    return Err(self
                        .connection
                        .refused(&head, Deadline::after(DATA_PATIENCE)));
                }
            }
        }
    }

    /// The server's backup manifest (JSON), after the last archive; a failure if it has more than `longest` bytes.
    pub fn manifest(&mut self, longest: usize) -> Result<Vec<u8>> {
        const DOING: &str = "receive the server's backup manifest";
        if self.place != Place::BeforeManifest {
            let message = "the manifest comes after the last archive";
            return Err(Failure::new(Kind::Internal, message).context(DOING));
        }
        match (self.format, self.piece().context(DOING)?) {
            (Format::Typed, Piece::ManifestBegins) | (Format::Copies, Piece::CopyBegins) => {}
            _ => return Err(protocol("there is none").context(DOING)),
        }
        let mut manifest = Vec::new();
        loop {
            match self.piece().context(DOING)? {
                Piece::Data => manifest.extend_from_slice(self.rest()),
                Piece::CopyEnds => break,
                _ => return Err(protocol("it breaks off").context(DOING)),
            }
            if manifest.len() > longest {
                let message =
                    format!("it is longer than {longest} bytes, and no file can need that");
                return Err(protocol(message).context(DOING));
            }
        }
        self.place = Place::AfterManifest;
        Ok(manifest)
    }

    /// What the server has warned of so far, each text once. To estimate sizes it looks at every file before the
    /// archives begin, so that most of it is there when [`BaseBackup::start`] returns.
    pub fn warnings(&self) -> &[Warning] {
        self.connection
            .warnings
            .as_ref()
            .map_or(&[], Warnings::list)
    }

    /// The end of the backup: where WAL must be replayed to, and all that the server warned of. A page checksum failure
    /// that the server saw is a Corrupt failure that names the files.
    pub fn finish(mut self) -> Result<((Timeline, Lsn), Vec<Warning>)> {
        const DOING: &str = "end the base backup";
        if self.place != Place::AfterManifest {
            let message = "the end comes after the manifest";
            return Err(Failure::new(Kind::Internal, message).context(DOING));
        }
        match self.end() {
            Ok(end) => {
                let warnings = self.connection.warnings.take().unwrap_or_default();
                Ok((end, warnings.all().context(DOING)?))
            }
            // ERRCODE_DATA_CORRUPTED (PostgreSQL basebackup.c: "checksum verification failure during base backup").
            Err(failure) if failure.code() == Some("XX001") => {
                Err(corrupt(&failure, self.warnings()))
            }
            Err(failure) => Err(failure.context(DOING)),
        }
    }

    fn end(&mut self) -> Result<(Timeline, Lsn)> {
        let deadline = Deadline::after(DATA_PATIENCE);
        let end = position_row(self.connection.result_set(deadline)?)?;
        loop {
            let head = self.connection.receive(deadline)?;
            match head.tag {
                backend::COMMAND_COMPLETE_TAG => {}
                backend::READY_FOR_QUERY_TAG => return Ok(end),
                _ => return Err(self.connection.refused(&head, deadline)),
            }
            self.connection.wire.in_time(deadline)?;
        }
    }
}

/// The failure for pages whose checksums were wrong. The warnings are the server's text, maybe translated; all of them
/// quote the path of the file.
fn corrupt(failure: &Failure, warnings: &[Warning]) -> Failure {
    const MOST: usize = 10;
    let mut files: Vec<&str> = Vec::new();
    // From `sendDir` comes what is skipped; it has no pages.
    for warning in warnings
        .iter()
        .filter(|warning| warning.routine != "sendDir")
    {
        let text = warning.message.as_str();
        let quoted = text.split(['"', '«', '»', '„', '“']).nth(1);
        let file = quoted.map_or(text, str::trim);
        if !files.contains(&file) {
            files.push(file);
        }
    }
    let more = files.len().saturating_sub(MOST);
    files.truncate(MOST);
    let mut list = files.join(", ");
    if more > 0 {
        list = format!("{list} and {more} more");
    }
    let message = if list.is_empty() {
        failure.message().to_owned()
    } else {
        format!("pages with wrong checksums in {list}")
    };
    Failure::new(Kind::Corrupt, message)
        .sqlstate("XX001")
        .hint(
            "the server's own data is damaged: find out why, and restore these relations from an older backup before \
             the next one replaces it",
        )
        .context(DOING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_files_are_named_once() {
        let seen = Failure::new(
            Kind::Server,
            "checksum verification failure during base backup",
        );
        let warnings = [
            "checksum verification failed in file \"./base/5/1259\", block 0: calculated AA but expected BB",
            "file \"./base/5/1259\" has a total of 2 checksum verification failures",
            "Prüfsummenüberprüfung fehlgeschlagen in Datei »./base/5/1260«, Block 1",
        ]
        .map(|message| Warning {
            message: message.to_owned(),
            routine: "sendFile".to_owned(),
        });
        let failure = corrupt(&seen, &warnings);
        assert_eq!(failure.kind(), Kind::Corrupt);
        assert_eq!(
            failure.message(),
            "take a base backup: pages with wrong checksums in ./base/5/1259, ./base/5/1260"
        );
        assert!(
            corrupt(&seen, &[])
                .message()
                .contains("verification failure")
        );
    }
}
