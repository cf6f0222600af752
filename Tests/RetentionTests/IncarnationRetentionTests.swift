import Backups
import Expiring
import Glibc
import Platform
import Repository
import Retention
import Support
import Testing
import WAL

/// Expiry over several incarnations of a cluster, on random repositories.
@Suite struct IncarnationRetentionTests {
    private static let now = Moment(microseconds: 1_800_000_000_000_000)
    private static let day: Int64 = 86_400_000_000
    private static let size: UInt32 = 1 << 20

    /// A repository with up to four incarnations, older ones first.
    private final class Holdings {
        let scratch: Scratch
        let store: DirectoryStore
        var incarnations: [Incarnation] = []

        init(_ random: inout SeededGenerator) throws {
            scratch = try Scratch()
            store = DirectoryStore(scratch.file("repository"))
            try Files.makeDirectories(store.location)
            let count = Int.random(in: 1...4, using: &random)
            var age = Int64.random(in: 0...40, using: &random) + 60 * Int64(count)
            for number in 0..<count {
                let incarnation = Incarnation(
                    cluster: "main", major: 14 + number, systemIdentifier: UInt64(7_000 + number))
                incarnations.append(incarnation)
                try store.create(incarnation.marker, incarnation.sealedMarker)
                var segment: UInt64 = 2
                for _ in 0..<Int.random(in: 0...8, using: &random) {
                    try backUp(incarnation, segment, daysAgo: age, isPinned: Int.random(in: 0...9, using: &random) == 0)
                    segment += UInt64.random(in: 1...4, using: &random)
                    age -= Int64.random(in: 1...9, using: &random)
                }
                for number in 1...segment { try put(incarnation, number) }
                age = min(age, 60 * Int64(count - number - 1))
            }
        }

        private func put(_ incarnation: Incarnation, _ number: UInt64) throws {
            let name = SegmentName(timeline: TimelineID(1), number: number, segmentSize: IncarnationRetentionTests.size)
            try store.create(incarnation.segment(name), bytes: [1, 2, 3])
        }

        private func backUp(_ incarnation: Incarnation, _ segment: UInt64, daysAgo: Int64, isPinned: Bool) throws {
            let time = Moment(
                microseconds: IncarnationRetentionTests.now.microseconds - daysAgo * IncarnationRetentionTests.day)
            let label = "\(time.compact)-full"
            let start = LSN(segment * UInt64(IncarnationRetentionTests.size) + 0x28)
            let name = SegmentName(
                timeline: TimelineID(1), number: segment, segmentSize: IncarnationRetentionTests.size)
            let json = """
                {"label":"\(label)","type":"full","start_time":"\(time.iso8601)","stop_time":"\(time.iso8601)",
                "start_lsn":"\(start)","checkpoint_lsn":"\(start)","stop_lsn":"\(start + 0x100)","timeline":1,
                "start_segment":"\(name)","stop_segment":"\(name)",
                "system_identifier":"\(incarnation.systemIdentifier)","major":\(incarnation.major),
                "server_version":150020,"catalog_version":202209061,"segment_size":\(IncarnationRetentionTests.size),"from_standby":false,
                "file_count":1,"size":1,"stored_size":3,"packs":[],"tablespaces":[],"checksums":true,
                "verified_pages":1,"corrupt_pages":[],"settings":{},"pinned":\(isPinned),
                "timings":{"checkpoint":1,"copy":1,"wal_wait":1,"total":1,"bytes":1}}
                """
            try store.create(incarnation.packFolder(label).appending("000001"), bytes: [1, 2, 3])
            try store.create(incarnation.backupDescription(label), SealedDocument(.backup, body: Array(json.utf8)))
        }

        func known() throws -> ClusterIncarnations {
            try #require(
                try ClusterIncarnations(of: "main", dataDirectory: scratch.file("none"), in: Repository(store)))
        }

        /// Every file of one incarnation, by its path in it, without locks.
        func files(_ incarnation: Incarnation) throws -> Set<String> {
            let root = "\(store.location)/main/\(incarnation.folderName)"
            let found = try run("/usr/bin/find", [root, "-type", "f", "-not", "-name", ".*", "-printf", "%P\\n"])
            return Set(found.output.split(separator: "\n").map(String.init))
        }
    }

    private static func policy(_ random: inout SeededGenerator) -> RetentionPolicy {
        var policy = RetentionPolicy()
        func maybe(_ value: Int) -> Int? { Int.random(in: 0...2, using: &random) == 0 ? value : nil }
        policy.keepFull = maybe(Int.random(in: 1...4, using: &random))
        policy.keepDaily = maybe(Int.random(in: 1...4, using: &random))
        policy.keepMonthly = maybe(Int.random(in: 1...3, using: &random))
        policy.keepDays = maybe(Int.random(in: 1...50, using: &random))
        policy.recoveryWindow = maybe(Int.random(in: 1...50, using: &random)).map { Int64($0) * 86_400_000 }
        return policy
    }

    @Test(arguments: 0..<60)
    func `the rules apply to each incarnation by itself, which keeps its newest backup`(
        _ seed: Int
    ) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let holdings = try Holdings(&random)
        let policy = Self.policy(&random)
        let store = holdings.store
        // What would happen to each by itself.
        var expected: [String: Set<String>] = [:]
        var newest: [String: String] = [:]
        var before: [String: Set<String>] = [:]
        for incarnation in holdings.incarnations {
            let archive = ClusterArchive(incarnation, in: store)
            let listing = try archive.listBackups()
            let decision = try retentionDecision(of: archive, listing: listing, policy: policy, now: Self.now)
            let files = try holdings.files(incarnation)
            before[incarnation.folderName] = files
            newest[incarnation.folderName] = listing.newest?.label
            expected[incarnation.folderName] = files.filter { file in
                let parts = file.split(separator: "/").map(String.init)
                switch parts[0] {
                case "backup", "pack": return !decision.expired.contains(parts[1])
                case "wal":
                    guard let name = SegmentName(String(parts[3].dropLast(4))) else { return true }
                    return decision.keeps(name, segmentSize: Self.size)
                default: return true
                }
            }
        }
        let known = try holdings.known()
        _ = try known.expire(policy: policy, now: Self.now, dryRun: true)
        for incarnation in holdings.incarnations {
            #expect(try holdings.files(incarnation) == before[incarnation.folderName], "a dry run removes nothing")
        }
        let expiry = try known.expire(policy: policy, now: Self.now, dryRun: false)
        #expect(expiry.failures == [])
        for incarnation in holdings.incarnations {
            let left = try holdings.files(incarnation)
            #expect(left == expected[incarnation.folderName], "\(incarnation.folderName)")
            if let label = newest[incarnation.folderName] {
                #expect(left.contains("backup/\(label)/backup.json") && left.contains("pack/\(label)/000001"))
            }
        }
    }

    @Test func `an incarnation that can't be expired keeps everything, and stops no other`() throws {
        var random = SeededGenerator(seed: 1)
        var policy = RetentionPolicy()
        policy.keepFull = 1
        var tried = 0
        for seed in 2...2_000 as ClosedRange<UInt64> {
            if tried == 3 { break }
            random = SeededGenerator(seed: seed)
            let holdings = try Holdings(&random)
            let known = try holdings.known()
            let counts = try holdings.incarnations.map {
                try ClusterArchive($0, in: holdings.store).listBackups().complete.count
            }
            guard counts.count >= 3, counts.allSatisfy({ $0 >= 2 }) else { continue }
            let former = known.former
            let spoilt = former[0].incarnation
            // Its backup.json can't be read, a backup of it is running, or its clock was ahead.
            let label = try #require(try former[0].backups().sorted().last)
            let path = holdings.store.path(spoilt.backupDescription(label))
            var lock: BackupLock?
            switch tried {
            case 0: try replaceDurably(path, bytes: Array("{}".utf8), mode: 0o644)
            case 1: lock = try BackupLock(former[0])
            default:
                let text = try Files.readText(path).replacing("\"stop_time\":\"20", with: "\"stop_time\":\"21")
                try replaceDurably(path, bytes: resealed(text), mode: 0o644)
            }
            defer { withExtendedLifetime(lock) {} }
            tried += 1
            let before = try holdings.files(spoilt)
            let expiry = try known.expire(policy: policy, now: Self.now, dryRun: false)
            #expect(try holdings.files(spoilt) == before)
            #expect(expiry.failures.count == 1, "\(expiry.failures)")
            #expect(expiry.failures.allSatisfy { $0.contains(spoilt.folderName) }, "\(expiry.failures)")
            for other in holdings.incarnations where other != spoilt {
                let left = try ClusterArchive(other, in: holdings.store).listBackups().all.filter { !$0.isPinned }
                #expect(left.count <= 1, "\(other.folderName)")
            }
        }
        #expect(tried == 3)
    }
}
