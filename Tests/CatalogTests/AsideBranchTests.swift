import Archiving
import BackupVerification
import Backups
import Catalog
import Expiring
import Platform
import Recovery
import Repository
import Retention
import Support
import Testing
import WAL

/// Backups of a branch that was put aside after they had been taken.
@Suite struct AsideBranchTests {
    static let taken = Moment(iso8601: "2026-11-28T22:00:00Z")!
    private static func later(_ seconds: Int64) -> Moment {
        Moment(microseconds: taken.microseconds + seconds * 1_000_000)
    }

    /// A backup with WAL from one segment to another, begun at `taken`; `seconds` until it was complete.
    static func store(
        _ label: String, _ first: String, _ last: String, in repository: FixtureRepository, at time: Moment = taken,
        seconds: Double = 10
    ) throws {
        let (start, stop) = (try #require(SegmentName(first)), try #require(SegmentName(last)))
        let size: UInt32 = 1 << 20
        let json = """
            {"label":"\(label)","type":"full","start_time":"\(time.iso8601)","stop_time":"\(time.iso8601)",
            "start_lsn":"\(start.start(segmentSize: size) + 0x28)","checkpoint_lsn":"\(start.start(segmentSize: size) + 0x60)",
            "stop_lsn":"\(stop.start(segmentSize: size) + 0x100)","timeline":\(start.timeline.rawValue),
            "start_segment":"\(start)","stop_segment":"\(stop)","system_identifier":"7","major":15,
            "server_version":150020,"catalog_version":202209061,"segment_size":\(size),"from_standby":false,
            "file_count":900,"size":1,"stored_size":0,"packs":[],"tablespaces":[],"checksums":true,
            "verified_pages":100,"corrupt_pages":[],"settings":{},"pinned":false,
            "timings":{"checkpoint":1,"copy":1,"wal_wait":1,"total":\(seconds),"bytes":1}}
            """
        try repository.store.create(
            repository.incarnation.backupDescription(label), SealedDocument(.backup, body: Array(json.utf8)))
    }

    private enum Return { case none, back, again, other }

    private struct Row: Sendable, CustomTestStringConvertible {
        let name: String
        var backup = ["00000001000000000000000A", "00000001000000000000000B"]
        /// What is put aside, as named on the command line.
        let aside: String
        var following = false
        /// Whether it is put aside before the backup is complete.
        var isEarlier = false
        /// When, in seconds after the backup began.
        var at: Int64 = 60
        var isRecordDamaged = false
        var end = Return.none
        var isUsable = false
        var testDescription: String { name }
    }

    @Test(arguments: [
        Row(name: "its first segment", aside: "00000001000000000000000A"),
        Row(name: "its last segment", aside: "00000001000000000000000B"),
        Row(name: "an earlier segment and all that follow", aside: "000000010000000000000009", following: true),
        Row(name: "an earlier segment alone", aside: "000000010000000000000009", isUsable: true),
        Row(name: "later segments", aside: "00000001000000000000000C", following: true, isUsable: true),
        Row(
            name: "another timeline", aside: "00000002.history", isUsable: true),
        Row(
            name: "its timeline", backup: ["000000020000000000000011", "000000020000000000000011"],
            aside: "00000002.history"),
        Row(
            name: "its timeline, and another server took the number",
            backup: ["000000020000000000000011", "000000020000000000000011"], aside: "00000002.history", end: .other),
        Row(
            name: "another server archived its first segment", aside: "00000001000000000000000A", end: .other),
        Row(
            name: "the same server archived it once more", aside: "00000001000000000000000A", end: .again,
            isUsable: true),
        Row(name: "it was put back", aside: "00000001000000000000000A", end: .back, isUsable: true),
        Row(
            name: "its timeline was put back", backup: ["000000020000000000000011", "000000020000000000000011"],
            aside: "00000002.history", end: .back, isUsable: true),
        Row(
            name: "before the backup began", aside: "00000001000000000000000A", isEarlier: true, at: -60, end: .other,
            isUsable: true),
        Row(
            name: "while the backup waited for its WAL", aside: "00000001000000000000000B", isEarlier: true, at: 8,
            end: .other, isUsable: true),
        Row(
            name: "before the backup, by a clock that was ahead", aside: "00000001000000000000000A", isEarlier: true,
            at: 3600, end: .other, isUsable: true),
        Row(
            name: "after the backup, by a clock that was set back", aside: "00000001000000000000000A", at: -3600,
            end: .other),
        Row(name: "after the backup, its record damaged", aside: "00000001000000000000000A", isRecordDamaged: true),
        Row(
            name: "before the backup, its record damaged", aside: "00000001000000000000000A", isEarlier: true, at: -60,
            isRecordDamaged: true, end: .other, isUsable: true),
    ])
    private func `a backup whose own WAL was put aside since is of that branch`(_ row: Row) throws {
        let repository = try FixtureRepository()
        let (store, incarnation) = (repository.store, repository.incarnation)
        let old = "000000010000000000000008"
        try AsideBranchTests.store("old", old, old, in: repository)
        try repository.put(WALFixture.unpacked("pg15", repository.names[0]), old, summary: [])
        func storeOwn() throws { try AsideBranchTests.store("own", row.backup[0], row.backup[1], in: repository) }
        if !row.isEarlier { try storeOwn() }
        let subject = try #require(PutAside.Subject(row.aside))
        let aside = try PutAside(subject, following: row.following, of: repository.archive)
        let folder = try aside.carryOut(now: AsideBranchTests.later(row.at), reason: "stray")
        if row.isEarlier { try storeOwn() }
        if row.isRecordDamaged {
            let record = folder.appending("record.json")
            try store.remove(record)
            try store.create(record, bytes: Array("{".utf8))
        }
        func place(_ key: RepositoryKey) throws -> RepositoryKey {
            let rest = key.description.dropFirst(incarnation.folder.description.count + 1)
            return try #require(RepositoryKey("\(folder)/\(rest)"))
        }
        for key in aside.keys {
            switch row.end {
            case .none: break
            case .back: try store.move(try place(key), to: key)
            case .again: try store.create(key, bytes: try store.read(try place(key)))
            case .other where key.name.contains("history"):
                try store.createFile(key, bytes: Array("1\t0/F00000\tother\n".utf8))
            case .other:
                let name = String(key.name.prefix(24))
                try repository.put(
                    WALFixture.unpacked("pg15", repository.names[2]), name, summary: [])
            }
        }

        let listing = try repository.archive.listBackups()
        #expect(listing.complete.map(\.label) == (row.isUsable ? ["old", "own"] : ["old"]))
        #expect(listing.aside.map(\.backup.label) == (row.isUsable ? [] : ["own"]))
        #expect(listing.incomplete == [])
        #expect(Set(listing.all.map(\.label)) == ["old", "own"])

        let archive = try RecoveryArchive(
            repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"), jobs: 1)
        #expect(archive.backups.complete.map(\.label) == listing.complete.map(\.label))
        #expect(
            archive.remarks.contains { $0.contains("\"own\" is left out: its branch was put aside") } != row.isUsable)
        func named() throws {
            _ = try RecoveryArchive(
                repository: Repository(store), cluster: "main", dataDirectory: repository.scratch.file("none"), jobs: 1,
                backup: "own")
        }
        if row.isUsable {
            try named()
        } else {
            #expect(throws: BackupProblem.self) { try named() }
        }

        let backup = try repository.archive.backup("own")
        let found = try verifyBackup(backup, of: repository.archive, request: VerifyRequest(jobs: 1)).problems
        #expect(found.contains { $0.message.contains("its branch was put aside") } != row.isUsable)

        // It can't replace a good one.
        let policy = RetentionPolicy()
        var one = policy
        one.keepFull = 1
        let decision = try retentionDecision(
            of: repository.archive, listing: listing, policy: one, now: AsideBranchTests.later(3600))
        #expect(decision.kept.contains("old") != row.isUsable)
        #expect(
            decision.verdicts.first { $0.label == "own" }?.reasons.contains("damaged: its branch was put aside")
                == !row.isUsable)
    }

    @Test func `a request for a timeline that was put aside gets its backups`() throws {
        let repository = try FixtureRepository()
        try AsideBranchTests.store(
            "own", "00000002000000000000000F", "00000002000000000000000F", in: repository)
        try PutAside(.timeline(TimelineID(2)), of: repository.archive).carryOut(
            now: AsideBranchTests.later(60), reason: "stray")
        func labels(_ timeline: TimelineID?) throws -> [String] {
            try RecoveryArchive(
                repository: Repository(repository.store), cluster: "main",
                dataDirectory: repository.scratch.file("none"), jobs: 1,
                timeline: timeline
            ).backups.complete.map(\.label)
        }
        #expect(try labels(nil) == [])
        #expect(try labels(TimelineID(2)) == ["own"])
    }

    @Test func `a call that was killed before it moved anything is finished by the same call`() throws {
        let repository = try FixtureRepository()
        let name = "00000001000000000000000A"
        let subject = try #require(PutAside.Subject(name))
        func putAside(_ seconds: Int64, reason: String = "stray") throws -> RepositoryKey {
            try PutAside(subject, of: repository.archive).carryOut(now: Self.later(seconds), reason: reason)
        }
        func folders() throws -> Int { try repository.archive.asideFolders().count }
        let first = try putAside(0)
        // What the first call leaves when it is killed right after its record, and what a put-back leaves.
        try PutBack(subject, of: repository.archive).carryOut()
        #expect(try folders() == 1)
        let nothing = #expect(throws: NothingToPutBack.self) { try PutBack(subject, of: repository.archive) }
        #expect(nothing?.emptied == first.description && nothing?.detail?.contains("interrupted") == true)
        #expect(try putAside(10) == first)
        #expect(try folders() == 1)
        #expect(
            try repository.store.exists(
                first.appending("wal").appending("00000001").appending("0000000100000000").appending("\(name).zst")))
        // Another reason, or another state of the archive, is another call.
        try PutBack(subject, of: repository.archive).carryOut()
        #expect(try putAside(20, reason: "again") != first)
        try PutBack(subject, of: repository.archive).carryOut()
        try Self.store("own", name, name, in: repository)
        _ = try putAside(30)
        #expect(try folders() == 3)
    }
}
