#!/usr/bin/python3
"""Reads a tidemark repository of format 1 without tidemark, by docs/repository.md alone.

    read_repository.py list REPOSITORY            objects, one a line: kind, key
    read_repository.py verify REPOSITORY          proves every object; exits with 1 when one is damaged
    read_repository.py segment OBJECT FILE        extracts an archived file
    read_repository.py backup INCARNATION LABEL DIRECTORY
                                                  restores a backup's files; INCARNATION is its folder

Needs the programs zstd and xxhsum's library for Python (Debian's zstd and python3-xxhash).
"""

import json
import os
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile

import xxhash

SKIPPABLE = 0x184D2A5E
INDEX = 0x184D2A5F
SEEKABLE = 0x8F92EAB1
SEAL = re.compile(rb',\n  "xxh128" : "([0-9a-f]{32})"\n}\n')
HEAD = re.compile(
    rb'{\n  "kind" : "([a-z-]+)",\n  "format" : ([0-9]+),\n  "tidemark_version" : "([^"\\]*)"'
)


class Damaged(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Damaged(reason)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def zstd(data):
    """What zstd makes of it; skippable frames are skipped."""
    done = subprocess.run(["zstd", "-d", "-q", "-c"], input=data, capture_output=True)
    need(done.returncode == 0, "zstd: " + done.stderr.decode(errors="replace").strip())
    return done.stdout


def document(data, kind):
    """Proves a document, and returns what it says."""
    seal = SEAL.fullmatch(data[-52:])
    if not seal:
        need(not data.startswith(b'{\n  "kind" : "'), "cut off, or its last line is damaged")
        need(not data.strip().startswith(b"{"), "written before format 1 was final")
        raise Damaged("not a document")
    need(xxhash.xxh3_128_hexdigest(data[:-52]).encode() == seal[1], "its checksum is wrong")
    head = HEAD.match(data)
    need(head, "its first lines are not a document's")
    need(head[1].decode() == kind, f"of kind {head[1].decode()}, not {kind}")
    need(int(head[2]) == 1, f"of format {int(head[2])}, written by tidemark {head[3].decode()}")
    return json.loads(data)


def archived(data):
    """The content of an archived file, proven."""
    need(len(data) >= 56, "shorter than a head")
    magic, length, tag, form, codec, cipher, flags, summary, size = struct.unpack_from("<II8sBBBBIQ", data)
    need(magic == SKIPPABLE and tag == b"TIDEMARK", "no archived file")
    need(form == 1, f"of format {form}")
    need(codec == 1 and cipher == 0 and flags <= 3, "of an unknown codec, cipher or flag")
    end = 48 + summary + 8
    need(length == end - 8 and end <= len(data), "its head's length is wrong")
    (total,) = struct.unpack_from("<Q", data, end - 8)
    need(xxhash.xxh3_64_intdigest(data[8 : end - 8]) == total, "its head's checksum is wrong")
    lengths = frame_table(data)
    need(end + sum(a for a, _ in lengths) + 8 + 8 * len(lengths) + 9 == len(data), "frames don't fill it")
    content, place = [], end
    for compressed, expanded in lengths:
        content.append(zstd(data[place : place + compressed]))
        need(len(content[-1]) == expanded, "a frame has another length than the table says")
        place += compressed
    content = b"".join(content)
    need(len(content) == size, "its content has another length")
    need(xxhash.xxh3_128_digest(content) == data[32:48], "its content has another digest")
    return content


def frame_table(data):
    count, zero, magic = struct.unpack_from("<IBI", data, len(data) - 9)
    length = 8 * count + 9
    start = len(data) - 8 - length
    need(magic == SEEKABLE and zero == 0 and start >= 0, "no table of frames")
    need(struct.unpack_from("<II", data, start) == (SKIPPABLE, length), "its table of frames is damaged")
    return [struct.unpack_from("<II", data, start + 8 + 8 * number) for number in range(count)]


def pack(data):
    """The frames of a pack as offset → (length, content), proven."""
    need(len(data) >= 24 + 24, "shorter than head and index")
    need(struct.unpack_from("<II8s", data) == (SKIPPABLE, 16, b"TIDEPACK"), "no pack")
    need(data[16] == 1, f"of format {data[16]}")
    need(data[17:24] == b"\1\0\0\0\0\0\0", "of an unknown codec or cipher")
    total, count, tag = struct.unpack_from("<QI4s", data, len(data) - 16)
    start = len(data) - 16 - 32 * count
    need(tag == b"TPIX" and start >= 32, "no index")
    need(struct.unpack_from("<II", data, start - 8) == (INDEX, 32 * count + 16), "its index is damaged")
    need(xxhash.xxh3_64_intdigest(data[start:-16]) == total, "its index has another checksum")
    frames, place, whole, taken = {}, 24, zstd(data), 0
    for number in range(count):
        offset, length, size, digest = struct.unpack_from("<QII16s", data, start + 32 * number)
        need(offset == place, "its frames are not back to back")
        content = whole[taken : taken + size]
        need(len(content) == size and xxhash.xxh3_128_digest(content) == digest, f"frame {number} is another one")
        frames[offset] = (length, content)
        place, taken = place + length, taken + size
    need(place == start - 8 and taken == len(whole), "its frames don't fill it")
    return frames


class Backup:
    """One complete backup of an incarnation's folder."""

    def __init__(self, incarnation, label):
        self.incarnation, self.label = incarnation, label
        folder = f"{incarnation}/backup/{label}"
        described = read(folder + "/backup.json")
        self.description = document(described, "backup")
        need(self.description["label"] == label, "it describes another backup")
        seal = f"{xxhash.xxh3_128_hexdigest(described)}  backup.json\n".encode()
        need(read(folder + "/backup.json.xxh128") == seal, "backup.json.xxh128 is of another one")
        self.manifest = open_manifest(read(folder + "/manifest.sqlite.zst"), label)
        self.packs = {}

    def rows(self, query, *values):
        try:
            return self.manifest.execute(query, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise Damaged(f"its manifest: {error}")

    def frames(self, number):
        """Of the pack with that number in the manifest."""
        if number not in self.packs:
            ((label, digits),) = self.rows("SELECT label, number FROM pack WHERE id = ?", number)
            self.packs[number] = pack(read(f"{self.incarnation}/pack/{label}/{digits:06d}"))
        return self.packs[number]

    def frame(self, number):
        ((owner, offset, length, size, digest),) = self.rows(
            "SELECT pack, offset, length, size, digest FROM frame WHERE id = ?", number
        )
        stored, content = self.frames(owner)[offset]
        need((stored, len(content)) == (length, size), f"frame {number} is another one")
        need(xxhash.xxh3_128_digest(content) == digest, f"frame {number} has another digest")
        return content

    def files(self):
        """Path, kind, mode, target and content of each; contents only of regular files."""
        cached = (None, b"")
        for number, path, kind, mode, size, target in self.rows(
            "SELECT id, path, kind, mode, size, target FROM file ORDER BY path"
        ):
            parts = path.split("/")
            need(path == "" or all(part not in ("", ".", "..") for part in parts), f"path {path!r}")
            content = bytearray()
            for frame, start, offset, length in self.rows(
                "SELECT frame, frame_offset, offset, length FROM run WHERE file = ? ORDER BY offset", number
            ):
                need(offset == len(content), f"{path}: its runs are not one after the other")
                if frame == 0:
                    content += bytes(length)
                    continue
                if cached[0] != frame:
                    cached = (frame, self.frame(frame))
                piece = cached[1][start : start + length]
                need(len(piece) == length, f"{path}: a run leads out of its frame")
                content += piece
            need(kind != "f" or len(content) == size, f"{path}: its runs don't make up all of it")
            yield path, kind, mode & 0o750, target, bytes(content)

    def verify(self):
        files = [len(content) for _, kind, _, _, content in self.files() if kind == "f"]
        said = (self.description["file_count"], self.description["size"])
        need((len(files), sum(files)) == said, f"{len(files)} files with {sum(files)} bytes, not {said}")

    def restore(self, directory):
        os.makedirs(directory, 0o750)
        for path, kind, mode, target, content in self.files():
            place = f"{directory}/{path}"
            if kind == "d":
                os.makedirs(place, exist_ok=True)
            elif kind == "t":
                os.makedirs(os.path.dirname(place), exist_ok=True)
                os.symlink(target, place)
            else:
                os.makedirs(os.path.dirname(place), exist_ok=True)
                with open(place, "wb") as file:
                    file.write(content)
                os.chmod(place, mode)


def open_manifest(data, label):
    need(data.startswith(b"\x28\xb5\x2f\xfd"), "no zstd frame")
    with tempfile.NamedTemporaryFile() as file:
        file.write(zstd(data))
        file.flush()
        manifest = sqlite3.connect(":memory:")
        try:
            stored = sqlite3.connect(file.name)
            stored.backup(manifest)
            stored.close()
            meta = dict(manifest.execute("SELECT name, value FROM meta"))
        except sqlite3.DatabaseError as error:
            raise Damaged(f"SQLite: {error}")
    need(meta.get("format") == "1" and meta.get("label") == label, "the manifest of another backup or format")
    return manifest


KINDS = [
    (r"incarnation\.json", "incarnation"),
    (r"wal/[0-9A-F]{8}/[0-9A-F]{16}/[^/]+\.zst|wal/[0-9A-F]{8}\.history\.zst", "archived file"),
    (r"backup/[^/]+/backup\.json", "backup"),
    (r"backup/[^/]+/backup\.json\.xxh128", "seal"),
    (r"backup/[^/]+/manifest\.sqlite\.zst", "manifest"),
    (r"backup/[^/]+/verified-[^/]+\.json", "verification"),
    (r"pack/[^/]+/[0-9]{6,}", "pack"),
    (r"aside/[^/]+/record\.json", "aside"),
    (r"aside/[^/]+/(wal/.+|[^/]+)\.zst", "put aside"),
    (r"job/[0-9]{4}-[0-9]{2}/[^/]+\.json", "job"),
    (r"recovery/[^/]+/begin\.json", "recovery-begin"),
    (r"recovery/[^/]+/end\.json", "recovery-end"),
]


def objects(repository):
    """Kind, path and key of every object, in order of the keys."""
    found = []
    for folder, _, names in os.walk(repository):
        for name in names:
            path = f"{folder}/{name}"
            key = os.path.relpath(path, repository)
            inner = re.match(r"[^/]+/[0-9]+-[0-9]+/(.+)", key)
            if name.startswith(".") or not inner:
                continue
            kind = next((kind for form, kind in KINDS if re.fullmatch(form, inner[1])), "unknown")
            found.append((key, kind, path))
    return sorted(found)


def prove(kind, path):
    label = os.path.basename(os.path.dirname(path))
    if kind in ("archived file", "put aside"):
        # What was put aside because it is damaged is damaged.
        if "-damaged-" not in path.split("/aside/")[-1]:
            archived(read(path))
    elif kind == "pack":
        pack(read(path))
    elif kind == "manifest":
        open_manifest(read(path), label)
    elif kind == "seal":
        Backup(path.split("/backup/")[0], label).verify()
    else:
        need(kind != "unknown", "not an object of format 1")
        document(read(path), kind)


def main(command, *words):
    if command == "list":
        for key, kind, _ in objects(words[0]):
            print(f"{kind}\t{key}")
    elif command == "verify":
        damaged = 0
        for key, kind, path in objects(words[0]):
            try:
                prove(kind, path)
            except (Damaged, KeyError, ValueError, OSError) as error:
                print(f"{key}: {error}")
                damaged += 1
        return 1 if damaged else 0
    elif command == "segment":
        content = archived(read(words[0]))
        with open(words[1], "wb") as file:
            file.write(content)
    elif command == "backup":
        Backup(words[0].rstrip("/"), words[1]).restore(words[2])
    else:
        raise SystemExit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
