//! Tables on a terminal.

use comfy_table::{ContentArrangement, Table, presets};

/// Renders rows under a head, as wide as the terminal allows.
pub(super) fn render(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(head.to_vec());
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// Bytes as people read them.
pub(super) fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}
