use secrecy::ExposeSecret;

use super::*;
use crate::host::Command;

fn settings(proxy: &str, no_proxy: &[&str]) -> ProxySettings {
    ProxySettings {
        http: proxy.parse().unwrap(),
        https: proxy.parse().unwrap(),
        no_proxy: no_proxy.iter().map(|s| (*s).to_owned()).collect(),
    }
}

fn around() -> Surroundings {
    Surroundings {
        pod_cidr: Some("10.42.0.0/16".parse().unwrap()),
        service_cidr: Some("10.43.0.0/16".parse().unwrap()),
        subnets: vec![
            "10.0.2.15/24".parse().unwrap(),
            "fd00::1/64".parse().unwrap(),
        ],
        maas_host: Some("maas.example".to_owned()),
        api_endpoints: Vec::new(),
    }
}

/// Every character that a URL may carry in a password unencoded, and that some
/// file format gives a meaning to.
const NASTY: &str = "http://me:p%40'$HOME!*()&,~%25@proxy.example:80/";

#[test]
fn what_a_gateway_needs_is_always_direct() {
    let proxy = Proxy::new(
        &settings("http://p:3128", &[".corp", "localhost"]),
        &around(),
    );
    assert_eq!(
        proxy.no_proxy(Reader::Rust),
        ".corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,\
         10.42.0.0/16,10.43.0.0/16,10.43.0.1,10.0.2.0/24,fd00::/64,maas.example"
    );
    let bare = Proxy::new(&settings("http://p:3128", &[]), &Surroundings::default());
    assert_eq!(bare.direct(), ALWAYS_DIRECT);
}

#[test]
fn renders_for_each_program() {
    let proxy = Proxy::new(
        &settings("http://p:3128", &["maas", ".corp"]),
        &Surroundings::default(),
    );
    let shown = |rendered: Rendered| {
        format!(
            "{} {:o}\n{}",
            rendered.path.display(),
            rendered.mode,
            rendered.text.expose_secret()
        )
    };
    insta::assert_snapshot!(shown(proxy.systemd_environment()), @r#"
    /etc/systemd/system.conf.d/50-postern-proxy.conf 644
    # Written by Postern from the gateway file or the image's profile.
    [Manager]
    DefaultEnvironment="HTTP_PROXY=http://p:3128" \
      "HTTPS_PROXY=http://p:3128" \
      "NO_PROXY=maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp,127.0.0.1" \
      "http_proxy=http://p:3128" \
      "https_proxy=http://p:3128" \
      "no_proxy=maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp,127.0.0.1"
    "#);
    insta::assert_snapshot!(shown(proxy.profile_script()), @r#"
    /etc/profile.d/50-postern-proxy.sh 644
    # Written by Postern from the gateway file or the image's profile.
    export HTTP_PROXY='http://p:3128'
    export HTTPS_PROXY='http://p:3128'
    export NO_PROXY='maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp,127.0.0.1'
    export http_proxy='http://p:3128'
    export https_proxy='http://p:3128'
    export no_proxy='maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp,127.0.0.1'
    "#);
    insta::assert_snapshot!(shown(proxy.apt_conf()), @r#"
    /etc/apt/apt.conf.d/50postern-proxy 644
    // Written by Postern from the gateway file or the image's profile.
    Acquire::http::Proxy "http://p:3128";
    Acquire::http::Proxy::maas "DIRECT";
    Acquire::http::Proxy::localhost "DIRECT";
    Acquire::http::Proxy::169.254.169.254 "DIRECT";
    Acquire::https::Proxy "http://p:3128";
    Acquire::https::Proxy::maas "DIRECT";
    Acquire::https::Proxy::localhost "DIRECT";
    Acquire::https::Proxy::169.254.169.254 "DIRECT";
    "#);
    insta::assert_snapshot!(shown(proxy.k3s_environment()), @r#"
    /etc/systemd/system/k3s.service.env 600
    # Written by Postern from the gateway file or the image's profile.
    HTTP_PROXY="http://p:3128"
    HTTPS_PROXY="http://p:3128"
    NO_PROXY="maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp"
    CONTAINERD_HTTP_PROXY="http://p:3128"
    CONTAINERD_HTTPS_PROXY="http://p:3128"
    CONTAINERD_NO_PROXY="maas,.corp,localhost,127.0.0.0/8,::1,169.254.169.254,.svc,.cluster.local,corp"
    "#);
}

#[test]
fn a_password_is_for_root_alone() {
    let proxy = Proxy::new(&settings(NASTY, &[]), &around());
    let rendered = [
        proxy.systemd_environment(),
        proxy.profile_script(),
        proxy.apt_conf(),
        proxy.k3s_environment(),
    ];
    for rendered in rendered {
        assert_eq!(rendered.mode, 0o600, "{}", rendered.path.display());
        let shown = format!("{rendered:?}");
        assert!(!shown.contains("HOME"), "{shown}");
    }
    assert!(!format!("{proxy:?}").contains("HOME"), "{proxy:?}");
}

#[test]
fn a_shell_reads_what_was_meant() {
    let settings = settings(NASTY, &[]);
    let proxy = Proxy::new(&settings, &around());
    let script = proxy.profile_script();
    let script = format!("{}printf %s \"$HTTP_PROXY\"", script.text.expose_secret());
    let said = Command::new("sh")
        .run_with_input(script.as_bytes())
        .unwrap();
    assert_eq!(String::from_utf8(said).unwrap(), address(&settings.http));
    assert_eq!(
        address(&settings.http),
        NASTY.trim_end_matches('/'),
        "port 80 is kept"
    );
}

#[test]
fn apt_reads_what_was_meant() {
    let settings = settings(NASTY, &["maas.example"]);
    let proxy = Proxy::new(&settings, &Surroundings::default());
    let dir = tempfile::tempdir().unwrap();
    let conf = dir.path().join("apt.conf");
    fs_err::write(&conf, proxy.apt_conf().text.expose_secret()).unwrap();
    let said = Command::new("apt-config")
        .args([
            "shell",
            "P",
            "Acquire::https::Proxy",
            "D",
            "Acquire::http::Proxy::maas.example",
        ])
        .env("APT_CONFIG", &conf)
        .run();
    let said = String::from_utf8(said.unwrap()).unwrap();
    let script = format!("{said}printf '%s %s' \"$P\" \"$D\"");
    let said = Command::new("sh")
        .run_with_input(script.as_bytes())
        .unwrap();
    let expected = format!("{} DIRECT", address(&settings.https));
    assert_eq!(String::from_utf8(said).unwrap(), expected);
}

#[test]
fn systemd_escapes() {
    let proxy = Proxy::new(&settings(NASTY, &[]), &Surroundings::default());
    let k3s = proxy.k3s_environment();
    assert!(
        k3s.text
            .expose_secret()
            .contains(r#"HTTP_PROXY="http://me:p%40'\$HOME!*()&,~%25@proxy"#),
        "{}",
        k3s.text.expose_secret()
    );
    let manager = proxy.systemd_environment();
    assert!(
        manager
            .text
            .expose_secret()
            .contains(r#""HTTP_PROXY=http://me:p%%40'$HOME!*()&,~%%25@"#),
        "{}",
        manager.text.expose_secret()
    );
}

#[test]
fn finds_the_entry_that_goes_past_the_proxy() {
    for (entry, url, direct) in [
        (
            ".spectrocloud.com",
            "https://console.spectrocloud.com",
            true,
        ),
        ("spectrocloud.com", "https://console.spectrocloud.com", true),
        (
            "console.spectrocloud.com",
            "https://console.spectrocloud.com",
            true,
        ),
        (".spectrocloud.com", "https://spectrocloud.com", true),
        ("cloud.com", "https://console.spectrocloud.com", false),
        ("com.example", "https://console.spectrocloud.com", false),
        ("10.0.0.0/8", "https://10.1.2.3:8443", true),
        ("10.1.2.3", "https://10.1.2.3", true),
        ("10.0.0.0/8", "https://11.1.2.3", false),
        ("fd00::/8", "https://[fd00::1]", true),
        ("10.0.0.0/8", "https://console.spectrocloud.com", false),
    ] {
        let list = [entry.to_owned()];
        let found = direct_by(&list, &url.parse().unwrap());
        assert_eq!(found.is_some(), direct, "{entry} {url}");
    }
}

/// A client asks the proxy for what is not direct, and only for that.
#[tokio::test]
async fn our_own_client_obeys() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let server = tokio::spawn(async move {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = vec![0; 4096];
            let read = stream.read(&mut head).await.unwrap();
            heads.push(String::from_utf8_lossy(&head[..read]).into_owned());
            let answer = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
            stream.write_all(answer).await.unwrap();
        }
        heads
    });
    let url = format!("http://me:p%40ss@127.0.0.1:{port}");
    let proxy = Proxy::new(&settings(&url, &[]), &Surroundings::default());
    let [http, https] = proxy.for_reqwest().unwrap();
    let client = reqwest::Client::builder()
        .proxy(http)
        .proxy(https)
        .build()
        .unwrap();
    client.get("http://palette.test/a").send().await.unwrap();
    client
        .get(format!("http://127.0.0.1:{port}/b"))
        .send()
        .await
        .unwrap();
    let heads = server.await.unwrap();
    assert!(
        heads[0].starts_with("GET http://palette.test/a "),
        "{}",
        heads[0]
    );
    assert!(
        heads[0].contains("Basic bWU6cEBzcw=="),
        "me:p@ss, decoded: {}",
        heads[0]
    );
    assert!(heads[1].starts_with("GET /b "), "{}", heads[1]);
}
