import Glibc
import Platform
import Repository

/// The socket directory of a copy's server: the copy's own directory, or, when that path is too long for a socket, a
/// private directory below /tmp. In /tmp itself the original's socket may be.
public struct CopySocket {
    let directory: String
    private let copy: String
    private let isOwn: Bool
    /// Begins the names of the directories below /tmp. A file in each holds the path of its copy.
    private static let (prefix, copyName) = ("tidemark-copy-", "copy")

    /// A socket's path may have 107 bytes (sockaddr_un), its name included.
    private static let longest = 85

    init(of copy: String) {
        self.copy = copy
        isOwn = copy.utf8.count > CopySocket.longest
        directory =
            isOwn ? "/tmp/\(CopySocket.prefix)" + String(Digest(of: Array(copy.utf8)).low, radix: 16) : copy
    }

    /// Creates the directory if it is used and doesn't exist.
    func prepare(for settings: [RecoverySetting]) throws {
        guard isOwn, settings.contains(RecoverySetting("unix_socket_directories", directory)) else { return }
        do throws(SystemError) {
            _ = try retrying(.makeDirectory, directory) { mkdir(directory, 0o700) }
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        let status = try FileStatus(ofLinkItself: directory)
        guard status?.kind == .directory, status?.owner == geteuid() else {
            throw Problem(
                "cannot use directory \"\(directory)\" for the server's socket", detail: "It belongs to somebody else.",
                hint: "Name another with --set unix_socket_directories=DIRECTORY.")
        }
        try note()
    }

    private func note() throws {
        try replaceDurably("\(directory)/\(CopySocket.copyName)", bytes: Array(copy.utf8), mode: 0o600)
    }

    /// Removes this user's socket directories below /tmp whose copies no longer exist. A copy that is stopped needs its
    /// directory for the next start.
    ///
    /// - Parameter dryRun: removes nothing, and returns what would be removed.
    /// - Returns: their paths.
    public static func removeAbandoned(dryRun: Bool) throws -> [String] {
        var removed: [String] = []
        for name in try Files.list("/tmp").sorted() where name.hasPrefix(prefix) {
            let path = "/tmp/" + name
            guard let status = try? FileStatus(ofLinkItself: path), status.kind == .directory,
                status.owner == geteuid(),
                let copy = try? Files.readText("\(path)/\(copyName)", limit: 1 << 16),
                CopySocket(of: copy).directory == path, (try? Files.exists(copy)) == false,
                // A server may outlive the removal of its directory for a while.
                try !Files.list(path).contains(where: { UnixSocket.isListenedTo("\(path)/\($0)") == true })
            else { continue }
            if dryRun || (try? Files.removeTree(path)) != nil { removed.append(path) }
        }
        return removed
    }
}
