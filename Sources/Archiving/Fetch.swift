import Glibc
import Platform
public import Repository
public import WAL

/// How segments are delivered.
public enum SegmentForm: Sendable {
    case asArchived
    /// For a copy of the cluster: replay makes tablespaces in the copy's own directory (`TablespaceConfinement`).
    case confined
}

/// Delivers one file from the archive to PostgreSQL's restore_command.
public struct Fetch: Sendable {
    public enum Outcome: Sendable, Equatable {
        case delivered
        /// It is known not to be in the archive.
        case absent
    }

    let identity: Identity
    let prefetch: Prefetch?
    let putAside: TimelineID?
    let form: SegmentForm
    let clock: PhaseClock

    /// - Parameters:
    ///   - dataDirectory: shows which incarnation the cluster is when the caller's directory isn't a data directory.
    ///   - caller: nil for a fetch that nobody called for from a directory; the destination is an absolute path then.
    ///   - putAside: a timeline that is served although it was put aside.
    ///   - form: how segments are delivered.
    ///   - prefetch: how to fetch ahead while a server recovers; nil fetches only the requested file.
    public init(
        from repository: Repository, cluster: String, dataDirectory: String?, caller: ArchiveCaller? = nil,
        putAside: TimelineID? = nil, form: SegmentForm = .asArchived, prefetch: Prefetch? = nil,
        clock: PhaseClock = PhaseClock()
    ) {
        identity = Identity(repository: repository, cluster: cluster, dataDirectory: dataDirectory, caller: caller)
        self.prefetch = prefetch
        self.putAside = putAside
        self.form = form
        self.clock = clock
    }

    /// Puts the file `name` at `destination`, whole and verified, replacing what is there; otherwise leaves
    /// `destination` as it is.
    ///
    /// The file is not fsynced: PostgreSQL reads it at once, and makes durable what it keeps (`durable_rename` in
    /// `KeepFileRestoredFromArchive`, src/backend/access/transam/xlogarchive.c).
    public func callAsFunction(_ name: String, to destination: String) throws -> Outcome {
        guard let file = ArchiveFileName(name) else { throw NotArchivable(name: name) }
        let destination = identity.caller?.path(destination) ?? destination
        let archive = try identity.archive()
        let spool = spool(file, archive.incarnation)
        if let spool, let segment = file.segmentName, spool.deliver(segment, archive.incarnation, to: destination) {
            clock.mark(.fetch)
            spool.want(segment)
            return .delivered
        }
        let stored: StoredSegment
        do {
            do { stored = try served(archive).stored(file) } catch let absent as ObjectAbsent {
                // `archive()` found the marker; if it isn't there now, the repository went away in between.
                guard try archive.isConfirmed() else { throw absent }
                try archive.requireWAL()
                return try deliverRebuilt(file, archive, to: destination) ? .delivered : .absent
            }
            clock.mark(.open)
            // An object that is removed during delivery doesn't show that the file is absent.
            try deliver(stored, file, archive, to: destination)
        } catch let damage as ObjectDamaged {
            if try deliverRebuilt(file, archive, to: destination) { return .delivered }
            throw ArchivedFileDamaged(file: file, damage: damage)
        }
        clock.mark(.fetch)
        if let spool, let segment = file.segmentName, spool.want(segment) {
            startPrefetcher(spool, segment, stored.head.rawLength, archive)
        }
        return .delivered
    }

    /// The archive in which the files are looked up.
    func served(_ archive: ClusterArchive) throws -> ClusterArchive {
        try putAside.flatMap(archive.restoringAside) ?? archive
    }

    /// Only for a server that is recovering.
    private func spool(_ file: ArchiveFileName, _ incarnation: Incarnation) -> Spool? {
        guard let prefetch, let caller = identity.caller, case .segment = file, caller.isServer else { return nil }
        return spool(prefetch, incarnation, caller)
    }

    func spool(_ prefetch: Prefetch, _ incarnation: Incarnation, _ caller: ArchiveCaller) -> Spool {
        Spool(
            prefetch, incarnation, location: identity.repository.location, dataDirectory: caller.directory, form: form,
            putAside: putAside)
    }

    /// Unless one is running, or has nothing to fetch.
    private func startPrefetcher(
        _ spool: Spool, _ segment: SegmentName, _ segmentSize: UInt64, _ archive: ClusterArchive
    ) {
        let next = segment.next(segmentSize: UInt32(clamping: segmentSize))
        guard (try? served(archive).has(.segment(next))) == true, !spool.isServed else {
            return
        }
        // Recovery works without a prefetcher, so a failure to start it isn't reported.
        try? prefetch?.start()
    }

    /// Delivers a history file that is missing or damaged as the history of a later timeline tells it.
    private func deliverRebuilt(_ file: ArchiveFileName, _ archive: ClusterArchive, to destination: String) throws
        -> Bool
    {
        guard case .history(let timeline) = file, let text = try served(archive).rebuiltHistory(timeline) else {
            return false
        }
        try Delivery.put(at: destination) { append in try text.withUnsafeBytes { try append($0) } }
        return true
    }

    func deliver(
        _ stored: StoredSegment, _ file: ArchiveFileName, _ archive: ClusterArchive, to destination: String
    ) throws {
        var patches: [SegmentPatch] = []
        try Delivery.put(at: destination) { append in
            guard let segment = file.segmentName else {
                let bytes = try stored.bytes(limit: 1 << 20)
                try checkText(bytes, file)
                return try bytes.withUnsafeBytes { try append($0) }
            }
            var isFirst = true
            func take(_ piece: UnsafeRawBufferPointer) throws {
                if isFirst {
                    try check(piece, is: segment, length: stored.head.rawLength, archive.incarnation)
                    isFirst = false
                }
                try append(piece)
            }
            guard form == .confined else { return try stored.extractConcurrently(write: take) }
            patches = try stored.extractConfined(as: segment, of: served(archive), write: take)
        } patches: {
            patches
        }
    }
}

/// The requested file can't be delivered because its object is damaged.
struct ArchivedFileDamaged: Explained {
    let file: ArchiveFileName
    let damage: ObjectDamaged
    var message: String { damage.message }
    var detail: String? { damage.detail }
    var hint: String? {
        "If a server still has the file, run \"\(runnable("tidemark archive-push pg_wal/\(file)"))\" in its data directory: that stores it "
            + "again. Check the repository's storage; \"\(runnable("tidemark verify"))\" shows what else is affected."
    }
}

/// The content's own header must agree with the requested name and with the cluster.
func check(
    _ start: UnsafeRawBufferPointer, is segment: SegmentName, length: UInt64, _ incarnation: Incarnation
) throws(WALDamage) {
    guard let page = FirstPage(start) else {
        throw WALDamage(.notWAL, offset: 0, lsn: nil, segment: segment)
    }
    try page.check(is: segment, length: length)
    guard page.systemIdentifier == incarnation.systemIdentifier else {
        throw WALDamage(
            .systemIdentifier(found: page.systemIdentifier, expected: incarnation.systemIdentifier), offset: 24,
            lsn: nil, segment: segment)
    }
}
