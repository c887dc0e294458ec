//! Reading the lines of a file of any size.

use std::io::{BufRead, Read as _};

use crate::error::{Error, ErrorKind, Result};
use crate::unit::to_u64;

/// Limit for a line, bytes: two paths, which may be escaped, and other values.
const MAX_LINE: u64 = 64 << 10;

/// Reads a line with its newline, which the last one may lack; `None` at the end of the input. A
/// line without an end is [`ErrorKind::Corrupt`] before it fills the memory.
pub(super) fn read_line(input: &mut impl BufRead) -> Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let mut limited = input.by_ref().take(MAX_LINE);
    limited.read_until(b'\n', &mut line)?;
    if to_u64(line.len()) == MAX_LINE && !line.ends_with(b"\n") {
        let message = format!("a line is longer than {MAX_LINE} bytes");
        return Err(Error::new(ErrorKind::Corrupt, message));
    }
    Ok((!line.is_empty()).then_some(line))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_up_to_the_limit_are_read() {
        let mut text = vec![b'x'; 65_535];
        text.extend_from_slice(b"\n\nend");
        let mut input = &text[..];
        let mut next = || read_line(&mut input).unwrap().map(|line| line.len());
        assert_eq!(
            [next(), next(), next(), next()],
            [Some(65_536), Some(1), Some(3), None]
        );
        let mut input = std::io::BufReader::new(std::io::repeat(0));
        let failure = read_line(&mut input).unwrap_err();
        assert_eq!(failure.kind(), ErrorKind::Corrupt);
    }
}
