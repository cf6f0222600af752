import Archiving
import Platform
import Repository
import Support
import Testing
import WAL

/// When several servers archived files under one name, only those that fit the WAL around them are offered, and put
/// back.
@Suite struct PutBackHistoryTests {
    /// The evidence that a segment is another server's.
    enum Witness: CaseIterable { case before, behind, server }

    /// Three segments of an archive, of which the one in the middle is to be missing.
    private struct Place {
        let archive: Archive
        let names: [SegmentName]
        /// A server whose pg_wal has only files from a test.
        let server: String
        let configuration: String

        init() throws {
            archive = try Archive(settings: ["archive_jobs = 1"])
            names = Array(archive.origin.segments[1...3])
            server = archive.scratch.file("server")
            configuration = archive.scratch.file("elsewhere.conf")
            for folder in ["pg_wal", "global"] { try Files.makeDirectories("\(server)/\(folder)") }
            for file in ["PG_VERSION", "global/pg_control"] {
                try createDurably("\(server)/\(file)", bytes: Files.read("\(archive.origin.data)/\(file)"), mode: 0o644)
            }
            try archive.giveToServer(server)
            let text = try Files.readText(archive.configuration).replacing(archive.origin.data, with: server)
            try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
        }

        func push(_ name: SegmentName, _ change: ((inout [UInt8]) throws -> Void)? = nil) throws {
            guard let change else {
                try archive.push(archive.origin.wal("\(name)"), expectSuccess: true)
                return
            }
            var bytes = try Files.read(archive.origin.wal("\(name)"))
            try change(&bytes)
            let path = "\(archive.scratch.file("changed"))/\(name)"
            try Files.makeDirectories(Files.parent(path))
            try replaceDurably(path, bytes: bytes, mode: 0o644)
            try archive.giveToServer(Files.parent(path))
            try archive.push(path, expectSuccess: true)
        }

        func putAside(_ name: SegmentName, at second: Int64) throws -> RepositoryKey {
            try PutAside(#require(PutAside.Subject("\(name)")), of: archive.archived)
                .carryOut(now: Moment(microseconds: 1_800_000_000_000_000 + second * 1_000_000), reason: "test")
        }

        func run(_ words: [String]) throws -> Finished {
            try archive.giveToServer(archive.repository)
            return try runAsServerUser(
                Executables.tidemark(), words + ["--config", configuration], expectSuccess: false)
        }

        var command: String { "tidemark segments put-back \(names[1])" }
        var putBack: [String] { ["segments", "put-back", "\(names[1])", "--yes"] }
        func isThere() throws -> Bool { try archive.store.exists(archive.origin.incarnation.segment(names[1])) }
    }

    @Test(arguments: Witness.allCases)
    func `objects that contradict the WAL around them come back only with --certain`(_ witness: Witness) throws {
        let place = try Place()
        let (before, name, behind) = (place.names[0], place.names[1], place.names[2])
        switch witness {
        case .before:
            try place.push(name) { try rewriteFirstPrevious(&$0) }
        case .behind, .server:
            try place.push(name)
        }
        _ = try place.putAside(name, at: 0)
        try place.push(before)
        let reason: String
        switch witness {
        case .before:
            try place.push(behind)
            reason = "It does not continue segment \"\(before)\", which is archived."
        case .behind:
            try place.push(behind) { try rewriteFirstPrevious(&$0) }
            reason = "Segment \"\(behind)\", which is archived, does not continue it."
        case .server:
            try place.push(behind)
            let own = try EarlySegment.contradicting(
                Files.read(place.archive.origin.wal("\(name)")), name, at: 300_000)
            try createDurably("\(place.server)/pg_wal/\(name)", bytes: own, mode: 0o644)
            try place.archive.giveToServer(place.server)
            reason = "The server in \"\(place.server)\" has another \"\(name)\" in its pg_wal."
        }
        let told = try place.run(["segments"])
        #expect(told.ending == .exited(3) && told.output.contains("\(name)"), "\(told)")
        #expect(!told.output.contains("put-back"), "\(told)")
        let refused = try place.run(place.putBack)
        #expect(refused.ending == .exited(1) && refused.errors.contains(reason), "\(refused)")
        #expect(try !place.isThere())
        let moved = try place.run(place.putBack + ["--certain"])
        #expect(try moved.ending == .exited(0) && place.isThere(), "\(moved)")
    }

    @Test(arguments: [false, true])
    func `of two servers' files under one name the fitting ones come back`(fittingIsNewest: Bool) throws {
        let place = try Place()
        let (before, name, behind) = (place.names[0], place.names[1], place.names[2])
        var fitting: RepositoryKey?
        for (second, fits) in [!fittingIsNewest, fittingIsNewest].enumerated() {
            if fits { try place.push(name) } else { try place.push(name) { try rewriteFirstPrevious(&$0) } }
            let folder = try place.putAside(name, at: Int64(second))
            if fits { fitting = folder }
        }
        for other in [before, behind] { try place.push(other) }
        let told = try place.run(["segments"])
        #expect(told.output.contains(place.command), "\(told)")
        let moved = try place.run(place.putBack)
        #expect(moved.ending == .exited(0), "\(moved)")
        #expect(try moved.output.contains("\(#require(fitting))."), "\(moved)")
        let whole = try place.run(["segments"])
        #expect(whole.ending == .exited(0), "\(whole)")
    }
}
