import DataDirectory
public import Platform
public import Repository
import WAL

/// Looks whether the server at hand, or anything in the repository, still needs what is to be put aside.
public struct PutAsideCheck {
    private let dataDirectory: String
    private let incarnation: Incarnation
    private let store: any ObjectStore

    public init(dataDirectory: String, _ incarnation: Incarnation, _ store: any ObjectStore) {
        (self.dataDirectory, self.incarnation, self.store) = (dataDirectory, incarnation, store)
    }

    /// - Throws: `StillNeeded` for a timeline that the data directory is on, that it descends from, or that another
    ///   timeline in the repository descends from; and for a segment that the server has just like it.
    public func refuse(_ subject: PutAside.Subject) throws {
        switch subject {
        case .timeline(let timeline): try refuse(timeline)
        case .file(.segment(let segment)): try refuse(segment)
        case .file: return
        }
    }

    private func refuse(_ timeline: TimelineID) throws {
        if let own = try ownTimeline(), own >= timeline {
            let history = try localHistory(own) ?? archivedHistory(own) ?? TimelineHistory(own)
            // Another server may have taken the same number for a timeline of its own.
            let isOthers =
                try own == timeline && archivedHistory(own).map { $0.ancestors != history.ancestors } ?? false
            if history.includes(timeline), !isOthers {
                throw StillNeeded(
                    name: "\(timeline.fileNamePart).history",
                    reason: own == timeline
                        ? "The cluster in \"\(dataDirectory)\" is on timeline \(timeline)."
                        : "The cluster in \"\(dataDirectory)\" is on timeline \(own), which descends from timeline "
                            + "\(timeline).")
            }
        }
        for other in try store.histories(of: incarnation) where other > timeline {
            if try archivedHistory(other)?.includes(timeline) == true {
                throw StillNeeded(
                    name: "\(timeline.fileNamePart).history",
                    reason: "Timeline \(other) descends from it; if nobody is on that either, put it aside first.")
            }
        }
    }

    private func refuse(_ segment: SegmentName) throws {
        let path = "\(dataDirectory)/pg_wal/\(segment)"
        guard try Files.exists(path) else { return }
        let local = try LocalFile(path)
        for copy in try store.copies(of: .segment(segment), of: incarnation) {
            if try SegmentComparison(copy, local, segment).verdict == .contradicts { return }
        }
        if try store.exists(incarnation.segment(segment)) {
            throw StillNeeded(
                name: segment.description,
                reason:
                    "The server has this segment in its pg_wal, and its records do not contradict the archived ones.")
        }
    }

    /// Of the data directory; nil when there is none, or it is another cluster's.
    private func ownTimeline() throws -> TimelineID? {
        guard let control = try? DataDirectory(dataDirectory).controlFile(),
            control.systemIdentifier == incarnation.systemIdentifier
        else { return nil }
        return max(control.timeline, control.minimumRecoveryTimeline)
    }

    private func localHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        let path = "\(dataDirectory)/pg_wal/\(timeline.fileNamePart).history"
        guard try Files.exists(path) else { return nil }
        return try TimelineHistory(timeline: timeline, file: Files.readText(path, limit: 1 << 20))
    }

    private func archivedHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        guard let text = try store.history(timeline, of: incarnation) else { return nil }
        return try? TimelineHistory(timeline: timeline, file: String(decoding: text, as: UTF8.self))
    }
}

/// What was to be put aside is part of the cluster's history.
public struct StillNeeded: Explained, Equatable {
    public let name: String
    public let reason: String
    public var message: String { "cannot put \"\(name)\" aside: it is needed" }
    public var detail: String? { reason }
}
