import Glibc
import Platform
import Repository

/// Where the server of a copy has its socket: in the copy's directory, or, when that has too long a path for one, in a
/// directory below /tmp that is nobody else's. In /tmp itself the original's socket may be.
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

    /// Makes the directory, if it is to be used and isn't there.
    func prepare(for settings: [RecoverySetting]) throws {
        guard isOwn, settings.contains(RecoverySetting("unix_socket_directories", directory)) else { return }
        if mkdir(directory, 0o700) == 0 { return }
        guard errno == EEXIST else { throw SystemError(.makeDirectory, directory) }
        let status = try FileStatus(ofLinkItself: directory)
        guard status?.kind == .directory, status?.owner == geteuid() else {
            throw Problem(
                "cannot use directory \"\(directory)\" for the server's socket", detail: "It belongs to somebody else.",
                hint: "Name another with --set unix_socket_directories=DIRECTORY.")
        }
    }
}
