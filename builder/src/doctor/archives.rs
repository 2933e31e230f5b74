//! Whether the archives of a profile are reached, by the way that `lock` and
//! `build` take.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use reqwest::{Client, StatusCode};
use secrecy::ExposeSecret;
use tokio::runtime::Builder;
use url::Url;

use super::{Check, Health, Work};
use crate::host::http;
use crate::lock::keyring;
use crate::profile::{Base, Suite};
use crate::source::Archives;
use crate::source::os_release_id;
use crate::source::transfer::masked;

/// One check for each archive, by the release file of its first suite.
pub fn reached(base: &Base) -> Vec<Check> {
    let archives = match Archives::of(base) {
        Ok(archives) => archives,
        Err(error) => {
            let text = format!("{:#}", anyhow::Error::from(error));
            let (evidence, remedy) = text.split_once("\n  help: ").unwrap_or((&text, ""));
            let check = Check::new(Work::Build, "archives", Health::Bad, evidence);
            return vec![check.remedy(remedy)];
        }
    };
    let mut seen = Vec::new();
    let mut checks = Vec::new();
    for suite in &base.suites {
        if seen.contains(&&suite.archive) {
            continue;
        }
        seen.push(&suite.archive);
        checks.push(check(suite, &archives));
        let file = base.keyring_of(&suite.archive);
        if !file.exists() {
            let name = format!("keyring of {}", suite.archive);
            let evidence = format!("{} does not exist", file.display());
            let check = Check::new(Work::Build, name, Health::Bad, evidence);
            checks.push(check.remedy(keyring::remedy(file, &os_release_id())));
        }
    }
    checks
}

fn check(suite: &Suite, archives: &Archives) -> Check {
    let name = format!("archive {}", suite.archive);
    let place = archives.base(&suite.archive);
    let place = place.map_or_else(String::new, |url| way(url, archives));
    match release_file(suite, archives) {
        Ok(evidence) => Check::new(
            Work::Build,
            name,
            Health::Good,
            format!("{place}: {evidence}"),
        ),
        Err(error) => Check::new(
            Work::Build,
            name,
            Health::Bad,
            format!("{place}: {error:#}"),
        )
        .remedy("check `base.mirror` and `base.archives`, the network, and the proxy: `base.proxy`, else apt's, else that of the environment"),
    }
}

/// The address, and the proxy that it is reached through.
fn way(url: &Url, archives: &Archives) -> String {
    let proxy = archives.proxies().route(url).as_ref();
    let proxy = proxy.and_then(|proxy| Url::parse(proxy.expose_secret()).ok());
    match proxy.filter(|_| url.scheme() != "file") {
        Some(proxy) => format!("{} through {}", masked(url), masked(&proxy)),
        None => masked(url),
    }
}

/// Asks for the suite's release file, in either form.
fn release_file(suite: &Suite, archives: &Archives) -> Result<String> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    let client = http::client_through(archives.proxies().clone())?;
    for file in ["InRelease", "Release"] {
        let path = format!("{}{file}", suite.directory());
        let url = archives.file(&suite.archive, path.trim_start_matches("./"));
        let url = url.context("the mirror has no address for it")?;
        if url.scheme() == "file" {
            let path = url.to_file_path();
            if path.is_ok_and(|path| path.exists()) {
                return Ok("is there".to_owned());
            }
            continue;
        }
        let before = Instant::now();
        match runtime.block_on(status(&client, url))? {
            StatusCode::OK => return Ok(format!("reached in {} ms", before.elapsed().as_millis())),
            StatusCode::NOT_FOUND => {}
            other => bail!("HTTP status {other}"),
        }
    }
    bail!("there is no suite {}", suite.name)
}

async fn status(client: &Client, url: Url) -> Result<StatusCode> {
    let response = client.get(url).send().await;
    let response = response.map_err(|error| anyhow::Error::msg(http::causes(error)))?;
    Ok(response.status())
}

#[cfg(test)]
mod tests {
    use postern_sim::archive::{Archive, ArchiveServer, Protected};

    use super::*;
    use crate::profile::{BuildProxy, Mirror};

    #[test]
    fn an_archive_is_tried_through_the_proxy_of_lock_and_build() {
        let archive = Archive::ubuntu().unwrap();
        archive.publish().unwrap();
        let public = Protected {
            below: "/none/".to_owned(),
            token: String::new(),
        };
        let proxy = ArchiveServer::start(&archive.root(), public).unwrap();
        let mut base = crate::lock::testing::profile().base;
        base.suites = vec![Suite {
            name: "noble".to_owned(),
            archive: "ubuntu".to_owned(),
        }];
        base.mirror = Mirror::Url("http://deb.invalid".parse().unwrap());
        base.proxy = Some(BuildProxy::Url(proxy.url().parse().unwrap()));
        base.keyring = archive.keyring();
        let check = reached(&base).pop().unwrap();
        assert_eq!(check.health, Health::Good, "{check:?}");
        let expected = format!(
            "http://deb.invalid/ubuntu through {}/: reached",
            proxy.url()
        );
        assert!(check.evidence.starts_with(&expected), "{check:?}");
        base.keyring = "/usr/share/keyrings/ubuntu-archive-keyring.gpg".into();
        let keyring = reached(&base).pop().unwrap();
        match base.keyring.exists() {
            true => assert!(keyring.name.starts_with("archive ")),
            false => assert!(keyring.remedy.contains("install the package ubuntu-")),
        }
        base.keyring = archive.keyring();
        base.suites[0].name = "none".to_owned();
        let check = reached(&base).pop().unwrap();
        assert!(
            check.evidence.ends_with("there is no suite none"),
            "{check:?}"
        );
        base.proxy = Some(BuildProxy::Direct);
        let check = reached(&base).pop().unwrap();
        assert_eq!(check.health, Health::Bad, "{check:?}");
        assert!(check.remedy.contains("`base.proxy`"), "{check:?}");
    }
}
