//! Tables and aligned fields.

use crate::app::report::clean;

/// The widest column: `format!` panics where a width does not fit into 16 bits.
const WIDEST: usize = 1000;

/// Rows of cells under a heading, each column as wide as it must be.
pub(super) struct Table {
    columns: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

/// Where a column's text stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Side)]) -> Table {
        Table {
            columns: columns
                .iter()
                .map(|(title, side)| ((*title).to_owned(), *side))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, a cell for each column.
    pub(super) fn row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// The lines, each behind `indent`.
    pub(super) fn text(&self, indent: &str) -> String {
        let titles: Vec<String> = self
            .columns
            .iter()
            .map(|(title, _)| title.clone())
            .collect();
        let lines: Vec<&Vec<String>> = std::iter::once(&titles).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = lines.iter().filter_map(|line| line.get(column));
            let widest = cells.map(|cell| cell.chars().count()).max();
            widest.unwrap_or(0).min(WIDEST)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).zip(&self.columns);
            let cells = cells.map(|((cell, width), (_, side))| match side {
                Side::Left => format!("{cell:<width$}"),
                Side::Right => format!("{cell:>width$}"),
            });
            let cells: Vec<String> = cells.collect();
            text.push_str(format!("{indent}{}", cells.join("  ")).trim_end());
            text.push('\n');
        }
        text
    }
}

/// Labels and values, the values below each other. A value of several lines keeps its place.
#[derive(Default)]
pub(super) struct FieldList(Vec<(String, String)>);

impl FieldList {
    pub(super) fn new() -> FieldList {
        FieldList::default()
    }

    /// Adds a field, unless its value is empty.
    pub(super) fn add(&mut self, label: &str, value: impl Into<String>) {
        let value = value.into();
        if !value.is_empty() {
            self.0.push((label.to_owned(), value));
        }
    }

    /// The lines, each behind `indent`.
    pub(super) fn text(&self, indent: &str) -> String {
        let width = self
            .0
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or(0)
            .min(WIDEST);
        let mut text = String::new();
        for (label, value) in &self.0 {
            for (index, line) in value.lines().enumerate() {
                let label = if index == 0 { label } else { "" };
                let line = clean(line);
                text.push_str(&format!("{indent}{label:<width$}  {line}\n"));
            }
        }
        text
    }
}

/// A length of time of whole seconds: `53 s`, `4 min 10 s`, `2 h 5 min`, `3 d 4 h`.
pub(in crate::app::cli) fn span(seconds: u64) -> String {
    let two = |large: u64, large_unit: &str, small: u64, small_unit: &str| match small {
        0 => format!("{large} {large_unit}"),
        _ => format!("{large} {large_unit} {small} {small_unit}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds / 60 % 60, "min"),
        _ => two(seconds / 86_400, "d", seconds / 3600 % 24, "h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new(&[("NAME", Side::Left), ("SIZE", Side::Right)]);
        table.row(vec!["größe".to_owned(), "1".to_owned()]);
        table.row(vec!["b\x1b[1m".to_owned(), "123456".to_owned()]);
        assert_eq!(
            table.text("> "),
            "> NAME     SIZE\n> größe       1\n> b\u{fffd}[1m  123456\n"
        );
    }

    #[test]
    fn a_cell_may_be_of_any_length() {
        let mut table = Table::new(&[("A", Side::Left), ("B", Side::Right)]);
        let long = "x".repeat(100_000);
        table.row(vec![long.clone(), long.clone()]);
        table.row(vec!["1".to_owned(), "2".to_owned()]);
        assert!(table.text("").contains(&format!("{long}  {long}\n")));
        let mut fields = FieldList::new();
        fields.add(&long, "1");
        assert_eq!(fields.text(""), format!("{long}  1\n"));
    }

    #[test]
    fn fields_are_aligned_and_empty_ones_left_out() {
        let mut fields = FieldList::new();
        fields.add("A", "1");
        fields.add("Empty", "");
        fields.add("Long one", "2\n3");
        assert_eq!(fields.text(""), "A         1\nLong one  2\n          3\n");
    }

    #[test]
    fn times_have_two_units() {
        for (seconds, text) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (250, "4 min 10 s"),
            (3600, "1 h"),
            (7500, "2 h 5 min"),
            (273_600, "3 d 4 h"),
        ] {
            assert_eq!(span(seconds), text);
        }
    }
}
