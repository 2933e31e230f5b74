//! The rules one by one, then random layers against a model that looks names
//! up from the top, as overlayfs does.

use super::*;
use crate::tree::Content;
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;

const EPOCH: u64 = 1000;

fn path(path: &str) -> TreePath {
    TreePath::new(path).unwrap()
}

/// `dir/`, `file=content`, `link>target`, `-whiteout`.
fn layer(name: &str, words: &[&str]) -> Layer {
    let mut layer = Layer {
        name: name.to_owned(),
        ..Layer::default()
    };
    for word in words {
        let (at, kind) = if let Some(gone) = word.strip_prefix('-') {
            layer.whiteouts.insert(path(gone));
            continue;
        } else if let Some(dir) = word.strip_suffix('/') {
            (dir, Kind::Dir)
        } else if let Some((link, target)) = word.split_once('>') {
            (link, Kind::Symlink(target.into()))
        } else {
            let (file, text) = word.split_once('=').unwrap();
            (file, Kind::File(Content::from_bytes(text)))
        };
        let mode = if kind.is_dir() { 0o700 } else { 0o600 };
        layer
            .entries
            .insert(path(at), Entry::of_root(kind, mode, 5));
    }
    layer
}

/// Lets every layer replace whatever it has.
fn anything(layers: &[Layer]) -> MergePolicy {
    let entries = layers.iter().flat_map(|layer| layer.entries.keys());
    MergePolicy::MayReplace(entries.cloned().collect())
}

fn merged(layers: &[Layer], policy: &MergePolicy) -> Result<Vec<String>, MergeError> {
    let tree = merge(layers.iter().map(|layer| (layer, policy)), EPOCH)?;
    let show = |(path, node): (&TreePath, &Node)| match &node.entry.kind {
        Kind::Dir => format!("{path}/ {:o}", node.entry.mode),
        Kind::File(content) => {
            format!(
                "{path}={}",
                String::from_utf8(content.read().unwrap()).unwrap()
            )
        }
        other => format!("{path} {}", other.name()),
    };
    Ok(tree.iter().map(show).collect())
}

#[test]
fn later_layers_win_where_they_ask() {
    let cases: [(&[&[&str]], &[&str]); 8] = [
        (&[&["a=1"], &["b=2"]], &["/a=1", "/b=2"]),
        (&[&["a=1"], &["a=2"]], &["/a=2"]),
        (&[&["a=1"], &["-a"]], &[]),
        (&[&["d/x=1"], &["-d"]], &[]),
        (&[&["d/x=1", "d.x=2"], &["-d", "d=3"]], &["/d=3", "/d.x=2"]),
        (
            &[&["d/", "d/x=1"], &["d/y=2"]],
            &["/d/ 700", "/d/x=1", "/d/y=2"],
        ),
        (&[&["d/x=1"], &["d/"]], &["/d/ 700", "/d/x=1"]),
        (&[&["a=1"], &["-nothing"], &["a>b"]], &["/a symbolic link"]),
    ];
    for (layers, expected) in cases {
        let layers: Vec<_> = layers.iter().map(|words| layer("l", words)).collect();
        assert_eq!(
            merged(&layers, &anything(&layers)).unwrap(),
            expected,
            "{layers:?}"
        );
    }
}

#[test]
fn disagreements_name_both_layers_and_come_all_at_once() {
    let base = layer(
        "base",
        &["bin>usr/bin", "etc/motd=x", "opt/", "srv=x", "etc/ok=1"],
    );
    let site = layer(
        "site",
        &[
            "bin/tool=y",
            "etc/motd=y",
            "opt=y",
            "srv/data=y",
            "etc/ok=2",
        ],
    );
    let policy = MergePolicy::MayReplace([path("etc/ok"), path("opt")].into());
    let error = merge([(&base, &policy), (&site, &policy)], EPOCH).unwrap_err();
    insta::assert_snapshot!(error, @r"
    merging layers:
    layer site has /bin/tool, but /bin is a symbolic link to `usr/bin` in layer base
      help: use the path the link leads to
    layer site would replace /etc/motd of layer base
      help: list /etc/motd under `replaces` if that is meant, or choose another path
    layer site has a file at /opt where layer base has a directory
      help: remove it first with a whiteout, or choose another path
    layer site has a directory at /srv where layer base has a file
      help: remove it first with a whiteout, or choose another path
    ");
}

#[test]
fn a_whiteout_in_the_same_layer_asks() {
    let base = layer("base", &["a=1", "d/x=1"]);
    let site = layer("site", &["-a", "a=2", "-d", "d=2"]);
    assert_eq!(
        merged(&[base, site], &MergePolicy::AddOnly).unwrap(),
        ["/a=2", "/d=2"]
    );
}

#[test]
fn times_are_clamped_and_made_directories_have_the_epoch() {
    let mut base = layer("base", &["d/old=1", "d/new=2"]);
    base.entries.get_mut(&path("d/new")).unwrap().mtime = EPOCH + 1;
    let tree = merge([(&base, &MergePolicy::AddOnly)], EPOCH).unwrap();
    let times: Vec<_> = tree.iter().map(|(_, node)| node.entry.mtime).collect();
    assert_eq!(times, [EPOCH, EPOCH, 5]);
}

#[test]
fn the_other_name_of_a_replaced_hard_link_keeps_its_content() {
    let mut base = layer("base", &["a=one"]);
    base.entries
        .insert(path("b"), base.entries[&path("a")].clone());
    base.entries
        .insert(path("c"), base.entries[&path("a")].clone());
    let site = layer("site", &["-a"]);
    let policy = MergePolicy::AddOnly;
    let tree = merge([(&base, &policy), (&site, &policy)], EPOCH).unwrap();
    let links: Vec<_> = tree
        .links()
        .map(|(p, _, l)| (p.clone(), l.cloned()))
        .collect();
    assert_eq!(links, [(path("b"), None), (path("c"), Some(path("b")))]);
    assert_eq!(tree.read_file("/c").unwrap(), b"one");
}

#[test]
fn a_tree_answers_and_can_be_cut() {
    let base = layer("base", &["boot/", "boot/vmlinuz=k", "boot2=x", "tmp/x=1"]);
    let tree = merge([(&base, &MergePolicy::AddOnly)], EPOCH).unwrap();
    assert_eq!(tree.read_file("/boot/vmlinuz").unwrap(), b"k");
    assert!(
        tree.read_file("boot")
            .unwrap_err()
            .to_string()
            .contains("is a directory")
    );
    assert!(
        tree.read_file("/no")
            .unwrap_err()
            .to_string()
            .contains("no /no")
    );
    let names: Vec<_> = tree
        .below(&path("boot"))
        .map(|(p, _)| p.to_string())
        .collect();
    assert_eq!(names, ["/boot/vmlinuz"]);
    let tree = tree
        .without_contents_of(&path("boot"))
        .without(&path("tmp"));
    let names: Vec<_> = tree.iter().map(|(p, _)| p.to_string()).collect();
    assert_eq!(names, ["/boot", "/boot2"]);
}

/// Names that are directories everywhere, and names that are files
/// everywhere, so that random layers never clash.
fn any_layer() -> impl Strategy<Value = Layer> {
    let dir = || vec(prop::sample::select(vec!["d", "d.", "e"]), 1..3).prop_map(|v| v.join("/"));
    let file = (
        prop::option::of(dir()),
        prop::sample::select(vec!["x", "x0", "y"]),
    );
    let file = file.prop_map(|(dir, name)| match dir {
        Some(dir) => format!("{dir}/{name}"),
        None => name.to_owned(),
    });
    let any = prop_oneof![dir(), file.clone()];
    (
        btree_map(file, "[a-z]{1,3}", 0..6),
        btree_set(dir(), 0..3),
        btree_set(any, 0..3),
    )
        .prop_map(|(files, dirs, whiteouts)| {
            let mut words: Vec<_> = files
                .iter()
                .map(|(p, text)| format!("{p}={text}"))
                .collect();
            words.extend(dirs.iter().map(|p| format!("{p}/")));
            words.extend(whiteouts.iter().map(|p| format!("-{p}")));
            layer("l", &words.iter().map(String::as_str).collect::<Vec<_>>())
        })
}

/// Looks one name up from the top layer down.
fn looked_up(layers: &[Layer], path: &TreePath) -> Option<String> {
    let mut implied = false;
    for layer in layers.iter().rev() {
        match layer.entries.get(path).map(|entry| &entry.kind) {
            Some(Kind::File(content)) => {
                let text = String::from_utf8(content.read().unwrap()).unwrap();
                return Some(format!("{path}={text}"));
            }
            Some(_) => return Some(format!("{path}/ 700")),
            None => implied |= layer.entries.keys().any(|p| p.is_below(path)),
        }
        let hides = |dir: &TreePath| layer.whiteouts.contains(dir);
        if layer.whiteouts.contains(path) || path.ancestors().any(|dir| hides(&dir)) {
            break;
        }
    }
    implied.then(|| format!("{path}/ 755"))
}

proptest! {
    #[test]
    fn merging_equals_looking_up_from_the_top(layers in vec(any_layer(), 1..5)) {
        let mut names: BTreeSet<TreePath> = BTreeSet::new();
        for name in layers.iter().flat_map(|layer| layer.entries.keys()) {
            names.extend(name.ancestors());
            names.insert(name.clone());
        }
        let expected: Vec<_> = names.iter().filter_map(|p| looked_up(&layers, p)).collect();
        let result = merged(&layers, &anything(&layers)).unwrap();
        prop_assert_eq!(result, expected);
    }
}
