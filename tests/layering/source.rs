//! A minimal parser of Rust: identifiers and paths, without comments, strings and test modules.

/// A path in the source text.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    /// The line number, from 1.
    pub line: usize,
    /// The segments between `::`.
    pub path: Vec<String>,
    /// Whether it is in a `use` item.
    pub imported: bool,
    /// Whether a parenthesis follows.
    pub called: bool,
}

/// The paths and identifiers of a file.
#[derive(Debug, Default)]
pub struct Source {
    pub uses: Vec<Use>,
    /// All identifiers and keywords, with their line numbers.
    pub words: Vec<(usize, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Punctuation(char),
}

impl Source {
    /// Parses the text of a file.
    pub fn read(text: &str) -> Self {
        let tokens = without_tests(tokens(text));
        let words = tokens.iter().filter_map(|(line, token)| match token {
            Token::Word(word) => Some((*line, word.clone())),
            _ => None,
        });
        let mut source = Self {
            words: words.collect(),
            uses: Vec::new(),
        };
        let mut at = 0;
        while at < tokens.len() {
            at = source.read_at(&tokens, at);
        }
        source
    }

    /// Parses a `use` item, a path or one token; returns the index after it.
    fn read_at(&mut self, tokens: &[(usize, Token)], at: usize) -> usize {
        let (line, token) = &tokens[at];
        match token {
            Token::Word(word) if word == "use" => self.use_tree(tokens, at + 1, &[]),
            Token::Word(word) => {
                let mut path = vec![word.clone()];
                let mut next = at + 1;
                while let (Some((_, Token::Colons)), Some((_, Token::Word(part)))) =
                    (tokens.get(next), tokens.get(next + 1))
                {
                    path.push(part.clone());
                    next += 2;
                }
                let called = matches!(tokens.get(next), Some((_, Token::Punctuation('('))));
                self.uses.push(Use {
                    line: *line,
                    path,
                    imported: false,
                    called,
                });
                next
            }
            _ => at + 1,
        }
    }

    /// Parses the tree of a `use` item after `prefix`; returns the index after it.
    fn use_tree(&mut self, tokens: &[(usize, Token)], mut at: usize, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        let line = tokens.get(at).map_or(0, |(line, _)| *line);
        loop {
            match tokens.get(at).map(|(_, token)| token) {
                Some(Token::Word(word)) if word == "as" => at += 2,
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    at += 1;
                }
                Some(Token::Colons | Token::Punctuation('*')) => at += 1,
                Some(Token::Punctuation('{')) => {
                    at += 1;
                    while !matches!(tokens.get(at), None | Some((_, Token::Punctuation('}')))) {
                        at = self.use_tree(tokens, at, &path);
                        if matches!(tokens.get(at), Some((_, Token::Punctuation(',')))) {
                            at += 1;
                        }
                    }
                    return at + 1;
                }
                _ => break,
            }
        }
        self.uses.push(Use {
            line,
            path,
            imported: true,
            called: false,
        });
        at
    }
}

/// Removes each item with the attribute `#[cfg(test)]`.
fn without_tests(tokens: Vec<(usize, Token)>) -> Vec<(usize, Token)> {
    let word = |text: &str| Token::Word(text.to_owned());
    let attribute = [
        Token::Punctuation('#'),
        Token::Punctuation('['),
        word("cfg"),
        Token::Punctuation('('),
        word("test"),
        Token::Punctuation(')'),
        Token::Punctuation(']'),
    ];
    let mut kept = Vec::new();
    let mut at = 0;
    while at < tokens.len() {
        let here = tokens[at..]
            .iter()
            .map(|(_, token)| token)
            .take(attribute.len());
        if !here.eq(attribute.iter()) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        let mut open = 0;
        at += attribute.len();
        while at < tokens.len() {
            match tokens[at].1 {
                Token::Punctuation('{') => open += 1,
                Token::Punctuation('}') => open -= 1,
                _ => {}
            }
            let ended = open == 0 && matches!(tokens[at].1, Token::Punctuation(';' | '}'));
            at += 1;
            if ended {
                break;
            }
        }
    }
    kept
}

fn tokens(text: &str) -> Vec<(usize, Token)> {
    let chars: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut at = 0;
    while at < chars.len() {
        let rest = &chars[at..];
        let (length, token) = next_token(rest);
        if let Some(token) = token {
            tokens.push((line, token));
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    tokens
}

/// The length of the next lexical element, and its token unless it is skipped.
fn next_token(rest: &[char]) -> (usize, Option<Token>) {
    let second = rest.get(1).copied().unwrap_or(' ');
    match rest[0] {
        '/' if second == '/' => (count(rest, |c| *c != '\n'), None),
        '/' if second == '*' => (comment(rest), None),
        '"' => (quoted(rest, '"'), None),
        'r' | 'b' if raw_hashes(rest).is_some() => (raw(rest), None),
        'b' if second == '"' || second == '\'' => (1 + quoted(&rest[1..], second), None),
        '\'' => (character(rest), None),
        ':' if second == ':' => (2, Some(Token::Colons)),
        c if c.is_alphabetic() || c == '_' => {
            let length = count(rest, |c| c.is_alphanumeric() || *c == '_');
            (length, Some(Token::Word(rest[..length].iter().collect())))
        }
        c if c.is_ascii_digit() => (count(rest, |c| c.is_alphanumeric() || *c == '_'), None),
        c if c.is_whitespace() => (1, None),
        c => (1, Some(Token::Punctuation(c))),
    }
}

fn count(rest: &[char], wanted: impl Fn(&char) -> bool) -> usize {
    rest.iter().take_while(|c| wanted(c)).count()
}

fn comment(rest: &[char]) -> usize {
    let mut open = 0;
    let mut at = 0;
    while at < rest.len() {
        match (rest[at], rest.get(at + 1)) {
            ('/', Some('*')) => (open, at) = (open + 1, at + 2),
            ('*', Some('/')) => (open, at) = (open - 1, at + 2),
            _ => at += 1,
        }
        if open == 0 {
            break;
        }
    }
    at
}

fn quoted(rest: &[char], mark: char) -> usize {
    let mut at = 1;
    while at < rest.len() && rest[at] != mark {
        at += if rest[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(rest.len())
}

/// The number of `#` if `rest` begins with a raw string: `r"`, `br#"`.
fn raw_hashes(rest: &[char]) -> Option<usize> {
    let prefix = if rest.starts_with(&['b', 'r']) {
        2
    } else {
        usize::from(rest[0] == 'r')
    };
    let hashes = count(rest.get(prefix..)?, |c| *c == '#');
    (prefix > 0 && rest.get(prefix + hashes) == Some(&'"')).then_some(hashes)
}

fn raw(rest: &[char]) -> usize {
    let hashes = raw_hashes(rest).unwrap_or(0);
    let begin = count(rest, |c| *c != '"') + 1;
    let end: Vec<char> = std::iter::once('"')
        .chain(std::iter::repeat_n('#', hashes))
        .collect();
    let length = rest[begin..]
        .windows(end.len())
        .position(|window| window == end);
    length.map_or(rest.len(), |length| begin + length + end.len())
}

/// The length of a character literal, or of the `'` of a lifetime.
fn character(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => quoted(rest, '\''),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}
