//! The order of the house (ARCHITECTURE.md, "The order of the rooms"): no module takes
//! anything from one that takes something from it, and no room from a later one.

mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use postern_e2e::repository;
use source::{Crate, Files};

/// Where the crates are.
const CRATES: [&str; 2] = ["contract", "agent"];

type Imports<'c> = BTreeMap<&'c source::Path, BTreeMap<&'c source::Path, BTreeSet<String>>>;

#[test]
fn rooms_take_only_from_rooms_before_them() {
    let faults: String = CRATES
        .iter()
        .map(|name| check(name, &files(name)))
        .collect();
    assert!(faults.is_empty(), "\n{faults}");
}

/// A crate of files, as `path: text` each.
fn made(files: &[(&str, &str)]) -> String {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), (*text).to_owned()));
    check("made", &files.collect())
}

const LIB: &str = "//! [`ground`] [`upper`]\nmod ground; mod upper;";

#[test]
fn an_order_that_is_kept_has_no_fault() {
    let upper = "use crate::ground::{self, Stone as Brick}; fn f() -> Brick { ground::lay() }
        #[cfg(test)] mod tests { use super::*; }";
    // What only a test takes, and what only looks like a path, ties nothing.
    let ground =
        "pub struct Stone; pub fn lay() -> Stone { f(\"crate::upper::f\", 'c', r#\"\"\"#) }
        // crate::upper::f()
        #[cfg(test)] mod tests { use crate::upper::f; }";
    let files = [("lib.rs", LIB), ("ground.rs", ground), ("upper.rs", upper)];
    assert_eq!(made(&files), "");
}

#[test]
fn a_room_that_takes_from_a_later_one_is_named() {
    let files = [
        ("lib.rs", LIB),
        ("ground.rs", "use crate::upper; fn f() { upper::build() }"),
        ("upper.rs", "pub fn build() {}"),
    ];
    assert_eq!(
        made(&files),
        "made: ground is before upper and takes `build` from upper\n"
    );
    let unnamed = [
        ("lib.rs", "//! [`ground`]\nmod ground; mod upper;"),
        files[1],
        files[2],
    ];
    assert!(made(&unnamed).contains("lib.rs does not say where `upper` is"));
}

#[test]
fn a_circle_is_named_with_what_ties_it() {
    let lib = ("lib.rs", "//! [`room`]\npub mod room;");
    let circle = "made: a circle of 2 modules\n";
    for (room, child) in [
        // A child names its parent, and the parent uses the child.
        (
            "mod child; pub struct Tool; fn f() { child::g() }",
            "use super::Tool; fn g(_: Tool) {}",
        ),
        (
            "mod child; use child::g; pub struct Tool; fn f() { g() }",
            "fn g(_: super::Tool) {}",
        ),
    ] {
        let found = made(&[lib, ("room/mod.rs", room), ("room/child.rs", child)]);
        assert!(found.starts_with(circle), "{found}");
        assert!(
            found.contains("  room takes `g` from room::child\n"),
            "{found}"
        );
        assert!(
            found.contains("  room::child takes `Tool` from room\n"),
            "{found}"
        );
    }
    // What a folder hands on is taken from the file that defines it.
    let files = [
        lib,
        ("room/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
        ("room/a.rs", "use super::B; pub struct A(B);"),
        ("room/b.rs", "use crate::room::A; pub struct B(Box<A>);"),
    ];
    let found = made(&files);
    assert!(
        found.contains("  room::a takes `B` from room::b\n"),
        "{found}"
    );
    assert!(
        found.contains("  room::b takes `A` from room::a\n"),
        "{found}"
    );
}

/// The sources of the crate in this folder of the repository.
fn files(name: &str) -> Files {
    let src = repository().join(name).join("src");
    let mut files = Files::new();
    let mut folders = vec![src.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|kind| kind == "rs") {
                let name = path.strip_prefix(&src).unwrap().to_string_lossy();
                files.insert(name.into_owned(), fs_err::read_to_string(&path).unwrap());
            }
        }
    }
    files
}

/// What breaks the order in a crate, one line each.
fn check(name: &str, files: &Files) -> String {
    let modules = Crate::read(files);
    let imports = modules.imports();
    let mut faults = String::new();
    let order = order(&files["lib.rs"]);
    for room in modules.0.keys().filter(|path| path.len() == 1) {
        if !order.contains(&room[0]) {
            let _ = writeln!(faults, "{name}: lib.rs does not say where `{}` is", room[0]);
        }
    }
    let place = |path: &source::Path| order.iter().position(|room| path.first() == Some(room));
    for (from, to, names) in arrows(&imports) {
        if let (Some(here), Some(there)) = (place(from), place(to))
            && there > here
        {
            let _ = writeln!(
                faults,
                "{name}: {} is before {} and takes {names} from {}",
                from[0],
                to[0],
                to.join("::")
            );
        }
    }
    for circle in circles(&imports) {
        let _ = writeln!(faults, "{name}: a circle of {} modules", circle.len());
        for (from, to, names) in arrows(&imports) {
            if circle.contains(from) && circle.contains(to) {
                let (from, to) = (from.join("::"), to.join("::"));
                let _ = writeln!(faults, "  {from} takes {names} from {to}");
            }
        }
    }
    faults
}

/// The rooms in the order in which the documentation of `lib.rs` names them first.
fn order(lib: &str) -> Vec<String> {
    let mut order = Vec::new();
    let doc: String = lib
        .lines()
        .take_while(|line| line.starts_with("//!"))
        .collect();
    for link in doc.split("[`").skip(1) {
        let room = link.split('`').next().unwrap_or_default().to_owned();
        if !order.contains(&room) {
            order.push(room);
        }
    }
    order
}

fn arrows<'i>(
    imports: &'i Imports<'_>,
) -> impl Iterator<Item = (&'i source::Path, &'i source::Path, String)> {
    imports.iter().flat_map(|(from, to)| {
        to.iter().map(|(to, names)| {
            let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
            (*from, *to, names.join(", "))
        })
    })
}

/// Sets of modules of which each can be reached from each.
fn circles<'i>(imports: &'i Imports<'_>) -> BTreeSet<BTreeSet<&'i source::Path>> {
    let reached: BTreeMap<_, _> = imports
        .keys()
        .map(|from| (*from, below(imports, from)))
        .collect();
    let circle = |from: &'i source::Path| -> BTreeSet<_> {
        let back = reached[from]
            .iter()
            .filter(|to| reached[**to].contains(from));
        back.copied().collect()
    };
    let circles = imports.keys().map(|from| circle(from));
    circles.filter(|circle| !circle.is_empty()).collect()
}

/// What `from` needs, and what that needs.
fn below<'i>(imports: &'i Imports<'_>, from: &source::Path) -> BTreeSet<&'i source::Path> {
    let mut found = BTreeSet::new();
    let mut next: Vec<_> = imports[from].keys().copied().collect();
    while let Some(path) = next.pop() {
        if found.insert(path) {
            next.extend(imports[path].keys().copied());
        }
    }
    found
}
