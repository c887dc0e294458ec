//! As much of Rust's syntax as the rules need: words and paths, without comments, texts and test modules.

/// A path that is named somewhere.
#[derive(Debug, PartialEq, Eq)]
pub struct Use {
    /// The line, from 1.
    pub line: usize,
    /// Its parts.
    pub path: Vec<String>,
    /// Whether it stands in a `use` item.
    pub imported: bool,
    /// Whether a parenthesis follows.
    pub called: bool,
}

/// What was found in a file.
#[derive(Debug, Default)]
pub struct Source {
    /// All paths.
    pub uses: Vec<Use>,
    /// All words, with their lines.
    pub words: Vec<(usize, String)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    /// `::`
    Colons,
    Mark(char),
}

impl Source {
    /// Reads the text of a file.
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

    /// Reads a `use` item, a path or one token; the position behind it.
    fn read_at(&mut self, tokens: &[(usize, Token)], at: usize) -> usize {
        let (line, token) = &tokens[at];
        match token {
            Token::Word(word) if word == "use" => self.tree(tokens, at + 1, &[]),
            Token::Word(word) => {
                let mut path = vec![word.clone()];
                let mut next = at + 1;
                while let (Some((_, Token::Colons)), Some((_, Token::Word(part)))) =
                    (tokens.get(next), tokens.get(next + 1))
                {
                    path.push(part.clone());
                    next += 2;
                }
                let called = matches!(tokens.get(next), Some((_, Token::Mark('('))));
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

    /// Reads a tree of a `use` item that stands behind `prefix`.
    fn tree(&mut self, tokens: &[(usize, Token)], mut at: usize, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        let line = tokens.get(at).map_or(0, |(line, _)| *line);
        loop {
            match tokens.get(at).map(|(_, token)| token) {
                Some(Token::Word(word)) if word == "as" => at += 2,
                Some(Token::Word(word)) => {
                    path.push(word.clone());
                    at += 1;
                }
                Some(Token::Colons | Token::Mark('*')) => at += 1,
                Some(Token::Mark('{')) => {
                    at += 1;
                    while !matches!(tokens.get(at), None | Some((_, Token::Mark('}')))) {
                        at = self.tree(tokens, at, &path);
                        if matches!(tokens.get(at), Some((_, Token::Mark(',')))) {
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

/// Takes away each item that stands behind `#[cfg(test)]`.
fn without_tests(tokens: Vec<(usize, Token)>) -> Vec<(usize, Token)> {
    let word = |text: &str| Token::Word(text.to_owned());
    let attribute = [
        Token::Mark('#'),
        Token::Mark('['),
        word("cfg"),
        Token::Mark('('),
        word("test"),
        Token::Mark(')'),
        Token::Mark(']'),
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
                Token::Mark('{') => open += 1,
                Token::Mark('}') => open -= 1,
                _ => {}
            }
            let ended = open == 0 && matches!(tokens[at].1, Token::Mark(';' | '}'));
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
        let (length, token) = one(rest);
        if let Some(token) = token {
            tokens.push((line, token));
        }
        line += rest[..length].iter().filter(|c| **c == '\n').count();
        at += length;
    }
    tokens
}

/// The length of the next thing, and the token if it is one.
fn one(rest: &[char]) -> (usize, Option<Token>) {
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
        c => (1, Some(Token::Mark(c))),
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

/// The number of `#` when a raw text begins here: `r"`, `br#"`.
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

/// A character, or the mark of a lifetime alone.
fn character(rest: &[char]) -> usize {
    match (rest.get(1), rest.get(2)) {
        (Some('\\'), _) => quoted(rest, '\''),
        (Some(_), Some('\'')) => 3,
        _ => 1,
    }
}
