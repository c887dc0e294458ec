//! Bytes as text.

use std::fmt::Write;

/// What a peer calls a name or a path is bytes in whatever encoding it has: as text where it is UTF-8, and the other
/// bytes, control characters and `\` as `\x` and two hexadecimal digits. Different bytes give different texts.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                let mut utf8 = [0; 4];
                hexadecimal(c.encode_utf8(&mut utf8).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        hexadecimal(chunk.invalid(), &mut text);
    }
    text
}

/// The content of a file that people edit, without the byte order mark that some editors put in front of UTF-8.
pub fn without_mark(content: &[u8]) -> &[u8] {
    content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content)
}

fn hexadecimal(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_order_mark_is_no_content() {
        assert_eq!(without_mark(b"\xef\xbb\xbfx"), b"x");
        assert_eq!(without_mark(b"x\xef\xbb\xbf"), b"x\xef\xbb\xbf");
    }

    #[test]
    fn what_is_not_text_is_escaped() {
        for (bytes, text) in [
            (&b"fast"[..], "fast"),
            ("schnell für".as_bytes(), "schnell für"),
            (b"donn\xe9es", "donn\\xe9es"),
            (b"a\\xe9", "a\\x5cxe9"),
            (b"a\nb\x7f", "a\\x0ab\\x7f"),
            (b"\xff\xfe", "\\xff\\xfe"),
            (b"", ""),
        ] {
            assert_eq!(escaped(bytes), text);
        }
    }
}
