//! `postern deploy` from outside, against the simulated region: what it prints,
//! what it leaves in MAAS, and with which exit code.

use assert_cmd::Command;
use assert_cmd::assert::Assert;
use fs_err as fs;
use postern_e2e::{an_image, program, repository};
use postern_sim::maas::region::machines::{Fleet, LifeStep, Machine, Status};
use postern_sim::maas::region::{Region, RegionConfig};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A region with machines and an image of four bytes, not yet in it.
struct Site {
    region: Region,
    dir: TempDir,
    runtime: Runtime,
}

/// One machine that this happens to, all between two looks.
fn site(life: Vec<LifeStep>) -> Site {
    let machine = Machine::ready("4hsthq", "node-1").with_plan([LifeStep::Several(life)]);
    let config = RegionConfig {
        fleet: Fleet::of([machine]),
        ..RegionConfig::default()
    };
    let runtime = Runtime::new().unwrap();
    let dir = tempfile::tempdir().unwrap();
    an_image(dir.path());
    let gateway = "apiVersion: postern/v1\nname: edge-1\npalette:\n  endpoint: https://palette.example\n  \
                   pairing: {pairing-code: SESAME}\n";
    fs::write(dir.path().join("gateway.yaml"), gateway).unwrap();
    Site {
        region: runtime.block_on(Region::start(config)).unwrap(),
        dir,
        runtime,
    }
}

impl Site {
    fn path(&self, name: &str) -> String {
        self.dir.path().join(name).to_string_lossy().into_owned()
    }

    fn postern(&self, verb: &str, args: &[&str]) -> Assert {
        Command::new(program("postern"))
            .current_dir(repository())
            .env("MAAS_API_URL", self.region.url())
            .env("MAAS_API_KEY", self.region.key())
            .arg(verb)
            .arg(self.path(""))
            .args(args)
            .assert()
    }

    fn upload(&self) {
        self.postern("upload", &[]).success();
    }

    /// Standard output and error of a deployment that ends with `code`.
    fn deploy(&self, args: &[&str], code: i32) -> (String, String) {
        let gateway = self.path("gateway.yaml");
        let args: Vec<_> = std::iter::once(gateway.as_str())
            .chain(args.iter().copied())
            .collect();
        let done = self.postern("deploy", &args).code(code);
        let output = done.get_output();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        for secret in ["SESAME", "TOPSECRET"] {
            assert!(
                !stderr.contains(secret) && !stdout.contains(secret),
                "{stderr}{stdout}"
            );
        }
        (stdout, stderr)
    }

    fn status(&self) -> Status {
        self.region.machines()[0].status
    }
}

#[test]
fn a_dry_run_tells_and_changes_nothing() {
    let site = site(LifeStep::gateway());
    let (_, output) = site.deploy(&["--dry-run"], 4);
    assert!(output.contains("postern upload"), "{output}");
    site.upload();
    let (out, output) = site.deploy(&["--dry-run"], 0);
    assert!(
        out.starts_with("allocate and deploy  node-1.maas (4hsthq)  8 cores"),
        "{out}"
    );
    assert!(output.contains("nothing is changed"), "{output}");
    let (out, _) = site.deploy(&["--dry-run", "--json"], 0);
    let plan: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(plan["machines"][0]["todo"], "allocate");
    assert_eq!(plan["distro_series"], "custom/edge-1.2");
    assert_eq!(site.status(), Status::Ready);
}

#[test]
fn a_gateway_is_deployed_and_found_again() {
    let site = site(LifeStep::gateway());
    site.upload();
    let (out, output) = site.deploy(&[], 0);
    assert_eq!(out, "4hsthq node-1.maas 10.20.0.10\n");
    for wanted in [
        "allocated node-1.maas",
        "gateway is healthy",
        "Palette was not queried",
    ] {
        assert!(output.contains(wanted), "no {wanted:?} in {output}");
    }
    assert_eq!(site.status(), Status::Deployed);
    let (out, _) = site.deploy(&["--json", "--quiet"], 0);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&document["end"], &document["told_by"]),
        (&"healthy".into(), &"agent".into())
    );
    assert_eq!(document["machines"][0]["addresses"][0], "10.20.0.10");
}

#[test]
fn a_failure_says_why_and_gives_back_if_asked_to() {
    let mut life = LifeStep::installation();
    life.truncate(4);
    let log = "postern: installation refused: root-a differs from the manifest\n";
    life.push(LifeStep::curtin_fails(log));
    let site = site(life);
    site.upload();
    let (out, output) = site.deploy(&[], 1);
    assert_eq!(out, "");
    assert!(
        output.contains("| postern: installation refused: root-a"),
        "{output}"
    );
    assert!(output.contains("--release-on-failure"), "{output}");
    assert_eq!(site.status(), Status::FailedDeployment);
    let (_, output) = site.deploy(&["--release-on-failure"], 1);
    assert!(output.contains("released node-1.maas (4hsthq)"), "{output}");
    assert_eq!(site.status(), Status::Ready);
}

#[test]
fn a_machine_that_does_not_become_a_gateway_fails_in_time() {
    let mut life = LifeStep::installation();
    life.push(LifeStep::agent_waits("palette: it does not answer"));
    let site = site(life);
    site.upload();
    let (_, output) = site.deploy(&["--timeout", "0s"], 1);
    assert!(
        output.contains("waiting for palette: it does not answer"),
        "{output}"
    );
    assert_eq!(site.status(), Status::Deployed, "left as it is");
}

#[test]
fn what_cannot_be_used_is_refused() {
    let site = site(LifeStep::gateway());
    let image = site.path("");
    let gateway = site.path("gateway.yaml");
    let bad = site.path("bad.yaml");
    fs::write(&bad, "apiVersion: postern/v1\nname: Bad Name\n").unwrap();
    let (none, url) = ("none-here", site.region.url());
    for (args, url, code, wanted) in [
        (&[none, &gateway][..], url.as_str(), 3, none),
        (&[&image, none], &url, 3, none),
        (&[&image, &bad], &url, 3, "bad.yaml:2"),
        (&[&image, &gateway], "", 3, "MAAS_API_URL"),
        (&[&image, &gateway, "--timeout", "soon"], &url, 2, "45m"),
        (
            &[&image, &gateway, "--dry-run", "--release-on-failure"],
            &url,
            2,
            "cannot be used",
        ),
        (&[&image], &url, 2, "<GATEWAY>"),
        (
            &[&image, &gateway],
            "http://127.0.0.1:1/MAAS",
            4,
            "127.0.0.1:1",
        ),
        (&[&image, &gateway], &url, 4, "postern upload"),
    ] {
        let failed = Command::new(program("postern"))
            .current_dir(repository())
            .env("MAAS_API_URL", url)
            .env("MAAS_API_KEY", site.region.key())
            .arg("deploy")
            .args(args)
            .assert()
            .code(code);
        let output = String::from_utf8_lossy(&failed.get_output().stderr).into_owned();
        assert!(output.contains(wanted), "no {wanted:?} in {output}");
        assert!(
            !output.contains("TOPSECRET") && !output.contains("SESAME"),
            "{output}"
        );
    }
    assert_eq!(site.status(), Status::Ready);
}

#[test]
fn three_machines_become_one_gateway_and_palette_says_so() {
    use postern_sim::clock::Clock;
    use postern_sim::events::EventLog;
    use postern_sim::palette::{Palette, PaletteConfig};
    use postern_sim::tls::Authority;

    let machines = ["m1", "m2", "m3"].map(|id| {
        let life = LifeStep::Several(LifeStep::installation());
        Machine::ready(id, &format!("node-{id}")).with_plan([life])
    });
    let mut site = site(Vec::new());
    let config = RegionConfig {
        fleet: Fleet::of(machines),
        ..RegionConfig::default()
    };
    let authority = Authority::generate("Private CA", Clock::real().now()).unwrap();
    let config_of_palette =
        PaletteConfig::new("localhost", authority, EventLog::new(Clock::real()));
    let key = config_of_palette.api_key.clone();
    let (region, palette) = site.runtime.block_on(async {
        let region = Region::start(config).await.unwrap();
        (region, Palette::start(config_of_palette).await.unwrap())
    });
    site.region = region;
    fs::write(site.dir.path().join("ca.pem"), palette.ca()).unwrap();
    let gateway = format!(
        "apiVersion: postern/v1\nname: edge-1\npalette:\n  endpoint: https://localhost:{}\n  \
         pairing: {{manifests: {{from: palette}}}}\nnodes: 3\napi-endpoint: edge-1.example\n\
         certificates: [{{file: ca.pem}}]\n",
        palette.addr().port()
    );
    fs::write(site.dir.path().join("gateway.yaml"), gateway).unwrap();
    site.upload();
    // Before anything is allocated it must be clear where the manifests come from.
    let (_, output) = site.deploy(&[], 3);
    assert!(output.contains("SPECTROCLOUD_APIKEY"), "{output}");
    let free = |machine: &Machine| machine.status == Status::Ready;
    assert!(site.region.machines().iter().all(free));

    let key_file = site.path("palette-key");
    fs::write(&key_file, &key).unwrap();
    let (_, output) = site.deploy(&["--palette-api-key-file", &key_file], 0);
    for wanted in [
        "Palette created the gateway edge-1",
        "Palette reports that edge-1 is healthy",
    ] {
        assert!(output.contains(wanted), "no {wanted:?} in {output}");
    }
    let delivered: Vec<_> = site
        .region
        .machines()
        .into_iter()
        .map(|machine| String::from_utf8(machine.user_data.unwrap().0).unwrap())
        .collect();
    let token = each_has_its_part(&delivered);
    assert!(delivered.iter().all(|text| !text.contains(&key)));
    assert!(!output.contains(&token), "{output}");
}

/// Only the first machine is given what pairs it; returns the token that all have.
fn each_has_its_part(delivered: &[String]) -> String {
    let line = |text: &str, key: &str| {
        let found = text.lines().find_map(|line| line.trim().strip_prefix(key));
        found
            .unwrap_or_else(|| panic!("no {key} in {text}"))
            .to_owned()
    };
    let token = line(&delivered[0], "cluster-token: ");
    for (text, number) in delivered.iter().zip(1..) {
        assert_eq!(line(text, "node: "), number.to_string());
        assert_eq!(line(text, "cluster-token: "), token);
        assert_eq!(text.contains("overlord-uid"), number == 1, "{text}");
    }
    token
}
