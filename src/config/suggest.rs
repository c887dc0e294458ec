//! Suggestions for misspelled keys and values.

/// The candidate with the smallest edit distance to `word`, if at most a third of its letters
/// differ.
pub(super) fn closest<'a>(
    word: &str,
    candidates: impl Iterator<Item = &'a str>,
) -> Option<&'a str> {
    candidates
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(3))
        .min()
        .map(|(_, candidate)| candidate)
}

/// The edit distance of two words: insertions, deletions, substitutions and transpositions of
/// adjacent letters (optimal string alignment).
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.chars().take(128).collect();
    let right: Vec<char> = right.chars().take(128).collect();
    let mut previous: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX);
            let replaced = at(&row, j) + usize::from(a != b);
            let mut least = replaced.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let swapped =
                i > 0 && j > 0 && left.get(i - 1) == Some(b) && right.get(j - 1) == Some(a);
            if swapped && a != b {
                least = least.min(at(&previous, j - 1) + 1);
            }
            next.push(least);
        }
        previous = std::mem::replace(&mut row, next);
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelled_key_is_found_and_another_word_is_not() {
        let keys = [
            "base_dir",
            "compression",
            "compression_level",
            "port",
            "host",
        ];
        let rows = [
            ("basedir", Some("base_dir")),
            ("compresion", Some("compression")),
            ("compression-level", Some("compression_level")),
            ("prot", Some("port")),
            ("ports", Some("port")),
            ("colour", None),
            ("", None),
        ];
        for (word, expected) in rows {
            assert_eq!(closest(word, keys.into_iter()), expected, "{word}");
        }
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("ab", "ba"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
