public import Platform
public import WAL

// Which incarnation of a cluster is meant: the one rule, for archiving, recovering and watching alike.
//
// 1. The server decides: a segment's first page or the control file in a data directory names the incarnation. No
//    segment is archived or delivered, and no backup taken, unless the repository has a folder for that incarnation.
// 2. Without a server (a new machine, a lost data directory) the only incarnation in the repository is meant.
// 3. With several, archive_command and restore_command fail: the server would replay another cluster's WAL. A command
//    takes the one whose newest backup ended last, or without backups the newest major version, and says so; or the one
//    that was named, or that has the backup or the time asked for.

extension Repository {
    /// The archive of an incarnation that a server says it is.
    /// - Parameter subject: what says so, as a message begins: `data directory "…"`.
    /// - Throws: `NotInitialised`, `LostMarker`, `DamagedMarker`, and what the store throws.
    public func archive(of own: Incarnation, named subject: String) throws -> ClusterArchive {
        let archive = archive(own)
        guard try archive.isUsable() else {
            throw try archive.lostMarker()
                ?? NotInitialised(
                    message: "\(subject) belongs to system identifier \(own.systemIdentifier), which cluster "
                        + "\"\(own.cluster)\" has not been initialised for",
                    detail: "There is no \"\(own.marker)\" in repository \"\(location)\".", check: store.absenceHint)
        }
        return archive
    }

    /// The archive of a dead server that may have lost its PG_VERSION: no two clusters share a system identifier. Nil
    /// when there is none.
    public func archive(of cluster: String, systemIdentifier: UInt64) throws -> ClusterArchive? {
        try incarnations(of: cluster).last { $0.systemIdentifier == systemIdentifier }.map(archive)
    }

    /// The only archive of a cluster, where no server says which one it is.
    /// - Throws: `NotInitialised` when there is none, or several; `LostMarker`, `DamagedMarker`; what the store throws.
    public func onlyArchive(of cluster: String) throws -> ClusterArchive {
        let known = try incarnations(of: cluster)
        if let lost = try lostMarkers(of: cluster).first { throw lost }
        if known.count == 1, case let only = archive(known[0]), try only.isUsable() { return only }
        throw NotInitialised(
            message: known.isEmpty
                ? "cluster \"\(cluster)\" has not been initialised in repository \"\(location)\""
                : "cannot tell which incarnation of cluster \"\(cluster)\" is meant",
            detail: known.isEmpty
                ? nil
                : "The repository has \(known.map(\.folderName).joined(separator: ", ")), and there is no data directory.",
            check: store.absenceHint)
    }
}

/// No incarnation of the configured cluster in the repository fits.
public struct NotInitialised: Explained, Equatable {
    public let message: String
    public let detail: String?
    /// `ObjectStore.absenceHint`.
    public let check: String?
    public var hint: String? {
        "Run \"\(runnable("tidemark init"))\" for this cluster, or check --cluster and the repository setting."
            + (check.map { " " + $0 } ?? "")
    }
    public var isTransient: Bool { true }
}

/// The incarnations of a cluster, of which one is in use. initdb and pg_upgrade each begin another; the earlier ones
/// stay where they are, and can be recovered by the programs of their own version.
public struct ClusterIncarnations {
    /// By major version and system identifier; never empty.
    public let all: [ClusterArchive]
    /// The server's own; where no server names it, the one whose newest backup ended last, or without backups the
    /// newest major version.
    public let current: ClusterArchive
    /// Whether the server named the current one.
    public let isKnown: Bool
    /// Further ones, which can't be used: their marker is lost, and nothing else is known of them.
    public let lost: [LostMarker]
    /// Why an incarnation's marker isn't believed: it is damaged, or can't be read.
    public let doubted: [Doubt]
    private let stops: (ClusterArchive) throws -> [Moment]

    /// A marker that says nothing; its incarnation is used all the same.
    public struct Doubt: Sendable {
        public let incarnation: Incarnation
        public let reason: any Explained
    }

    /// - Returns: nil when the repository holds none of this cluster.
    /// - Throws: `LostMarker` when the server's own has lost its marker, or all have; what the store throws.
    /// - Parameters:
    ///   - own: the incarnation the server names; nil when that can't be read. It may be another cluster's.
    ///   - stops: when the complete backups of an archive ended, in order.
    public init?(
        of cluster: String, own: Incarnation?, in repository: Repository,
        stops: @escaping (ClusterArchive) throws -> [Moment]
    ) throws {
        all = try repository.incarnations(of: cluster).map(repository.archive)
        // No other one is meant when the server's own can't be used.
        if let own, own.cluster == cluster, !all.contains(where: { $0.incarnation == own }),
            let lost = try repository.archive(own).lostMarker()
        {
            throw lost
        }
        guard let last = all.last else {
            if let lost = try repository.lostMarkers(of: cluster).last { throw lost }
            return nil
        }
        self.stops = stops
        doubted = all.compactMap { archive in
            do { _ = try archive.isConfirmed() } catch {
                let reason = error as? any Explained ?? Problem("\(error)")
                return Doubt(incarnation: archive.incarnation, reason: reason)
            }
            return nil
        }
        // Nobody needs to know of them who uses the others.
        lost = (try? repository.lostMarkers(of: cluster)) ?? []
        if let own = all.first(where: { $0.incarnation == own }) {
            (current, isKnown) = (own, true)
        } else if all.count == 1 {
            (current, isKnown) = (last, false)
        } else {
            let ended = all.compactMap { archive in ((try? stops(archive).last) ?? nil).map { (archive, $0) } }
            current = ended.max { $0.1 < $1.1 }?.0 ?? last
            isKnown = false
        }
    }

    /// Those that are not in use.
    public var former: [ClusterArchive] { all.filter { $0.incarnation != current.incarnation } }

    /// The one with this folder's name.
    public func named(_ name: String) throws -> ClusterArchive {
        guard let found = all.first(where: { $0.incarnation.folderName == name }) else {
            let names = all.map(\.incarnation.folderName).joined(separator: ", ")
            throw Problem(
                "cluster \"\(current.incarnation.cluster)\" has no incarnation \"\(name)\"",
                detail: "The repository has \(names).")
        }
        return found
    }

    /// The one that has this backup; the current one when none has.
    public func holding(_ label: String) throws -> ClusterArchive {
        guard RepositoryKey.isPart(label) else { return current }
        if try current.hasBackup(label) { return current }
        // One that can't be listed may hold the backup, but couldn't be used.
        return former.first { (try? $0.hasBackup(label)) == true } ?? current
    }

    /// The one that a time belongs to: the current one, unless its oldest backup ended later and another one has a
    /// backup that ended before. Of several, the one that was begun last.
    public func holding(_ moment: Moment) throws -> ClusterArchive {
        if all.count == 1 { return current }
        if let own = try stops(current).first, own <= moment { return current }
        let others = former.compactMap { other in ((try? stops(other).first) ?? nil).map { (other, $0) } }
        return others.filter { $0.1 <= moment }.max { $0.1 < $1.1 }?.0 ?? current
    }
}
