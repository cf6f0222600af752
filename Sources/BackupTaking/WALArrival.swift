import DataDirectory
import Glibc
import Platform
import Postgres
import Repository
import WAL

/// Waits for the WAL that makes a backup complete.
struct WALArrival {
    let archive: ClusterArchive
    let segmentSize: UInt32
    let dataDirectory: String
    /// Milliseconds; 0 waits for ever.
    let timeout: Int64

    /// Waits until everything up to the backup's end is in the repository, on its timeline or on one that goes on from
    /// there: a timeline that is left before its last segment is full never has that segment, and the next one's first
    /// segment begins with a copy of what it has.
    ///
    /// - Parameter stop: where the copy becomes consistent.
    /// - Returns: the last segment.
    /// - Throws: `WALMissing` after the timeout; `TimelineAside` and `TimelineLeft` when it won't come; `ForeignWAL`.
    func wait(
        for label: BackupLabelFile, through stop: LSN, server: Connection, isStandby: Bool,
        report: (BackupEvent) throws -> Void
    ) throws -> SegmentName {
        let began = Clock.monotonic
        var lastReport = began
        var genealogy = Genealogy([:], segmentSize: segmentSize)
        var isSwitched = false
        /// The first of some files that is there; nil when none is needed any more.
        func first(of files: () -> [ArchiveFileName], isLast: Bool = true) throws -> ArchiveFileName? {
            var pause = 20
            var nextLook = began
            while true {
                guard let file = files().last else { return nil }
                if let found = try files().first(where: archive.has) { return found }
                let now = Clock.monotonic
                if now >= nextLook {
                    nextLook = now + 1_000_000_000
                    try refuseLeft(label.timeline, before: stop)
                    if isLast { try readNewHistories(into: &genealogy) }
                    if !isSwitched, isStandby, files().count > 1 { isSwitched = finishSegment(of: server, at: stop) }
                    continue
                }
                let waited = Int64((now - began) / 1_000_000)
                if timeout > 0 && waited >= timeout {
                    throw WALMissing(
                        file: file.description, seconds: waited / 1000, behind: archiverState(server),
                        isStandby: (try? server.isStandby()) ?? isStandby)
                }
                if now - lastReport > 5_000_000_000 {
                    if let timeline = file.place?.timeline { try refuseAside(timeline) }
                    try report(.waitingForWAL(file: file.description, behind: archiverState(server)))
                    lastReport = now
                }
                Clock.sleep(milliseconds: pause)
                pause = min(pause * 2, 500)
            }
        }
        let last = SegmentName(
            timeline: label.timeline, containing: LSN(stop.rawValue - 1), segmentSize: segmentSize)
        var segment = label.startSegment
        while segment < last {
            let name = segment
            _ = try first(of: { [.segment(name)] }, isLast: false)
            try checkIsOwn(name, as: name, through: stop)
            segment = segment.next(segmentSize: segmentSize)
        }
        guard segment == last else { return last }
        let wal = BackupWAL(on: label.timeline, from: label.start, to: stop)
        let end = try first(
            of: { (wal.map { genealogy.lastFiles(of: $0) } ?? [last]).map { .segment($0) } })
        guard case .segment(let found)? = end else { return last }
        try checkIsOwn(found, as: last, through: stop)
        // A standby writes no backup history file, and a primary that has been replaced may not archive its own.
        if !isStandby {
            let offset = UInt32(label.start.rawValue % UInt64(segmentSize))
            let file = ArchiveFileName.backupHistory(label.startSegment, offset: offset)
            _ = try first(of: {
                genealogy.histories.values.contains { $0.switchPoint(from: label.timeline) != nil } ? [] : [file]
            })
        }
        return found
    }

    private func readNewHistories(into genealogy: inout Genealogy) throws {
        var histories = genealogy.histories
        for timeline in try archive.histories() where histories[timeline] == nil {
            histories[timeline] = try archive.readableHistory(timeline)
        }
        genealogy = Genealogy(histories, segmentSize: segmentSize)
    }

    /// Has a standby that was promoted while the backup waits finish its segment, as pg_backup_stop does on a primary.
    ///
    /// - Returns: whether there is nothing to be done any more.
    private func finishSegment(of server: Connection, at stop: LSN) -> Bool {
        guard (try? server.isStandby()) == false, let current = try? server.currentLSN() else { return false }
        guard current.rawValue / UInt64(segmentSize) == (stop.rawValue - 1) / UInt64(segmentSize) else { return true }
        // Without the right to do it, what is written later fills the segment.
        _ = try? server.query("SELECT pg_switch_wal()")
        return true
    }

    /// A server that was rewound has taken the end of the backup's timeline back, before it could archive it.
    ///
    /// - Throws: `TimelineLeft`.
    private func refuseLeft(_ timeline: TimelineID, before stop: LSN) throws {
        let directory = DataDirectory(dataDirectory)
        // A server that is being rewound, or replaced, has none for a while.
        guard let control = try? directory.controlFile(), let own = try? directory.timeline(control), own > timeline,
            let history = try? TimelineHistory(own, inWAL: dataDirectory + "/pg_wal"),
            let end = history.switchPoint(from: timeline), end < stop
        else { return }
        throw TimelineLeft(timeline: timeline, end: end, stop: stop, successor: own)
    }

    /// WAL that a server archives on a timeline that was put aside goes there, too: a backup would wait for it in vain.
    ///
    /// - Parameter timeline: the server's.
    /// - Throws: `TimelineAside`.
    func refuseAside(_ timeline: TimelineID) throws {
        let path = "\(dataDirectory)/pg_wal/\(ArchiveFileName.history(timeline))"
        guard timeline > TimelineID(1), try Files.exists(path),
            let own = try? TimelineHistory(timeline: timeline, file: Files.readText(path, limit: 1 << 20)),
            try archive.timelinesAside(of: own).contains(timeline)
        else { return }
        throw TimelineAside(timeline: timeline)
    }

    /// How far behind the server's archiver is, in words.
    private func archiverState(_ server: Connection) -> String {
        let ready =
            ((try? Files.listIfPresent(dataDirectory + "/pg_wal/archive_status")) ?? [])
            .count { $0.hasSuffix(".ready") }
        var text = ready == 1 ? "1 file is waiting to be archived" : "\(ready) files are waiting to be archived"
        if let state = try? server.archiverState() {
            if let last = state.lastArchived { text += "; the last one archived was \"\(last)\"" }
            if state.isFailing, let failed = state.lastFailed {
                text += "; archiving \"\(failed)\" fails (\(counted(state.failedCount, "failure")) so far)"
            }
        }
        return text
    }

    /// A clone or a former primary may have archived another file of that name before this server. While the server
    /// still has its own, both must have the same content up to the end of the backup.
    ///
    /// - Parameter original: the file on the backup's timeline, of which the segment may be a copy.
    private func checkIsOwn(_ segment: SegmentName, as original: SegmentName, through stop: LSN) throws {
        let paths = [segment, original].map { dataDirectory + "/pg_wal/\($0)" }
        guard let path = try paths.first(where: Files.exists) else { return }
        let start = segment.start(segmentSize: segmentSize)
        let length = min(UInt64(segmentSize), max(stop, start).rawValue - start.rawValue)
        do {
            let file = try OwnFile(path)
            let (copies, headless) = try archive.readableCopies(of: .segment(segment))
            if try copies.contains(where: { try file.begins(as: $0, through: length) }) { return }
            if let damaged = headless.first { throw damaged }
            // Its own may have been archived meanwhile, and the file be used again.
            guard try file.hasItsName() else { return }
        } catch let error as SystemError where error.code == ENOENT && error.subject == path { return }
        throw ForeignWAL(segment: segment, location: archive.store.location, path: path)
    }
}

/// A segment in the server's pg_wal.
private final class OwnFile {
    private let path: String
    private let file: Descriptor

    init(_ path: String) throws {
        self.path = path
        file = try Descriptor(open: path, O_RDONLY)
    }

    /// Whether it has the same bytes as an archived segment, up to an offset.
    func begins(as archived: StoredSegment, through length: UInt64) throws -> Bool {
        guard archived.head.rawLength >= length else { return false }
        var offset: UInt64 = 0
        var isSame = true
        var decompressor = try Decompressor()
        try archived.extract(with: &decompressor) { piece in
            defer { offset += UInt64(piece.count) }
            guard isSame, offset < length else { return }
            let wanted = min(piece.count, Int(length - offset))
            isSame = try withUnsafeTemporaryAllocation(byteCount: wanted, alignment: 16) { window in
                let count = try file.read(into: window, at: Int64(offset), path: path)
                return count == wanted && memcmp(window.baseAddress!, piece.baseAddress!, wanted) == 0
            }
        }
        return isSame
    }

    func hasItsName() throws -> Bool {
        try FileStatus(ifPresent: path)?.isSame(as: file.status(path: path)) == true
    }
}

/// A segment that a backup needs is archived from another server.
struct ForeignWAL: Explained {
    let segment: SegmentName
    let location: String
    let path: String

    var message: String { "WAL segment \"\(segment)\" in repository \"\(location)\" is not this server's" }
    var detail: String? { "It differs from \"\(path)\". The backup is not usable with it." }
    var hint: String? {
        "Does a copy of the cluster, or a former primary, archive as this cluster? Give it a cluster name of its own, move its WAL "
            + "out of the way with \"\(runnable("tidemark segments put-aside --following \(segment)"))\", then take the backup again."
    }
}

/// The WAL that a backup needs was not archived in time. The files are copied, but the backup isn't complete.
struct WALMissing: Explained {
    let file: String
    let seconds: Int64
    let behind: String
    let isStandby: Bool

    var message: String { "WAL file \"\(file)\" did not reach the repository within \(seconds) s" }
    var detail: String? { "The backup is not usable without it. On the server, \(behind)." }
    var hint: String? {
        isStandby
            ? "An idle primary finishes its segment only when told to: run \"SELECT pg_switch_wal()\" there."
            : "\"\(runnable("tidemark check --only archiving"))\" tells why archiving fails, as does the server's log; the setting "
                + "wal_wait_timeout says how long to wait."
    }
}

/// The end of a backup lies on a timeline that the server has left before that.
struct TimelineLeft: Explained {
    let timeline: TimelineID
    let end: LSN
    let stop: LSN
    let successor: TimelineID

    var message: String { "the backup cannot become complete: its WAL was taken back" }
    var detail: String? {
        "It needs the WAL of timeline \(timeline) up to LSN \(stop), but the server is on timeline \(successor) now, "
            + "which left timeline \(timeline) at LSN \(end)."
    }
    var hint: String? { "Take the backup again." }
}

/// PostgreSQL doesn't complete the backup of a standby that is promoted meanwhile.
struct StandbyPromoted: Explained {
    var message: String { "the standby was promoted before its backup ended" }
    var detail: String? { "PostgreSQL does not complete the backup of a standby on a server that is none any more." }
    var hint: String? { "Take the backup again, of the server as it is now." }
}

/// The server is on a timeline that was put aside.
struct TimelineAside: Explained {
    let timeline: TimelineID

    var message: String { "cannot back up a server on timeline \(timeline), which was put aside" }
    var detail: String? { "The WAL that makes the backup complete would be put aside as well." }
    var hint: String? {
        "If this server is the right one, run \"\(runnable("tidemark segments put-back \(ArchiveFileName.history(timeline))"))\". If not, it "
            + "should not archive into this cluster."
    }
}
