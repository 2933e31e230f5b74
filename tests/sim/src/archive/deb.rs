//! A `.deb` file, made in memory (deb(5)).

use std::collections::BTreeMap;

use anyhow::Result;

/// A binary package.
#[derive(Clone, Debug)]
pub struct Deb {
    name: String,
    version: String,
    arch: String,
    component: String,
    fields: Vec<(String, String)>,
    scripts: Vec<(String, String)>,
    files: Vec<(String, u32, Vec<u8>)>,
}

impl Deb {
    /// An `all` package with nothing in it.
    pub fn new(name: &str, version: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            arch: "all".to_owned(),
            component: "main".to_owned(),
            fields: Vec::new(),
            scripts: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Sets the architecture.
    #[must_use]
    pub fn arch(mut self, arch: &str) -> Self {
        self.arch = arch.to_owned();
        self
    }

    /// The packages of a table: stanzas of control fields, of which `Component` says
    /// where a package is, and `Known` where the facts come from.
    ///
    /// # Panics
    /// If a stanza has no name or version.
    pub fn table(text: &str) -> Vec<Self> {
        let stanzas = text.split("\n\n").map(|stanza| {
            let lines = stanza.lines().filter(|line| !line.starts_with('#'));
            let fields = lines.filter_map(|line| line.split_once(": "));
            fields.collect::<Vec<_>>()
        });
        let stanzas = stanzas.filter(|fields| !fields.is_empty());
        stanzas.map(|fields| Self::of(&fields)).collect()
    }

    fn of(fields: &[(&str, &str)]) -> Self {
        let value = |key| fields.iter().find(|(name, _)| *name == key);
        let (Some((_, name)), Some((_, version))) = (value("Package"), value("Version")) else {
            panic!("a package has a name and a version: {fields:?}");
        };
        let mut deb = Self::new(name, version);
        for (key, value) in fields {
            match *key {
                "Package" | "Version" | "Known" => {}
                "Architecture" => deb.arch = (*value).to_owned(),
                "Component" => deb.component = (*value).to_owned(),
                key => deb = deb.field(key, value),
            }
        }
        deb
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The component that it is in: `main`, unless the table says another.
    pub fn component(&self) -> &str {
        &self.component
    }

    /// Adds a control field, such as `Depends`.
    #[must_use]
    pub fn field(mut self, key: &str, value: &str) -> Self {
        self.fields.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds a maintainer script: `postinst`.
    #[must_use]
    pub fn script(mut self, name: &str, text: &str) -> Self {
        self.scripts.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Adds a file by its path in the system, without the leading slash, and
    /// its permission bits.
    #[must_use]
    pub fn file(mut self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.to_owned(), mode, bytes.into()));
        self
    }

    /// The `.deb` file. The same package always gives the same bytes.
    ///
    /// # Errors
    /// If a path is too long for a tar header.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let mut control = vec![("control".to_owned(), 0o644, self.control().into_bytes())];
        let scripts = self.scripts.iter();
        control
            .extend(scripts.map(|(name, text)| (name.clone(), 0o755, text.clone().into_bytes())));
        let members = [
            ("debian-binary", b"2.0\n".to_vec()),
            ("control.tar", tarball(&control)?),
            ("data.tar", tarball(&self.files)?),
        ];
        let mut ar = b"!<arch>\n".to_vec();
        for (name, bytes) in members {
            let size = bytes.len();
            ar.extend(
                format!(
                    "{name:<16}{:<12}{:<6}{:<6}{:<8}{size:<10}`\n",
                    0, 0, 0, 100_644
                )
                .bytes(),
            );
            ar.extend(&bytes);
            if size % 2 == 1 {
                ar.push(b'\n');
            }
        }
        Ok(ar)
    }

    /// Its path below the archive.
    pub fn path(&self) -> String {
        // The epoch is no part of a file's name.
        let version = self.version.rsplit(':').next().unwrap_or_default();
        let Deb {
            name,
            arch,
            component,
            ..
        } = self;
        format!(
            "pool/{component}/{}/{name}/{name}_{version}_{arch}.deb",
            &name[..1]
        )
    }

    /// Its control file, which is also the beginning of its stanza in `Packages`.
    pub(super) fn control(&self) -> String {
        let mut text = format!(
            "Package: {}\nVersion: {}\nArchitecture: {}\nMaintainer: Test <test@example.org>\n",
            self.name, self.version, self.arch
        );
        for (key, value) in &self.fields {
            text.push_str(&format!("{key}: {value}\n"));
        }
        text.push_str("Description: made by a test\n");
        text
    }
}

/// A tar of files and the directories above them, owned by root, times 0.
fn tarball(files: &[(String, u32, Vec<u8>)]) -> Result<Vec<u8>> {
    let mut entries: BTreeMap<String, (u32, Option<&[u8]>)> = BTreeMap::new();
    for (path, mode, bytes) in files {
        for (at, _) in path.match_indices('/') {
            entries.insert(format!("{}/", &path[..at]), (0o755, None));
        }
        entries.insert(path.clone(), (*mode, Some(bytes)));
    }
    let mut tar = tar::Builder::new(Vec::new());
    for (path, (mode, bytes)) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_username("root")?;
        header.set_groupname("root")?;
        header.set_mtime(0);
        header.set_size(bytes.map_or(0, |b| b.len() as u64));
        header.set_entry_type(match bytes {
            Some(_) => tar::EntryType::Regular,
            None => tar::EntryType::Directory,
        });
        tar.append_data(&mut header, path, bytes.unwrap_or_default())?;
    }
    Ok(tar.into_inner()?)
}

#[cfg(test)]
mod tests {
    use postern_contract::host::Command;

    use super::*;

    #[test]
    fn dpkg_reads_the_packages() {
        let deb = Deb::new("hello", "1:2-3")
            .arch("amd64")
            .field("Depends", "libc6")
            .script("postinst", "#!/bin/sh\n")
            .file("usr/bin/hello", 0o755, "#!/bin/sh\n");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("hello.deb");
        fs_err::write(&file, deb.bytes().unwrap()).unwrap();

        let out = Command::new("dpkg-deb")
            .arg("--field")
            .arg(&file)
            .arg("Version")
            .run();
        assert_eq!(out.unwrap(), b"1:2-3\n");
        let out = Command::new("dpkg-deb")
            .arg("--contents")
            .arg(&file)
            .run()
            .unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.contains("-rwxr-xr-x root/root        10 1970-01-01 00:00 usr/bin/hello"),
            "{out}"
        );
        assert_eq!(deb.path(), "pool/main/h/hello/hello_2-3_amd64.deb");
    }
}
