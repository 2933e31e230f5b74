use super::*;

fn facts(change: impl FnOnce(&mut Facts)) -> Facts {
    let mut facts = Facts {
        word: "file",
        mode: 0o644,
        size: 10,
        ..Facts::default()
    };
    change(&mut facts);
    facts
}

fn lines(old: &[(&str, Facts)], new: &[(&str, Facts)], precision: Precision) -> String {
    let map = |entries: &[(&str, Facts)]| {
        let entry = |(path, facts): &(&str, Facts)| (TreePath::new(path).unwrap(), facts.clone());
        entries.iter().map(entry).collect::<BTreeMap<_, _>>()
    };
    let other = BTreeSet::from([TreePath::new("other").unwrap()]);
    let changes = compare(&map(old), &map(new), &other, precision);
    let lines: Vec<_> = changes.iter().map(FileChange::to_string).collect();
    lines.join("\n")
}

/// A name, and what is changed about a plain file of 10 bytes.
type Line = (&'static str, fn(&mut Facts));

fn entries(lines: &[Line]) -> Vec<(&'static str, Facts)> {
    let entry = |(path, change): &Line| (*path, facts(change));
    lines.iter().map(entry).collect()
}

fn link(facts: &mut Facts, target: &str) {
    facts.word = "symbolic link";
    facts.target = Some(target.to_owned());
}

const OLD: &[Line] = &[
    ("gone", |_| {}),
    ("grown", |_| {}),
    ("link", |f| link(f, "a")),
    ("linked", |_| {}),
    ("mode", |_| {}),
    ("other", |_| {}),
    ("owner", |_| {}),
    ("same", |_| {}),
    ("time", |_| {}),
    ("type", |_| {}),
    ("xattr", |f| drop(f.xattrs.insert("user.a".into(), vec![1]))),
];
const NEW: &[Line] = &[
    ("grown", |f| f.size = 1546),
    ("link", |f| link(f, "b")),
    ("linked", |f| f.link = TreePath::new("first").ok()),
    ("mode", |f| f.mode = 0o4755),
    ("new", |f| f.size = 3),
    ("other", |_| {}),
    ("owner", |f| f.owner = (0, 42)),
    ("same", |_| {}),
    ("time", |f| f.mtime = 7),
    ("type", |f| (f.word, f.size) = ("directory", 0)),
    ("xattr", |f| {
        f.xattrs.insert("user.a".into(), vec![2]);
        f.xattrs.insert("user.b".into(), vec![]);
    }),
];

#[test]
fn every_reason_is_named() {
    let (old, new) = (entries(OLD), entries(NEW));
    insta::assert_snapshot!(lines(&old, &new, Precision::Bytes), @r"
    - /gone (-10 B)
    ~ /grown: content (+1.5 KiB)
    ~ /link: target a → b
    ~ /linked: hard link none → /first
    ~ /mode: mode 0644 → 4755
    + /new (+3 B)
    ~ /other: content
    ~ /owner: owner 0:0 → 0:42
    ~ /time: time 0 → 7
    ~ /type: type file → directory (-10 B)
    ~ /xattr: attribute user.a, attribute none → user.b
    ");
    assert!(!lines(&old, &new, Precision::Meaning).contains("/time"));
    assert_eq!(lines(&old, &old, Precision::Bytes), "~ /other: content");
}
