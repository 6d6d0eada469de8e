//! Plain aligned columns.

/// Longest cell that is not cut, in characters.
const MAX_CELL: usize = 72;

/// Rows under headings. Cells lose line breaks and control characters, so that what upstreams wrote cannot
/// steer the terminal.
#[derive(Debug)]
pub(crate) struct Table {
    headings: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub(crate) fn new(headings: &[&'static str]) -> Self {
        Self { headings: headings.to_vec(), rows: Vec::new() }
    }

    /// Adds a row.
    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| printable(&cell)).collect());
    }

    /// The table as text; `nothing` where there are no rows.
    pub(crate) fn render(&self, nothing: &str) -> String {
        if self.rows.is_empty() {
            return format!("{nothing}\n");
        }
        let headings: Vec<String> = self.headings.iter().map(|&heading| heading.to_owned()).collect();
        let mut widths = vec![0; headings.len()];
        for row in std::iter::once(&headings).chain(&self.rows) {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let mut out = String::new();
        for row in std::iter::once(&headings).chain(&self.rows) {
            let cells: Vec<String> =
                widths.iter().zip(row).map(|(width, cell)| format!("{cell:width$}")).collect();
            out.push_str(cells.join("  ").trim_end());
            out.push('\n');
        }
        out
    }
}

/// `name  value` lines for one thing.
pub(crate) fn details(pairs: &[(&str, String)]) -> String {
    let width = pairs.iter().map(|(name, _)| name.len()).max().unwrap_or_default();
    let filled = pairs.iter().filter(|(_, value)| !value.is_empty());
    let line = |(name, value): &(&str, String)| {
        let value = value.lines().collect::<Vec<_>>().join(&format!("\n{:width$}  ", ""));
        format!("{name:width$}  {value}\n")
    };
    filled.map(line).collect::<Vec<_>>().concat()
}

/// One line of printable characters, cut where it is long.
fn printable(cell: &str) -> String {
    let line: String = cell.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if line.chars().count() <= MAX_CELL {
        return line;
    }
    let mut cut: String = line.chars().take(MAX_CELL - 1).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_hostile_cells_stay_on_their_line() {
        let mut table = Table::new(&["DOMAIN", "TOOLS", "DESCRIPTION"]);
        table.row(["crm".to_owned(), "4".to_owned(), "contacts\n\u{1b}[31mand deals".to_owned()]);
        table.row(["a-long-domain".to_owned(), "12".to_owned(), "x".repeat(100)]);
        insta::assert_snapshot!(table.render("none"));
        assert_eq!(Table::new(&["A"]).render("no upstreams"), "no upstreams\n");
    }

    #[test]
    fn details_leave_out_what_is_empty() {
        let text =
            details(&[("name", "a".to_owned()), ("note", String::new()), ("description", "b\nc".to_owned())]);
        assert_eq!(text, "name         a\ndescription  b\n             c\n");
    }
}
