public import WAL

/// A cluster under one system identifier and one major version, and where its objects lie in the repository:
///
///     <cluster>/<major>-<system identifier>/
///       incarnation.json
///       wal/<TTTTTTTT>/<TTTTTTTTLLLLLLLL>/<segment>.zst         and <segment>.partial.zst,
///                                                               <segment>.<offset>.backup.zst
///       wal/<TTTTTTTT>.history.zst
///       backup/<label>/…
///       pack/<label>/<nnnnnn>                                   or <nnnnnn>-<word>, see `PackName`
///       job/<year>-<month>/<start>-<kind>-<digits>.json          what was done, one object per job
///       recovery/<start>-<kind>-<process>/begin.json, end.json
///       lease/…                                                 locks, in a store without its own (`LeaseLocks`)
///
/// `initdb` and `pg_upgrade` start a new incarnation.
public struct Incarnation: Hashable, Sendable, CustomStringConvertible {
    /// The name from the configuration's `[cluster NAME]`.
    public let cluster: String
    /// PostgreSQL's major version, 12 and later.
    public let major: Int
    /// What initdb gave the cluster (`pg_controldata`'s "Database system identifier").
    public let systemIdentifier: UInt64

    /// - Precondition: `cluster` may stand between two slashes of a key (`RepositoryKey.isPart`).
    public init(cluster: String, major: Int, systemIdentifier: UInt64) {
        self.cluster = cluster
        self.major = major
        self.systemIdentifier = systemIdentifier
    }

    /// Reads a folder's name, `15-7234567890123456789`; nil for any other.
    public init?(cluster: String, folderName: String) {
        let parts = folderName.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, let major = Int(parts[0]), major > 0, let identifier = UInt64(parts[1]),
            folderName == "\(major)-\(identifier)"
        else { return nil }
        self.init(cluster: cluster, major: major, systemIdentifier: identifier)
    }

    public var folderName: String { "\(major)-\(systemIdentifier)" }
    public var description: String { "\(cluster)/\(folderName)" }

    public var folder: RepositoryKey { RepositoryKey.root.appending(cluster).appending(folderName) }
    /// Written by `tidemark init`. While it can be read, an object that isn't found is known to be absent.
    public var marker: RepositoryKey { folder.appending("incarnation.json") }

    public var walFolder: RepositoryKey { folder.appending("wal") }
    public func walFolder(_ timeline: TimelineID) -> RepositoryKey { walFolder.appending(timeline.fileNamePart) }

    public func segment(_ name: SegmentName) -> RepositoryKey { key(for: .segment(name)) }
    public func partial(_ name: SegmentName) -> RepositoryKey { key(for: .partial(name)) }
    public func history(_ timeline: TimelineID) -> RepositoryKey { key(for: .history(timeline)) }
    /// Where a file from PostgreSQL's archiver is kept: under its own name with `.zst` added.
    public func key(for file: ArchiveFileName) -> RepositoryKey {
        let name = file.description + ".zst"
        return switch file {
        case .segment(let segment), .partial(let segment), .backupHistory(let segment, _):
            walFolder(segment.timeline).appending(segment.folder).appending(name)
        case .history: walFolder.appending(name)
        }
    }

    /// Objects that were put aside: WAL that the cluster's history does without.
    public var asideFolder: RepositoryKey { folder.appending("aside") }

    /// Who recovered what: a folder per recovery.
    public var recoveryFolder: RepositoryKey { folder.appending("recovery") }

    public var backupFolder: RepositoryKey { folder.appending("backup") }
    public func backupFolder(_ label: String) -> RepositoryKey { backupFolder.appending(label) }
    public func backup(_ label: String, _ file: String) -> RepositoryKey { backupFolder(label).appending(file) }
    /// Written last: a backup without it does not exist.
    public func backupDescription(_ label: String) -> RepositoryKey { backup(label, "backup.json") }
    public var jobFolder: RepositoryKey { folder.appending("job") }
    public var packFolder: RepositoryKey { folder.appending("pack") }
    public func packFolder(_ label: String) -> RepositoryKey { packFolder.appending(label) }
    public func pack(_ label: String, _ name: PackName) -> RepositoryKey { packFolder(label).appending("\(name)") }
    public func pack(_ label: String, _ number: Int) -> RepositoryKey { pack(label, PackName(number)) }
}
