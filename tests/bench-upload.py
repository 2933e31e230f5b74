#!/usr/bin/env python3
"""Measures `postern upload` against a plain loop of PUTs of the same pieces to
the same simulated region, over loopback, and how much memory it takes for a
small and a large image.

    tests/bench-upload.py DIRECTORY-OF-PROGRAMS [MIB-OF-THE-LARGE-IMAGE]
"""

import hashlib
import http.client
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
import urllib.parse

PIECE = 4 << 20
ROUNDS = 5
programs = pathlib.Path(sys.argv[1])
large = int(sys.argv[2]) if len(sys.argv) > 2 else 512


def say(what, seconds, ratio):
    print(f"{what:<46} {seconds:>10}  {ratio}", flush=True)


class Region:
    """The stand-in, as long as `with` lasts."""

    def __enter__(self):
        self.process = subprocess.Popen(
            [programs / "maas-stand-in"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url, self.key = self.process.stdout.readline().split()
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait()


def image(directory, mib):
    """An artifact directory whose disk has so many random MiB."""
    directory.mkdir()
    digest = hashlib.sha256()
    with open(directory / "disk.raw.gz", "wb") as disk:
        for _ in range(mib):
            block = os.urandom(1 << 20)
            digest.update(block)
            disk.write(block)
    disk = {
        "kind": "ddgz",
        "path": "disk.raw.gz",
        "size": mib << 20,
        "sha256": digest.hexdigest(),
        "uncompressed_size": mib << 20,
    }
    manifest = {
        "schema": 1,
        "name": "bench",
        "version": str(mib),
        "arch": "amd64",
        "distro": "debian",
        "release": "trixie",
        "root_hash": "00" * 32,
        "artifacts": [disk],
        "partitions": [],
        "lock_sha256": "00" * 32,
        "tools": {},
        "source_date_epoch": 0,
    }
    (directory / "manifest.json").write_text(json.dumps(manifest))
    return directory


def plain(directory):
    """Seconds of the plain loop: announce, then one piece after the other."""
    disk = json.loads((directory / "manifest.json").read_text())["artifacts"][0]
    with Region() as region:
        began = time.monotonic()
        address = urllib.parse.urlsplit(region.url)
        consumer, token, secret = region.key.split(":")
        connection = http.client.HTTPConnection(address.netloc)

        def ask(method, path, body, kind):
            nonce = os.urandom(8).hex()
            oauth = (
                f'OAuth oauth_nonce="{nonce}", oauth_timestamp="{int(time.time())}", '
                f'oauth_signature_method="PLAINTEXT", oauth_consumer_key="{consumer}", '
                f'oauth_token="{token}", oauth_signature="%26{secret}"'
            )
            connection.request(method, path, body, {"Authorization": oauth, "Content-Type": kind})
            answer = connection.getresponse()
            text = answer.read()
            assert answer.status in (200, 201), text
            return text

        form = {
            "name": "plain",
            "architecture": "amd64/generic",
            "filetype": "ddgz",
            "base_image": "ubuntu/noble",
            "sha256": disk["sha256"],
            "size": disk["size"],
        }
        form = urllib.parse.urlencode(form)
        path = f"{address.path}/api/2.0/boot-resources/"
        created = ask("POST", path, form, "application/x-www-form-urlencoded")
        (files,) = (one["files"] for one in json.loads(created)["sets"].values())
        with open(directory / "disk.raw.gz", "rb") as file:
            while piece := file.read(PIECE):
                ask("PUT", files["root-dd.gz"]["upload_uri"], piece, "application/octet-stream")
        return time.monotonic() - began


def ours(directory):
    """Seconds of `postern upload`, and its memory at most, in MB."""
    with Region() as region:
        environment = {"MAAS_API_URL": region.url, "MAAS_API_KEY": region.key}
        began = time.monotonic()
        process = subprocess.Popen(
            [programs / "postern", "upload", directory, "--quiet"],
            env=environment,
            stdout=subprocess.DEVNULL,
        )
        _, status, usage = os.wait4(process.pid, 0)
        took = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return took, usage.ru_maxrss / 1000


with tempfile.TemporaryDirectory() as work:
    work = pathlib.Path(work)
    small_image, large_image = image(work / "small", 32), image(work / "large", large)
    # In turns, so that both meet the same machine; the best of each.
    rounds = [(plain(large_image), ours(large_image)) for _ in range(ROUNDS)]
    put = min(seconds for seconds, _ in rounds)
    upload = min(seconds for _, (seconds, _) in rounds)
    memory = max(megabytes for _, (_, megabytes) in rounds)
    _, little = ours(small_image)
    say(f"plain PUT loop, {large} MiB over loopback", f"{put:.2f}", "1")
    say("postern upload of the same", f"{upload:.2f}", f"{put / upload:.2f} x its speed (budget 0.9)")
    say("memory of postern upload, MB", f"{memory:.1f}", f"{little:.1f} for 32 MiB (budget: the same)")
