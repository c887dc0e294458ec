//! PostgreSQL's configuration files, `postgresql.conf` and those that it includes.
//!
//! Read here a line at a time, since PostgreSQL's lexer lets no token go over the end of a line (PostgreSQL 18
//! `guc-file.l`). Values without quotes are taken more freely than there: a server that accepted a file read the same.

/// What a line of a configuration file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConfigurationLine {
    /// Nothing: it is empty or a comment.
    Empty,
    /// It sets a setting. Also `include`, `include_if_exists` and `include_dir` have a name and a value.
    Setting {
        /// The name, in lower case: case does not matter (`guc_name_compare`).
        name: String,
        /// The value without quotes and escapes.
        value: Vec<u8>,
    },
    /// PostgreSQL would refuse the file because of it.
    Wrong,
}

impl ConfigurationLine {
    /// Reads a line; its line feed may be there or not.
    pub fn parse(line: &[u8]) -> ConfigurationLine {
        let line = skip_space(line);
        if ends(line) {
            return ConfigurationLine::Empty;
        }
        match setting(line) {
            Some((name, value)) => ConfigurationLine::Setting { name, value },
            None => ConfigurationLine::Wrong,
        }
    }
}

/// Whether nothing follows but a comment.
fn ends(rest: &[u8]) -> bool {
    matches!(rest.first(), None | Some(b'#'))
}

fn skip_space(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t' | b'\r' | b'\n', rest @ ..] = text {
        text = rest;
    }
    text
}

/// The part of a text in which all bytes fit, and the rest.
fn split_while(text: &[u8], fits: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    let length = text.iter().take_while(|&&byte| fits(byte)).count();
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
    ends(skip_space(rest)).then_some((name, value))
}

/// The value behind an opening quote, and what follows the closing one (`DeescapeQuotedString`).
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
            ConfigurationLine::Wrong => None,
        }
    }

    #[test]
    fn lines_are_read_as_postgresql_reads_them() {
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
        fn nothing_panics(line: Vec<u8>) {
            let _ = ConfigurationLine::parse(&line);
            let _ = ConfigurationLine::parse(&[b"a = '", line.as_slice()].concat());
        }
    }
}
