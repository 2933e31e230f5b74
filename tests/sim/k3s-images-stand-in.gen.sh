#!/bin/sh
# Makes k3s-images-stand-in.tar: an OCI image layout, as `docker save` and k3s'
# air-gap bundles have it, with one image that holds one text file and runs
# nothing. The same bytes every time.
#
# Usage: k3s-images-stand-in.gen.sh [OUT.tar]
set -eu
export LC_ALL=C
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/k3s-images-stand-in.tar}
name=docker.io/rancher/mirrored-pause:3.6-stand-in
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

pack() { # DIRECTORY OUT MEMBER...
    dir=$1 to=$2
    shift 2
    tar --format=ustar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner \
        --mode=a=rX,u+w --blocking-factor=1 -C "$dir" -cf "$to" "$@"
}
digest() { sha256sum "$1" | cut -d' ' -f1; }
size() { wc -c <"$1" | tr -d ' '; }
blob() { # FILE: moves it among the blobs, prints its digest
    sum=$(digest "$1")
    mv "$1" "$work/layout/blobs/sha256/$sum"
    echo "$sum"
}

mkdir -p "$work/root" "$work/layout/blobs/sha256"
echo 'stand-in for tests and demos: not an image of anything' >"$work/root/STAND-IN"

pack "$work/root" "$work/layer.tar" STAND-IN
layer_size=$(size "$work/layer.tar")
layer=$(blob "$work/layer.tar")

printf '{"architecture":"amd64","config":{},"created":"1970-01-01T00:00:00Z","os":"linux","rootfs":{"diff_ids":["sha256:%s"],"type":"layers"}}' \
    "$layer" >"$work/config"
config_size=$(size "$work/config")
config=$(blob "$work/config")

printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"digest":"sha256:%s","mediaType":"application/vnd.oci.image.config.v1+json","size":%s},"layers":[{"digest":"sha256:%s","mediaType":"application/vnd.oci.image.layer.v1.tar","size":%s}]}' \
    "$config" "$config_size" "$layer" "$layer_size" >"$work/manifest"
manifest_size=$(size "$work/manifest")
manifest=$(blob "$work/manifest")

printf '{"imageLayoutVersion":"1.0.0"}' >"$work/layout/oci-layout"
printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{"annotations":{"io.containerd.image.name":"%s"},"digest":"sha256:%s","mediaType":"application/vnd.oci.image.manifest.v1+json","size":%s}]}' \
    "$name" "$manifest" "$manifest_size" >"$work/layout/index.json"
printf '[{"Config":"blobs/sha256/%s","Layers":["blobs/sha256/%s"],"RepoTags":["%s"]}]' \
    "$config" "$layer" "$name" >"$work/layout/manifest.json"

pack "$work/layout" "$work/out.tar" blobs index.json manifest.json oci-layout
mv "$work/out.tar" "$out"
