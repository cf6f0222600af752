import Configuration
import Documents
import Glibc
import Platform
import Support
import WAL

@testable import Archiving
@testable import BackupVerification
@testable import Monitoring
@testable import Notifications
@testable import Recovery
@testable import Repository

/// A cluster's state on this host; the files are written anew for each case.
private final class State: Sendable {
    let scratch: Scratch
    let cluster: ClusterConfiguration

    init() throws {
        scratch = try Scratch()
        let text = """
            repository = '\(scratch.file("repository"))'
            state_directory = '\(scratch.file("state"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'
            [notify]
            command = 'cat'
            events = all
            """
        cluster = try Configuration(parsing: text, file: "tidemark.conf").clusters[0]
    }

    var receivers: [Receiver] {
        get throws {
            let text =
                "repository = '/r'\n[cluster main]\ndata_directory = '/d'\n[notify]\ncommand = 'cat'\nevents = all\n"
            return Receiver.all(of: try Configuration(parsing: text, file: "t.conf").notifiers)
        }
    }

    func put(_ bytes: [UInt8], at path: String) throws {
        try Files.makeDirectories(Files.parent(path))
        let file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try bytes.withUnsafeBytes { try file.write($0, path: path) }
    }
}

private let name = SegmentName("000000010000000200000003")!

extension HostileFormat {
    private init(_ name: String, state seed: String, read: @escaping @Sendable (State, [UInt8]) throws -> Void) {
        let state = Result { try State() }
        self = HostileFormat(name, text: [seed]).reading { try read(try state.get(), $0) }
    }

    static let state: [HostileFormat] = [
        HostileFormat(
            "which messages were sent",
            state:
                #"{"notify backup":{"status":"error","message":"m","time":1764000000000000,"suppressed":2},"notify check":{"status":"warning","message":"n","time":1764000000000000,"suppressed":0}}"#
        ) { state, bytes in
            let outbox = Outbox(state.cluster.state.notices)
            try state.put(bytes, at: outbox.directory + "/told.json")
            for (subject, message) in [("backup", "m"), ("check", "other")] {
                try outbox.enqueue(
                    Notification(
                        event: .backupFailure, status: .error, cluster: "main", host: "db1",
                        time: Moment(microseconds: 1_764_000_001_000_000), subject: subject, message: message),
                    for: state.receivers, quietIfToldSince: Moment(microseconds: 1_764_000_000_500_000))
            }
            for file in try Files.list(outbox.directory + "/queue") {
                try Files.remove(outbox.directory + "/queue/" + file)
            }
        },
        HostileFormat(
            "which messages were given up",
            state:
                #"[{"receiver":"notify","time":1764000000000000},{"receiver":"notify/mail","time":1764000000000001}]"#
        ) { state, bytes in
            let outbox = Outbox(state.cluster.state.notices)
            try state.put(bytes, at: outbox.directory + "/given-up.json")
            _ = try outbox.givenUp(now: Moment(microseconds: 1_764_000_001_000_000))
            try outbox.noteGivenUp("notify")
        },
        HostileFormat("what the checks found", state: #"{"archiving":"ok","rpo":"critical","server":"warning"}"#) {
            state, bytes in
            try state.put(bytes, at: state.cluster.state.checks)
            _ = try CheckMemory(for: state.cluster).changes(
                to: [], cluster: "main", host: "db1", now: Moment(microseconds: 1_764_000_001_000_000))
        },
        HostileFormat(
            "which segments were archived ahead",
            state:
                "\(name) 26 4711 1048576 1764000000000000 1764000000000000 \(Digest(of: [1])) main/15-1/wal/00000001/\(name).zst\n"
        ) { state, bytes in
            let record = AheadRecord(path: state.cluster.state.archivedAhead)
            try state.put(bytes, at: record.path)
            _ = record.find(name, try FileStatus(of: record.path))
            _ = String(decoding: bytes, as: UTF8.self).split(separator: " ").map {
                (Digest(String($0)), RepositoryKey(String($0)))
            }
        },
        HostileFormat("a failed push", state: "\(name)\nrefused\nmessage\ndetail\nhint\n") { state, bytes in
            try state.put(bytes, at: state.cluster.state.pushFailure)
            _ = PushFailure(in: state.cluster.state)
        },
        HostileFormat("the requested segment", state: "\(name)") { state, bytes in
            let prefetch = Prefetch(segments: 2, spoolSize: 1 << 30, spool: state.cluster.state.spool) {}
            let spool = Spool(
                prefetch, Incarnation(cluster: "main", major: 15, systemIdentifier: 1), location: "/r",
                dataDirectory: "/d", form: .asArchived, putAside: nil)
            try state.put(bytes, at: spool.requestFile)
            _ = spool.request
        },
        HostileFormat("which packs were found good", state: "\n1 1764000000000000\n\n2 1764000000000000\n3 17640000") {
            _, bytes in
            let good = VerifyProgressFile.packs(String(decoding: bytes, as: UTF8.self), now: 1_764_000_001_000_000)
            _ = good.count
        },
        HostileFormat(
            "the marker of a temporary cluster",
            state: "A scratch cluster of tidemark, process 4711.\nsocket /tmp/tidemark-drill-4711-0000000000000000\n"
        ) { state, bytes in
            let parent = state.scratch.file("scratch")
            // A number that no process has.
            try state.put(bytes, at: "\(parent)/tidemark-drill-2147483647-00000000000000ff/tidemark-scratch")
            _ = try ScratchDirectory.reclaim(in: parent, dryRun: true)
        },
    ]
}
