import Archiving
import DataDirectory
import Planning
import Platform
import Recovery
public import Repository
public import WAL

/// A timeline in the archive that is newer than the server's, and made by another server. A recovery to the latest
/// timeline follows it (`findNewestTimeLine`, src/backend/access/transam/timeline.c).
public struct StrayTimeline: Sendable, Equatable {
    public var timeline: TimelineID
    /// The timeline it left, and where; nil when its history isn't in the archive.
    public var parent: TimelineID?
    public var left: LSN?
    /// When the last transaction in its newest segment ended, if known.
    public var last: Moment?

    public init(timeline: TimelineID, parent: TimelineID? = nil, left: LSN? = nil, last: Moment? = nil) {
        (self.timeline, self.parent, self.left, self.last) = (timeline, parent, left, last)
    }

    /// - Parameters:
    ///   - server: the server's timeline.
    ///   - position: a standby's position: it may still follow a timeline that branches off later; nil for a primary,
    ///     which can't.
    public static func find(
        of archive: ClusterArchive, server: TimelineID, standbyAt position: LSN?
    ) throws -> [StrayTimeline] {
        try archive.timelines().filter { $0 > server }.compactMap { timeline in
            let history = try archive.readableHistory(timeline)
            if let position, let history, history.contains(server, at: position) { return nil }
            let newest = try archive.segments(timeline: timeline).last
            let summary = try newest.flatMap { try archive.readableSummary(of: $0) }
            return StrayTimeline(
                timeline: timeline, parent: history?.parent, left: history?.ancestors.last?.switchPoint,
                last: summary?.facts.latestCommit?.time)
        }
    }
}

extension Observation {
    /// Looks for them, where the server and the archive could be asked.
    mutating func observeTimelines(_ control: ControlFile?, _ directory: DataDirectory, _ repository: Repository) {
        guard let server, let archive, let control, control.systemIdentifier == archive.incarnation.systemIdentifier
        else { return }
        let timeline = self.timeline(control, of: directory)
        let contents = repository.archive(archive.incarnation)
        do {
            strays = try StrayTimeline.find(
                of: contents, server: timeline, standbyAt: server.isStandby ? server.position : nil)
            serverTimeline = timeline
            let own = try TimelineHistory(timeline, inWAL: directory.path + "/pg_wal")
            isPutAside = try own.map { try contents.timelinesAside(of: $0).contains(timeline) } ?? false
        } catch {
            archiveProblem = archiveProblem ?? explanation(of: error)
        }
    }

    var timelinesVerdict: Verdict {
        if let damaged = damagedHistories.first(where: \.isOwn) {
            return .critical("\(capitalized(damaged.message)). \(damaged.detail ?? "")", damaged.hint)
        }
        if branches.count > 1, let archive {
            let all = branches.map(\.description).joined(separator: ", ")
            return .warning(
                "The data directory could not be read, so it can't be told which of timelines \(all) is the cluster's. What "
                    + "is said of recovery here concerns timeline \(archive.timeline).",
                "For a recovery, name one with --target-timeline.")
        }
        guard let serverTimeline else {
            return .unknown(
                server == nil
                    ? "The server could not be queried."
                    : archiveProblem.map { "The repository could not be read: \($0)." }
                        ?? "The server's data directory could not be read, or is another cluster's.")
        }
        if isPutAside {
            let name = PutAside.Subject.timeline(serverTimeline).name
            return .critical(
                "The server is on timeline \(serverTimeline), which was put aside: what it archives is stored there, and "
                    + "only a recovery with --target-timeline \(serverTimeline) reads it.",
                "If this server is the right one: \(runnable("tidemark segments put-back \(name)")). If not, stop this server."
            )
        }
        if let contradiction {
            return .critical(
                "\(contradiction.message). \(contradiction.detail ?? "")", contradiction.hint)
        }
        if strays.isEmpty, let unknown = contradictionProblem {
            return .unknown(
                "tidemark \(unknown.message): \(unknown.detail ?? "")",
                "\"\(runnable("tidemark verify --wal"))\" names every segment that cannot be read.")
        }
        if strays.isEmpty, let damaged = damagedHistories.first {
            return .warning("\(capitalized(damaged.message)). \(damaged.detail ?? "")", damaged.hint)
        }
        guard !strays.isEmpty else {
            let followed = archive.map(\.timeline).flatMap { $0 > serverTimeline ? $0 : nil }
            return .ok(
                "The server is on timeline \(serverTimeline); "
                    + (followed.map { "the archive has timeline \($0), which this standby will follow." }
                        ?? "no other is newer."))
        }
        let sentences = strays.map { stray in
            let parting = stray.parent.flatMap { parent in
                stray.left.map { "; it left timeline \(parent) at LSN \($0)" }
            }
            return "Timeline \(stray.timeline) is in the archive, but the server is on timeline \(serverTimeline)"
                + (parting ?? "") + (stray.last.map { ", and its last transaction is from \(wholeSeconds($0))" } ?? "")
                + "."
        }
        let isElsewhere = server?.isStandby == true
        // One that descends from another goes first.
        let commands = strays.reversed().map {
            runnable("tidemark segments put-aside \($0.timeline.fileNamePart).history", onAnotherHost: isElsewhere)
        }
        let aside = "\(commands.joined(separator: "; ")) (nothing is deleted)"
        return .critical(
            sentences.joined(separator: " ") + " Standbys and recoveries that ask for the latest timeline would follow "
                + "\(strays[strays.count - 1].timeline).",
            isElsewhere
                ? "If they are the cluster's, this standby is past the point where they begin, and cannot follow: make it "
                    + "anew. If they are not, run on the primary's machine: \(aside)."
                : "If this server is the right one: \(aside). If not, stop this server.", value: Double(strays.count))
    }
}
