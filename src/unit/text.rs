//! Names of choices, and conversion of bytes to text.

use std::fmt::Write;

/// The name of a choice, which messages and lists show, and others that are accepted for it.
pub type Names = (&'static str, &'static [&'static str]);

/// Whether `text` is one of the names of a choice.
pub fn is_name(text: &str, (name, aliases): Names) -> bool {
    text == name || aliases.contains(&text)
}

/// The text of a name or a path of unknown encoding: UTF-8 unchanged; invalid bytes, control
/// characters and `\` as `\x` and two hexadecimal digits. Different bytes give different texts.
pub fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || c == '\\' {
                let mut utf8 = [0; 4];
                push_hexadecimal(c.encode_utf8(&mut utf8).as_bytes(), &mut text);
            } else {
                text.push(c);
            }
        }
        push_hexadecimal(chunk.invalid(), &mut text);
    }
    text
}

/// The content of a text file without the UTF-8 byte order mark that some editors write.
pub fn without_bom(content: &[u8]) -> &[u8] {
    content
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(content)
}

fn push_hexadecimal(bytes: &[u8], text: &mut String) {
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "\\x{byte:02x}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leading_byte_order_mark_is_removed() {
        assert_eq!(without_bom(b"\xef\xbb\xbfx"), b"x");
        assert_eq!(without_bom(b"x\xef\xbb\xbf"), b"x\xef\xbb\xbf");
    }

    #[test]
    fn bytes_that_are_not_text_are_escaped() {
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
