import Documents
import Platform
import Retention
import Support
import Testing
import WAL

@testable import Backups
@testable import Configuration
@testable import DataDirectory
@testable import Jobs
@testable import Monitoring
@testable import Notifications
@testable import Postgres
@testable import Recovery
@testable import Repository
@testable import Setup
@testable import TableRecovery

private let incarnation = Incarnation(cluster: "main", major: 15, systemIdentifier: 7_300_000_000_000_000_001)

/// A repository in memory with one object, which is returned for every key.
private final class OneObject: ObjectStore {
    let location = "/srv/repository"
    private let bytes: [UInt8]
    private let tree: [String: [RepositoryEntry]]
    private let path: String

    /// - Parameter path: of the object, below the incarnation's folder.
    init(_ bytes: [UInt8], at path: String) {
        self.bytes = bytes
        self.path = "\(incarnation.folder)/\(path)"
        var (folder, tree) = (incarnation.folder, [String: [RepositoryEntry]]())
        let names = path.split(separator: "/").map(String.init)
        for (index, name) in names.enumerated() {
            tree[folder.description] = [
                index < names.count - 1
                    ? RepositoryEntry(folder: name)
                    : RepositoryEntry(object: name, size: Int64(bytes.count), modified: 0)
            ]
            folder = folder.appending(name)
        }
        self.tree = tree
    }

    func begin(_ key: RepositoryKey) throws -> any ObjectWriter { throw ObjectExists(key: key, location: location) }
    func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter {
        throw ObjectExists(key: key, location: location)
    }
    func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        guard key.description == path else { throw ObjectAbsent(key: key, location: location) }
        return ObjectInMemory(bytes, key: key.description)
    }
    func size(of key: RepositoryKey) throws -> Int64? { Int64(bytes.count) }
    func list(_ folder: RepositoryKey, after name: String?) throws -> [RepositoryEntry] {
        (tree[folder.description] ?? []).filter { entry in name.map { $0 < entry.name } ?? true }
    }
    func makeDurable(_ key: RepositoryKey) throws {}
    func removeLeftovers(in folder: RepositoryKey) throws -> [String] { [] }
    func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        throw ObjectExists(key: other, location: location)
    }
    func remove(_ key: RepositoryKey) throws {}
    func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt { .impossible(ObjectAbsent(key: folder, location: location)) }
    func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool { false }
}

private let backup: @Sendable () throws -> [[UInt8]] = {
    let description = BackupDescription(
        label: "L-full", kind: .full, startTime: Moment(microseconds: 1_764_000_000_000_000),
        stopTime: Moment(microseconds: 1_764_000_060_000_000), startLSN: LSN("2/28")!, checkpointLSN: LSN("2/60")!,
        stopLSN: LSN("2/138")!, timeline: TimelineID(1), startSegment: SegmentName("000000010000000200000000")!,
        stopSegment: SegmentName("000000010000000200000000")!, systemIdentifier: incarnation.systemIdentifier,
        major: 15,
        serverVersion: 150_020, catalogVersion: 202_209_061, segmentSize: 16 << 20, fromStandby: false, fileCount: 970,
        size: 40_000_000, storedSize: 4_000_000,
        packs: [
            NeededPacks(
                label: "L-full", numbers: [1, 2, 4], sizes: [1_999_000, 1_000_000, 1_000_000], live: 3_900_000)
        ],
        tablespaces: [BackedUpTablespace(oid: 16_390, name: "s", location: "/srv/space", size: 8192)],
        links: [BackedUpLink(path: "log", target: "/var/log/x")], hasChecksums: true, verifiedPages: 4000,
        corruptPages: [CorruptPage(path: "base/5/16384", block: 3, relation: "postgres.public.t")],
        settings: ["max_connections": "100", "wal_level": "replica"], note: "by hand", isPinned: true,
        pinnedUntil: Moment(microseconds: 1_770_000_000_000_000),
        timings: BackupTimings(checkpoint: 0.5, copy: 2.25, walWait: 0.1, total: 3, bytes: 40_000_000),
        tidemarkVersion: "1")
    return [try description.document().bytes]
}

private let job: @Sendable () throws -> [[UInt8]] = {
    let record = JobRecord(
        kind: .expire, cluster: "main", started: Moment(microseconds: 1_764_000_000_000_000),
        finished: Moment(microseconds: 1_764_000_060_000_000), result: .failure, exitStatus: 1, message: "no",
        detail: "why",
        hint: "what", facts: [ExpiredWAL.fact: "000000010000000200000000-0000000100000002000000FE", "seconds": "3.5"],
        user: "postgres", host: "db1", tidemarkVersion: "1")
    return [try record.document().bytes]
}

private func notification() throws -> [UInt8] {
    let text = """
        {"cluster":"main","details":[{"name":"check","value":"rpo"}],"event":"check_failed","format":1,"host":"db1","id":"x",
        "message":"m","receivers":["notify/mail"],"status":"error","subject":"s","suppressed":2,"time":"2026-11-20T08:12:45Z"}
        """
    return Array(text.utf8)
}

private func sealed(_ kind: SealedDocument.Kind, _ body: String) -> [UInt8] {
    SealedDocument(kind, body: Array(body.utf8)).bytes
}

private let reseal: @Sendable (inout [UInt8]) -> Void = { $0 = resealed($0) }

extension HostileFormat {
    static let json: [HostileFormat] = [
        HostileFormat("backup.json", seeds: backup, mend: reseal).reading { bytes in
            let backup = try BackupDescription(stored: bytes, label: "L-full")
            _ = (try backup.json(), try backup.document())
            let next = backup.stopSegment.next(segmentSize: backup.segmentSize)
            _ = try AsideWAL(of: ClusterArchive(incarnation, in: OneObject([], at: "x"))).taken(from: backup)
            _ = Monitoring.duration(backup.timings.total)
            _ = Int64(backup.timings.total * 1_000_000)
            _ = (next, backup.stopTime.microseconds - backup.startTime.microseconds)
            var policy = RetentionPolicy()
            policy.keepFull = 1
            policy.keepWAL = 86_400_000
            _ = "\(policy)"
        },
        HostileFormat("a job record", seeds: job, mend: reseal).reading { bytes in
            let record = try JobRecord(stored: bytes)
            _ = try record.document()
            let log = ExpiredWAL([record])
            let name = SegmentName("000000010000000200000003")!
            for size in [1 << 20, 16 << 20, 1 << 30] as [UInt32] {
                _ = log.removal(of: name, to: name, segmentSize: size)
                _ = log.segments(segmentSize: size)
            }
            _ = (record.duration, record.facts["seconds"].flatMap(Double.init).map(Monitoring.duration))
        },
        HostileFormat(
            "a verification's record",
            seeds: {
                [
                    sealed(
                        .verification,
                        #"{"bytes":4,"frames":2,"messages":["m"],"problems":1,"seconds":1.5,"time":"2026-11-20T08:12:45Z"}"#
                    )
                ]
            }, mend: reseal
        ).reading { bytes in
            let store = OneObject(bytes, at: "backup/L-full/verified-20261120T081245.123456Z.json")
            _ = try lastVerification(of: "L-full", of: ClusterArchive(incarnation, in: store))
        },
        HostileFormat(
            "a put-aside record",
            seeds: {
                [
                    AsideRecord(
                        "w", reason: "r", time: "2026-11-20T08:12:45Z", objects: ["wal/00000002.history"],
                        backups: ["L"]
                    ).document.bytes
                ]
            }, mend: reseal
        ).reading { bytes in
            _ = try AsideWAL(
                of: ClusterArchive(
                    incarnation, in: OneObject(bytes, at: "aside/20261120T081245Z-00000002.history/record.json")))
        },
        HostileFormat(
            "a recovery's record",
            seeds: {
                [
                    sealed(
                        .recoveryEnd,
                        #"{"rates":{"restored_bytes":400,"restore_seconds":1.5,"replayed_bytes":300,"replay_seconds":0.5}}"#
                    )
                ]
            }, mend: reseal
        ).reading { bytes in
            let folder = Array(bytes)
            for name in ["a", "b"] {
                guard
                    let rates = try RecoveryRates.recorded(
                        of: ClusterArchive(incarnation, in: OneObject(folder, at: "recovery/\(name)/end.json")))
                else { continue }
                _ = rates.restoreSeconds / Double(max(1, rates.restoredBytes))
            }
        },
        HostileFormat(
            "an interrupted recovery's state",
            seeds: {
                [
                    Array(
                        (#"{"version":3,"directory":"/srv/x","phase":"restoring","server_options":["-c","a=b"],"#
                            + #""withheld_settings":[],"withheld_overrides":[],"order":{"target":{"kind":"time","#
                            + #""values":["1764000000000000"],"is_inclusive":true,"is_database_meant":false,"#
                            + #""timeline":"1","uses_partials":false,"reads_aside":true},"tablespaces":{"/a":"/b"},"action":"promote","#
                            + #""is_standby":false,"settings":["a=b"],"is_delta":false,"keeps_old":false,"#
                            + #""starts":true,"overrides":[],"remarks":[]}}"#).utf8)
                ]
            }
        ).reading { bytes in _ = try decodeJSON(RecoveryState.self, from: bytes) },
        HostileFormat("a queued message", seeds: { [try notification()] }).reading { bytes in
            let queued = try decodeJSON(QueuedNotification.self, from: bytes)
            guard let notification = queued.notification else { throw Problem("none") }
            _ = Clock.now - notification.time.microseconds
            _ = try notification.document()
        },
        HostileFormat(
            "the memory of free space",
            seeds: {
                [
                    Array(
                        #"{"samples":[{"time":1764000000,"free":4000,"total":9000},{"time":1764090000,"free":3000,"total":9000}]}"#
                            .utf8)
                ]
            }
        ).reading { bytes in
            guard var history = SpaceHistory(remembered: bytes) else { throw Problem("none") }
            let now = SpaceHistory.Sample(time: 1_764_180_000, free: 2000, total: 9000)
            _ = history.shrinking(now: now)
            history.add(now)
            _ = history.shrinking(now: now)
        },
        HostileFormat(
            "incarnation.json",
            seeds: { [incarnation.sealedMarker.bytes] }, mend: reseal
        ).reading { bytes in
            _ = try ClusterArchive(incarnation, in: OneObject(bytes, at: "incarnation.json")).isConfirmed()
        },
        HostileFormat(
            "a lease",
            seeds: {
                let owner = LockOwner(
                    ProcessIdentity(host: "db1", boot: "x-1", namespace: 4_026_531_836, process: 17, started: 4711),
                    purpose: "tidemark backup", since: "2026-11-20T08:12:45Z")
                return [owner.document(expires: 1_764_000_000_000_000).bytes]
            }, mend: reseal
        ).reading { bytes in
            guard let owner = LockOwner(try SealedDocument(.lease, stored: bytes)) else { throw Problem("none") }
            _ = (owner.description, owner.process.isGone)
        },
        HostileFormat(
            "a document's two ends", seeds: { SealedDocument.Kind.allCases.map { sealed($0, #"{"a":1}"#) } },
            mend: reseal
        ).reading { bytes in
            // One of the kinds belongs there, whatever else happens.
            var fault: DocumentFault?
            for kind in SealedDocument.Kind.allCases {
                do throws(DocumentFault) {
                    let document = try SealedDocument(kind, stored: bytes)
                    #expect(document.bytes == bytes)
                    return
                } catch { fault = fault ?? error }
            }
            _ = fault.map { ($0.verdict, $0.detail, $0.hint, $0.sentence) }
            throw Problem("refused")
        },
    ]

    static let text: [HostileFormat] = [
        HostileFormat(
            "tidemark.conf",
            text: [
                (try? Files.readText(Files.parent(Files.parent(Files.parent(#filePath))) + "/tidemark.conf.sample"))
                    ?? "",
                """
                repository = '/srv/repository'
                timezone = 'Europe/Berlin'
                [cluster main]
                data_directory = '/var/lib/postgresql/15/main'
                conninfo = 'host=/run port=5433'
                compress_level = 3
                get_retry_timeout = 30s
                exclude = 'lost+found, *.core'
                [notify mail]
                smtp_url = 'smtp://localhost:587'
                email_to = 'dba@example.com'
                email_from = 'db@example.com'
                [check]
                rpo_warning = 10min
                [retention]
                keep_full = 3
                keep_weekly = 4
                recovery_window = 7d
                """,
            ]
        ).readingText { text in
            let configuration = try Configuration(parsing: text, file: "tidemark.conf")
            for cluster in configuration.clusters {
                _ = (configuration.checks(for: cluster), configuration.retention(for: cluster), cluster.stateDirectory)
            }
        },
        HostileFormat(
            "backup_label",
            text: [
                """
                START WAL LOCATION: 0/2000028 (file 000000010000000000000002)
                CHECKPOINT LOCATION: 0/2000060
                BACKUP METHOD: streamed
                BACKUP FROM: primary
                START TIME: 2026-11-20 08:12:45 UTC
                LABEL: tidemark 20261120T081245Z-full
                START TIMELINE: 1

                """
            ]
        ).readingText { text in
            let label = try BackupLabelFile(parsing: text)
            _ = (label.start.serverText, "\(label.startSegment)")
        },
        HostileFormat("tablespace_map", text: ["16390 /srv/space\n16391 /srv/with\\\\ blank\n"]).readingText { text in
            _ = try TablespaceMapFile(parsing: text).text
        },
        HostileFormat(
            "a timeline's history",
            text: ["1\t0/3000028\tno recovery target specified\n2\t0/5000000\tbefore 2026-11-20\n"]
        ).readingText { text in
            let history = try TimelineHistory(timeline: TimelineID(3), file: text)
            _ = "\(history)"
        },
        HostileFormat(
            "postgresql.conf",
            text: [
                "max_connections = 100 # of them\narchive_command = 'cp ''%p'' /x'\ninclude_dir 'conf.d'\nlog_line_prefix='%m\\n'\n"
            ]
        ).readingText { text in
            for line in text.utf8.split(separator: 10) {
                guard let line = ConfigurationLine(line) else { continue }
                _ = (ConfigurationLine.quoted(line.value), RecoveryRecord.isTarget(line.name))
            }
            _ = RecoveryRecord([.init("a", "b")]).removed(from: Array(text.utf8))
            _ = LastWords.of(text)
            _ = LastWords.meaning(of: text, target: [], resume: nil)
        },
        HostileFormat(
            "postmaster.pid",
            text: [
                "4711\n/var/lib/postgresql/15/main\n1764000000\n5432\n/var/run/postgresql\nlocalhost\n  5432001   12\nready   \n"
            ]
        ).readingText { text in _ = PostmasterFile(parsing: text) },
        HostileFormat(
            "a server's log",
            text: [
                "2026-11-20 08:12:45.123 UTC [17] FATAL:  recovery aborted because of insufficient parameter settings\n"
                    + "2026-11-20 08:12:45.123 UTC [17] DETAIL:  max_connections = 20 is a lower setting than on the primary server, where its value was 300.\n"
                    + "2026-11-20 08:12:46 UTC [17] FATAL:  could not map anonymous shared memory: Cannot allocate memory\n"
            ]
        ).readingText { text in
            _ = LastWords.of(text)
            _ = LastWords.meaning(of: text, target: [], resume: nil)
        },
        HostileFormat(
            "a word on the command line",
            text: [
                "2026-11-20 08:12:45.5 Europe/Berlin", "2026-11-20T08:12:45Z", "0/3000028", "00000002000000010000000A",
                "000000010000000000000002.00000028.backup", "256MB", "30min", "host=/run port=5432 user='a b'",
                "postgresql://u:p@h:5432/db?sslmode=require", "db.public.orders", "\"Weird.Schema\".\"t*\"",
                "main/15-1/wal/x",
                "/usr/bin/tidemark archive-push --cluster main %p", "lost+found, log/*", "20261120T081245Z-full",
            ]
        ).readingText { text in
            _ = try? Moment(parsing: text)
            _ = try? Moment(parsing: text, zone: text)
            _ = Moment(iso8601: text).map { ($0.compact, $0.description, $0.postgres) }
            _ = (LSN(text), ArchiveFileName(text), RepositoryKey(text))
            if let name = SegmentName(text) {
                for size in [1 << 20, 1 << 30] as [UInt32] {
                    _ = (name.number(segmentSize: size), name.next(segmentSize: size), name.start(segmentSize: size))
                }
            }
            _ = Quantity.bytes(text).map(Quantity.pretty(bytes:))
            _ = Quantity.milliseconds(text).map(durationText(milliseconds:))
            _ = try? ConnectionString(text).withoutSecrets.description
            _ = try? TablePattern(text)
            _ = try? TablePattern(text, database: "db")
            _ = ArchivingCall(command: text, cluster: "main", hasOthers: true)
            _ = try? NamedExclusions(text)
        },
        arguments(of: .archivePush, ["--config", "x", "--cluster=main", "pg_wal/000000010000000000000002"]),
        arguments(
            of: .archiveGet, ["--config=x", "000000010000000000000002", "pg_wal/RECOVERYXLOG", "--cluster", "main"]),
        arguments(of: .recoveryEnd, ["--data-directory", "/srv/x"]),
    ]

    private static func arguments(of grammar: Grammar, _ words: [String]) -> HostileFormat {
        HostileFormat("arguments of \(grammar.command)", text: [words.joined(separator: "\n")]).readingText { text in
            let arguments = try Arguments(
                text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init), by: grammar)
            for option in ["config", "cluster", "data-directory"] {
                _ = try? arguments.milliseconds(option)
                _ = try? arguments.bytes(option)
                _ = try? arguments.integer(option, in: 1...5)
            }
        }
    }
}
