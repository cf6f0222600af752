import Glibc
import Platform
import Repository
import Synchronization
import WAL

/// Prepares the WAL for a scratch server before it is requested: fetched ahead in the order of replay, and filtered.
///
/// The server's restore_command is a shell script that takes finished files from a folder, so nothing but the plan's
/// segments can be delivered; and if the delivering process dies, delivery ends with an error instead of an end of the
/// WAL.
final class SegmentSupply: Sendable {
    private let segments: [SegmentName]
    private let archive: ClusterArchive
    private let rules: WALFilterRules
    private let segmentSize: UInt32
    private let target: LSN
    private let jobs: Int
    /// The directory for the delivery; created here.
    let directory: String
    private let state: Mutex<State>

    private struct State {
        var failure: (any Error)?
        var isStopped = false
        var isDone = false
        var worker: Worker?
        var storedBytes: Int64 = 0
        var records = 0
        var voided = 0
        var delivered = 0
        var replayed: ReplayedWAL
    }

    /// - Parameter serverWAL: the server's pg_wal.
    init(
        _ segments: [SegmentName], of archive: ClusterArchive, segmentSize: UInt32,
        rules: WALFilterRules, target: LSN, directory: String, serverWAL: String, jobs: Int
    ) throws {
        self.target = target
        state = Mutex(State(replayed: ReplayedWAL(directory: serverWAL, taken: directory + "/taken")))
        (self.segments, self.archive) = (segments, archive)
        (self.rules, self.segmentSize, self.directory, self.jobs) = (rules, segmentSize, directory, jobs)
        for folder in ["", "/ready", "/taken", "/history"] {
            try Files.makeDirectories(directory + folder, mode: 0o700)
        }
        try write("list", segments.map { "\($0)\n" }.joined())
        try write("deliver", script, mode: 0o700)
        // One that can't be read leads nowhere, and the rows' history was chosen without it.
        for (timeline, text) in try archive.readableHistoryTexts() {
            try write("history/\(timeline.fileNamePart).history", String(decoding: text, as: UTF8.self))
        }
    }

    /// For postgresql.conf.
    var restoreCommand: String { "\(shellQuoted(directory + "/deliver")) %f %p" }

    /// Exit status 200: PostgreSQL stops instead of taking it for the end of the WAL.
    private var script: String {
        """
        #!/bin/sh
        folder=\(shellQuoted(directory))
        until [ -e "$folder/ready/$1" ]; do
            [ -e "$folder/history/$1" ] && exec cp "$folder/history/$1" "$2"
            [ -e "$folder/taken/$1" ] && exit 1
            grep -qxF "$1" "$folder/list" || exit 1
            [ -e "$folder/failed" ] && exit 200
            [ -d /proc/\(getpid()) ] || exit 200
            sleep 0.01
        done
        : > "$folder/taken/$1"
        exec mv "$folder/ready/$1" "$2"

        """
    }

    func start() throws {
        let worker = try Worker { [self] in
            do { try deliver() } catch {
                state.withLock { if !$0.isStopped { $0.failure = error } }
                try? write("failed", "")
            }
            state.withLock { $0.isDone = true }
        }
        state.withLock { $0.worker = worker }
    }

    /// Ends delivery and waits for its thread, but not for ever: a thread that waits for storage is left alone.
    func stop() {
        let worker = state.withLock { state in
            state.isStopped = true
            return state.worker.take()
        }
        let end = Clock.monotonic + 30_000_000_000
        while worker != nil, !state.withLock(\.isDone) {
            if Clock.monotonic > end { return }
            Clock.sleep(milliseconds: 5)
        }
        worker?.join()
    }

    /// Ends delivery without waiting for its thread.
    func abandon() {
        state.withLock { state in
            state.isStopped = true
            state.worker = nil
        }
    }

    /// Why segments could not be delivered.
    var failure: (any Error)? { state.withLock(\.failure) }
    /// Bytes read from the repository.
    var storedBytes: Int64 { state.withLock(\.storedBytes) }
    var delivered: Int { state.withLock(\.delivered) }
    /// The numbers of records read, and of those that became NOOPs.
    var counts: (records: Int, voided: Int) { state.withLock { ($0.records, $0.voided) } }

    private struct Stopped: Error {}

    private func deliver() throws {
        var filter = WALFilter(rules, segmentSize: segmentSize, target: target)
        try mapInOrder(
            segments, workers: jobs, ahead: jobs + 1, transform: fetch,
            consume: { segment in
                for finished in try filter.add(segment) { try place(finished) }
                let (records, voided) = (filter.records, filter.voided)
                state.withLock { ($0.records, $0.voided) = (records, voided) }
            })
        for finished in filter.finish() { try place(finished) }
    }

    @Sendable private func fetch(_ name: SegmentName) throws -> ReplaySegment {
        let stored = try archive.stored(name)
        var decompressor = try Decompressor()
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Int(stored.head.rawLength))
        try stored.extract(with: &decompressor) { bytes.append(contentsOf: $0) }
        state.withLock { $0.storedBytes += stored.storedLength }
        return ReplaySegment(name: name, bytes: bytes, contents: stored.contents)
    }

    /// Puts a segment where the server finds it, once the server has taken enough of the earlier ones.
    private func place(_ segment: ReplaySegment) throws {
        while true {
            if state.withLock(\.isStopped) { throw Stopped() }
            if try Files.list(directory + "/ready").count < 4 + jobs { break }
            Clock.sleep(milliseconds: 5)
        }
        let path = "\(directory)/ready/\(segment.name)"
        let file = try Descriptor(open: path + ".tmp", O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try segment.bytes.withUnsafeBytes { try file.write($0, path: path) }
        try file.close(path: path)
        state.withLock { $0.replayed.add(segment) }
        try Files.rename(path + ".tmp", to: path)
        state.withLock { $0.delivered += 1 }
    }

    /// Frees the disk space of replayed WAL; called regularly.
    func giveBack() { state.withLock { $0.replayed.giveBack() } }

    private func write(_ name: String, _ text: String, mode: mode_t = 0o600) throws {
        let path = directory + "/" + name
        let file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode)
        try Array(text.utf8).withUnsafeBytes { try file.write($0, path: path) }
    }
}
