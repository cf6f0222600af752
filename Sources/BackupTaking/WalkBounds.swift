import DataDirectory
import Glibc
import Platform

/// Directories that the walk through a data directory does not enter, even through a link or a mount.
struct WalkBounds {
    /// tidemark's own directories.
    private let own: [ClusterPlaces.Spot]
    private let places: PlaceComparison
    /// The directories above the data directory.
    private let above: [FileStatus]

    init(root: String, own: [ClusterPlaces.Spot]) throws {
        self.own = own
        places = try PlaceComparison()
        var above: [FileStatus] = []
        var place = Files.resolved(root)
        while place != "/", place != "." {
            place = Files.parent(place)
            if let status = try? FileStatus(of: place) { above.append(status) }
        }
        self.above = above
    }

    /// Why a directory or the target of a link is left out; nil for one that isn't.
    ///
    /// - Parameters:
    ///   - path: where it was found.
    ///   - road: the directories that lead to it.
    func objection(to directory: FileStatus, at path: String, on road: [FileStatus]) -> String? {
        if let found = own.first(where: { places.lies(path, in: $0.path) }) {
            return "leads to tidemark's \(found.word)"
        }
        if (road + above).contains(where: { $0.isSame(as: directory) }) {
            return "leads back to a directory that contains it"
        }
        return nil
    }
}

/// A file in the data directory that the server's user may not read; so it isn't the server's.
struct UnreadableFile: Explained {
    let cause: SystemError
    /// Relative to the data directory.
    let path: String

    var message: String { cause.message }
    var detail: String? { "\"\(path)\" in the data directory is not one of PostgreSQL's own files." }
    var hint: String? {
        "Move it elsewhere, make it readable, or exclude it from backups: exclude = '\(path)' in the cluster's section of "
            + "the configuration."
    }

    /// Runs `body`, and adds advice to the error about a foreign file.
    static func explaining<Value>(_ path: String, _ body: () throws -> Value) throws -> Value {
        do { return try body() } catch let error as SystemError { throw explained(error, path) }
    }

    static func explained(_ error: SystemError, _ path: String) -> any Error {
        guard [EACCES, EPERM].contains(error.code), !path.isEmpty, !NamedExclusions.isServers(path) else {
            return error
        }
        return UnreadableFile(cause: error, path: path)
    }
}
