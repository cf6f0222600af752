import DataDirectory
import Documents
import Platform
import Postgres
public import Repository

/// The progress of an interrupted recovery, so that `recover --resume` can continue it. Kept in the state directory,
/// one file per directory being recovered; removed when the recovery is over.
public struct RecoveryState: Codable, Sendable, Equatable {
    public enum Phase: String, Codable, Sendable {
        /// The files are being restored; the directory can't be started.
        case restoring
        /// Everything is in place; the server may have been started.
        case prepared
    }
    /// A directory that made way for the recovered one, and its present name.
    public struct Renamed: Codable, Sendable, Equatable {
        public let from: String
        public let to: String
        public init(from: String, to: String) { (self.from, self.to) = (from, to) }
    }
    /// The command line without the command's name, and without passwords.
    public var arguments: [String]
    /// The options whose passwords were removed: `conninfo`, or `set NAME`.
    public var withheld: [String]?
    public var directory: String
    public private(set) var phase: Phase
    /// For the server's command line.
    public private(set) var serverOptions: [String]
    /// The directories that were renamed; nil until then.
    public var renamed: [Renamed]?
    /// Of the restored directory, from `.prepared` on, so that a resumed call recognises it.
    private var inode: UInt64?

    /// - Parameter arguments: as they were typed.
    public init(arguments: [String], directory: String) {
        let line = PublicArguments(arguments)
        (self.arguments, withheld) = (line.words, line.withheld.isEmpty ? nil : line.withheld)
        self.directory = directory
        phase = .restoring
        serverOptions = []
    }

    /// Records that everything in the directory is in place.
    public mutating func remember(_ serverOptions: [String]) throws {
        inode = try FileStatus(of: directory).inode
        (phase, self.serverOptions) = (.prepared, serverOptions)
    }

    /// Called before a directory that an earlier call restored is written to and started.
    ///
    /// - Parameter incarnation: what was restored.
    /// - Throws: `Problem` when another directory, or another cluster, is in its place.
    public func refuseAnother(of incarnation: Incarnation) throws {
        let found = try DataDirectory(directory).controlFile().systemIdentifier
        let isSame = try inode == nil || FileStatus(of: directory).inode == inode
        guard found != incarnation.systemIdentifier || !isSame else { return }
        throw Problem(
            "directory \"\(directory)\" is not the one that was restored",
            detail: found == incarnation.systemIdentifier
                ? "Another directory has taken its place since."
                : "Its cluster has system identifier \(found); the restored one has \(incarnation.systemIdentifier).",
            hint: "Examine it. "
                + "\"\(runnable("tidemark recover --keep-old"))\" with a target renames it and recovers in its place.")
    }

    private static func path(_ directory: String, in state: StateDirectory) -> String {
        state.recovery(into: directory) + ".json"
    }

    public func save(in state: StateDirectory) throws {
        let path = RecoveryState.path(directory, in: state)
        try Files.makeDirectories(Files.parent(path))
        try replaceDurably(path, bytes: try encodeJSON(self), mode: 0o600)
    }

    /// Nil when no recovery into this directory was interrupted.
    public init?(of directory: String, in state: StateDirectory) throws {
        let path = RecoveryState.path(directory, in: state)
        guard try Files.exists(path) else { return nil }
        self = try decodeJSON(RecoveryState.self, from: Files.read(path))
    }

    public func forget(in state: StateDirectory) throws {
        try Files.removeIfPresent(RecoveryState.path(directory, in: state))
    }
}

/// The shell command that continues a recovery into that directory.
public func resumeCommand(_ directory: String) -> String {
    runnable("tidemark recover --resume --data-directory \(shellQuoted(directory))")
}

/// A command line without passwords: a connection string keeps its other parts, a setting with a password is left out.
struct PublicArguments {
    private(set) var words: [String] = []
    private(set) var withheld: [String] = []

    init(_ typed: [String]) {
        var rest = typed[...]
        while let word = rest.popFirst() {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard ["--conninfo", "--set"].contains(parts[0]), let value = parts.count == 2 ? parts[1] : rest.popFirst()
            else {
                words.append(word)
                continue
            }
            let inner = parts[0] == "--set" ? String(value.drop { $0 != "=" }.dropFirst()) : value
            let isPublic = withoutSecrets(value) == value && !PublicArguments.hasPassword(inner)
            if parts[0] == "--set" {
                if isPublic {
                    words.append("--set=\(value)")
                } else {
                    withheld.append("set " + value.prefix { $0 != "=" })
                }
            } else if isPublic {
                words.append("--conninfo=\(value)")
            } else {
                withheld.append("conninfo")
                if let string = try? ConnectionString(value) {
                    words.append("--conninfo=\(string.withoutSecrets)")
                }
            }
        }
    }

    private static func hasPassword(_ value: String) -> Bool {
        guard let string = try? ConnectionString(value) else { return false }
        return string.withoutSecrets != string
    }
}
