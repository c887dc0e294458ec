//! Layout of tables and of lists of aligned fields.

use crate::app::report::clean;

/// The maximum width to which a column is padded: `format!` panics where a width exceeds 16 bits.
const MAX_WIDTH: usize = 1000;

/// Rows of cells under a heading; a column is as wide as its longest cell.
pub(super) struct Table {
    columns: Vec<(String, Align)>,
    rows: Vec<Vec<String>>,
}

/// How the cells of a column are aligned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

impl Table {
    pub(super) fn new(columns: &[(&str, Align)]) -> Table {
        Table {
            columns: columns
                .iter()
                .map(|(title, align)| ((*title).to_owned(), *align))
                .collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row, with a cell for each column.
    pub(super) fn add_row(&mut self, cells: Vec<String>) {
        self.rows
            .push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// The lines, each with the prefix `indent`.
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
            widest.unwrap_or(0).min(MAX_WIDTH)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let mut text = String::new();
        for line in &lines {
            let cells = line.iter().zip(&widths).zip(&self.columns);
            let cells = cells.map(|((cell, width), (_, align))| match align {
                Align::Left => format!("{cell:<width$}"),
                Align::Right => format!("{cell:>width$}"),
            });
            let cells: Vec<String> = cells.collect();
            text.push_str(format!("{indent}{}", cells.join("  ")).trim_end());
            text.push('\n');
        }
        text
    }
}

/// Labels and values, the values aligned in a column, also the further lines of a value.
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

    /// The lines, each with the prefix `indent`.
    pub(super) fn text(&self, indent: &str) -> String {
        let width = self
            .0
            .iter()
            .map(|(label, _)| label.chars().count())
            .max()
            .unwrap_or(0)
            .min(MAX_WIDTH);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("SIZE", Align::Right)]);
        table.add_row(vec!["größe".to_owned(), "1".to_owned()]);
        table.add_row(vec!["b\x1b[1m".to_owned(), "123456".to_owned()]);
        assert_eq!(
            table.text("> "),
            "> NAME     SIZE\n> größe       1\n> b\u{fffd}[1m  123456\n"
        );
    }

    #[test]
    fn a_cell_may_be_of_any_length() {
        let mut table = Table::new(&[("A", Align::Left), ("B", Align::Right)]);
        let long = "x".repeat(100_000);
        table.add_row(vec![long.clone(), long.clone()]);
        table.add_row(vec!["1".to_owned(), "2".to_owned()]);
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
}
