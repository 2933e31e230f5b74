//! Asking one name server, past the machine's own resolver.

use std::net::IpAddr;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

/// Per try and server.
const QUERY_TIMEOUT: Duration = Duration::from_secs(3);

/// The addresses of `name` as `server` answers, over UDP or TCP on port 53;
/// `search` are the domains that a short name may be in.
///
/// # Errors
/// One line: the server's error, or that it did not answer.
pub async fn query(server: IpAddr, search: &[String], name: &str) -> Result<Vec<IpAddr>, String> {
    let search = search.iter().filter_map(|s| Name::from_utf8(s).ok());
    let servers = vec![NameServerConfig::udp_and_tcp(server)];
    let config = ResolverConfig::from_parts(None, search.collect(), servers);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    let options = builder.options_mut();
    options.timeout = QUERY_TIMEOUT;
    options.attempts = 2;
    options.use_hosts_file = ResolveHosts::Never;
    let resolver = builder.build().map_err(|e| e.to_string())?;
    let found = resolver.lookup_ip(name).await.map_err(|e| e.to_string())?;
    Ok(found.iter().collect())
}

/// The search domains of a resolv.conf(5): the last such line counts.
pub fn search_in(resolv_conf: &str) -> Vec<String> {
    let mut lines = resolv_conf.lines().rev();
    let line = lines.find_map(|line| {
        let mut words = line.split_whitespace();
        (words.next()? == "search").then(|| words.map(str::to_owned).collect())
    });
    line.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_search_domains() {
        for (text, expected) in [
            (
                "nameserver 192.0.2.1\nsearch corp.example maas\n",
                &["corp.example", "maas"][..],
            ),
            ("search a\nsearch b\n", &["b"]),
            ("# search x\nsearching y\n", &[]),
        ] {
            assert_eq!(search_in(text), expected, "{text}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told() {
        // Nobody listens on port 53 of this loopback address.
        let error = query([127, 53, 53, 53].into(), &[], "palette.example").await;
        assert!(!error.unwrap_err().is_empty());
    }
}
