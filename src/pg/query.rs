//! Statements and their rows.

use std::str::FromStr;

use postgres_protocol::message::backend;

use super::Connection;
use super::server_error::printable;
use super::wire::{Body, MessageHeader, protocol_error};
use crate::error::{Error, Result};
use crate::net::Deadline;

/// A row as the server sent it: NULL or the bytes of each column.
pub(super) type RawRow = Vec<Option<Vec<u8>>>;

/// Limit for one result set, bytes.
const MAX_RESULT_BYTES: usize = 64 << 20;

/// A row of a result, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Option<String>>);

impl Row {
    /// The text of column `index`; NULL or no such column is [`crate::error::ErrorKind::Protocol`].
    pub fn text(&self, index: usize) -> Result<&str> {
        self.optional(index)?
            .ok_or_else(|| protocol_error(format!("column {index} of the server's answer is null")))
    }

    /// The text of column `index`, or `None` for NULL; no such column is
    /// [`crate::error::ErrorKind::Protocol`].
    pub fn optional(&self, index: usize) -> Result<Option<&str>> {
        match self.0.get(index) {
            Some(column) => Ok(column.as_deref()),
            None => Err(protocol_error(format!(
                "the server's answer has no column {index}"
            ))),
        }
    }

    /// Column `index` read as a `T`.
    pub(super) fn parse<T: FromStr>(&self, index: usize) -> Result<T> {
        parse(index, self.text(index)?)
    }

    /// As [`Row::parse`], or `None` for NULL.
    pub(super) fn parse_optional<T: FromStr>(&self, index: usize) -> Result<Option<T>> {
        let text = self.optional(index)?;
        text.map(|text| parse(index, text)).transpose()
    }

    /// Column `index` as a boolean.
    pub(super) fn boolean(&self, index: usize) -> Result<bool> {
        match self.text(index)? {
            "t" | "on" | "true" => Ok(true),
            "f" | "off" | "false" => Ok(false),
            other => {
                let other = printable(other.as_bytes());
                Err(protocol_error(format!(
                    "column {index} of the server's answer is {other:?}, not a boolean"
                )))
            }
        }
    }

    pub(super) fn decode(raw: RawRow) -> Result<Row> {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).map_err(|_| protocol_error("the server's answer is not UTF-8"))
        };
        let columns = raw.into_iter().map(|column| column.map(text).transpose());
        columns.collect::<Result<_>>().map(Row)
    }
}

fn parse<T: FromStr>(index: usize, text: &str) -> Result<T> {
    text.parse().map_err(|_| {
        let text = printable(text.as_bytes());
        protocol_error(format!(
            "column {index} of the server's answer is {text:?}, which cannot be parsed"
        ))
    })
}

impl Connection {
    /// Runs a statement by the simple query protocol; the rows of its last result set, as text.
    /// After an error of the server that is not fatal the connection can be used again.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.rows(sql)?.into_iter().map(Row::decode).collect()
    }

    /// As [`Connection::query`], without decoding the columns.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<RawRow>> {
        let deadline = self.default_deadline();
        self.command(sql)?;
        let mut answer = ResultSet::default();
        loop {
            let header = self.receive(deadline)?;
            let body = self.wire.body(&header);
            match header.tag {
                backend::ROW_DESCRIPTION_TAG => answer = ResultSet::default(),
                backend::DATA_ROW_TAG => answer.add(body)?,
                backend::COMMAND_COMPLETE_TAG | backend::EMPTY_QUERY_RESPONSE_TAG => {}
                backend::READY_FOR_QUERY_TAG => return Ok(answer.rows),
                _ => return Err(self.command_error(&header, deadline)),
            }
            self.wire.check_deadline(deadline)?;
        }
    }

    /// Reads one result set of a replication command that answers with several, up to its
    /// CommandComplete.
    pub(super) fn result_set(&mut self, deadline: Deadline) -> Result<Vec<RawRow>> {
        let mut answer = ResultSet::default();
        loop {
            let header = self.receive(deadline)?;
            match header.tag {
                backend::ROW_DESCRIPTION_TAG => {}
                backend::DATA_ROW_TAG => answer.add(self.wire.body(&header))?,
                backend::COMMAND_COMPLETE_TAG => return Ok(answer.rows),
                _ => return Err(self.command_error(&header, deadline)),
            }
            self.wire.check_deadline(deadline)?;
        }
    }

    /// The error for a message that ends an answer, after the rest of the answer was read: the
    /// connection can be used again once ReadyForQuery came.
    pub(super) fn command_error(&mut self, header: &MessageHeader, deadline: Deadline) -> Error {
        let failure = self.unexpected(header);
        if header.tag == backend::ERROR_RESPONSE_TAG {
            // After a FATAL error the server closes the connection.
            while !self.idle {
                let more = self.receive(deadline);
                if more
                    .and_then(|_| self.wire.check_deadline(deadline))
                    .is_err()
                {
                    break;
                }
            }
        }
        failure
    }
}

/// The rows of a result set, limited in size.
#[derive(Default)]
struct ResultSet {
    rows: Vec<RawRow>,
    bytes: usize,
}

impl ResultSet {
    fn add(&mut self, body: &[u8]) -> Result<()> {
        // An empty row costs memory too.
        self.bytes = self.bytes.saturating_add(body.len().max(64));
        if self.bytes > MAX_RESULT_BYTES {
            return Err(protocol_error("the server's answer is too long"));
        }
        let row = data_row(body)?;
        // So does an empty column.
        let columns = row.len().saturating_mul(size_of::<Option<Vec<u8>>>());
        self.bytes = self.bytes.saturating_add(columns);
        self.rows.push(row);
        Ok(())
    }
}

/// Reads a DataRow as text.
pub(super) fn data_row_text(body: &[u8]) -> Result<Row> {
    data_row(body).and_then(Row::decode)
}

/// Reads a DataRow.
fn data_row(body: &[u8]) -> Result<RawRow> {
    let mut body = Body(body);
    let count = body.u16()?;
    let mut row = Vec::new();
    for _ in 0..count {
        row.push(match body.i32()? {
            -1 => None,
            length => {
                let length = usize::try_from(length)
                    .map_err(|_| protocol_error("a column with a negative length"))?;
                Some(body.bytes(length)?.to_vec())
            }
        });
    }
    body.end()?;
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn truncated_and_malformed_rows_are_rejected() {
        let body = b"\0\x03\0\0\0\x02ab\xff\xff\xff\xff\0\0\0\0";
        let row = data_row(body).unwrap();
        assert_eq!(row, [Some(b"ab".to_vec()), None, Some(Vec::new())]);
        for cut in 0..body.len() {
            assert!(data_row(&body[..cut]).is_err(), "{cut}");
        }
        assert!(data_row(b"\0\0x").is_err());
        assert!(data_row(b"\0\x01\xff\xff\xff\xfe").is_err());
        assert!(data_row(b"\0\x01\x7f\xff\xff\xff").is_err());
    }

    #[test]
    fn missing_and_null_columns_are_errors() {
        let row = Row(vec![Some("t".to_owned()), None]);
        assert_eq!(row.text(0).unwrap(), "t");
        assert!(row.boolean(0).unwrap());
        assert!(row.text(1).is_err());
        assert_eq!(row.optional(1).unwrap(), None);
        assert!(row.optional(2).is_err());
        assert!(row.parse::<u32>(0).is_err());
    }
}
