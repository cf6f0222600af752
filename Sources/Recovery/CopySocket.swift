import Glibc
import Platform
import Repository

/// The socket directory of a copy's server: the copy's own directory, or, when that path is too long for a socket, a
/// private directory below /tmp. In /tmp itself the original's socket may be.
struct CopySocket {
    let directory: String
    private let isOwn: Bool

    /// A socket's path may have 107 bytes (sockaddr_un), its name included.
    private static let longest = 85

    init(of copy: String) {
        isOwn = copy.utf8.count > CopySocket.longest
        directory =
            isOwn ? "/tmp/tidemark-copy-" + String(Digest(of: Array(copy.utf8)).low, radix: 16) : copy
    }

    /// Creates the directory if it is used and doesn't exist.
    func prepare(for settings: [RecoverySetting]) throws {
        guard isOwn, settings.contains(RecoverySetting("unix_socket_directories", directory)) else { return }
        do throws(SystemError) {
            _ = try retrying(.makeDirectory, directory) { mkdir(directory, 0o700) }
            return
        } catch {
            guard error.code == EEXIST else { throw error }
        }
        let status = try FileStatus(ofLinkItself: directory)
        guard status?.kind == .directory, status?.owner == geteuid() else {
            throw Problem(
                "cannot use directory \"\(directory)\" for the server's socket", detail: "It belongs to somebody else.",
                hint: "Name another with --set unix_socket_directories=DIRECTORY.")
        }
    }
}
