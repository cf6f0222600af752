import Glibc
import Platform
import Repository

/// A private temporary directory, removed with the object. Accessible to all users, so that the server's user can work
/// in it.
public final class Scratch: Sendable {
    public let path: String

    public init(in place: String = TestPlace.directory) throws { path = try TestPlace.make("test", in: place) }

    deinit { try? Files.removeTree(path) }

    public func file(_ name: String) -> String { path + "/" + name }

    /// Makes this directory a repository with an `incarnation`, such as `main/15-1`, as `tidemark init` does; returns
    /// its path.
    public func repository(of incarnations: String...) throws -> String {
        for incarnation in incarnations {
            try Files.makeDirectories(file(incarnation))
            let names = incarnation.split(separator: "/").map(String.init)
            guard let known = Incarnation(cluster: names[0], folderName: names[1]) else {
                throw Problem("\(incarnation) is no incarnation")
            }
            try createDurably(file(incarnation + "/incarnation.json"), bytes: known.sealedMarker.bytes)
        }
        return path
    }
}
