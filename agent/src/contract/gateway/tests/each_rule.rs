//! One line of the fullest file changed, and what is then told.

/// A line of `FULL`, what stands in its place, and how a problem begins: its
/// line, its key and its words.
pub(super) const CASES: &[(&str, &str, &str)] = &[
    ("name: edge-1", "name: Edge", "2 name: `Edge` is not a name"),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: cod}",
        "6 palette.pairing.pairing-code.file: no file cod",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: code, env: X}",
        "6 palette.pairing.pairing-code: is not a value, nor one kept elsewhere",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {fil: code}",
        "6 palette.pairing.pairing-code: is not a value, nor one kept elsewhere",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: ''",
        "6 palette.pairing.pairing-code: is empty",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: a b",
        "6 palette.pairing.pairing-code: has a blank in it",
    ),
    (
        "    pairing-code: {file: code}",
        "    api-key: {file: code}",
        "6 palette.pairing.api-key: is not supported yet",
    ),
    (
        "    pairing-code: {file: code}",
        "    manifests: {jet: a, ally: b}",
        "6 palette.pairing.manifests: is not supported yet",
    ),
    (
        "    pairing-code: {file: code}",
        "    {}",
        "6 palette.pairing.pairing-code: is missing",
    ),
    (
        "  no-proxy: [10.0.0.0/8, '*.Corp.example']\n",
        "",
        "9 network.proxy: has no `no-proxy` with it",
    ),
    (
        "    https: http://proxy.example:80\n",
        "",
        "9 network.proxy.https: is missing",
    ),
    (
        "    https: http://proxy.example:80",
        "    https: http://me:SESAME@proxy",
        "10 network.proxy.https: has no port",
    ),
    (
        "    https: http://proxy.example:80",
        "    https: http://172.20.0.1:80",
        "9 network.proxy: 172.20.0.1 lies in the cluster's own network 172.20.0.0/16",
    ),
    (
        "  pod-cidr: 172.20.0.0/16",
        "  pod-cidr: 172.21.16.0/20",
        "13 network.service-cidr: the pod network 172.21.16.0/20 and the service network \
             172.21.0.0/16 overlap",
    ),
    (
        "  service-cidr: 172.21.0.0/16",
        "  service-cidr: 10.0.0.0/16",
        "14 network.dns[0]: 10.0.0.53 lies in the cluster's own network 10.0.0.0/16",
    ),
    (
        "  service-cidr: 172.21.0.0/16",
        "  service-cidr: 172.21.0.0/29",
        "13 network.service-cidr: `172.21.0.0/29` has a prefix length of 29",
    ),
    (
        "  ntp: [ntp.example, 10.0.0.123]",
        "  ntp: [a b]",
        "15 network.ntp[0]: `a b` is not a host name or address",
    ),
    ("nodes: 1", "nodes: 2", "18 nodes: is neither 1 nor 3"),
    (
        "  min-disk: 100GiB",
        "  min-disk: 100",
        "26 maas.min-disk: `100` is not a size",
    ),
    (
        "  - ssh-ed25519",
        "  - ssh-ed25519 AAAA\n  - ssh-ed25519",
        "28 ssh-authorized-keys[0]: is cut short or not base64",
    ),
    (
        "  tags: [k3s, ssd_fast]",
        "  tags: [a b]",
        "22 maas.tags[0]: `a b` is not a tag of MAAS",
    ),
];
