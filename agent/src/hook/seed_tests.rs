use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::*;

/// What MAAS 3.7 puts into curtin's configuration for a custom image; the
/// values are made up.
fn config() -> Value {
    json!({
        "cloudconfig": {
            "maas-cloud-config": {
                "content": "#cloud-config\ndatasource:\n  MAAS:\n    consumer_key: CKEY\n    metadata_url: http://10.0.0.2:5248/MAAS/metadata/\n    token_key: TKEY\n    token_secret: TSECRET\n",
                "path": "/etc/cloud/cloud.cfg.d/90_maas_cloud_config.cfg"
            },
            "maas-datasource": {
                "content": "datasource_list: [ MAAS ]",
                "path": "/etc/cloud/cloud.cfg.d/90_maas_datasource.cfg"
            },
            "maas-reporting": {
                "content": "#cloud-config\nreporting:\n  maas:\n    consumer_key: CKEY\n    endpoint: http://10.0.0.2:5248/MAAS/metadata/status/abc123\n    token_key: TKEY\n    token_secret: TSECRET\n    type: webhook\n",
                "path": "/etc/cloud/cloud.cfg.d/90_maas_cloud_init_reporting.cfg"
            },
            "maas-ubuntu-sso": {
                "content": "#cloud-config\nsnap:\n  email: admin@example.com\n",
                "path": "/etc/cloud/cloud.cfg.d/90_maas_ubuntu_sso.cfg"
            }
        },
        "install": {"log_file": "/tmp/install.log"},
        "verbosity": 3
    })
}

const NETWORK_YAML: &str = include_str!("testdata/network/bridge-on-bond.yaml");

fn planned(config: &Value) -> Result<Plan, SeedError> {
    plan(&config.to_string(), NETWORK_YAML)
}

fn content<'a>(plan: &'a Plan, name: &str) -> &'a str {
    let file = plan.files.iter().find(|file| file.name == name);
    file.unwrap_or_else(|| panic!("no {name} in {plan:?}"))
        .content
        .as_str()
}

fn names(plan: &Plan) -> Vec<String> {
    plan.files.iter().map(|file| format!("{file:?}")).collect()
}

#[test]
fn takes_over_all_that_maas_sends() {
    let plan = planned(&config()).unwrap();
    assert_eq!(
        names(&plan),
        [
            "50-curtin-networking.cfg (600)",
            "90_maas_cloud_config.cfg (600)",
            "90_maas_cloud_init_reporting.cfg (600)",
            "90_maas_datasource.cfg (644)",
            "90_maas_ubuntu_sso.cfg (600)",
        ]
    );
    let sent = config();
    for (key, name) in [
        ("maas-cloud-config", CREDENTIALS),
        ("maas-reporting", REPORTING),
        ("maas-ubuntu-sso", "90_maas_ubuntu_sso.cfg"),
    ] {
        let sent = sent["cloudconfig"][key]["content"].as_str().unwrap();
        assert_eq!(content(&plan, name), sent, "byte for byte");
    }
    assert_eq!(
        content(&plan, DATASOURCE),
        "datasource_list: [ MAAS ]\nmanual_cache_clean: true\n"
    );
    assert!(plan.left_out.is_empty());
}

#[test]
fn the_content_decides_and_not_the_path() {
    let mut config = config();
    for (i, (_, entry)) in config["cloudconfig"]
        .as_object_mut()
        .unwrap()
        .iter_mut()
        .enumerate()
    {
        entry["path"] = json!(format!("50-cloudconfig-{i}.cfg"));
    }
    let plan = planned(&config).unwrap();
    for name in [CREDENTIALS, REPORTING, DATASOURCE, "50-cloudconfig-3.cfg"] {
        content(&plan, name);
    }
}

#[test]
fn every_network_of_maas_passes_byte_for_byte() {
    for network in [
        NETWORK_YAML,
        include_str!("testdata/network/bond-vlans.yaml"),
        include_str!("testdata/network/dhcp4-static6.yaml"),
        include_str!("testdata/network/nics-routes-mtu.yaml"),
        include_str!("testdata/network/source-routing.yaml"),
        include_str!("testdata/network-version-1.yaml"),
        "network: {config: disabled}\n",
    ] {
        let plan = plan(&config().to_string(), network).unwrap();
        assert_eq!(content(&plan, NETWORK), network);
        let seed = tempfile::tempdir().unwrap();
        store(seed.path(), &plan).unwrap();
        let written = seed.path().join(ETC).join(CLOUD_CFG_D).join(NETWORK);
        assert_eq!(fs::read_to_string(written).unwrap(), network);
    }
}

#[test]
fn without_a_datasource_list_there_is_one_all_the_same() {
    let mut config = config();
    config["cloudconfig"]
        .as_object_mut()
        .unwrap()
        .remove("maas-datasource");
    let plan = planned(&config).unwrap();
    assert_eq!(
        content(&plan, DATASOURCE),
        "datasource_list: [ MAAS ]\nmanual_cache_clean: true\n"
    );
}

#[test]
fn other_datasources_are_not_let_in_and_other_settings_are_kept() {
    let mut config = config();
    config["cloudconfig"]["maas-datasource"]["content"] = json!(
        "datasource_list: [ NoCloud, MAAS ]\nmanual_cache_clean: false\napt: {\"a: b\": [1, x]}\n"
    );
    let plan = planned(&config).unwrap();
    let text = content(&plan, DATASOURCE);
    assert_eq!(
        text,
        "datasource_list: [ MAAS ]\nmanual_cache_clean: true\n\"apt\": {\"a: b\":[1,\"x\"]}\n"
    );
    let back: Value = serde_saphyr::from_str(text).unwrap();
    assert_eq!(back["apt"], json!({"a: b": [1, "x"]}));
}

#[test]
fn names_every_problem_and_no_value() {
    let config = json!({"cloudconfig": {
        "a": {"content": "datasource: {MAAS: {metadata_url: 'http://x', consumer_key: '', token_secret: TSECRET}}"},
        "b": {"path": "90_b.cfg"},
        "c": {"content": "x: 1", "path": "/etc/cloud/cloud.cfg.d/../../../../sbin/init"},
        "d": {"content": "x: 1", "path": "x\ny.cfg"},
    }});
    let error = plan(&config.to_string(), "network:\n  - TSECRET: {\n").unwrap_err();
    let text = error.to_string();
    for problem in [
        "cloudconfig.a: datasource.MAAS lacks consumer_key and token_key",
        "cloudconfig.b has no content",
        "cloudconfig.c.path leads out of the target",
        "cloudconfig.d.path holds a control character",
        "OUTPUT_NETWORK_CONFIG:",
        "preseed templates",
    ] {
        assert!(text.contains(problem), "{problem} in {text}");
    }
    assert!(!text.contains("TSECRET"), "{text}");
    assert!(!text.contains('\n'), "{text}");
}

#[test]
fn refuses_what_no_machine_could_boot_with() {
    let whole = config().to_string();
    for (config, network, problem) in [
        ("{}", NETWORK_YAML, "CONFIG has no cloudconfig"),
        ("{}", NETWORK_YAML, "no MAAS datasource"),
        ("{\"a\": TSECRET}", NETWORK_YAML, "CONFIG:1:7: not JSON"),
        (&whole[..90], NETWORK_YAML, "not JSON"),
        (&whole, "", "OUTPUT_NETWORK_CONFIG"),
        (&whole, "ethernets: {}", "has no `network`"),
        (&whole, "network: null", "has no `network`"),
        (&whole, "network: {ethernets: {}}", "has no version"),
        (&whole, "network: [TSECRET]", "not a YAML mapping"),
    ] {
        let text = plan(config, network).unwrap_err().to_string();
        assert!(text.contains(problem), "{problem} in {text}");
        assert!(!text.contains("TSECRET"), "{text}");
    }
}

#[test]
fn two_entries_cannot_share_a_file() {
    for path in [NETWORK, DATASOURCE, CREDENTIALS, "90_maas_ubuntu_sso.cfg"] {
        let mut config = config();
        config["cloudconfig"]["zz"] =
            json!({"content": "x: 1", "path": format!("/etc/cloud/cloud.cfg.d/{path}")});
        let text = planned(&config).unwrap_err().to_string();
        assert!(text.contains(path), "{text}");
    }
}

#[test]
fn files_for_elsewhere_are_left_out_and_named() {
    for path in ["/etc/passwd", "/etc/cloud/cloud.cfg.d/README", "/x.cfg"] {
        let mut config = config();
        config["cloudconfig"]["zz"] = json!({"content": "x", "path": path});
        assert_eq!(planned(&config).unwrap().left_out, ["zz"]);
    }
}

#[test]
fn debug_output_shows_no_secret() {
    let plan = planned(&config()).unwrap();
    assert!(!format!("{plan:?}").contains("TSECRET"));
}

#[test]
fn stores_files_with_their_modes_and_removes_curtins_copy_of_the_secrets() {
    let seed = tempfile::tempdir().unwrap();
    let root = seed.path();
    fs::create_dir(root.join("root")).unwrap();
    let saved = root.join("root/curtin-install-cfg.yaml");
    fs::write(&saved, "TSECRET").unwrap();
    // Another name for the same bytes, to see what becomes of them.
    fs::hard_link(&saved, root.join("blocks")).unwrap();
    let dir = root.join("etc/cloud/cloud.cfg.d");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join(".new-killed"), "TSECRET").unwrap();
    let plan = planned(&config()).unwrap();
    // Twice: a run that was killed is run again.
    for _ in 0..2 {
        store(root, &plan).unwrap();
        for file in &plan.files {
            let path = dir.join(&file.name);
            assert_eq!(fs::read_to_string(&path).unwrap(), *file.content);
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, file.mode, "{file:?}");
        }
        assert_eq!(fs::read_dir(&dir).unwrap().count(), plan.files.len());
        assert!(!saved.exists());
        assert_eq!(fs::read(root.join("blocks")).unwrap(), [0; 7]);
    }
}

#[test]
fn knows_where_curtin_saves_its_configuration() {
    for (install, expected) in [
        (json!({}), Some("root/curtin-install-cfg.yaml")),
        (
            json!({"save_install_config": "/var/c.yaml"}),
            Some("var/c.yaml"),
        ),
        (json!({"save_install_config": ""}), None),
        (json!({"save_install_config": false}), None),
        (json!({"save_install_config": "/a/../../b"}), None),
    ] {
        let found = saved_config(&json!({"install": install}));
        assert_eq!(found.as_deref(), expected);
    }
}

#[test]
fn the_agent_finds_what_the_hook_puts_there() {
    use postern_contract::paths::{MAAS_CONFIG, MAAS_REPORTING};

    for (path, name) in [(MAAS_CONFIG, CREDENTIALS), (MAAS_REPORTING, REPORTING)] {
        assert_eq!(path, format!("/etc/{CLOUD_CFG_D}/{name}"));
    }
}
