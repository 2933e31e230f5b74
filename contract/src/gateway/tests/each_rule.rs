//! One line of the fullest file changed, and a problem that is then reported.

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
        "6 palette.pairing.pairing-code: has `file` and `env`, which exclude each other",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {fil: code}",
        "6 palette.pairing.pairing-code: has none of `file`, `env` and `from`",
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
        "    api-key: a b",
        "6 palette.pairing.api-key: has a blank in it",
    ),
    (
        "    pairing-code: {file: code}",
        "    manifests: {jet: a}",
        "6 palette.pairing.manifests.ally: is missing",
    ),
    (
        "    pairing-code: {file: code}",
        "    manifests: {jet: a, ally: b, namespace: Cluster}",
        "6 palette.pairing.manifests.namespace: `Cluster` is not a name",
    ),
    (
        "    pairing-code: {file: code}",
        "    manifests: {from: palete}",
        "6 palette.pairing.manifests.from: is not a known value",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {from: palette, file: code}",
        "6 palette.pairing.pairing-code: has `from` and `file`, which exclude each other",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: code}\n    api-key: {file: code}",
        "6 palette.pairing: has `pairing-code` and `api-key`, which exclude each other",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: code}\n  fleet: 0",
        "7 palette.fleet: is not from 1 to 100000",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: code}\n  stable-seconds: 5",
        "7 palette.stable-seconds: is not from 30 to 86400",
    ),
    (
        "    pairing-code: {file: code}",
        "    pairing-code: {file: code}\n  fleet: many",
        "7 palette.fleet: is text where a whole number belongs",
    ),
    (
        "    pairing-code: {file: code}",
        "    {}",
        "6 palette.pairing: has none of `pairing-code`, `manifests` and `api-key`",
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
        "10 network.proxy.https: 172.20.0.1 lies in the cluster's own network 172.20.0.0/16",
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
    ("nodes: 1", "nodes: 2", "18 nodes: is not a known value"),
    (
        "nodes: 1",
        "nodes: 3",
        "18 nodes: has no `api-endpoint` with it",
    ),
    (
        "nodes: 1",
        "nodes: 3\napi-endpoint: gw.example\nnode: 2",
        "18 nodes: has no `cluster-token` with it",
    ),
    (
        "nodes: 1",
        "nodes: 1\nnode: 2",
        "19 node: is not one of this gateway's machines",
    ),
    (
        "nodes: 1",
        "nodes: 1\napi-endpoint: https://gw.example",
        "19 api-endpoint: `https://gw.example` is not a host name or address",
    ),
    (
        "nodes: 1",
        "nodes: 1\napi-endpoint: 172.20.0.9",
        "19 api-endpoint: 172.20.0.9 lies in the cluster's own network 172.20.0.0/16",
    ),
    (
        "nodes: 1",
        "nodes: 1\ncluster-token: SESAME",
        "19 cluster-token: is shorter than 16 characters",
    ),
    (
        "  min-disk: 100GiB",
        "  min-disk: 100",
        "34 maas.min-disk: `100` is not a size",
    ),
    (
        "  - ssh-ed25519",
        "  - ssh-ed25519 AAAA\n  - ssh-ed25519",
        "36 ssh-authorized-keys[0]: is cut short or not base64",
    ),
    (
        "  tags: [k3s, ssd_fast]",
        "  tags: [a b]",
        "30 maas.tags[0]: `a b` is not a tag of MAAS",
    ),
    (
        "      at: [https://harbor.example:8443/v2/hub/]",
        "      at: [http://harbor.example]",
        "22 registries.mirrors[0].at[0]: is not an https URL",
    ),
    (
        "      at: [https://harbor.example:8443/v2/hub/]",
        "      at: [https://me:SESAME@harbor.example]",
        "22 registries.mirrors[0].at[0]: holds a user name or password",
    ),
    (
        "      at: [https://harbor.example:8443/v2/hub/]",
        "      at: [https://harbor.example?x]",
        "22 registries.mirrors[0].at[0]: has more than a host, a port and a path",
    ),
    (
        "      at: [https://harbor.example:8443/v2/hub/]",
        "      at: []",
        "22 registries.mirrors[0].at: is empty",
    ),
    (
        "      at: [https://harbor.example:8443/v2/hub/]",
        "      at: [https://harbor.example:8443/v2/hub/]\n      insecure: true",
        "23 registries.mirrors[0].insecure: is not a key that is known here",
    ),
    (
        "    - of: docker.io",
        "    - of: rancher",
        "21 registries.mirrors[0].of: `rancher` is not a registry",
    ),
    (
        "    - of: docker.io",
        "    - of: docker.io/rancher",
        "21 registries.mirrors[0].of: `docker.io/rancher` is not a registry",
    ),
    (
        "    - of: docker.io",
        "    - {of: docker.io, at: [https://one.example]}\n    - of: docker.io",
        "22 registries.mirrors[1]: `docker.io` has a mirror above already",
    ),
    (
        "      rewrite: [{from: rancher/, to: hub/rancher/}]",
        "      rewrite: [{from: '^rancher/(.*)', to: hub/}]",
        "23 registries.mirrors[0].rewrite[0].from: `^rancher/(.*)` begins no name of an image",
    ),
    (
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}",
        "    - {registry: 'harbor.example:8443', username: 'a:b', password: {file: code}}",
        "25 registries.logins[0].username: is empty, or has a colon",
    ),
    (
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}",
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: ''}",
        "25 registries.logins[0].password: is empty",
    ),
    (
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}",
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}\n    - {registry: 'harbor.example:8443', username: robot$edge, password: SESAME}",
        "26 registries.logins[1]: `harbor.example:8443` has a login above already",
    ),
    (
        "  fall-back: false",
        "  fall-back: 'no'",
        "26 registries.fall-back: is text where true or false belongs",
    ),
    (
        "\n  mirrors:\n    - of: docker.io\n      at: [https://harbor.example:8443/v2/hub/]\n      rewrite: [{from: rancher/, to: hub/rancher/}]",
        "",
        "22 registries.fall-back: has no `mirrors` with it",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-address: fd00::9",
        "19 virtual-address: `fd00::9` is an IPv6 address",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-address: 127.0.0.9",
        "19 virtual-address: `127.0.0.9` is no address that a machine can serve",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-address: 172.20.0.9",
        "19 virtual-address: 172.20.0.9 lies in the cluster's own network 172.20.0.0/16",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-address: 10.1.0.9\nvirtual-router: 256",
        "20 virtual-router: is not from 1 to 255",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-router: 9",
        "19 virtual-router: has no `virtual-address` with it",
    ),
    (
        "nodes: 1",
        "nodes: 1\nvirtual-address: 10.1.0.9\napi-endpoint: 10.1.0.8",
        "20 api-endpoint: is another address than `virtual-address` 10.1.0.9",
    ),
    (
        "nodes: 1",
        "nodes: 1\ncluster-token: SESAME-0123456789",
        "19 cluster-token: has no `api-endpoint` with it",
    ),
    (
        "      rewrite: [{from: rancher/, to: hub/rancher/}]",
        "      rewrite: [{from: rancher/, to: a/}, {from: rancher/k3s, to: b/}]",
        "23 registries.mirrors[0].rewrite[1]: `rancher/k3s` and `rancher/` above fit the same names",
    ),
    (
        "    - {registry: 'harbor.example:8443', username: robot$edge, password: {file: code}}",
        "    - {registry: docker.io, username: robot$edge, password: {file: code}}",
        "25 registries.logins[0].registry: `docker.io` has mirrors",
    ),
];
