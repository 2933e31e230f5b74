//! Templates in overlays: strict, without escaping, without includes.

use std::collections::BTreeMap;

use postern_contract::problem::{Position, Problem};
use serde_json::Value;
use tera::{Context, ErrorKind, Tera};

use crate::profile::Profile;

/// The names a template may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Vars(BTreeMap<String, Value>);

impl Vars {
    /// `name`, `version`, `arch`, `distro`, `release`, `k3s_version`,
    /// `esp_size`, `seed_size`, `root_slot` and `verity_slot` (bytes), and the
    /// profile's own `vars`.
    ///
    /// # Errors
    /// A problem for each of the profile's `vars` that would hide one of ours.
    pub fn of(profile: &Profile) -> Result<Self, Vec<Problem>> {
        let own = [
            ("name", profile.name.as_str()),
            ("version", &profile.version),
            ("arch", profile.base.arch.debian()),
            ("distro", profile.base.distro.id()),
            ("release", &profile.base.release),
            ("k3s_version", &profile.k3s.version),
        ];
        let own = own.map(|(name, value)| (name.to_owned(), Value::from(value)));
        let mut own = BTreeMap::from(own);
        own.insert("esp_size".into(), profile.disk.esp.into());
        own.insert("seed_size".into(), profile.disk.seed.into());
        own.insert("root_slot".into(), profile.disk.root_slot.into());
        own.insert("verity_slot".into(), profile.disk.verity_slot().into());
        Self::new(own, &profile.vars, &profile.file.to_string_lossy())
    }

    fn new(
        mut all: BTreeMap<String, Value>,
        vars: &BTreeMap<String, Value>,
        file: &str,
    ) -> Result<Self, Vec<Problem>> {
        let hidden = vars.keys().filter(|name| all.contains_key(*name));
        let problem = |name: &String| Problem {
            file: file.to_owned(),
            at: None,
            key: format!("vars.{name}"),
            what: format!("`{name}` is a name that every template has already"),
            remedy: "choose another name".to_owned(),
        };
        let problems: Vec<_> = hidden.map(problem).collect();
        if !problems.is_empty() {
            return Err(problems);
        }
        all.extend(
            vars.iter()
                .map(|(name, value)| (name.clone(), value.clone())),
        );
        Ok(Self(all))
    }

    /// Renders the template `text` of the file named `file`.
    ///
    /// # Errors
    /// What is wrong and where: syntax, a name that is not defined, a value
    /// that cannot be printed.
    pub fn render(&self, file: &str, text: &str) -> Result<String, Problem> {
        let mut tera = Tera::new();
        tera.autoescape_on(Vec::<&str>::new());
        let refused = |error: tera::Error| problem(file, &error);
        tera.add_raw_template(file, text).map_err(refused)?;
        let mut context = Context::new();
        for (name, value) in &self.0 {
            context.insert(name.clone(), value);
        }
        // Rendering alone would take an undefined name in `if` for false.
        let mut names: Vec<_> = tera
            .get_template_variables(file)
            .map_err(refused)?
            .into_iter()
            .collect();
        names.sort_unstable();
        let rendered = tera.render(file, &context).map_err(refused)?;
        match names.into_iter().find(|name| !self.0.contains_key(*name)) {
            None => Ok(rendered),
            Some(name) => Err(Problem {
                file: file.to_owned(),
                at: place_of(text, name),
                key: String::new(),
                what: format!("`{name}` is not defined"),
                remedy: format!("define it under `vars` in the profile, or use one of {self}"),
            }),
        }
    }
}

impl std::fmt::Display for Vars {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<_> = self.0.keys().map(|name| format!("`{name}`")).collect();
        f.write_str(&names.join(", "))
    }
}

fn problem(file: &str, error: &tera::Error) -> Problem {
    let (at, what) = match error.kind() {
        ErrorKind::SyntaxError(report) | ErrorKind::RenderingError(report) => {
            let span = report.span();
            let at = Position {
                line: span.start_line,
                column: span.start_col + 1,
            };
            (Some(at), report.message().to_owned())
        }
        other => (None, other.to_string()),
    };
    Problem {
        file: file.to_owned(),
        at,
        key: String::new(),
        what,
        remedy: "correct the template; its names come from the profile's `vars`".to_owned(),
    }
}

/// Where `name` stands first as a word of its own.
fn place_of(text: &str, name: &str) -> Option<Position> {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    for (number, line) in text.lines().enumerate() {
        for (at, _) in line.match_indices(name) {
            let before = line[..at].chars().next_back();
            let after = line[at + name.len()..].chars().next();
            if !before.is_some_and(word) && !after.is_some_and(word) {
                return Some(Position {
                    line: number + 1,
                    column: line[..at].chars().count() + 1,
                });
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vars() -> Vars {
        let own = BTreeMap::from([("name".to_owned(), Value::from("demo"))]);
        let site = BTreeMap::from([
            ("greeting".to_owned(), Value::from("<hi & \"you\">")),
            ("ports".to_owned(), serde_json::json!([80, 443])),
        ]);
        Vars::new(own, &site, "demo.yaml").unwrap()
    }

    #[test]
    fn renders_without_escaping() {
        let text = "{{ name }}: {{ greeting }}\n{% for p in ports %}{{ p }};{% endfor %}\n";
        let rendered = vars().render("motd.html.tera", text).unwrap();
        assert_eq!(rendered, "demo: <hi & \"you\">\n80;443;\n");
    }

    #[test]
    fn mistakes_have_a_place() {
        let cases = [
            ("a\nb {{ nome }}\n", (2, 6), "nome"),
            ("{% if nome %}x{% endif %}", (1, 7), "`nome` is not defined"),
            ("x\n\n{{ name", (3, 8), "end of input"),
            ("{{ name.first.last }}", (1, 9), "`first`"),
        ];
        for (text, (line, column), says) in cases {
            let problem = vars().render("etc/motd.tera", text).unwrap_err();
            assert_eq!(problem.at, Some(Position { line, column }), "{problem}");
            assert!(problem.what.contains(says), "{problem}");
            assert_eq!(problem.file, "etc/motd.tera");
        }
    }

    #[test]
    fn vars_cannot_hide_ours() {
        let own = BTreeMap::from([("name".to_owned(), Value::from("demo"))]);
        let problems = Vars::new(own.clone(), &own, "demo.yaml").unwrap_err();
        assert_eq!(problems[0].key, "vars.name");
    }
}
