//! Base backups (PostgreSQL documentation, "Streaming Replication Protocol", BASE_BACKUP).
//!
//! The server sends one tar archive for each tablespace and, last, one for the data directory, then
//! its manifest with CRC-32C checksums. WAL is not included: the WAL archive has it.
//! `TABLESPACE_MAP` stays off, so that the archive of the data directory has the entries of
//! `pg_tblspc` as symbolic links to the locations on the server (with a slash after the name, as
//! for directories; they are not in the manifest), and no file `tablespace_map`, which at the next
//! start would recreate the links to those locations, whatever a restore has changed.
//!
//! Before version 15 each archive and the manifest is a separate COPY, in the order of the list of
//! tablespaces; from 15 on one COPY has all of them, in typed messages.

use std::io::{self, BufRead, Read};
use std::time::Duration;

use postgres_protocol::message::backend;

use super::base_backup_command::{command, parse_position_row, parse_tablespace};
use super::server_error::printable;
use super::warning::{Warning, Warnings, checksum_error};
use super::wire::{Body, MessageHeader, protocol_error};
use super::{BaseBackupOptions, Connection, Tablespace};
use crate::error::{Context, Error, ErrorKind, Result};
use crate::net::Deadline;
use crate::unit::WalPosition;

/// A running BASE_BACKUP. Dropping it cancels the backup on the server and ends the connection.
pub struct BaseBackup {
    pub(super) connection: Connection,
    format: Format,
    start: WalPosition,
    tablespaces: Vec<Tablespace>,
    /// Indexes into `tablespaces` of the archives received so far.
    received: Vec<usize>,
    state: Phase,
    /// The current CopyData message and how many bytes of it were consumed.
    chunk: Option<(MessageHeader, usize)>,
    /// An event that was read ahead: it ended the archive before it.
    pending: Option<CopyEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    /// Before PostgreSQL 15: one COPY for each archive.
    PerArchive,
    /// From PostgreSQL 15: one COPY with typed messages (`bbsink_copystream`, PostgreSQL
    /// basebackup_copy.c).
    Single,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    BetweenArchives,
    InArchive,
    BeforeManifest,
    AfterManifest,
}

/// An event of the COPY stream.
enum CopyEvent {
    CopyStart,
    ArchiveStart { name: Vec<u8> },
    ManifestStart,
    Data,
    CopyEnd,
}

/// Limit for the checkpoint at the start: `checkpoint_timeout` is at most a day.
const CHECKPOINT_TIMEOUT: Duration = Duration::from_secs(25 * 3600);
/// Limit without any message while data is received. A server may be busy with files that it does
/// not send; a lost connection is detected by TCP keepalive much earlier.
const DATA_TIMEOUT: Duration = Duration::from_secs(1800);
const ACTION: &str = "take a base backup";

impl BaseBackup {
    /// Sends BASE_BACKUP; returns when the checkpoint is done and the archives begin. A spread
    /// checkpoint may take as long as the server's `checkpoint_timeout`.
    pub fn start(mut connection: Connection, options: &BaseBackupOptions) -> Result<BaseBackup> {
        let version = connection.version();
        let command = command(version, options).context(ACTION)?;
        connection.wire.use_large_buffer();
        connection.warnings = Some(Warnings::default());
        connection.cancel_when_dropped();
        connection.command(&command).context(ACTION)?;
        let checkpoint = Deadline::after(CHECKPOINT_TIMEOUT);
        let positions = connection.result_set(checkpoint).context(ACTION)?;
        let start = parse_position_row(positions).context(ACTION)?;
        let rows = connection.result_set(checkpoint).context(ACTION)?;
        let tablespaces: Vec<_> = rows
            .into_iter()
            .map(parse_tablespace)
            .collect::<Result<_>>()
            .context(ACTION)?;
        Ok(BaseBackup {
            connection,
            format: if version.major >= 15 {
                Format::Single
            } else {
                Format::PerArchive
            },
            start,
            tablespaces,
            received: Vec::new(),
            state: Phase::BetweenArchives,
            chunk: None,
            pending: None,
        })
    }

    /// The position from which WAL must be replayed.
    pub fn start_position(&self) -> WalPosition {
        self.start
    }

    /// The tablespaces of the backup, in the order in which the server lists them.
    pub fn tablespaces(&self) -> &[Tablespace] {
        &self.tablespaces
    }

    /// The next archive, a plain tar; it must be read to its end before the next call, except for
    /// the zeros at its end. `None` when all were read. The one of the data directory comes last,
    /// and `global/pg_control` last in it.
    pub fn next_archive(&mut self) -> Result<Option<Archive<'_>>> {
        let Some(index) = self.begin_archive().context(ACTION)? else {
            return Ok(None);
        };
        let tablespace = self.tablespaces.get(index).cloned();
        let tablespace = tablespace.ok_or_else(|| protocol_error("an archive of no tablespace"))?;
        Ok(Some(Archive(self, tablespace)))
    }

    fn begin_archive(&mut self) -> Result<Option<usize>> {
        self.skip_padding()?;
        if self.state != Phase::BetweenArchives {
            return Ok(None);
        }
        if self.format == Format::PerArchive && self.received.len() == self.tablespaces.len() {
            self.state = Phase::BeforeManifest;
            return Ok(None);
        }
        loop {
            let index = match (self.format, self.next_event()?) {
                (Format::Single, CopyEvent::CopyStart) => continue,
                (Format::Single, CopyEvent::ArchiveStart { name }) => self.archive_named(&name)?,
                (Format::Single, CopyEvent::ManifestStart)
                    if self.received.len() == self.tablespaces.len() =>
                {
                    self.state = Phase::BeforeManifest;
                    self.pending = Some(CopyEvent::ManifestStart);
                    return Ok(None);
                }
                (Format::PerArchive, CopyEvent::CopyStart) => self.received.len(),
                _ => {
                    return Err(protocol_error(
                        "the archives of the base backup are out of order",
                    ));
                }
            };
            self.received.push(index);
            self.state = Phase::InArchive;
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
            .filter(|index| !self.received.contains(index))
            .ok_or_else(|| {
                let name = printable(name);
                protocol_error(format!(
                    "an archive {name:?} that is of no tablespace or came before"
                ))
            })
    }

    /// Skips the blocks of zeros after the end of the tar.
    fn skip_padding(&mut self) -> Result<()> {
        while self.state == Phase::InArchive {
            let bytes = self.fill()?;
            if bytes.iter().any(|&byte| byte != 0) {
                let message = "an archive of the base backup was not read to its end";
                return Err(Error::new(ErrorKind::Internal, message));
            }
            let count = bytes.len();
            self.consume(count);
        }
        Ok(())
    }

    /// Bytes of the current archive or of the manifest; none at its end.
    pub(super) fn fill(&mut self) -> Result<&[u8]> {
        if self.state == Phase::InArchive && self.unread().is_empty() {
            loop {
                match self.next_event()? {
                    CopyEvent::Data if self.unread().is_empty() => {}
                    CopyEvent::Data => break,
                    CopyEvent::CopyEnd if self.format == Format::PerArchive => {
                        self.state = Phase::BetweenArchives;
                        break;
                    }
                    begin @ (CopyEvent::ArchiveStart { .. } | CopyEvent::ManifestStart) => {
                        self.pending = Some(begin);
                        self.state = Phase::BetweenArchives;
                        break;
                    }
                    _ => return Err(protocol_error("an archive of the base backup ends early")),
                }
            }
        }
        Ok(self.unread())
    }

    pub(super) fn consume(&mut self, count: usize) {
        if let Some((_, used)) = &mut self.chunk {
            *used = used.saturating_add(count);
        }
    }

    fn unread(&self) -> &[u8] {
        let Some((header, used)) = &self.chunk else {
            return &[];
        };
        self.connection
            .wire
            .body(header)
            .get(*used..)
            .unwrap_or_default()
    }

    /// The next event of the stream; the bytes of [`CopyEvent::Data`] are in `chunk`.
    fn next_event(&mut self) -> Result<CopyEvent> {
        if let Some(event) = self.pending.take() {
            return Ok(event);
        }
        self.chunk = None;
        let deadline = Deadline::after(DATA_TIMEOUT);
        loop {
            let header = self.connection.receive(deadline)?;
            let mut body = Body(self.connection.wire.body(&header));
            match header.tag {
                backend::COPY_OUT_RESPONSE_TAG => return Ok(CopyEvent::CopyStart),
                backend::COPY_DONE_TAG => return Ok(CopyEvent::CopyEnd),
                backend::COPY_DATA_TAG if self.format == Format::PerArchive => {
                    self.chunk = Some((header, 0));
                    return Ok(CopyEvent::Data);
                }
                backend::COPY_DATA_TAG => match body.u8()? {
                    b'd' => {
                        self.chunk = Some((header, 1));
                        return Ok(CopyEvent::Data);
                    }
                    b'n' => {
                        let name = body.cstr()?.to_vec();
                        // The location, which the list of tablespaces has too.
                        body.cstr()?;
                        body.end()?;
                        return Ok(CopyEvent::ArchiveStart { name });
                    }
                    b'm' => return Ok(CopyEvent::ManifestStart),
                    // Progress; the bytes are counted here.
                    b'p' => self.connection.wire.check_deadline(deadline)?,
                    tag => {
                        let tag = char::from(tag);
                        return Err(protocol_error(format!(
                            "base backup data of unknown type {tag:?}"
                        )));
                    }
                },
                _ => {
                    return Err(self
                        .connection
                        .command_error(&header, Deadline::after(DATA_TIMEOUT)));
                }
            }
        }
    }

    /// The server's backup manifest (JSON), after the last archive; a failure if it has more than
    /// `max_size` bytes.
    pub fn manifest(&mut self, max_size: usize) -> Result<Vec<u8>> {
        const ACTION: &str = "receive the server's backup manifest";
        if self.state != Phase::BeforeManifest {
            let message = "the manifest comes after the last archive";
            return Err(Error::new(ErrorKind::Internal, message).context(ACTION));
        }
        match (self.format, self.next_event().context(ACTION)?) {
            (Format::Single, CopyEvent::ManifestStart)
            | (Format::PerArchive, CopyEvent::CopyStart) => {}
            _ => return Err(protocol_error("there is none").context(ACTION)),
        }
        let mut manifest = Vec::new();
        loop {
            match self.next_event().context(ACTION)? {
                CopyEvent::Data => manifest.extend_from_slice(self.unread()),
                CopyEvent::CopyEnd => break,
                _ => return Err(protocol_error("it ends early").context(ACTION)),
            }
            if manifest.len() > max_size {
                let message =
                    format!("it is longer than {max_size} bytes, and no file can need that");
                return Err(protocol_error(message).context(ACTION));
            }
        }
        self.state = Phase::AfterManifest;
        Ok(manifest)
    }

    /// The server's warnings so far, each text once. The server stats every file before the
    /// archives begin to estimate sizes, so most warnings are there when [`BaseBackup::start`]
    /// returns.
    pub fn warnings(&self) -> &[Warning] {
        self.connection
            .warnings
            .as_ref()
            .map_or(&[], Warnings::list)
    }

    /// The end of the backup: the position to which WAL must be replayed, and all warnings of the
    /// server. Page checksum failures that the server found are [`ErrorKind::Corrupt`], with the
    /// names of the files.
    pub fn finish(mut self) -> Result<(WalPosition, Vec<Warning>)> {
        const ACTION: &str = "end the base backup";
        if self.state != Phase::AfterManifest {
            let message = "the end comes after the manifest";
            return Err(Error::new(ErrorKind::Internal, message).context(ACTION));
        }
        match self.end() {
            Ok(end) => {
                let warnings = self.connection.warnings.take().unwrap_or_default();
                Ok((end, warnings.all().context(ACTION)?))
            }
            // ERRCODE_DATA_CORRUPTED (PostgreSQL basebackup.c: "checksum verification failure
            // during base backup").
            Err(failure) if failure.code() == Some("XX001") => {
                Err(checksum_error(&failure, self.warnings()))
            }
            Err(failure) => Err(failure.context(ACTION)),
        }
    }

    fn end(&mut self) -> Result<WalPosition> {
        let deadline = Deadline::after(DATA_TIMEOUT);
        let end = parse_position_row(self.connection.result_set(deadline)?)?;
        loop {
            let header = self.connection.receive(deadline)?;
            match header.tag {
                backend::COMMAND_COMPLETE_TAG => {}
                backend::READY_FOR_QUERY_TAG => return Ok(end),
                _ => return Err(self.connection.command_error(&header, deadline)),
            }
            self.connection.wire.check_deadline(deadline)?;
        }
    }
}

/// One archive of a base backup: a tar stream, read from the receive buffer without a copy. Before
/// PostgreSQL 15 it ends without the two blocks of zeros. An `io::Error` carries the
/// [`crate::error::Error`] with its kind and hint.
pub struct Archive<'a>(pub &'a mut BaseBackup, pub Tablespace);

impl BufRead for Archive<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let action = "receive the base backup";
        self.0
            .fill()
            .map_err(|failure| failure.context(action).into())
    }

    fn consume(&mut self, count: usize) {
        self.0.consume(count);
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut bytes = self.fill_buf()?;
        let count = bytes.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
