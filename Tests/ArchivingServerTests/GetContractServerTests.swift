import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// A state of the archive or a call for which `archive-get` must neither deliver a file nor call it "absent".
struct Doubt: Sendable, CustomTestStringConvertible {
    let name: String
    let says: String
    let spoil: @Sendable (Archive) throws -> Void
    init(_ name: String, says: String, _ spoil: @escaping @Sendable (Archive) throws -> Void) {
        self.name = name
        self.says = says
        self.spoil = spoil
    }
    var testDescription: String { name }
}

private func flip(_ archive: Archive, _ place: (_ length: Int, _ head: Int) -> Int) throws {
    let path = archive.path(archive.origin.segments[0])
    let head = try StoredSegment(archive.origin.incarnation.segment(archive.origin.segments[0]), in: archive.store).head
    var bytes = try Files.read(path)
    bytes[place(bytes.count, head.encodedLength)] ^= 1
    try replaceDurably(path, bytes: bytes)
    try archive.giveToServer(archive.repository)
}

private let doubts = [
    Doubt("a flipped bit in the summary", says: "checksum") { try flip($0) { _, head in head - 20 } },
    Doubt("a flipped bit in the head", says: "checksum") { try flip($0) { _, _ in 33 } },
    Doubt("a flipped bit in the frame header", says: "zstd") { try flip($0) { _, head in head } },
    Doubt("a flipped bit in the payload", says: "damaged") { try flip($0) { length, head in (length + head) / 2 } },
    Doubt("a flipped bit in the frame's checksum", says: "zstd") { try flip($0) { length, _ in length - 74 } },
    Doubt("a flipped bit in the seal", says: "stored bytes") { try flip($0) { length, _ in length - 50 } },
    Doubt("a flipped bit in the table of frames", says: "table of frames") { try flip($0) { length, _ in length - 1 } },
    Doubt("an empty object", says: "only 0 bytes") { archive in
        #expect(truncate(archive.path(archive.origin.segments[0]), 0) == 0)
    },
    Doubt("an object cut off", says: "damaged") { archive in
        #expect(truncate(archive.path(archive.origin.segments[0]), 20_000) == 0)
    },
    Doubt("another segment's object", says: "is damaged at offset 8") { archive in
        let source = archive.path(archive.origin.segments[1])
        #expect(rename(source, archive.path(archive.origin.segments[0])) == 0)
    },
    Doubt("an unreadable object", says: "Permission denied") { archive in
        chmod(archive.path(archive.origin.segments[0]), 0)
    },
    Doubt("a symbolic link that leads nowhere in its place", says: "leads nowhere") { archive in
        let path = archive.path(archive.origin.segments[0])
        try Files.remove(path)
        #expect(symlink("/srv/tier/not-mounted", path) == 0)
    },
    Doubt("a symbolic link that leads nowhere in its folder's place", says: "leads nowhere") { archive in
        let folder = Files.parent(archive.path(archive.origin.segments[0]))
        #expect(rename(folder, folder + ".away") == 0 && symlink("/srv/tier/not-mounted", folder) == 0)
    },
    Doubt("a symbolic link to a mount point that is empty in the place of the WAL's folder", says: "an empty directory")
    {
        archive in
        let folder = archive.repository + "/" + archive.origin.incarnation.walFolder.description
        let disk = archive.scratch.file("disk")
        try Files.makeDirectories(disk)
        chmod(disk, 0o755)
        #expect(rename(folder, folder + ".away") == 0 && symlink(disk, folder) == 0)
    },
    Doubt("an empty mount point in the place of the WAL's folder", says: "although the repository has backups") {
        archive in
        let incarnation = archive.origin.incarnation
        try archive.store.createFile(incarnation.backupDescription("20240101T000000Z-full"), bytes: [1])
        let folder = archive.repository + "/" + incarnation.walFolder.description
        #expect(rename(folder, archive.scratch.file("away")) == 0)
        try Files.makeDirectories(folder)
        try archive.giveToServer(archive.repository)
    },
    Doubt("a symbolic link to itself in its place", says: "Too many levels") { archive in
        let path = archive.path(archive.origin.segments[0])
        try Files.remove(path)
        #expect(symlink(path, path) == 0)
    },
    Doubt("a FIFO in its place", says: "not an ordinary file") { archive in
        try Files.remove(archive.path(archive.origin.segments[0]))
        #expect(mkfifo(archive.path(archive.origin.segments[0]), 0o666) == 0)
        chmod(archive.path(archive.origin.segments[0]), 0o666)
    },
    Doubt("a device in its place", says: "not an ordinary file") { archive in
        try Files.remove(archive.path(archive.origin.segments[0]))
        #expect(symlink("/dev/zero", archive.path(archive.origin.segments[0])) == 0)
    },
    Doubt("a socket in its place", says: "No such device") { archive in
        try Files.remove(archive.path(archive.origin.segments[0]))
        #expect(mknod(archive.path(archive.origin.segments[0]), S_IFSOCK | 0o666, 0) == 0)
        chmod(archive.path(archive.origin.segments[0]), 0o666)
    },
    Doubt("a FIFO in the configuration's place", says: "not an ordinary file") { archive in
        try Files.remove(archive.configuration)
        #expect(mkfifo(archive.configuration, 0o666) == 0)
        chmod(archive.configuration, 0o666)
    },
    Doubt("a directory in its place", says: "not an ordinary file") { archive in
        try Files.remove(archive.path(archive.origin.segments[0]))
        try Files.makeDirectories(archive.path(archive.origin.segments[0]))
        try archive.giveToServer(archive.repository)
    },
    Doubt("a repository that is gone", says: "does not exist") { archive in
        #expect(rename(archive.repository, archive.repository + ".away") == 0)
    },
    Doubt("a repository whose file system isn't mounted", says: "has not been initialised") { archive in
        #expect(rename(archive.repository, archive.repository + ".away") == 0)
        try Files.makeDirectories(archive.repository)
        chmod(archive.repository, 0o777)
    },
    Doubt("a repository that can't be entered", says: "Permission denied") { archive in chmod(archive.repository, 0) },
    Doubt("a configuration that is gone", says: "could not read configuration file") { archive in
        try Files.remove(archive.configuration)
    },
    Doubt("a configuration with a mistake", says: "tidemark.conf:1") { archive in
        try replaceDurably(archive.configuration, bytes: Array("repositry = '/x'\n".utf8), mode: 0o644)
    },
    Doubt("a destination that is a directory", says: "Is a directory") { archive in
        try Files.makeDirectories(archive.scratch.file("fetched"))
    },
]

@Suite struct GetContractServerTests {
    private func filled() throws -> Archive {
        let archive = try Archive()
        for name in archive.origin.segments.prefix(2) {
            try archive.push(archive.origin.wal(name.description), expectSuccess: true)
        }
        return archive
    }

    @Test(arguments: doubts, Program.allCases)
    func `any doubt is a hard error and delivers nothing`(_ doubt: Doubt, by program: Program) throws {
        let archive = try filled()
        let name = archive.origin.segments[0].description
        let destination = archive.scratch.file("fetched")
        try archive.get(name, to: destination, by: program, expectSuccess: true)
        try Files.remove(destination)
        try doubt.spoil(archive)
        let finished = try archive.get(name, to: destination, by: program)
        #expect(finished.ending == .exited(200), "\(finished.errors)")
        #expect(finished.errors.contains(doubt.says), "\(finished.errors)")
        #expect(try FileStatus(ifPresent: destination)?.kind != .regular)
        #expect(try Files.list(archive.scratch.path).filter { $0.hasPrefix(".") } == [])
    }

    @Test func `verify names a segment with a flipped bit, wherever it is`() throws {
        let places: [@Sendable (Int, Int) -> Int] = [
            { _, _ in 9 }, { _, _ in 33 }, { _, head in head - 20 }, { _, head in head },
            { length, head in (length + head) / 2 }, { length, _ in length - 74 }, { length, _ in length - 50 },
            { length, _ in length - 1 },
        ]
        for place in places {
            let archive = try filled()
            func verify() throws -> Finished {
                try tidemark(["verify", "--wal"], environment: ["TIDEMARK_CONFIG": archive.configuration])
            }
            let intact = try verify()
            try #require(intact.ending == .exited(0), "\(intact.errors)")
            try flip(archive, place)
            let finished = try verify()
            #expect(finished.ending == .exited(3), "\(finished.errors)")
            #expect(finished.errors.contains(archive.origin.segments[0].description), "\(finished.errors)")
        }
    }

    @Test(arguments: Program.allCases)
    func `a file known to be absent gives status 1 and no message`(by program: Program) throws {
        let archive = try filled()
        for name in ["00000002.history", "0000000100000000000000F0", "000000020000000000000001"] {
            let finished = try archive.get(name, to: archive.scratch.file("fetched"), by: program)
            #expect(finished.ending == .exited(1))
            #expect(finished.errors == "")
        }
    }

    @Test(
        arguments: [
            [], ["000000010000000000000001"], ["a", "b", "c"], ["--no-such-option", "a", "b"],
            ["postgresql.conf", "/var/tmp/x"], ["000000010000000000000001\n", "/var/tmp/x"], ["", ""],
            ["--cluster", "other", "000000010000000000000001", "/var/tmp/x"], ["--config"],
        ], Program.allCases)
    func `wrong usage is a hard error as well`(_ arguments: [String], by program: Program) throws {
        let archive = try Archive()
        let finished = try tidemark(
            ["archive-get"] + arguments, by: program, environment: ["TIDEMARK_CONFIG": archive.configuration])
        #expect(finished.ending == .exited(200))
        #expect(finished.errors.contains("ERROR"))
    }

    @Test(arguments: Program.allCases)
    func `a mistake before the command, or help beside a segment, is a hard error`(by program: Program) throws {
        let archive = try filled()
        let name = archive.origin.segments[0].description
        let destination = archive.scratch.file("fetched")
        for line in [
            ["--config", archive.configuration, "archive-get", name, destination],
            ["--cluster=main", "archive-get", name, destination], ["-v", "archive-get", name, destination],
            ["archive-get", "--config", archive.configuration, "--help", name, destination],
            ["archive-get", "-h", name, destination],
        ] {
            let finished = try tidemark(line, by: program)
            #expect(finished.ending == .exited(200) && finished.errors.contains("ERROR"), "\(line): \(finished)")
        }
        for word in ["archive-gte", "archive_get", "get", "archive-push", "recovery-end", "plan", "help", "restore"] {
            for words in [[word, name, destination], [word, name, "pg_wal/RECOVERYXLOG"], [name, destination]] {
                // A command that exists is only told by the destination that PostgreSQL gives it.
                if ["plan", "help", "archive-push", "recovery-end"].contains(words[0]), words[2] == destination {
                    continue
                }
                let finished = try tidemark(words, by: program)
                #expect(finished.ending == .exited(200) && finished.errors.contains("ERROR"), "\(words): \(finished)")
            }
        }
        for line in [
            ["archive-get", "--help"], ["archive-push", "-h"], ["archive-get", "--verbose", "--help"],
            // Help with another command, on a command line meant for this one.
            ["plan", "--config", archive.configuration, "--target", "latest", "--help"],
            ["show", "20261105T020000Z-full", "-h"],
        ] {
            let finished = try tidemark(line, by: program)
            #expect(finished.ending == .exited(0) && finished.output.contains("Usage"), "\(line): \(finished)")
        }
    }

    @Test func `the arguments are there without /proc, and whatever library is preloaded`() throws {
        let archive = try filled()
        let name = archive.origin.segments[0].description
        let destination = archive.scratch.file("fetched")
        // A library that moves the environment, as allocators do that read settings from it.
        let source = archive.scratch.file("moved.c")
        let text = """
            #include <stdlib.h>
            __attribute__((constructor)) static void move(void) { setenv("MOVED", "1", 1); unsetenv("PATH"); }
            """
        try createDurably(source, bytes: Array(text.utf8), mode: 0o644)
        let library = archive.scratch.file("moved.so")
        let compiled = try run("/usr/bin/cc", ["-shared", "-fPIC", "-o", library, source])
        try #require(compiled.ending == .exited(0), "\(compiled.errors)")
        let preloaded = try tidemark(["version"], environment: ["LD_PRELOAD": library])
        #expect(preloaded.ending == .exited(0) && preloaded.output.contains("tidemark "), "\(preloaded)")
        let script = "mount -t tmpfs none /proc && unset SWIFT_BACKTRACE && exec \"$@\""
        let hidden = try run(
            "/usr/bin/unshare",
            [
                "-m", "/bin/sh", "-c", script, "sh", Executables.tidemark(), "archive-get", "--config",
                archive.configuration,
            ]
                + [name, destination])
        #expect(hidden.ending == .exited(0), "\(hidden)")
        #expect(try Files.read(destination) == Files.read(archive.origin.wal(name)))
    }

    @Test func `absence is believed only of a repository whose incarnation.json is whole`() throws {
        let archive = try filled()
        let marker = archive.store.path(archive.origin.incarnation.marker)
        let whole = archive.origin.incarnation.sealedMarker.bytes
        let text = String(decoding: whole, as: UTF8.self)
        let absent = "0000000100000000000000F0"
        func put(_ bytes: [UInt8]) throws {
            try replaceDurably(marker, bytes: bytes)
            try archive.giveToServer(marker)
        }
        let damaged: [(String, [UInt8])] = [
            ("empty", []), ("zeros", [UInt8](repeating: 0, count: 200)), ("cut off", Array(whole.prefix(30))),
            ("a flipped bit", Array(text.replacing("\" : \"7", with: "\" : \"8").utf8)),
            ("another cluster's", resealed(text.replacing("\" : \"7", with: "\" : \"8"))),
            ("random", (0..<200).map { UInt8(truncatingIfNeeded: $0 * 37 + 11) }),
        ]
        for (name, bytes) in damaged {
            try put(bytes)
            let finished = try archive.get(absent, to: archive.scratch.file("fetched"))
            #expect(finished.ending == .exited(200) && finished.errors.contains("damaged"), "\(name): \(finished)")
            let verified = try tidemark(["verify"], environment: ["TIDEMARK_CONFIG": archive.configuration])
            #expect(verified.ending == .exited(3), "\(name): \(verified)")
        }
        try put(whole)
        chmod(marker, 0)
        #expect(try archive.get(absent, to: archive.scratch.file("fetched")).ending == .exited(200))
        chmod(marker, 0o640)
        #expect(try archive.get(absent, to: archive.scratch.file("fetched")).ending == .exited(1))
    }

    @Test func `a destination that exists is replaced whole, links and FIFOs included`() throws {
        let archive = try filled()
        let name = archive.origin.segments[0].description
        let content = try Files.read(archive.origin.wal(name))
        let destination = archive.scratch.file("fetched")
        let other = archive.scratch.file("other")
        try createDurably(other, bytes: [1, 2, 3], mode: 0o666)
        for make in [{ symlink(other, destination) }, { mkfifo(destination, 0o666) }, { creat(destination, 0o666) }] {
            #expect(make() >= 0)
            try archive.get(name, to: destination, expectSuccess: true)
            #expect(try FileStatus(ofLinkItself: destination)?.kind == .regular)
            #expect(try Files.read(destination) == content)
            try Files.remove(destination)
        }
        #expect(try Files.read(other) == [1, 2, 3])
    }

    @Test func `a command run in a directory that may not be entered uses the configured one`() throws {
        let archive = try filled()
        let closed = archive.scratch.file("closed")
        try Files.makeDirectories(closed)
        let name = archive.origin.segments[0].description
        let finished = try run(
            "/bin/sh",
            [
                "-c", "cd \"$1\" && chmod 0 . && shift && exec \"$@\"", "sh", closed, try Executables.tidemark(),
                "archive-get",
                "--config", archive.configuration, name, archive.scratch.file("fetched"),
            ])
        #expect(finished.ending == .exited(0), "\(finished.errors)")
        #expect(try Files.read(archive.scratch.file("fetched")) == Files.read(archive.origin.wal(name)))
    }

    @Test func `a killed process's temporary beside the destination is reused`() throws {
        let archive = try filled()
        let name = archive.origin.segments[0].description
        let leftover = archive.scratch.file(".fetched.tidemark")
        try createDurably(leftover, bytes: [UInt8](repeating: 7, count: 3 << 20), mode: 0o666)
        try archive.giveToServer(leftover)
        try archive.get(name, to: archive.scratch.file("fetched"), expectSuccess: true)
        #expect(try Files.read(archive.scratch.file("fetched")) == Files.read(archive.origin.wal(name)))
        #expect(try !Files.exists(leftover))
    }
}
