//! One line added or changed, and a problem that is then reported.

/// A line to add to the smallest profile, and part of a problem.
pub(super) const ADDED: &[(&str, &str)] = &[
    (
        "proxy: {http: 'http://me:SESAME@p:1', https: 'http://p:1', no-proxy: []}",
        "proxy.http: has a password, and a password in the image can be read by anyone",
    ),
    (
        "proxy: {http: 'http://p:1', https: {env: P}, no-proxy: []}",
        "proxy.https: is a mapping where text belongs",
    ),
    (
        "proxy: {http: 'http://p:1', https: 'http://p:1'}",
        "proxy.no-proxy: is missing",
    ),
    (
        "proxy: {http: 'http://p:1', https: 'http://p:1', no-proxy: [], noproxy: []}",
        "proxy.noproxy: is not a key",
    ),
    (
        "certificates: [../tests/none.pem]",
        "certificates[0]: `../tests/none.pem` does not exist",
    ),
    (
        "certificates: [../tests/key.pem]",
        "certificates[0]: holds a private key",
    ),
    ("certificates: [../tests]", "is not a file"),
    (
        "packages: {debconf: [a a/b password SESAME]}",
        "packages.debconf[0]: a password, which everybody with the image could read",
    ),
    (
        "packages: {docs: {keep: ['no name']}}",
        "packages.docs.keep[0]: `no name` is not a package name",
    ),
    ("overlays: [../tests/two.pem]", "is not a directory"),
    (
        "packages: {add: [curl, Jq], remove: [curl]}",
        "packages.add[1]: `Jq` is not a package",
    ),
    (
        "packages: {add: [curl], remove: [curl]}",
        "packages.remove[0]: `curl` is in `packages.add`",
    ),
    (
        "users: [{name: root}]",
        "users[0].name: root is always locked",
    ),
    (
        "users: [{name: a}, {name: a}]",
        "users[1]: the name `a` is there twice",
    ),
    (
        "users: [{name: a, password: SESAME}]",
        "users[0].password: is not a key",
    ),
    ("disk: {esp: 1MiB}", "disk.esp: `1MiB` is too small"),
    ("disk: {seed: 64MB}", "disk.seed: `64MB` is not a size"),
    ("disk: {budget: 1GB}", "disk.budget: `1GB` is not a size"),
    ("disk: {budget: 0}", "disk.budget: `0` leaves no room"),
    ("outputs: [vmdk]", "outputs[0]: is not a known value"),
    ("outputs: []", "outputs: is empty"),
    ("vars: 1", "vars: is a number where a mapping belongs"),
    (
        "firmware: firmware-linux",
        "firmware: is text where a list belongs",
    ),
];

/// Another `base` for the smallest profile, and part of a problem.
pub(super) const BASES: &[(&str, &str)] = &[
    (
        "base: {distro: ubuntu, release: noble, snapshot: yesterday}",
        "base.snapshot: `yesterday` is not a time",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: infra/ubuntu, mirror: nowhere}]}",
        "base.archives[0].mirror: is not a URL",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: a, mirror: 'http://m', token: SESAME}]}",
        "base.archives[0].token: is text where a mapping belongs",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: a, mirror: 'http://m', url: 'http://m'}]}",
        "base.archives[0]",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: a}]}",
        "base.archives[0]",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: a, url: 'http://m', token: {env: A}, login: {user: j, password: {env: B}}}]}",
        "base.archives[0]: has a `token` and a `login`",
    ),
    (
        "base: {distro: ubuntu, release: noble, mirror: 'http://m/x', archives: [{archive: a, url: 'http://m/y', priority: 990}]}",
        "base.archives[0]: has a `priority`, which apt gives to a host",
    ),
    (
        "base: {distro: ubuntu, release: noble, archives: [{archive: a, url: 'http://m', priority: 2000}]}",
        "base.archives[0].priority: `2000` is not a priority",
    ),
    (
        "base: {distro: ubuntu, release: noble, proxy: 'http://joe:secret@p:1'}",
        "base.proxy: holds a user name or password",
    ),
    (
        "base: {distro: ubuntu, release: noble, mirror: nowhere}",
        "base.mirror: is neither",
    ),
    (
        "base: {distro: ubuntu, release: noble, arch: arm64}",
        "base.arch: is not a known value",
    ),
    (
        "base: {distro: ubuntu, release: noble, keyring: none.gpg}",
        "base.keyring: `none.gpg`",
    ),
    (
        "base: {distro: ubuntu, release: noble, suites: [{name: noble}]}",
        "base.suites[0].archive: is missing",
    ),
];
