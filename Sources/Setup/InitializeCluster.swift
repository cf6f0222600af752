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

/// Creates a cluster's incarnation in the repository, once.
///
/// - Returns: the incarnation, and whether it is new.
/// - Throws: `Problem` when the server isn't the one of the configured data directory, or has other page sizes.
public func initializeCluster(
    named cluster: String, dataDirectory: DataDirectory, connection: Connection, in repository: Repository
) throws -> (incarnation: Incarnation, isNew: Bool) {
    let control = try dataDirectory.controlFile()
    let major = try dataDirectory.majorVersion()
    // The caller will change this server's settings.
    try connection.confirmRuns(on: dataDirectory)
    guard control.blockSize == 8192, control.walBlockSize == 8192 else {
        throw Problem(
            "the cluster's block size is not supported",
            detail:
                "Data blocks have \(control.blockSize) bytes and WAL blocks \(control.walBlockSize); tidemark reads 8192."
        )
    }
    let incarnation = Incarnation(cluster: cluster, major: major, systemIdentifier: control.systemIdentifier)
    if try repository.archive(incarnation).isUsable() { return (incarnation, false) }
    let marker = IncarnationMarker(
        cluster: cluster, major: major, systemIdentifier: String(control.systemIdentifier),
        segmentSize: control.segmentSize,
        created: Moment(microseconds: Clock.now).iso8601)
    do {
        try repository.store.create(incarnation.marker, SealedDocument(.incarnation, of: marker))
    } catch is ObjectExists {
        return (incarnation, false)
    }
    return (incarnation, true)
}
