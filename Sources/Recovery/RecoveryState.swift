import DataDirectory
import Documents
public import Platform
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
    /// Of this document. Documents of version 1 had none: they kept a command line. Those of version 2 did not say
    /// whether WAL that was put aside is read.
    private var version = RecoveryState.version
    private static let version = 3
    /// Without passwords.
    public let order: RecordedOrder
    /// The recovered server's settings that were left out of the order, since they contain passwords.
    public let withheldSettings: [String]
    /// tidemark's settings whose passwords were left out of the order.
    public let withheldOverrides: [String]
    public let directory: String
    public private(set) var phase: Phase
    /// For the server's command line.
    public private(set) var serverOptions: [String]
    /// The directories that were renamed; nil until then.
    public var renamed: [Renamed]?
    /// Of the restored directory, from `.prepared` on, so that a resumed call recognises it.
    private var inode: UInt64?

    /// - Parameter order: may contain passwords.
    public init(_ order: RecordedOrder, directory: String) {
        var order = order
        (withheldSettings, withheldOverrides) = order.withdrawSecrets()
        (self.order, self.directory) = (order, directory)
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
                + "\"\(runnable("tidemark recover --keep-old --data-directory \(shellQuoted(directory))"))\" with a target "
                + "renames it and recovers in its place.")
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
    /// - Throws: also `OtherRecoveryState`, for what another version of tidemark has left.
    public init?(of directory: String, in state: StateDirectory) throws {
        struct Version: Decodable { let version: Int? }
        let path = RecoveryState.path(directory, in: state)
        guard try Files.exists(path) else { return nil }
        let bytes = try Files.read(path)
        let version = try decodeJSON(Version.self, from: bytes).version ?? 1
        guard version == RecoveryState.version else {
            throw OtherRecoveryState(directory: directory, isNewer: version > RecoveryState.version)
        }
        self = try decodeJSON(RecoveryState.self, from: bytes)
    }

    public func forget(in state: StateDirectory) throws {
        let path = RecoveryState.path(directory, in: state)
        // On a read-only file system, even the removal of what isn't there fails.
        do throws(SystemError) { try Files.removeIfPresent(path) } catch {
            if (try? Files.exists(path)) == true { throw error }
        }
    }
}

/// An interrupted recovery can only be continued by the version of tidemark that has begun it, or one that records
/// recoveries alike.
public struct OtherRecoveryState: Explained, Equatable {
    public let directory: String
    public let isNewer: Bool
    public var message: String {
        "the interrupted recovery into \"\(directory)\" was begun by \(isNewer ? "a newer" : "an older") version of tidemark"
    }
    public var detail: String? { "This version cannot read what is left to do." }
    public var hint: String? {
        "Continue it with that version, or start again: "
            + "\"\(runnable("tidemark recover --keep-old --data-directory \(shellQuoted(directory))"))\" with a target "
            + "recovers in its place, and renames a directory that is complete."
    }
}

/// The shell command that continues a recovery into that directory.
public func resumeCommand(_ directory: String) -> String {
    runnable("tidemark recover --resume --data-directory \(shellQuoted(directory))")
}
