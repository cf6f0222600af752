import DataDirectory
public import Platform
public import Repository
public import WAL

/// The cluster's primary: it runs here and accepts writes.
public struct LivingServer: Sendable {
    public let timeline: TimelineID
    /// Where its WAL ends.
    public let position: LSN

    public init(timeline: TimelineID, position: LSN) { (self.timeline, self.position) = (timeline, position) }
}

/// Checks whether the local server, or anything in the repository, still needs what is to be put aside.
///
/// The server needs its timeline and those it descends from. It needs a segment of its history unless its pg_wal has
/// another one of that name or its WAL ends before it.
public struct PutAsideCheck {
    private let dataDirectory: String
    private let archive: ClusterArchive
    private let server: LivingServer?
    private let problem: String?
    private let isCertain: Bool

    /// - Parameters:
    ///   - server: nil when the cluster's server doesn't run here as a primary, or can't be asked.
    ///   - problem: why it can't be asked.
    ///   - isCertain: the user answers for what no server can tell.
    public init(
        dataDirectory: String, _ archive: ClusterArchive, server: LivingServer?, problem: String? = nil,
        isCertain: Bool = false
    ) {
        (self.dataDirectory, self.archive) = (dataDirectory, archive)
        (self.server, self.problem, self.isCertain) = (server, problem, isCertain)
    }

    /// - Throws: `StillNeeded`, and `NobodyTells` when there is no server to ask.
    public func refuse(_ aside: PutAside) throws {
        guard server != nil || isCertain else { throw NobodyTells(name: aside.subject.name, problem: problem) }
        let own = try own()
        switch aside.subject {
        case .timeline(let timeline): try refuse(timeline, own)
        case .file(let named): for segment in aside.segments { try refuse(segment, own, named: named) }
        }
    }

    private func refuse(_ timeline: TimelineID, _ own: Own?) throws {
        let archived = try archivedHistory(timeline)
        func needed(_ reason: String) -> StillNeeded {
            StillNeeded(name: "\(timeline.fileNamePart).history", reason: reason)
        }
        if let own, own.history.descends(from: timeline, like: archived) {
            let place = "The cluster in \"\(dataDirectory)\" is on timeline \(own.history.timeline)"
            throw needed(
                place + (own.history.timeline == timeline ? "." : ", which descends from timeline \(timeline)."))
        }
        for other in try archive.histories() where other > timeline {
            if try archivedHistory(other)?.descends(from: timeline, like: archived) == true {
                throw needed(
                    "Timeline \(other) descends from it; if no server is on that one either, put it aside first.")
            }
        }
    }

    private func refuse(_ segment: SegmentName, _ own: Own?, named: ArchiveFileName) throws {
        switch try local(segment) {
        case .other: return
        case .same:
            throw StillNeeded(
                name: segment.description,
                reason:
                    "The server has this segment in its pg_wal, and its records do not contradict the archived ones.",
                hint: named == .segment(segment)
                    ? nil : "Without --following, only \"\(named.description)\" is put aside.")
        case .nothing:
            guard let own, let server, !isCertain, own.lineage.reads(segment),
                segment.end(segmentSize: own.segmentSize) <= server.position
            else { return }
            throw StillNeeded(
                name: segment.description,
                reason: "It is part of the history of the cluster in \"\(dataDirectory)\", which is on timeline "
                    + "\(server.timeline), and its pg_wal has no other segment of that name.",
                hint: "If you know that another server wrote it, add --certain.")
        }
    }

    private enum Local { case same, other, nothing }

    /// Compares the file under a segment's name in the server's pg_wal with the archived one.
    private func local(_ segment: SegmentName) throws -> Local {
        let path = "\(dataDirectory)/pg_wal/\(segment)"
        guard try Files.exists(path) else { return .nothing }
        let local = try LocalFile(path)
        // A file made in advance holds old WAL, or zeros.
        guard let page = try FirstPage(of: local), (try? page.check(is: segment, length: UInt64(local.size))) != nil
        else { return .nothing }
        var isSame = false
        let before = Predecessor(archive: archive, directory: Files.parent(path))
        do {
            for copy in try archive.copies(of: .segment(segment)) {
                let comparison = try SegmentComparison(copy, local, segment, before: before)
                switch comparison.verdict {
                case .contradicts where try comparison.contradicts(): return .other
                case .contradicts: continue
                case .offersNothing, .offersMore: isSame = true
                case .unknown:
                    isSame =
                        isSame
                        || copy.head.rawLength == UInt64(local.size)
                            && comparison.firstDifference == copy.head.rawLength
                }
            }
        } catch is ObjectDamaged { return .other }
        return isSame ? .same : .other
    }

    /// What the data directory says of the cluster's history.
    private struct Own {
        let history: TimelineHistory
        let segmentSize: UInt32
        var lineage: Lineage { Lineage(history, segmentSize: segmentSize) }
    }

    /// Nil when there is no data directory, or it is another cluster's.
    private func own() throws -> Own? {
        let directory = DataDirectory(dataDirectory)
        guard let control = try directory.controlFileIfPresent(),
            control.systemIdentifier == archive.incarnation.systemIdentifier
        else { return nil }
        let timeline = try server?.timeline ?? directory.timeline(control)
        let history = try localHistory(timeline) ?? archivedHistory(timeline) ?? TimelineHistory(timeline)
        return Own(history: history, segmentSize: control.segmentSize)
    }

    private func localHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        let path = "\(dataDirectory)/pg_wal/\(timeline.fileNamePart).history"
        guard try Files.exists(path) else { return nil }
        return try TimelineHistory(timeline: timeline, file: Files.readText(path, limit: 1 << 20))
    }

    private func archivedHistory(_ timeline: TimelineID) throws -> TimelineHistory? {
        try archive.readableHistory(timeline)
    }
}

extension TimelineHistory {
    /// Whether it is the history of that timeline or of a descendant. Two servers may have chosen the same number for
    /// timelines of their own: then their beginnings are compared.
    ///
    /// - Parameter archived: the history of that timeline; nil when it isn't known.
    fileprivate func descends(from timeline: TimelineID, like archived: TimelineHistory?) -> Bool {
        guard includes(timeline) else { return false }
        guard let archived else { return true }
        return ancestors.prefix { $0.timeline < timeline }.elementsEqual(archived.ancestors) {
            $0.timeline == $1.timeline && $0.switchPoint == $1.switchPoint
        }
    }
}

/// What was to be put aside is part of the cluster's history.
public struct StillNeeded: Explained, Equatable {
    public let name: String
    public let reason: String
    public var hint: String?
    public var message: String { "cannot put \"\(name)\" aside: it is needed" }
    public var detail: String? { reason }
}

/// No server can tell whether it is needed.
public struct NobodyTells: Explained, Equatable {
    public let name: String
    /// Why the local server can't be asked; nil when there is none.
    public let problem: String?
    public var message: String { "cannot tell whether \"\(name)\" is needed" }
    public var detail: String? {
        "Only the cluster's primary can tell which timeline is needed, and "
            + (problem.map {
                "the server here could not be queried: \($0)" + ($0.last == "?" || $0.last == "." ? "" : ".")
            }
                ?? "none runs here as a primary.")
    }
    public var hint: String? {
        (problem != nil ? "Remove the cause, then try again." : "Run this where the primary runs.")
            + " If you know that no server and no recovery needs it, add --certain."
    }
}
