#!/usr/bin/python3
"""Reads a tidemark repository of format 1 without tidemark, by docs/repository.md alone.

    read_repository.py list REPOSITORY            objects, one a line: kind, key
    read_repository.py verify REPOSITORY          proves every object; exits with 1 when one is damaged
    read_repository.py segment OBJECT FILE        extracts an archived file
    read_repository.py backup FOLDER LABEL DIR    restores a backup's files; FOLDER is its incarnation's

Needs the programs zstd and xxhsum's library for Python (Debian's zstd and python3-xxhash).
"""

import json
import os
import pathlib
import re
import sqlite3
import struct
import subprocess
import sys
import tempfile

import xxhash

digest_of, read = xxhash.xxh3_128_digest, lambda path: pathlib.Path(path).read_bytes()
later = "of an unknown format, written by tidemark {}".format
SKIPPABLE, INDEX, SEEKABLE = 0x184D2A5E, 0x184D2A5F, 0x8F92EAB1
SEAL = re.compile(rb',\n  "xxh128" : "([0-9a-f]{32})"\n}\n')
HEAD = re.compile(rb'{\n  "kind" : "([a-z-]+)",\n  "format" : ([0-9]+),\n  "tidemark_version" : "([^"\\]*)"')


class Damaged(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Damaged(reason)


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
    need(head and head[1].decode() == kind, f"not a document of kind {kind}")
    need(int(head[2]) == 1, later(head[3].decode()))
    return json.loads(data)


def archived(data):
    """The content of an archived file, proven."""
    need(len(data) >= 56, "shorter than a head")
    magic, length, tag, *form, flags, summary, size, zero, a, b, c = struct.unpack_from("<II8s4BII4B", data)
    end = length + 8
    need((magic, tag) == (SKIPPABLE, b"TIDEMARK") and 56 <= end <= len(data), "no archived file")
    (total,) = struct.unpack_from("<Q", data, length)
    need(xxhash.xxh3_64_intdigest(data[8:length]) == total, "its head's checksum is wrong")
    need(form == [1, 1, 0] and flags <= 3 and zero == 0, later(f"{a}.{b}.{c}"))
    need(end == 48 + summary + 8, "its head's length is wrong")
    lengths = frame_table(data)
    table = len(data) - 8 - 8 * len(lengths) - 9
    fills = sum(a for a, _ in lengths) == table and (lengths[0], lengths[-1]) == ((end, 0), (32, 0))
    need(fills, "head, frames and seal don't fill it")
    need(data[table - 32 : table - 16] == struct.pack("<II8s", INDEX, 24, b"TIDEXXH3"), "no seal")
    need(digest_of(data[: table - 16] + data[table:]) == data[table - 16 : table], "its stored bytes are others")
    content, place = b"", end
    for compressed, expanded in lengths[1:-1]:
        frame = zstd(data[place : place + compressed])
        need(len(frame) == expanded, "a frame has another length than the table says")
        content, place = content + frame, place + compressed
    need((len(content), digest_of(content)) == (size, data[32:48]), "its content is another one")
    return content


def frame_table(data):
    count, zero, magic = struct.unpack_from("<IBI", data, len(data) - 9)
    length = 8 * count + 9
    start = len(data) - 8 - length
    need(magic == SEEKABLE and zero == 0 and start >= 0 and count > 2, "no table of frames")
    need(struct.unpack_from("<II", data, start) == (SKIPPABLE, length), "its table of frames is damaged")
    return [struct.unpack_from("<II", data, start + 8 + 8 * number) for number in range(count)]


def pack(data):
    """The frames of a pack as offset → (length, content), proven."""
    need(len(data) >= 48, "shorter than a pack")
    *head, a, b, c, check = struct.unpack_from("<II8s6BH", data)
    need(head[:3] == [SKIPPABLE, 16, b"TIDEPACK"], "no pack")
    need(xxhash.xxh3_64_intdigest(data[8:22]) & 0xFFFF == check, "its head's checksum is wrong")
    need(head[3:] == [1, 1, 0], later(f"{a}.{b}.{c}"))
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
        need(len(content) == size and digest_of(content) == digest, f"frame {number} is another one")
        frames[offset] = (length, content)
        place, taken = place + length, taken + size
    need(place == start - 8 and taken == len(whole), "its frames don't fill it")
    return frames


def runs(data):
    """Frame, place in it and length of each run of a list."""
    numbers, number, shift = [], 0, 0
    for byte in data:
        number, shift = number | (byte & 127) << shift, shift + 7
        if byte < 128:
            numbers.append(number)
            number, shift = 0, 0
    need(shift == 0, "a list of runs is cut off")
    numbers.reverse()
    first, last, ends = numbers.pop(), 0, {}
    unit = 8192 if first & 1 else 1
    for _ in range(first >> 1):
        length, goes_on = divmod(numbers.pop(), 2)
        difference = numbers.pop()
        frame = last + (-(difference // 2) - 1 if difference & 1 else difference // 2)
        need(length > 0 and frame >= 0, "a run is impossible")
        place, length = 0, length * unit
        if frame:
            place = ends.get(frame, 0) if goes_on else numbers.pop() * unit
            last, ends[frame] = frame, place + length
        yield frame, place, length
    need(not numbers, "a list of runs has something after its end")


class Backup:
    """One complete backup of an incarnation's folder."""

    def __init__(self, incarnation, label):
        self.incarnation, self.packs, folder = incarnation, {}, f"{incarnation}/backup/{label}"
        described = read(folder + "/backup.json")
        self.description = document(described, "backup")
        need(self.description["label"] == label, "it describes another backup")
        seal = f"{xxhash.xxh3_128_hexdigest(described)}  backup.json\n".encode()
        need(read(folder + "/backup.json.xxh128") == seal, "backup.json.xxh128 is of another one")
        manifest = open_manifest(read(folder + "/manifest.sqlite.zst"), label)
        self.rows = lambda query, *values: manifest.execute(query, values).fetchall()

    def frame(self, number):
        """The content of a frame, from its pack."""
        ((label, pack_number, word, stored, stored_digest, offset, length, size, digest),) = self.rows(
            "SELECT label, number, word, p.size, p.digest, offset, length, f.size, f.digest"
            " FROM frame f JOIN pack p ON p.id = pack WHERE f.id = ?",
            number,
        )
        key = f"pack/{label}/{pack_number:06d}" + (f"-{word}" if word else "")
        if key not in self.packs:
            data = read(f"{self.incarnation}/{key}")
            need((len(data), digest_of(data)) == (stored, stored_digest), f"{key} is another one")
            self.packs[key] = pack(data)
        stored, content = self.packs[key][offset]
        need((stored, len(content), digest_of(content)) == (length, size, digest), f"frame {number} is another one")
        return content

    def files(self):
        """Path, kind, mode, target and content of each; contents only of regular files."""
        cached = (None, b"")
        for path, kind, mode, size, target, digest, listed in self.rows(
            "SELECT path, kind, mode, size, target, digest, list FROM file LEFT JOIN runs ON file = id ORDER BY path"
        ):
            parts = path.split("/")
            need(path == "" or all(part not in ("", ".", "..") for part in parts), f"path {path!r}")
            content = bytearray()
            for frame, place, length in runs(listed) if listed is not None else ():
                if frame != cached[0]:
                    cached = (frame, self.frame(frame) if frame else b"")
                piece = cached[1][place : place + length] if frame else bytes(length)
                need(len(piece) == length, f"{path}: a run leads out of its frame")
                content += piece
            need(len(content) == (size if kind == "f" else 0), f"{path}: its runs don't make up all of it")
            need(digest is None or digest_of(content) == digest, f"{path}: another digest")
            yield path, kind, mode & 0o750, target, bytes(content)

    def verify(self):
        files = [len(content) for _, kind, _, _, content in self.files() if kind == "f"]
        need(len(files) == self.description["file_count"], f"it has {len(files)} files")
        need(sum(files) == self.description["size"], f"its files have {sum(files)} bytes")
        live = dict(self.rows("SELECT pack, sum(length) FROM frame GROUP BY pack"))
        found = {}
        for number, label, place, size in self.rows("SELECT id, label, number, size FROM pack ORDER BY number"):
            places, sizes, lives = found.get(label, ([], 0, 0))
            found[label] = (places + [place], sizes + size, lives + live[number])
        for packs in self.description["packs"]:
            numbers = [n for first, last in packs["ranges"] for n in range(first, last + 1)]
            need(found.pop(packs["label"]) == (numbers, packs["size"], packs["live"]), "it needs other packs")
        need(not found, "it needs more packs than it says")

    def restore(self, directory):
        for path, kind, mode, target, content in self.files():
            place = f"{directory}/{path}"
            os.makedirs(place if kind == "d" else os.path.dirname(place), exist_ok=True)
            if kind == "t":
                os.symlink(target, place)
            elif kind == "f":
                pathlib.Path(place).write_bytes(content)
                os.chmod(place, mode)


def open_manifest(data, label):
    with tempfile.NamedTemporaryFile() as file:
        file.write(zstd(data))
        file.flush()
        manifest = sqlite3.connect(":memory:")
        sqlite3.connect(file.name).backup(manifest)
        meta = dict(manifest.execute("SELECT name, value FROM meta"))
    need(meta["format"] == "1", later(meta["tidemark_version"]))
    need(meta["label"] == label, "the manifest of another backup")
    return manifest


KINDS = [
    (r"incarnation\.json", "incarnation"),
    (r"wal/[0-9A-F]{8}/[0-9A-F]{16}/[^/]+\.zst|wal/[0-9A-F]{8}\.history\.zst", "archived file"),
    (r"backup/[^/]+/backup\.json", "backup"),
    (r"backup/[^/]+/backup\.json\.xxh128", "seal"),
    (r"backup/[^/]+/manifest\.sqlite\.zst", "manifest"),
    (r"backup/[^/]+/verified-[^/]+\.json", "verification"),
    (r"pack/[^/]+/[0-9]{6,}(-[0-9a-z]{1,32})?", "pack"),
    (r"aside/[^/]+/record\.json", "aside"),
    (r"aside/[^/]+/(wal/.+|[^/]+)\.zst", "put aside"),
    (r"job/[0-9]{4}-[0-9]{2}/[^/]+\.json", "job"),
    (r"recovery/[^/]+/begin\.json", "recovery-begin"),
    (r"recovery/[^/]+/end\.json", "recovery-end"),
    (r"lease/.+/[0-9TZ]+-[0-9a-f]{16}-(shared|alone)-[0-9]+-[0-9]{6,}\.json", "lease"),
]


def objects(repository):
    """Kind, path and key of every object, in order of the keys."""
    found = []
    for folder, _, names in os.walk(repository):
        for name in names:
            key = os.path.relpath(path := f"{folder}/{name}", repository)
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
            except (Damaged, sqlite3.DatabaseError, LookupError, ValueError, OSError) as error:
                print(f"{key}: {error}")
                damaged += 1
        return 1 if damaged else 0
    elif command == "segment":
        pathlib.Path(words[1]).write_bytes(archived(read(words[0])))
    elif command == "backup":
        Backup(words[0].rstrip("/"), words[1]).restore(words[2])
    else:
        raise SystemExit(__doc__)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
