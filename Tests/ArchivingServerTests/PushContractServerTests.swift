import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// One file that must not be stored, and the expected message.
struct Refusal: Sendable, CustomTestStringConvertible {
    let name: String
    let says: String
    /// Returns the path to push.
    let prepare: @Sendable (Archive) throws -> String
    init(_ name: String, says: String, _ prepare: @escaping @Sendable (Archive) throws -> String) {
        self.name = name
        self.says = says
        self.prepare = prepare
    }
    var testDescription: String { name }
}

private func segment(_ archive: Archive, _ index: Int = 2) -> String { archive.origin.segments[index].description }

private let refusals = [
    Refusal("a flipped bit in a record", says: "is damaged at offset") { archive in
        try archive.copy(segment(archive)) { $0[500_000] ^= 1 }
    },
    Refusal("a flipped bit on the last page but one", says: "is damaged at offset") { archive in
        try archive.copy(segment(archive)) { $0[$0.count - 9000] ^= 1 }
    },
    Refusal("a page of another segment", says: "is damaged at offset") { archive in
        let other = try Files.read(archive.origin.wal(segment(archive, 1)))
        return try archive.copy(segment(archive)) { $0.replaceSubrange(81920..<90112, with: other[81920..<90112]) }
    },
    Refusal("a zeroed page", says: "is damaged at offset") { archive in
        try archive.copy(segment(archive)) {
            $0.replaceSubrange(81920..<90112, with: [UInt8](repeating: 0, count: 8192))
        }
    },
    Refusal("another cluster's segment", says: "has not been initialised for") { archive in
        try archive.copy(segment(archive)) { $0[24] ^= 1 }
    },
    Refusal("another major version's segment", says: "has not been initialised for") { archive in
        try archive.copy(segment(archive)) { $0[0] = 0x13 }
    },
    Refusal("a file that is too short", says: "has the wrong size") { archive in
        try archive.copy(segment(archive)) { $0.removeLast(8192) }
    },
    Refusal("a file that is too long", says: "has the wrong size") { archive in
        try archive.copy(segment(archive)) { $0 += [UInt8](repeating: 0, count: 8192) }
    },
    Refusal("an empty file", says: "is not a WAL file") { archive in try archive.copy(segment(archive)) { $0 = [] } },
    Refusal("ten gigabytes of nothing", says: "is not a WAL file") { archive in
        let path = try archive.copy(segment(archive)) { $0 = [] }
        #expect(truncate(path, 10 << 30) == 0)
        return path
    },
    Refusal("a segment under the next one's name", says: "is damaged at offset 8") { archive in
        try archive.copy(segment(archive, 1), as: segment(archive, 2))
    },
    Refusal("a segment under an older timeline's name", says: "is damaged at offset 4") { archive in
        try archive.copy(segment(archive, 1)) { $0[4] = 2 }
    },
    Refusal("a text file with a segment's name", says: "is not a WAL file") { archive in
        try archive.copy(segment(archive)) { $0 = Array(repeating: UInt8(ascii: "x"), count: $0.count) }
    },
    Refusal("a name that is no WAL file's", says: "is not the name of a WAL file") { archive in
        try archive.copy(segment(archive), as: "postgresql.conf")
    },
    Refusal("a name with a newline", says: "is not the name of a WAL file") { archive in
        try archive.copy(segment(archive), as: segment(archive) + "\n")
    },
    Refusal("a file that isn't there", says: "No such file or directory") { archive in
        archive.scratch.file(segment(archive))
    },
    Refusal("a directory", says: "It is a directory.") { archive in
        let path = archive.scratch.file(segment(archive))
        try Files.makeDirectories(path)
        chmod(path, 0o755)
        return path
    },
    Refusal("a FIFO", says: "It is not an ordinary file.") { archive in
        let path = archive.scratch.file(segment(archive))
        #expect(mkfifo(path, 0o666) == 0)
        chmod(path, 0o666)
        return path
    },
    Refusal("a symbolic link to nowhere", says: "No such file or directory") { archive in
        let path = archive.scratch.file(segment(archive))
        #expect(symlink("/nonexistent", path) == 0)
        return path
    },
    Refusal("a symbolic link to itself", says: "symbolic links") { archive in
        let path = archive.scratch.file(segment(archive))
        #expect(symlink(path, path) == 0)
        return path
    },
    Refusal("a file the server's user may not read", says: "Permission denied") { archive in
        let path = try archive.copy(segment(archive))
        chmod(path, 0)
        return path
    },
    Refusal("a history that isn't one", says: "is damaged in line 1") { archive in
        try archive.copy(segment(archive), as: "00000002.history") { $0 = Array("nonsense\n".utf8) }
    },
    Refusal("a history of gigabytes", says: "too large") { archive in
        let path = try archive.copy(segment(archive), as: "00000002.history") { $0 = [] }
        #expect(truncate(path, 5 << 30) == 0)
        return path
    },
    Refusal("a backup history of another segment", says: "is not a backup history file") { archive in
        try archive.copy(archive.origin.backupHistory, as: segment(archive, 0) + ".00000028.backup") {
            $0.replaceSubrange(0..<30, with: Array("START WAL LOCATION: 0/0 (file x".utf8))
        }
    },
]

@Suite struct PushContractServerTests {
    @Test(arguments: refusals, Program.allCases)
    func `what must not be archived is refused and changes nothing`(_ refusal: Refusal, by program: Program) throws {
        let archive = try Archive()
        let before = try archive.contents()
        let finished = try archive.push(try refusal.prepare(archive), by: program)
        #expect(finished.ending == .exited(1), "\(finished.errors)")
        #expect(finished.errors.contains(refusal.says), "\(finished.errors)")
        #expect(try archive.contents() == before)
    }

    @Test func `a repository that is missing, not initialised or read-only refuses a push`() throws {
        let name = try FinishedCluster.shared().segments[1].description
        let missing = try Archive(repository: "/var/tmp/tidemark-no-such-repository")
        let one = try missing.push(missing.origin.wal(name))
        #expect(one.ending == .exited(1))
        #expect(
            one.errors.contains("repository \"/var/tmp/tidemark-no-such-repository\" does not exist"), "\(one.errors)")
        #expect(try !Files.exists("/var/tmp/tidemark-no-such-repository"))

        let empty = try Archive(initialised: false)
        let two = try empty.push(empty.origin.wal(name))
        #expect(two.ending == .exited(1))
        #expect(two.errors.contains("has not been initialised for"), "\(two.errors)")
        #expect(two.errors.contains("HINT:  Run \"tidemark init --config \(empty.configuration)\""), "\(two.errors)")
        #expect(try empty.contents() == [:])

        let readOnly = try Archive()
        let folder = readOnly.store.path(readOnly.origin.incarnation.folder)
        chmod(folder, 0o555)
        let three = try readOnly.push(readOnly.origin.wal(name))
        #expect(three.ending == .exited(1))
        #expect(three.errors.contains("Permission denied"), "\(three.errors)")
        chmod(folder, 0o755)
        try readOnly.push(readOnly.origin.wal(name), expectSuccess: true)
    }

    @Test(arguments: Program.allCases)
    func `segments and the other files are stored, and a repetition is confirmed`(by program: Program) throws {
        let archive = try Archive()
        let names = archive.origin.segments.map(\.description) + [archive.origin.backupHistory]
        for _ in 1...2 {
            for name in names {
                let finished = try archive.push(archive.origin.wal(name), by: program, expectSuccess: true)
                #expect(finished.errors == "")
            }
        }
        #expect(
            try archive.archived.segments(timeline: TimelineID(1))
                == archive.origin.segments)
        for name in names {
            let path = archive.scratch.file("fetched")
            try archive.get(name, to: path, by: program, expectSuccess: true)
            #expect(try Files.read(path) == Files.read(archive.origin.wal(name)))
        }
    }

    @Test func `a stored segment's summary says what is in it`() throws {
        let archive = try Archive()
        for segment in archive.origin.segments {
            try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
            let head = try StoredSegment(archive.origin.incarnation.segment(segment), in: archive.store).head
            let summary = try SegmentSummary(decoding: head.summary)
            #expect(summary.start == segment.start(segmentSize: 1 << 20))
            #expect(summary.systemIdentifier == archive.origin.incarnation.systemIdentifier)
            #expect(head.digest == Digest(of: try Files.read(archive.origin.wal(segment.description))))
            #expect(!head.acceptedDiscontinuity)
        }
    }

    @Test func `a symbolic link to a segment is as good as the segment`() throws {
        let archive = try Archive()
        let name = archive.origin.segments[0].description
        #expect(symlink(archive.origin.wal(name), archive.scratch.file(name)) == 0)
        try archive.push(archive.scratch.file(name), expectSuccess: true)
    }

    @Test func `a partial segment is kept even where its records end in rubbish`() throws {
        let archive = try Archive()
        let name = archive.origin.segments[2].description
        let path = try archive.copy(name, as: name + ".partial") { bytes in
            for index in 600_000..<bytes.count { bytes[index] = 0x55 }
        }
        let finished = try archive.push(path, expectSuccess: true)
        #expect(finished.errors == "")
        let stored = try archive.archived.stored(.partial(archive.origin.segments[2]))
        let end = try #require(try stored.summary()).recordsEnd
        #expect(end > archive.origin.segments[2].start(segmentSize: 1 << 20) + 500_000)
        #expect(try archive.archived.segments(timeline: TimelineID(1)) == [])
        try archive.get(name + ".partial", to: archive.scratch.file("fetched"), expectSuccess: true)
        #expect(try Files.read(archive.scratch.file("fetched")) == Files.read(path))
    }

    @Test func `a segment of an unknown version is stored without a summary`() throws {
        let archive = try Archive()
        let name = archive.origin.segments[2].description
        let path = try archive.copy(name) { bytes in
            for page in stride(from: 0, to: bytes.count, by: 8192) { bytes[page] = 0x7F }
        }
        let finished = try archive.push(path, expectSuccess: true)
        #expect(finished.errors.contains("unknown version of PostgreSQL"))
        try archive.get(name, to: archive.scratch.file("fetched"), expectSuccess: true)
        #expect(try Files.read(archive.scratch.file("fetched")) == Files.read(path))
    }

    @Test func `other content under a taken name is refused, with the place of the difference`() throws {
        let archive = try Archive()
        let name = archive.origin.segments.last!.description
        try archive.push(archive.origin.wal(name), expectSuccess: true)
        let before = try archive.contents()
        // The last segment ends in a switch; after it everything is zero.
        let tail = try archive.push(try archive.copy(name) { $0[$0.count - 100] = 1 })
        #expect(tail.ending == .exited(0), "\(tail.errors)")
        let middle = try archive.push(try archive.copy(name) { $0[60] ^= 1 })
        #expect(middle.ending == .exited(1))
        #expect(middle.errors.contains("The first difference is at offset 60"), "\(middle.errors)")
        // The records before the damage are the archived ones.
        let full = archive.origin.segments[2].description
        try archive.push(archive.origin.wal(full), expectSuccess: true)
        let damaged = try archive.push(try archive.copy(full) { $0[500_000] ^= 1 })
        #expect(damaged.ending == .exited(0), "\(damaged.errors)")
        #expect(damaged.errors.contains("but the archived copy of it is intact"), "\(damaged.errors)")
        let other = try archive.push(
            try archive.copy(name) {
                $0 = (try? EarlySegment.contradicting($0, archive.origin.segments.last!, at: 40)) ?? []
            })
        #expect(other.ending == .exited(1))
        #expect(other.errors.contains("before the end of the valid records"), "\(other.errors)")
        for (path, digest) in before { #expect(try archive.contents()[path] == digest) }
    }

    @Test func `a segment that does not continue its predecessor is stored on request only`() throws {
        let archive = try Archive()
        let names = archive.origin.segments
        try archive.push(archive.origin.wal(names[1].description), expectSuccess: true)
        // The same position, but the previous record is said to be elsewhere: a valid segment of another history.
        let path = try archive.copy(names[2].description) { try? rewriteFirstPrevious(&$0) }
        let refused = try archive.push(path)
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("does not continue the archived segment \"\(names[1])\""), "\(refused.errors)")
        #expect(try archive.archived.segments(timeline: TimelineID(1)) == [names[1]])
        let offered = try #require(refused.errors.firstMatch(of: /"tidemark (archive-push [^"]*)"/)?.output.1)
        let accepted = try tidemark(offered.split(separator: " ").map { $0 == "PATH" ? path : String($0) })
        #expect(accepted.ending == .exited(0), "\(accepted)")
        #expect(accepted.errors.contains("WARNING"))
        let stored = try StoredSegment(archive.origin.incarnation.segment(names[2]), in: archive.store)
        #expect(stored.head.acceptedDiscontinuity)
    }

    /// Why a predecessor in the repository can't be read.
    enum Unreadable: String, CaseIterable {
        case damaged, empty, closed, dangling, fifo, directory
    }

    @Test(arguments: Unreadable.allCases) func `an unreadable predecessor is a warning`(_ reason: Unreadable) throws {
        let archive = try Archive()
        let names = archive.origin.segments
        try archive.push(archive.origin.wal(names[1].description), expectSuccess: true)
        let path = archive.path(names[1])
        var bytes = try Files.read(path)
        if reason != .closed { try Files.remove(path) }
        switch reason {
        case .damaged:
            bytes[60] ^= 1
            try createDurably(path, bytes: bytes)
        case .empty: try createDurably(path, bytes: [])
        case .closed: break
        case .dangling: #expect(symlink("/srv/tier/not-mounted", path) == 0)
        case .fifo: #expect(mkfifo(path, 0o666) == 0)
        case .directory: try Files.makeDirectories(path)
        }
        if reason != .dangling { try archive.giveToServer(path) }
        if reason == .closed { chmod(path, 0) }
        let finished = try archive.push(archive.origin.wal(names[2].description), expectSuccess: true)
        #expect(finished.errors.contains("WARNING:  could not check that segment"), "\(finished.errors)")
        try archive.get(names[2].description, to: archive.scratch.file("fetched"), expectSuccess: true)
        let fetched = Digest(of: try Files.read(archive.scratch.file("fetched")))
        #expect(try fetched == Digest(of: Files.read(archive.origin.wal(names[2].description))))
    }
}

/// Makes the first record that starts in the segment name another previous one, with a valid CRC.
func rewriteFirstPrevious(_ bytes: inout [UInt8]) throws {
    func word(_ offset: Int) -> Int {
        Int(bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: offset, as: UInt32.self) })
    }
    var position = 40
    if bytes[2] & 1 != 0 { position = (40 + word(16) + 7) / 8 * 8 }
    let length = word(position)
    try #require(position + length < 8192, "the first record must lie on the first page")
    bytes[position + 8] ^= 8
    var crc = UInt32.max
    func add(_ byte: UInt8) {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x82F6_3B78 : crc >> 1 }
    }
    for index in (position + 24)..<(position + length) { add(bytes[index]) }
    for index in position..<(position + 20) { add(bytes[index]) }
    crc = ~crc
    for index in 0..<4 { bytes[position + 20 + index] = UInt8(truncatingIfNeeded: crc >> (8 * UInt32(index))) }
}
