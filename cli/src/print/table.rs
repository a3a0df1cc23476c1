//! Plain tables: a header, aligned columns, no frames, so that they can be cut and grepped.
//!
//! *Invariants*: the same rows give the same text whatever the terminal.
//!
//! *Not here*: which columns there are.

/// Where a column's text stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// A table to be printed.
#[derive(Debug)]
pub(crate) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Starts a table with these columns.
    pub(crate) fn new(columns: &[(&str, Align)]) -> Self {
        let head = columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        Self {
            aligns: columns.iter().map(|(_, align)| *align).collect(),
            rows: vec![head],
        }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().collect());
    }

    /// Returns the lines, columns padded to their widest cell and two blanks apart.
    fn lines(&self) -> impl Iterator<Item = String> {
        let width = |i: usize| {
            self.rows
                .iter()
                .filter_map(|r| r.get(i))
                .map(|c| c.chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<_> = (0..self.aligns.len()).map(width).collect();
        self.rows.iter().map(move |row| {
            let cells = row.iter().zip(&widths).zip(&self.aligns);
            let padded: Vec<_> = cells
                .map(|((cell, &width), align)| match align {
                    Align::Left => format!("{cell:<width$}"),
                    Align::Right => format!("{cell:>width$}"),
                })
                .collect();
            padded.join("  ").trim_end().to_owned()
        })
    }

    /// Prints the table to stdout; without rows, nothing.
    pub(crate) fn print(&self) {
        if self.rows.len() < 2 {
            return;
        }
        self.lines().for_each(|line| super::line(&line));
    }
}

/// Formats bytes with a decimal unit: `3.1 GB`.
pub(crate) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 {
        format!("{n} B")
    } else {
        format!("{value:.1} {}", UNITS[unit])
    }
}

/// Formats a count with thin groups: `1 391`.
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{Align, Table, bytes, count};

    #[test]
    fn sizes_read_as_people_write_them() {
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(3_100_000_000), "3.1 GB");
        assert_eq!(bytes(999_999), "1.0 MB");
        assert_eq!(count(1_391), "1 391");
        assert_eq!(count(7), "7");
    }

    #[test]
    fn columns_are_padded_to_their_widest_cell() {
        let mut table = Table::new(&[("NAME", Align::Left), ("N", Align::Right)]);
        table.row(["a".to_owned(), "10".to_owned()]);
        let lines: Vec<_> = table.lines().collect();
        assert_eq!(lines, ["NAME   N", "a     10"]);
    }
}
