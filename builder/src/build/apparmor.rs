//! Which of AppArmor's profiles are on the root.
//!
//! The package `apparmor` has a hundred of them, for programs of desktops. All are
//! compiled at every boot before anything else starts, for the better part of a second,
//! and in emulation for minutes.

use crate::tree::{Kind, ReadError, Tree};

/// Where profiles are; those in directories below are parts of them.
const DIRECTORY: &str = "etc/apparmor.d";

/// `tree` without the profiles for programs that it does not have.
pub fn without_idle_profiles(mut tree: Tree) -> Result<Tree, ReadError> {
    let mut idle = Vec::new();
    for (path, node) in tree.iter() {
        let parent = path.parent();
        let is_profile = parent.is_some_and(|dir| dir.as_bytes() == DIRECTORY.as_bytes());
        if is_profile && matches!(node.entry.kind, Kind::File(_)) {
            let text = tree.read_file(path.as_bytes())?;
            if is_idle(&String::from_utf8_lossy(&text), &tree) {
                idle.push(path.clone());
            }
        }
    }
    for path in &idle {
        tree = tree.without(path);
    }
    Ok(tree)
}

/// Whether every profile of the file is attached to programs that are not in `tree`.
fn is_idle(text: &str, tree: &Tree) -> bool {
    let headers = text.lines().filter(|line| line.trim_end().ends_with('{'));
    // Profiles inside of others are indented.
    let mut headers = headers
        .filter(|line| line.starts_with(['p', '/', '"']))
        .peekable();
    headers.peek().is_some()
        && headers.all(|header| {
            attachment(header).is_some_and(|pattern| {
                let programs = alternatives(pattern);
                programs
                    .iter()
                    .all(|program| tree.get(&program[1..]).is_none())
            })
        })
}

/// The pattern of the programs that a profile's first line attaches it to (apparmor.d(5));
/// `None` if there is none, or one with variables or wildcards.
fn attachment(header: &str) -> Option<&str> {
    let quoted = header.find("\"/").map(|at| at + 1);
    let at = match quoted {
        Some(at) => at,
        None if header.starts_with('/') => 0,
        None => header.find(" /")? + 1,
    };
    let end = if quoted.is_some() { '"' } else { ' ' };
    let pattern = header[at..].split(end).next()?;
    (!pattern.contains(['@', '*', '?', '[', '^'])).then_some(pattern)
}

/// The paths that a pattern with `{a,b}` stands for.
fn alternatives(pattern: &str) -> Vec<String> {
    let Some(open) = pattern.find('{') else {
        return vec![pattern.to_owned()];
    };
    let (mut depth, mut from, mut found) = (0, open + 1, Vec::new());
    for (at, byte) in pattern.bytes().enumerate().skip(open) {
        match byte {
            b'{' => depth += 1,
            b',' if depth == 1 => {
                found.push(&pattern[from..at]);
                from = at + 1;
            }
            b'}' if depth == 1 => {
                found.push(&pattern[from..at]);
                let (head, tail) = (&pattern[..open], &pattern[at + 1..]);
                let joined = found.iter().map(|part| format!("{head}{part}{tail}"));
                return joined.flat_map(|path| alternatives(&path)).collect();
            }
            b'}' => depth -= 1,
            _ => {}
        }
    }
    vec![pattern.to_owned()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::LayerBuilder;
    use crate::tree::{MergePolicy, TreePath, merge};

    /// A profile that begins with `head`, as the package writes them.
    fn unconfined(head: &str) -> String {
        format!(
            "abi <abi/4.0>,\n{head} flags=(unconfined) {{\n  userns,\n  profile in {{\n  }}\n}}\n"
        )
    }

    #[test]
    fn profiles_stay_with_their_programs() {
        let profiles = [
            ("kept-crun", "profile crun /usr/bin/crun"),
            (
                "kept-chkpwd",
                "profile unix-chkpwd /{,usr/}{,s}bin/unix_chkpwd",
            ),
            ("kept-old-style", "/usr/sbin/unix_chkpwd"),
            ("kept-unattached", "profile lsb_release"),
            (
                "kept-variable",
                "profile opera /usr/lib/@{multiarch}/opera/opera",
            ),
            (
                "idle-firefox",
                "profile firefox /{usr/lib/firefox{,-esr},opt/firefox}/firefox{,-esr}",
            ),
            (
                "idle-quoted",
                "profile \"MongoDB Compass\" \"/usr/lib/MongoDB Compass\"",
            ),
            ("idle-old-style", "/usr/bin/gone"),
        ];
        let mut layer = LayerBuilder::new("test", 9);
        for (name, head) in profiles {
            let path = format!("/{DIRECTORY}/{name}");
            layer.add_file(&path, 0o644, unconfined(head)).unwrap();
        }
        let both = unconfined("/usr/bin/gone") + &unconfined("/usr/bin/crun");
        for (path, text) in [
            ("/etc/apparmor.d/kept-both", both.as_str()),
            ("/etc/apparmor.d/kept-of-nothing", "# a comment\n"),
            ("/etc/apparmor.d/abstractions/gone", "/usr/bin/gone {\n"),
            ("/usr/bin/crun", ""),
            ("/usr/sbin/unix_chkpwd", ""),
        ] {
            layer.add_file(path, 0o755, text).unwrap();
        }
        let site = layer.finish();
        let tree = merge([(&site.layer, &MergePolicy::AddOnly)], 9).unwrap();
        let left = without_idle_profiles(tree).unwrap();
        let names: Vec<_> = left
            .below(&TreePath::new(DIRECTORY).unwrap())
            .map(|(path, _)| String::from_utf8_lossy(path.name()).into_owned())
            .collect();
        let kept = [
            "abstractions",
            "gone",
            "kept-both",
            "kept-chkpwd",
            "kept-crun",
            "kept-of-nothing",
            "kept-old-style",
            "kept-unattached",
            "kept-variable",
        ];
        assert_eq!(names, kept);
    }
}
