import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// A `pg_wal` with the finished cluster's segments, waiting for the archiver.
private func waiting(_ archive: Archive, from first: Int = 0) throws -> String {
    let directory = archive.scratch.file("pg_wal")
    try Files.makeDirectories(directory + "/archive_status")
    for segment in archive.origin.segments.dropFirst(first) {
        _ = try run("/bin/cp", ["-p", archive.origin.wal(segment.description), "\(directory)/\(segment)"])
        try replaceDurably("\(directory)/archive_status/\(segment).ready", bytes: [])
    }
    _ = try run("/bin/chmod", ["-R", "a+rX", directory])
    // A note is only made about files that haven't changed for a second.
    Clock.sleep(milliseconds: 1100)
    return directory
}

/// One of the segments of a call is held at a gate while others are ready.
struct HeldSegment: Sendable, CustomTestStringConvertible {
    enum Ending: Equatable {
        case opened
        case killed
        /// Not held: a call on the segment, whose name replaces HELD, fails.
        case failing(String)
    }
    let jobs: Int
    let held: Int
    let ending: Ending
    var testDescription: String { "\(jobs) threads, segment \(held) \(ending)" }

    static let all: [HeldSegment] =
        [2, 3, 16].flatMap { jobs in
            [0, 3].flatMap { held in
                [.opened, .killed].map { HeldSegment(jobs: jobs, held: held, ending: $0) }
            }
        }
        + [2, 16].flatMap { jobs in
            [
                (0, "rename:HELD.zst=EIO"), (1, "rename:HELD.zst=EIO"), (1, "fsync:.HELD=ENOSPC"),
                (2, "write:.HELD=EIO"), (3, "open:pg_wal/HELD=EIO"),
            ].map { HeldSegment(jobs: jobs, held: $0, ending: .failing($1)) }
        }
}

@Suite struct LookAheadServerTests {
    private func stored(_ archive: Archive) throws -> [SegmentName] {
        try archive.archived.segments(timeline: TimelineID(1))
    }

    @Test(arguments: [2, 3, 16])
    func `one call stores what is waiting, and the next ones confirm it`(jobs: Int) throws {
        let archive = try Archive(settings: ["archive_jobs = \(jobs)"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        try archive.push("\(directory)/\(all[0])", expectSuccess: true)
        #expect(try stored(archive) == all)
        let state = StateDirectory(
            archive.scratch.file("state"), cluster: "main", repository: archive.repository)
        let note = state.archivedAhead
        for segment in all { #expect(try Files.readText(note).contains(segment.description)) }
        let before = try archive.contents()
        for segment in all {
            let finished = try archive.push("\(directory)/\(segment)", ["--verbose"], expectSuccess: true)
            #expect(finished.errors.contains("is archived already"))
        }
        #expect(try archive.contents() == before)
        for segment in all {
            try archive.get(segment.description, to: archive.scratch.file("fetched"), expectSuccess: true)
            #expect(
                try Files.read(archive.scratch.file("fetched")) == Files.read(archive.origin.wal(segment.description)))
        }
    }

    @Test(arguments: HeldSegment.all)
    func `no segment of a call is seen before those before it are there`(_ row: HeldSegment) throws {
        let archive = try Archive(settings: ["archive_jobs = \(row.jobs)"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        let (held, next) = (all[row.held], all[row.held + 1])
        let arguments = ["archive-push", "--config", archive.configuration, "\(directory)/\(all[0])"]
        switch row.ending {
        case .opened, .killed:
            // The next one is written completely, and would have its name long before the second is done.
            let finished = try Gate(at: "rename:\(held).zst").run(
                Executables.tidemark(), arguments,
                meanwhile: """
                    folder='\(Files.parent(archive.path(held)))'
                    until ls "$folder"/.\(next).*.tmp "$folder"/\(next).zst 2>/dev/null | grep -q .; do sleep 0.05; done
                    sleep 1
                    ls "$folder"
                    \(row.ending == .killed ? "kill -9 $process" : "")
                    """)
            let seen = finished.output.split(separator: "\n").map(String.init)
            #expect(seen == all.prefix(row.held).map { "\($0).zst" }, "\(finished)")
            #expect(try stored(archive) == (row.ending == .killed ? Array(all.prefix(row.held)) : all), "\(finished)")
        case .failing(let fault):
            let finished = try archive.push(
                arguments[3], fault: fault.replacing("HELD", with: held.description))
            #expect(finished.ending == .exited(row.held == 0 ? 1 : 0), "\(finished)")
            #expect(finished.errors.contains("fault: "), "\(finished)")
            #expect(try stored(archive) == Array(all.prefix(row.held)), "\(finished)")
        }
        for segment in all { try archive.push("\(directory)/\(segment)", expectSuccess: true) }
        #expect(try stored(archive) == all)
    }

    @Test func `without look-ahead a call stores its own segment`() throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let directory = try waiting(archive)
        try archive.push("\(directory)/\(archive.origin.segments[0])", expectSuccess: true)
        #expect(try stored(archive) == [archive.origin.segments[0]])
    }

    @Test func `a damaged segment further on fails only its own call, and nothing after it is stored unchecked`()
        throws
    {
        let archive = try Archive(settings: ["archive_jobs = 2"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        var bytes = try Files.read("\(directory)/\(all[2])")
        bytes[300_000] ^= 1
        try replaceDurably("\(directory)/\(all[2])", bytes: bytes, mode: 0o644)
        let first = try archive.push("\(directory)/\(all[0])", expectSuccess: true)
        #expect(first.errors == "")
        #expect(try stored(archive) == Array(all.prefix(2)))
        try archive.push("\(directory)/\(all[1])", expectSuccess: true)
        let third = try archive.push("\(directory)/\(all[2])")
        #expect(third.ending == .exited(1))
        #expect(third.errors.contains("is damaged at offset"))
    }

    @Test func `the note of an earlier call is not believed about a file that changed`() throws {
        let archive = try Archive(settings: ["archive_jobs = 2"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        try archive.push("\(directory)/\(all[0])", expectSuccess: true)
        let path = "\(directory)/\(all[1])"
        let file = try Descriptor(open: path, O_WRONLY)
        try [UInt8(7)].withUnsafeBytes { try file.write($0, at: 500_000, path: path) }
        let finished = try archive.push(path)
        #expect(finished.errors.contains("is damaged at offset 500000"), "\(finished.errors)")
    }

    @Test func `a note about an object that is gone is not believed`() throws {
        let archive = try Archive(settings: ["archive_jobs = 2"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        try archive.push("\(directory)/\(all[0])", expectSuccess: true)
        try Files.remove(archive.path(all[1]))
        try archive.push("\(directory)/\(all[1])", expectSuccess: true)
        #expect(try stored(archive) == all)
    }

    @Test func `calls at the same time do not disturb each other`() throws {
        let archive = try Archive(settings: ["archive_jobs = 2"])
        let directory = try waiting(archive)
        let all = archive.origin.segments
        let outcomes = Monitor<[Finished.TerminationStatus]>([])
        try mapInOrder(
            Array(0..<8), workers: 8, ahead: 8,
            transform: { try archive.push("\(directory)/\(all[$0 % 3])").ending },
            consume: { ending in outcomes.update { $0.append(ending) } })
        #expect(outcomes.update { $0 } == [Finished.TerminationStatus](repeating: .exited(0), count: 8))
        #expect(try Set(stored(archive)).isSuperset(of: all.prefix(3)))
        let leftovers = try run("/usr/bin/find", [archive.repository, "-name", ".*"])
        #expect(leftovers.output == "")
    }

    @Test func `leftovers of a killed process are removed, another host's fresh temporary is not`() throws {
        let archive = try Archive(settings: ["archive_jobs = 1"])
        let folder = Files.parent(archive.path(archive.origin.segments[0]))
        try Files.makeDirectories(folder)
        let dead = try run("/bin/true", [])
        #expect(dead.ending == .exited(0))
        let name = Files.name(temporaryName(for: folder + "/object"))
        let parts = name.split(separator: ".")
        let place = parts[parts.count - 3].split(separator: "-")[0]
        // No process has a number above the kernel's limit.
        let mine = "\(folder)/.object.\(place)-4194399.1f.tmp"
        let theirs = "\(folder)/.object.00000000-4194399.1f.tmp"
        for path in [mine, theirs] { try createDurably(path, bytes: [1]) }
        try archive.giveToServer(archive.repository)
        for segment in archive.origin.segments where segment.place % 16 == 15 {
            let finished = try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
            #expect(finished.errors.contains(mine))
        }
        #expect(try !Files.exists(mine))
        #expect(try Files.exists(theirs))
    }
}
