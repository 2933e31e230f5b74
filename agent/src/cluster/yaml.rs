//! k3s' files as YAML in which every text is quoted: none can become a number or a
//! switch.

use serde::Serialize;

/// The file's text, under a line that says who writes it.
pub(super) fn render(file: &impl Serialize) -> String {
    let options = serde_saphyr::ser_options! { quote_all: true, compact_list_indent: false };
    let yaml = serde_saphyr::to_string_with_options(file, options)
        .expect("text, switches, lists and mappings are YAML");
    format!(
        "# Written by postern-agent from the gateway file; changes here are overwritten.\n{yaml}"
    )
}
