import FoundationEssentials
import Platform

/// What an interrupted recovery has done so far, so that `recover --resume` can go on with it. Kept in the state
/// directory, one file per directory being recovered; gone when the recovery is over.
public struct RecoveryState: Codable, Sendable {
    public enum Phase: String, Codable, Sendable {
        /// The files are being restored; the directory can't be started.
        case restoring
        /// Everything is in place; the server may have been started.
        case prepared
    }
    /// The command line without the command's name.
    public var arguments: [String]
    public var directory: String
    public var phase: Phase
    /// For the server's command line.
    public var serverOptions: [String]

    public init(arguments: [String], directory: String) {
        (self.arguments, self.directory) = (arguments, directory)
        phase = .restoring
        serverOptions = []
    }

    /// What the names of the files about recoveries into a directory begin with.
    static func place(_ directory: String, in stateDirectory: String, cluster: String) -> String {
        let name = directory.map { $0 == "/" ? "-" : String($0) }.joined()
        return "\(stateDirectory)/recover/\(cluster)\(name)"
    }
    private static func path(_ directory: String, in stateDirectory: String, cluster: String) -> String {
        place(directory, in: stateDirectory, cluster: cluster) + ".json"
    }

    public func save(in stateDirectory: String, cluster: String) throws {
        let path = RecoveryState.path(directory, in: stateDirectory, cluster: cluster)
        try Files.makeDirectories(Files.parent(path))
        try replaceDurably(path, bytes: Array(try JSONEncoder().encode(self)))
    }

    /// Nil when no recovery into this directory was interrupted.
    public init?(of directory: String, in stateDirectory: String, cluster: String) throws {
        let path = RecoveryState.path(directory, in: stateDirectory, cluster: cluster)
        guard try Files.exists(path) else { return nil }
        self = try JSONDecoder().decode(RecoveryState.self, from: Data(Files.read(path)))
    }

    public func forget(in stateDirectory: String, cluster: String) throws {
        try Files.removeIfPresent(RecoveryState.path(directory, in: stateDirectory, cluster: cluster))
    }
}

/// The command that goes on with a recovery into that directory, as a shell takes it.
public func resumeCommand(_ directory: String) -> String {
    "tidemark recover --resume --data-directory \(shellQuoted(directory))"
}
