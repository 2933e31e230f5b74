//! The simulated proxy as a client sees it, with a simulated Palette behind it.

use jiff::Timestamp;
use reqwest::{Certificate, Client, ClientBuilder, Response};

use super::*;
use crate::palette::{Palette, PaletteConfig};
use crate::tls::Authority;

const PING: &str = "https://palette.postern.test/v1/health/ping";
const NAME: &str = "palette.postern.test:443";

struct Bench {
    proxy: Proxy,
    palette: Palette,
    log: EventLog,
}

async fn bench(login: Option<(&str, &str)>) -> Bench {
    let log = EventLog::default();
    let authority = Authority::generate("Palette CA", Timestamp::now()).unwrap();
    let config = PaletteConfig::new("palette.postern.test", authority, log.clone());
    let palette = Palette::start(config).await.unwrap();
    let mut config = ProxyConfig::new(log.clone()).with_destination(NAME, palette.addr());
    config.login = login.map(|(user, password)| (user.to_owned(), password.to_owned()));
    let proxy = Proxy::start(config).await.unwrap();
    Bench {
        proxy,
        palette,
        log,
    }
}

impl Bench {
    /// A client that trusts `ca` and goes through the proxy as `login@`.
    fn client(&self, ca: &str, login: &str) -> Client {
        let proxy = format!("http://{login}{}", self.proxy.addr());
        ClientBuilder::new()
            .tls_certs_only([Certificate::from_pem(ca.as_bytes()).unwrap()])
            .redirect(reqwest::redirect::Policy::none())
            .proxy(reqwest::Proxy::all(proxy).unwrap())
            .build()
            .unwrap()
    }

    async fn ping(&self, login: &str) -> reqwest::Result<Response> {
        self.client(self.palette.ca(), login).get(PING).send().await
    }

    fn answered(&self) -> Vec<(String, u16)> {
        let answered = |recorded: crate::events::Recorded| match recorded.event {
            events::Event::Proxy(Event::Answered {
                destination,
                status,
                ..
            }) => Some((destination, status)),
            _ => None,
        };
        self.log
            .recorded()
            .into_iter()
            .filter_map(answered)
            .collect()
    }
}

#[tokio::test]
async fn a_tunnel_leads_to_palette_and_nowhere_else() {
    let bench = bench(None).await;
    assert_eq!(bench.ping("").await.unwrap().status(), 200);
    let client = bench.client(bench.palette.ca(), "");
    assert!(client.get("https://example.test/").send().await.is_err());
    let plain = client.get("http://example.test/").send().await.unwrap();
    assert_eq!(plain.status(), 403);
    let wanted = [
        (NAME, 200),
        ("example.test:443", 403),
        ("example.test:80", 403),
    ];
    assert_eq!(bench.answered(), wanted.map(|(d, s)| (d.to_owned(), s)));
}

#[tokio::test]
async fn a_login_is_required_and_never_logged() {
    let bench = bench(Some(("edge", "s3cret"))).await;
    for login in ["", "edge:wrong@"] {
        assert!(bench.ping(login).await.is_err(), "{login}");
    }
    assert_eq!(bench.ping("edge:s3cret@").await.unwrap().status(), 200);
    let statuses: Vec<_> = bench.answered().into_iter().map(|(_, s)| s).collect();
    assert_eq!(statuses, [407, 407, 200]);
    let log = format!("{:?}", bench.log.recorded());
    for secret in ["s3cret", "ZWRnZT", "wrong"] {
        assert!(!log.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn plain_requests_are_passed_on() {
    let log = EventLog::default();
    let config = crate::maas::MaasConfig::new("abc", "edge", log.clone());
    let maas = crate::maas::Maas::start(config).await.unwrap();
    let config = ProxyConfig::new(log.clone()).with_destination("maas.test:80", maas.addr());
    let proxy = Proxy::start(config).await.unwrap();
    let through = reqwest::Proxy::all(format!("http://{}", proxy.addr())).unwrap();
    let client = ClientBuilder::new().proxy(through).build().unwrap();
    let url = "http://maas.test/MAAS/metadata/latest/by-id/abc/";
    let answer = client.post(url).form(&[("op", "netboot_off")]).send().await;
    assert_eq!(answer.unwrap().text().await.unwrap(), "OK");
}

#[tokio::test]
async fn faults_come_as_often_as_asked_for() {
    let bench = bench(None).await;
    bench.proxy.inject(1, Fault::Status(503));
    bench.proxy.inject(1, Fault::Close);
    for _ in 0..2 {
        assert!(bench.ping("").await.is_err());
    }
    assert_eq!(bench.ping("").await.unwrap().status(), 200);
    let gate = Gate::default();
    bench.proxy.inject(1, Fault::Stall(gate.clone()));
    let stalled =
        |event: &events::Event| matches!(event, events::Event::Proxy(Event::Stalled { .. }));
    let opened = async {
        bench.log.await_event(stalled).await;
        gate.open();
    };
    let (answer, ()) = tokio::join!(bench.ping(""), opened);
    assert_eq!(answer.unwrap().status(), 200);
}

#[tokio::test]
async fn interception_is_seen_by_who_does_not_trust_it() {
    let bench = bench(None).await;
    let middle = Authority::generate("Middle CA", Timestamp::now()).unwrap();
    let ca = middle.pem().to_owned();
    let interception = Arc::new(Interception::blocking(middle));
    bench.proxy.inject(2, Fault::Intercept(interception));
    assert!(bench.ping("").await.is_err());
    let refused = events::Event::Proxy(Event::InterceptionRefused {
        destination: NAME.to_owned(),
    });
    bench.log.await_event(|event| *event == refused).await;
    let blocked = bench.client(&ca, "").get(PING).send().await.unwrap();
    assert_eq!(blocked.status(), 303);
    assert!(blocked.headers().contains_key("location"));
}

#[tokio::test]
async fn interception_with_a_trusted_authority_passes_on() {
    let bench = bench(None).await;
    let middle = Authority::generate("Middle CA", Timestamp::now()).unwrap();
    let ca = middle.pem().to_owned();
    let interception = Interception::passing(middle, bench.palette.ca()).unwrap();
    let fault = Fault::Intercept(Arc::new(interception));
    bench.proxy.inject(1, fault);
    let answer = bench.client(&ca, "").get(PING).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}
