//! The generated pages are those of this code.

use postern_docs::{pages, repository};

#[test]
fn the_reference_is_up_to_date() {
    for page in pages().unwrap() {
        let path = repository().join("docs/reference").join(&page.name);
        let text = fs_err::read_to_string(path).unwrap_or_default();
        assert_eq!(text, page.text, "{}: run `just reference`", page.name);
    }
}
