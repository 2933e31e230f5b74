# One verb each; CI runs `test`.

set positional-arguments

# With its progress where somebody watches: a first run compiles for minutes.
cargo := `[ -t 2 ] && echo cargo || echo cargo --quiet`
# The tests that boot whole machines or build them from nothing.
machines := "binary(agent) or binary(fresh_roots) or binary(killed) or binary(loaders) or binary(machines) or binary(reproducible) or binary(ubuntu)"
bin := "target/x86_64-unknown-linux-gnu/release"

# What there is
default:
    @just --list

# Build the demo image and rehearse its deployment until it is paired
demo *ARGS: build
    {{bin}}/postern build profiles/demo.yaml
    {{bin}}/postern rehearse dist/demo-0.1.0 profiles/demo-gateway.yaml "$@"

# Both binaries and the stand-ins
build:
    @[ -e {{bin}}/postern-agent ] || echo "First run: cargo compiles about 300 crates with optimisation, which takes about 10 minutes on 2 cores. Later runs compile what changed." >&2
    {{cargo}} build --release --workspace --exclude postern-agent --bins
    {{cargo}} build --profile agent --bin postern-agent
    install {{bin}}/../agent/postern-agent {{bin}}/

# Everything but the whole machines: gates, then fast tests
check: build lint docs
    {{cargo}} nextest run --release --workspace -E 'not ({{machines}})'
    {{cargo}} test --release --workspace --doc

# Format, lints, licences and bans
lint:
    cargo fmt --all --check
    {{cargo}} clippy --release --workspace --all-targets -- --deny warnings
    cargo deny --log-level error check bans licenses sources

# Every gate and every test, whole machines last
test: check machines

# The tests that boot whole machines or build them from nothing
machines: build
    {{cargo}} nextest run --release --workspace -E '{{machines}}'

# The tests that cut power and kill, again and again: CI has time for one cut at each place
soak COUNT="10": build
    {{cargo}} nextest run --release --workspace --stress-count {{COUNT}} -E 'binary(agent) or binary(killed) or binary(machines)'

# Known vulnerabilities in dependencies (needs the advisory database)
advisories:
    cargo deny check advisories

# Ratios against the tools a user would otherwise run
bench *ARGS: build
    tests/bench.sh "$@"

# Write the generated part of docs/reference
reference:
    {{cargo}} run --release --package postern-docs

# Render the documentation as a site: target/book/index.html
docs:
    rm -rf target/site target/book
    mkdir -p target/site/src
    cp --parents -r *.md overlays/README.md docs target/site/src
    sed -E 's#\]\(#&docs/#; s#docs/\.\./##' docs/SUMMARY.md >target/site/src/SUMMARY.md
    rm target/site/src/docs/SUMMARY.md
    cp docs/book.toml target/site/
    mdbook build target/site

# Accept changed snapshots
accept:
    cargo insta accept
