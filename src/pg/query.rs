//! Statements and their rows.

use postgres_protocol::message::backend;

use super::Connection;
use super::wire::{Body, Head, protocol};
use crate::error::{Failure, Result};
use crate::net::Deadline;

/// A row as the server sent it: NULL or the bytes of each column.
pub(super) type RawRow = Vec<Option<Vec<u8>>>;

/// The most that one answer may hold, bytes.
const ANSWER_CAP: usize = 64 << 20;

/// A row of a result, as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub Vec<Option<String>>);

impl Row {
    /// The text of column `index`; NULL or no such column is a [`crate::error::Kind::Protocol`] failure.
    pub fn text(&self, index: usize) -> Result<&str> {
        self.optional(index)?
            .ok_or_else(|| protocol(format!("column {index} of the server's answer is null")))
    }

    /// The text of column `index`, or `None` for NULL; no such column is a [`crate::error::Kind::Protocol`] failure.
    pub fn optional(&self, index: usize) -> Result<Option<&str>> {
        match self.0.get(index) {
            Some(column) => Ok(column.as_deref()),
            None => Err(protocol(format!(
                "the server's answer has no column {index}"
            ))),
        }
    }

    /// Column `index` read as a `T`.
    pub(super) fn parse<T: std::str::FromStr>(&self, index: usize) -> Result<T> {
        let text = self.text(index)?;
        text.parse().map_err(|_| {
            protocol(format!(
                "column {index} of the server's answer is {text:?}, which is not what it should be"
            ))
        })
    }

    /// Column `index` as a boolean.
    pub(super) fn boolean(&self, index: usize) -> Result<bool> {
        match self.text(index)? {
            "t" | "on" | "true" => Ok(true),
            "f" | "off" | "false" => Ok(false),
            other => Err(protocol(format!(
                "column {index} of the server's answer is {other:?}, not a boolean"
            ))),
        }
    }

    pub(super) fn decode(raw: RawRow) -> Result<Row> {
        let text = |bytes: Vec<u8>| {
            String::from_utf8(bytes).map_err(|_| protocol("the server's answer is not UTF-8"))
        };
        let columns = raw.into_iter().map(|column| column.map(text).transpose());
        columns.collect::<Result<_>>().map(Row)
    }
}

impl Connection {
    /// Runs a statement by the simple query protocol; the rows of its last result set, as text. After an error of the
    /// server that is not fatal the connection can be used again.
    pub fn query(&mut self, sql: &str) -> Result<Vec<Row>> {
        self.rows(sql)?.into_iter().map(Row::decode).collect()
    }

    /// As [`Connection::query`], without a look at the bytes.
    pub(super) fn rows(&mut self, sql: &str) -> Result<Vec<RawRow>> {
        let deadline = self.soon();
        self.command(sql)?;
        let mut answer = Answer::default();
        loop {
            let head = self.receive(deadline)?;
            let body = self.wire.body(&head);
            match head.tag {
                backend::ROW_DESCRIPTION_TAG => answer = Answer::default(),
                backend::DATA_ROW_TAG => answer.add(body)?,
                backend::COMMAND_COMPLETE_TAG | backend::EMPTY_QUERY_RESPONSE_TAG => {}
                backend::READY_FOR_QUERY_TAG => return Ok(answer.rows),
                _ => return Err(self.refused(&head, deadline)),
            }
            self.wire.in_time(deadline)?;
        }
    }

    /// Reads one result set of a replication command that answers with several, up to its CommandComplete.
    pub(super) fn result_set(&mut self, deadline: Deadline) -> Result<Vec<RawRow>> {
        let mut answer = Answer::default();
        loop {
            let head = self.receive(deadline)?;
            match head.tag {
                backend::ROW_DESCRIPTION_TAG => {}
                backend::DATA_ROW_TAG => answer.add(self.wire.body(&head))?,
                backend::COMMAND_COMPLETE_TAG => return Ok(answer.rows),
                _ => return Err(self.refused(&head, deadline)),
            }
            self.wire.in_time(deadline)?;
        }
    }

    /// The failure for a message that ends an answer, after the rest of the answer was read: the connection can be
    /// used again if the server says so.
    pub(super) fn refused(&mut self, head: &Head, deadline: Deadline) -> Failure {
        let failure = self.unexpected(head);
        if head.tag == backend::ERROR_RESPONSE_TAG {
            // A fatal error is followed by the end of the stream, and that adds nothing to it.
            while !self.idle {
                let more = self.receive(deadline);
                if more.and_then(|_| self.wire.in_time(deadline)).is_err() {
                    break;
                }
            }
        }
        failure
    }
}

/// The rows of a result set, within bounds.
#[derive(Default)]
struct Answer {
    rows: Vec<RawRow>,
    bytes: usize,
}

impl Answer {
    fn add(&mut self, body: &[u8]) -> Result<()> {
        // A row of nothing costs memory too.
        self.bytes = self.bytes.saturating_add(body.len().max(64));
        if self.bytes > ANSWER_CAP {
            return Err(protocol("the server's answer is too long"));
        }
        let row = data_row(body)?;
        // So does a column of nothing.
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
                    .map_err(|_| protocol("a column with a negative length"))?;
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
    fn rows_are_read_to_the_byte() {
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
    fn columns_that_are_missing_or_null_are_failures() {
        let row = Row(vec![Some("t".to_owned()), None]);
        assert_eq!(row.text(0).unwrap(), "t");
        assert!(row.boolean(0).unwrap());
        assert!(row.text(1).is_err());
        assert_eq!(row.optional(1).unwrap(), None);
        assert!(row.optional(2).is_err());
        assert!(row.parse::<u32>(0).is_err());
    }
}
