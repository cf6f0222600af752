import Archiving
import DataDirectory
import Glibc
public import Platform
public import Repository
public import WAL

/// The archive holds another server's file under the name of one in the cluster's own pg_wal: two servers wrote the same
/// timeline, or a copy of this one archived first. Whatever follows the archive then follows the other server.
public struct Contradiction: Explained, Equatable {
    public let file: String
    public let dataDirectory: String

    public var message: String {
        "\"\(file)\" in the archive is not the one that the server in \"\(dataDirectory)\" has"
    }
    public var detail: String? {
        "Two servers archived into this cluster: what it has from there on is not this server's, and a recovery follows it."
    }
    public var hint: String? {
        "If this server is the right one, take the other's WAL out of the way with \"\(remedy)\". If the other one is the right one, recover "
            + "into another directory."
    }
    /// The command that does it, for a server that is right.
    public var remedy: String {
        "tidemark segments put-aside \(file)" + (SegmentName(file) == nil ? "" : " --following")
    }

    /// Compares what a data directory's server has not archived yet, and the histories that lead to its timeline, with what
    /// the archive has under their names. Reads segments only where both have one.
    ///
    /// - Parameter segments: further ones, which the server may have archived.
    /// - Returns: the first one that contradicts; nil when there is none, or when nothing can be told.
    public static func find(
        in dataDirectory: String, timeline: TimelineID, segments: [SegmentName] = [], of archive: ClusterArchive
    ) throws -> Contradiction? {
        let folder = dataDirectory + "/pg_wal"
        let history = try TimelineHistory(timeline, in: dataDirectory)
        for step in [timeline] + (history?.ancestors.map(\.timeline) ?? []) {
            let file = ArchiveFileName.history(step).description
            guard let own = try TimelineHistory(step, in: dataDirectory),
                let archived = try archive.readableHistory(step), !archived.isSame(as: own)
            else { continue }
            return Contradiction(file: file, dataDirectory: dataDirectory)
        }
        let ready = try Files.listIfPresent(folder + "/archive_status").filter { $0.hasSuffix(".ready") }
            .compactMap { SegmentName(String($0.dropLast(6))) }
        // Who went on differently once never agrees again: a few tell it for all.
        let candidates = Set(ready.sorted().prefix(8) + segments.sorted().suffix(8)).sorted()
        for name in candidates {
            let path = "\(folder)/\(name)"
            guard try Files.exists(path), try archive.has(.segment(name)) else { continue }
            do {
                guard try isContradicted(path, name, of: archive) else { continue }
            } catch let error as SystemError where error.code == ENOENT && error.subject == path {
                // A server that runs has recycled it meanwhile.
                continue
            }
            return Contradiction(file: name.description, dataDirectory: dataDirectory)
        }
        return nil
    }
}

/// Whether there is a contradiction could not be found out.
public struct ContradictionUnknown: Explained {
    public let dataDirectory: String
    let cause: any Error

    public init(dataDirectory: String, cause: any Error) { (self.dataDirectory, self.cause) = (dataDirectory, cause) }

    public var message: String {
        "cannot tell whether the archive has another server's WAL under the names of that in \"\(dataDirectory)\""
    }
    public var detail: String? {
        let explained = cause as? any Explained
        return "\(explained?.message ?? "\(cause)")." + (explained?.detail.map { " \($0)" } ?? "")
    }
    public var hint: String? {
        (cause as? any Explained)?.hint
            ?? "Fix the cause, and run the command again. To recover without this WAL, move the directory "
            + "out of the way: mv \(shellQuoted(dataDirectory)) \(shellQuoted(dataDirectory + ".dead"))"
    }
    public var isTransient: Bool { (cause as? any Explained)?.isTransient ?? false }
}
