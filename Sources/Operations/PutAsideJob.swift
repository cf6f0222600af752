public import Archiving
import Backups
public import Configuration
import DataDirectory
import Planning
public import Platform
import Postgres
import Recovery
public import Repository
import WAL

/// Takes WAL that doesn't belong there out of the cluster's history, unless it is still needed.
///
/// The caller may ask the user between `init` and `run`; nothing is changed before `run`.
public struct PutAsideJob {
    /// What will move.
    public let found: PutAside
    private let archive: ClusterArchive
    private let isCertain: Bool
    private let cluster: ClusterConfiguration

    /// - Parameters:
    ///   - following: with a segment, all later ones of its timeline as well.
    ///   - isCertain: the user answers for what no server can tell.
    /// - Throws: `NothingToPutAside`, `StillNeeded`, `NobodyTells`, and what reading the repository throws.
    public init(
        _ subject: PutAside.Subject, following: Bool = false, isCertain: Bool = false, of cluster: ClusterConfiguration
    ) throws {
        archive = try currentArchive(of: cluster)
        found = try PutAside(subject, following: following, of: archive)
        (self.isCertain, self.cluster) = (isCertain, cluster)
        try judge(found)
    }

    /// - Parameter reason: for the record.
    /// - Returns: the folder to which it was moved.
    /// - Throws: as above; `AsideInProgress`; `AsideChanged` when other objects are there now.
    public func run(reason: String = "") throws -> RepositoryKey {
        try found.carryOut(now: Moment(microseconds: Clock.now), reason: reason, judge: judge)
    }

    private func judge(_ aside: PutAside) throws {
        var server: LivingServer?
        var problem: String?
        do { server = try livingServer() } catch {
            let explained = error as? any Explained
            problem = [explained?.message ?? "\(error)", explained?.detail].compactMap(\.self).joined(separator: ": ")
        }
        try PutAsideCheck(
            dataDirectory: cluster.dataDirectory, archive, server: server, problem: problem, isCertain: isCertain
        ).refuse(aside)
    }

    /// The server on this data directory, if it is a primary; a crashed server's directory looks the same, so it is
    /// asked.
    private func livingServer() throws -> LivingServer? {
        let directory = DataDirectory(cluster.dataDirectory)
        let identifier = archive.incarnation.systemIdentifier
        guard try Files.exists(directory.path + "/global/pg_control") else { return nil }
        let control = try directory.controlFile()
        guard control.state == .inProduction, control.systemIdentifier == identifier,
            try directory.serverLife() != .none
        else { return nil }
        let connection = try Connection(cluster.conninfo, serverOn: directory)
        guard try !connection.isStandby(), try connection.systemIdentifier() == identifier else { return nil }
        return LivingServer(timeline: try connection.currentTimeline(), position: try connection.currentLSN())
    }
}

/// Moves back the newest objects that were put aside under a name and that belong there.
///
/// The caller may ask the user between `init` and `run`; nothing is changed before `run`.
public struct PutBackJob {
    /// What will move, and what stays.
    public let found: PutBack
    private let archive: ClusterArchive
    private let cluster: ClusterConfiguration

    /// - Parameter isCertain: the user answers for what contradicts the WAL around it.
    /// - Throws: as `PutBack.init`, and what reading the repository throws.
    public init(_ subject: PutAside.Subject, isCertain: Bool = false, of cluster: ClusterConfiguration) throws {
        self.cluster = cluster
        archive = try currentArchive(of: cluster)
        found = try PutBack(subject, of: archive, dataDirectory: cluster.dataDirectory, isCertain: isCertain)
    }

    /// - Throws: `BackupInProgress`, and as `PutBack.carryOut`.
    public func run() throws {
        // An expiration must not see the state before the move in part and the state after it in part.
        let lock = try BackupLock(archive)
        try withExtendedLifetime(lock) { try found.carryOut() }
    }

    /// What is to be known of a timeline that is back: nothing counted it while it was aside, and what leads to it may
    /// have expired. Nil when a recovery reaches its end, or nobody can tell.
    public func remark() -> (any Explained)? {
        guard case .timeline(let timeline) = found.subject else { return nil }
        do {
            let archive = try RecoveryArchive(
                repository: cluster.openRepository(), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
                jobs: cluster.jobs)
            _ = try archive.plan(
                PlanRequest(RecoveryTarget(.latest, timeline: .number(timeline))), usePartials: false)
        } catch let refusal as PlanRefusal {
            return BackUnreached(timeline: timeline, refusal: refusal)
        } catch {}
        return nil
    }
}

/// A timeline is back in the archive, and no recovery leads to its end.
struct BackUnreached: Explained {
    let timeline: TimelineID
    let refusal: PlanRefusal
    var message: String { "no recovery reaches the end of timeline \(timeline)" }
    var detail: String? { refusal.detail ?? refusal.message }
    var hint: String? {
        "Nothing is kept for a timeline while it is put aside. If a server is on timeline \(timeline), take a backup of it now."
    }
}
