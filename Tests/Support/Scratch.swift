import Glibc
import Platform

/// A private temporary directory, gone with the object. Open to everybody, so that the server's user can work in it too.
public final class Scratch: Sendable {
    public let path: String

    public init() throws {
        var name = Array("/var/tmp/tidemark-test-XXXXXX".utf8CString)
        guard let made = mkdtemp(&name) else { throw SystemError(.makeDirectory, "/var/tmp/tidemark-test-XXXXXX") }
        path = String(cString: made)
        chmod(path, 0o777)
    }

    deinit { try? Files.removeTree(path) }

    public func file(_ name: String) -> String { path + "/" + name }
}
