//! PostgreSQL's configuration files, `postgresql.conf` and those that it includes.
//!
//! Parsed a line at a time, since no token of PostgreSQL's lexer spans lines (PostgreSQL 18
//! `guc-file.l`). Unquoted values are parsed less strictly: for a file that a server accepts the
//! result is the same.

/// A parsed line of a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationLine {
    /// The line is empty or a comment.
    Empty,
    /// A name and a value, also of `include`, `include_if_exists` and `include_dir`.
    Setting {
        /// In lower case: names are case-insensitive (`guc_name_compare`).
        name: String,
        /// Without quotes and escapes.
        value: Vec<u8>,
    },
    /// A syntax error: PostgreSQL would refuse the file.
    Invalid,
}

impl ConfigurationLine {
    /// Parses a line, with or without its line feed.
    pub fn parse(line: &[u8]) -> ConfigurationLine {
        let line = skip_space(line);
        if is_end(line) {
            return ConfigurationLine::Empty;
        }
        match setting(line) {
            Some((name, value)) => ConfigurationLine::Setting { name, value },
            None => ConfigurationLine::Invalid,
        }
    }
}

/// Whether at most a comment follows.
fn is_end(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'#'))
}

fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

/// Splits a text before the first byte that `accept` does not accept.
fn split_while(text: &[u8], accept: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|&&byte| accept(byte)).count();
    text.split_at(length)
}

fn setting(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let of_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | 0x80..);
    let (name, rest) = split_while(line, of_name);
    if name.first()?.is_ascii_digit() {
        return None;
    }
    let rest = skip_space(rest);
    let rest = skip_space(rest.strip_prefix(b"=").unwrap_or(rest));
    let (value, rest) = match rest.strip_prefix(b"'") {
        Some(rest) => quoted(rest)?,
        None => {
            let of_value = |byte: u8| !byte.is_ascii_whitespace() && !matches!(byte, b'#' | b'\'');
            let (value, rest) = split_while(rest, of_value);
            value.first()?;
            (value.to_vec(), rest)
        }
    };
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    is_end(skip_space(rest)).then_some((name, value))
}

/// The value after an opening quote, and the rest after the closing one (`DeescapeQuotedString`).
fn quoted(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    loop {
        text = match text {
            [b'\'', b'\'', rest @ ..] => {
                value.push(b'\'');
                rest
            }
            [b'\'', rest @ ..] => return Some((value, rest)),
            [b'\\', digit @ b'0'..=b'7', rest @ ..] => {
                let octal = |byte: u8| matches!(byte, b'0'..=b'7');
                let (more, _) = split_while(rest.get(..2).unwrap_or(rest), octal);
                let digits = std::iter::once(digit).chain(more);
                let number = digits.fold(0, |sum: u32, digit| sum * 8 + u32::from(digit - b'0'));
                // As in C, the ninth bit is lost.
                value.push(u8::try_from(number & 0xFF).ok()?);
                rest.get(more.len()..)?
            }
            [b'\\', escaped, rest @ ..] if *escaped != b'\n' => {
                value.push(match escaped {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest
            }
            [] | [b'\n' | b'\\', ..] => return None,
            [byte, rest @ ..] => {
                value.push(*byte);
                rest
            }
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(String, String)> {
        match ConfigurationLine::parse(line.as_bytes()) {
            ConfigurationLine::Setting { name, value } => {
                Some((name, String::from_utf8(value).unwrap()))
            }
            ConfigurationLine::Empty => Some((String::new(), String::new())),
            ConfigurationLine::Invalid => None,
        }
    }

    #[test]
    fn lines_are_parsed_as_postgresql_does() {
        for (line, name, value) in [
            ("", "", ""),
            ("  # port = 1\n", "", ""),
            ("port = 5432\n", "port", "5432"),
            ("\tPort 5432#x", "port", "5432"),
            ("port=5432", "port", "5432"),
            (
                "shared_buffers = 128MB\t\t# min 128kB\r\n",
                "shared_buffers",
                "128MB",
            ),
            ("archive_command = ''", "archive_command", ""),
            ("a = 'it''s'", "a", "it's"),
            (r"a = 'it\'s \\ \101\t\q' # x", "a", "it's \\ A\tq"),
            ("a='# no comment'", "a", "# no comment"),
            ("include 'conf.d/x.conf'", "include", "conf.d/x.conf"),
            ("include_dir = 'conf.d'", "include_dir", "conf.d"),
            (
                "pg_stat_statements.max = 100",
                "pg_stat_statements.max",
                "100",
            ),
            ("a'x'", "a", "x"),
            (
                "log_directory = pg_log/x-y.z",
                "log_directory",
                "pg_log/x-y.z",
            ),
        ] {
            let wanted = Some((name.to_owned(), value.to_owned()));
            assert_eq!(parse(line), wanted, "{line:?}");
        }
        for line in [
            "port",
            "port =",
            "port = # don't",
            "= 5",
            "port = 1 2",
            "a = 'x",
            "a = 'x\n",
            "5 = 5",
            "a = 'x' y",
            r"a = 'x\'",
        ] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }

    proptest::proptest! {
        #[test]
        fn parsing_never_panics(line: Vec<u8>) {
            let _ = ConfigurationLine::parse(&line);
            let _ = ConfigurationLine::parse(&[b"a = '", line.as_slice()].concat());
        }
    }
}
