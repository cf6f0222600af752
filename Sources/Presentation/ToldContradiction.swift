import Recovery
import WAL

/// Where the archive has another server's WAL under the names of that of the cluster's own, as JSON.
struct ToldContradiction: Encodable {
    /// The first file of which the server has another one.
    let file: String
    /// From here on, what is told of the archive is told of the other server's WAL.
    let lsn: String
    let message: String
    /// The command that takes the other server's WAL out of the way.
    let remedy: String

    init(_ found: Contradiction) {
        (file, lsn, message, remedy) = (found.file, found.position.description, found.message, found.remedy)
    }
}
