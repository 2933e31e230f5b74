//! Writes the generated pages of docs/reference: `just reference`.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    let dir = postern_docs::repository().join("docs/reference");
    for page in postern_docs::pages()? {
        fs_err::write(dir.join(&page.name), page.text)?;
    }
    Ok(())
}
