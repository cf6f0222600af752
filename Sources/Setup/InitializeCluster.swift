public import DataDirectory
import Documents
import Platform
public import Postgres
public import Repository
import WAL

/// The content of `incarnation.json`; for people, and as a sign that the incarnation was set up on purpose.
public struct IncarnationMarker: Codable, Sendable, Equatable {
    public let cluster: String
    public let major: Int
    /// Decimal, as pg_controldata prints it; a JSON number would lose digits in many readers.
    public let systemIdentifier: String
    /// In bytes, when the incarnation was created.
    public let segmentSize: UInt32
    /// ISO 8601.
    public let created: String
}

/// What `init` found in the repository, and made of it.
public enum InitOutcome: Sendable {
    /// The incarnation was there.
    case present
    /// There was nothing of it.
    case created
    /// Its marker was lost or damaged, and is written anew.
    case rebuilt
}

/// Creates a cluster's incarnation in the repository, once.
///
/// - Parameters:
///   - connection: to the cluster's server; nil when it doesn't accept connections.
///   - rebuilding: whether a lost or damaged marker may be written anew. Only a person can know whether the storage is
///     all there.
/// - Throws: `Problem` when the server isn't the one whose data directory is configured, or its page sizes aren't ours;
///   `LostMarker` and `DamagedMarker`.
public func initializeCluster(
    named cluster: String, dataDirectory: DataDirectory, connection: Connection?, in repository: Repository,
    rebuilding: Bool = false
) throws -> (incarnation: Incarnation, outcome: InitOutcome) {
    let control = try dataDirectory.controlFile()
    let major = try dataDirectory.majorVersion()
    // The caller will change this server's settings.
    try connection?.confirmRuns(on: dataDirectory)
    guard control.blockSize == 8192, control.walBlockSize == 8192 else {
        throw Problem(
            "the cluster's block size is not supported",
            detail:
                "Data blocks have \(control.blockSize) bytes and WAL blocks \(control.walBlockSize); tidemark reads 8192."
        )
    }
    let incarnation = Incarnation(cluster: cluster, major: major, systemIdentifier: control.systemIdentifier)
    let archive = repository.archive(incarnation)
    let marker = IncarnationMarker(
        cluster: cluster, major: major, systemIdentifier: String(control.systemIdentifier),
        segmentSize: control.segmentSize,
        created: Moment(microseconds: Clock.now).iso8601)
    let document = try SealedDocument(.incarnation, of: marker)
    do {
        if try archive.isConfirmed() { return (incarnation, .present) }
    } catch let damage as DamagedMarker where rebuilding && !damage.fault.isOfAnotherFormat {
        try archive.refuseOtherFormats()
        try archive.replaceDamagedMarker(by: document)
        return (incarnation, .rebuilt)
    }
    let lost = try archive.lostMarker()
    if let lost {
        guard rebuilding else { throw lost }
        try archive.refuseOtherFormats()
    }
    do { try repository.store.create(incarnation.marker, document) } catch let exists as ObjectExists {
        // Another init was faster, or something that can't be read has the name.
        guard try archive.isConfirmed() else { throw exists }
        return (incarnation, .present)
    }
    return (incarnation, lost == nil ? .created : .rebuilt)
}
