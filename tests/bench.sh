#!/bin/sh
# Measures the builder against the tools a user would otherwise run, all in one
# run on one machine: read the ratios, not the seconds. Prints a table.
#
#     just bench            without booting
#     just bench --boot     also seconds per station of a rehearsal
set -eu
cd "$(dirname "$0")/.."
bin=$PWD/target/x86_64-unknown-linux-gnu/release
profile=profiles/demo.yaml
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

say() { printf '%-46s %10s  %s\n' "$@"; }
# Runs a command with its output in a log; prints the seconds it took.
seconds() {
    began=$(date +%s.%N)
    "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
    echo "$(date +%s.%N) $began" | awk '{ printf "%.2f", $1 - $2 }'
}
ratio() { echo "$1 $2" | awk '{ printf "%.2f x %s", $1 / $2, what }' what="$3"; }
build() { "$bin/postern" build "$profile" --quiet --store "$work/store" --out "$work/dist" "$@"; }

# Packages from the everyday store, nothing made from them yet.
"$bin/postern" build "$profile" --quiet --out "$work/first" >/dev/null
store=${POSTERN_STORE:-${XDG_CACHE_HOME:-$HOME/.cache}/postern}
mkdir -p "$work/store"
ln -s "$store/blobs" "$work/store/blobs"

packages=$(python3 -c '
import json
print(",".join(p["name"] for p in json.load(open("profiles/demo.lock"))["packages"]))')
mirror=$(sed -n 's/^URIs: *//p' /etc/apt/sources.list.d/*.sources | grep '/debian/*$' | head -n 1)

say "what" "seconds" "ratio"
mmdebstrap=$(seconds mmdebstrap --variant=custom --include="$packages" trixie "$work/mmdebstrap.tar" \
    "deb $mirror trixie main" "deb $mirror trixie-updates main" "deb $mirror-security trixie-security main")
say "mmdebstrap, the same packages, tar only" "$mmdebstrap" "1"
cold=$(seconds build)
say "cold build, packages in the store" "$cold" "$(ratio "$cold" "$mmdebstrap" mmdebstrap) (budget 0.5)"
nothing=$(seconds build)
say "rebuild, nothing changed" "$nothing" "$(ratio "$nothing" "$cold" cold) (budget 0.3 s)"
cp -r profiles overlays tests/fixtures "$work/" 2>/dev/null
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=bench \
    -addext basicConstraints=critical,CA:TRUE -keyout /dev/null -out "$work/extra.pem" 2>/dev/null
sed "s#\.\./#$PWD/#; s#^certificates:#certificates:\n  - $work/extra.pem#" \
    "$profile" >"$work/changed.yaml"
cp profiles/demo.lock "$work/changed.lock"
changed=$(seconds "$bin/postern" build "$work/changed.yaml" --progress json --store "$work/store" --out "$work/dist2")
cp "$work/log" "$work/events"
say "rebuild, one CA added" "$changed" "$(ratio "$changed" "$cold" cold) (budget 0.1 and 5 s)"

build --formats ddgz,raw >/dev/null
raw=$work/dist/demo-0.1.0/disk.raw
# What a step of the changed build took, by its own account.
step() {
    python3 -c '
import json, sys
events = (json.loads(line) for line in open(sys.argv[2]) if line.startswith("{"))
print(next(e["elapsed-ms"] / 1000 for e in events if e["event"] == "done" and e["title"] == sys.argv[1]))' "$1" "$work/events"
}
pigz=$(seconds sh -c "pigz -1 -c '$raw' >'$work/pigz.gz'")
ddgz=$(step "Compressing the disk")
ours=$(stat -c %s "$work/dist/demo-0.1.0/disk.raw.gz")
theirs=$(stat -c %s "$work/pigz.gz")
say "pigz -1 of the raw disk" "$pigz" "1"
say "raw to ddgz" "$ddgz" "$(ratio "$pigz" "$ddgz" "pigz's speed") (budget 3), $(ratio "$ours" "$theirs" 'its size') (budget 1.1)"
root=$work/dist/demo-0.1.0/update/root.squashfs
veritysetup=$(seconds veritysetup format --salt=00 "$root" "$work/verity")
verity=$(step "Hashing the root")
say "veritysetup format of the root" "$veritysetup" "1"
say "verity tree" "$verity" "$(ratio "$veritysetup" "$verity" "veritysetup's speed") (budget 1.5)"
say "uncompressed disk, MiB" "$(($(stat -c %s "$raw") >> 20))" "(budget 1024)"
say "agent, MB" "$(stat -c %s "$bin/postern-agent" | awk '{ printf "%.1f", $1 / 1e6 }')" "(budget 10)"
cargo nextest run --release -p postern-e2e --test agent --no-capture 2>/dev/null |
    sed -n 's/^agent, \(.*\): \([0-9]*\)$/\1 \2/p' | while read -r line; do
    say "agent, ${line% *}" "${line##* }" "(budgets: resident 12288, own time 1000)"
done
tests/bench-upload.py "$bin"
# Virtual time: 1,000 requests at 10 a second are 100 s, 3,000 are 300 s; budget 10 % more.
cargo test --quiet --release -p postern-agent --lib tests::fleet -- --nocapture --test-threads 1 | sed -n 's/^.*fleet: //p'
"$bin/postern" --version
mmdebstrap --version
pigz --version
veritysetup --version

if [ "${1:-}" = --boot ]; then
    "$bin/postern" rehearse "$work/dist/demo-0.1.0" --quiet
fi
