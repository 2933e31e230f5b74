use super::*;

fn tree(text: &str) -> Node {
    let (node, problem) = read("f.yaml", text);
    assert_eq!(problem, None, "{text}");
    node.unwrap()
}

fn refused(text: &str) -> String {
    let (node, problem) = read("f.yaml", text);
    assert!(node.is_none(), "{text}");
    problem.unwrap().to_string()
}

#[test]
fn scalars_keep_what_was_written() {
    let text = "a: 1.10\nb: 0x10\nc: 24.04 # comment\nd: \"1\"\ne: yes\nf: true\ng: ~\nh: 1e999\ni: 38E72331\nj: .inf\n";
    let root = tree(text);
    let number = |s: &str| Value::Number(s.to_owned().into());
    let text = |s: &str| Value::Text(s.to_owned().into());
    for (key, value) in [
        ("a", number("1.10")),
        ("b", number("0x10")),
        ("c", number("24.04")),
        ("d", text("1")),
        ("e", text("yes")),
        ("f", Value::Bool(true)),
        ("g", Value::Null),
        ("h", number("1e999")),
        ("i", number("38E72331")),
        ("j", number(".inf")),
    ] {
        assert_eq!(root.get(key).unwrap().value, value, "{key}");
    }
}

#[test]
fn every_value_knows_its_place() {
    let root = tree("one: 1\ntwo:\n  - é: x\n    three: &a y\nfour: *a\n");
    let at = |line, column| Position { line, column };
    assert_eq!(root.get("one").unwrap().place.at, at(1, 6));
    let Value::List(items) = &root.get("two").unwrap().value else {
        panic!("a list");
    };
    assert_eq!(items[0].get("é").unwrap().place.at, at(3, 8));
    let Value::Map(entries) = &items[0].value else {
        panic!("a mapping");
    };
    assert_eq!(entries[1].place.at, at(4, 5));
    assert_eq!(
        root.get("four").unwrap().value,
        Value::Text("y".to_owned().into()),
        "aliases are expanded"
    );
}

#[test]
fn a_syntax_error_says_where() {
    let message = refused("a:\n  b: [1,\nc: 2\n");
    assert!(message.starts_with("f.yaml:"), "{message}");
    assert!(message.contains("is not valid YAML"), "{message}");
    assert!(message.contains("help: "), "{message}");
}

#[test]
fn a_key_written_twice_does_not_hide_the_rest() {
    let (node, problem) = read("f.yaml", "a: 1\nb: 2\na: 3\n");
    let problem = problem.unwrap();
    assert_eq!(problem.what, "the key `a` is written twice");
    assert_eq!(problem.at, Some(Position { line: 3, column: 1 }));
    assert_eq!(
        node.unwrap().get("a").unwrap().value,
        Value::Number("1".to_owned().into())
    );
}

#[test]
fn bombs_are_refused() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for i in 1..8 {
        let aliases = vec![format!("*a{}", i - 1); 10].join(", ");
        text.push_str(&format!("a{i}: &a{i} [{aliases}]\n"));
    }
    let message = refused(&text);
    assert!(message.contains("more nesting, aliases"), "{message}");
    let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
    assert!(refused(&deep).contains("more nesting, aliases"));
    assert!(refused("a: &a [*a]").contains("part of"));
    assert!(refused("--- a\n--- b\n").contains("documents"));
    assert!(refused(&"#".repeat(MAX_BYTES + 1)).contains("bytes long"));
    assert!(refused("a: !ruby/object x\n").contains("tag"));
}

#[test]
fn debug_shows_no_value() {
    let shown = format!("{:?}", tree("code: sesame\nlist: [sesame]\n"));
    assert!(!shown.contains("sesame"), "{shown}");
}
