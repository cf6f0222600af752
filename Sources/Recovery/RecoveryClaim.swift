import Glibc
public import Platform
public import Repository

/// Another process is recovering into this directory.
public struct RecoveryInProgress: Explained, Equatable {
    public let directory: String
    public var message: String { "another process recovers into directory \"\(directory)\"" }
    public var detail: String? { "It holds the lock of this directory; the lock ends with that process." }
    public var hint: String? { "Wait for it to finish, or end it and continue with \"\(resumeCommand(directory))\"." }
}

/// The right to recover into a directory: two recoveries that rename, restore and start in the same place would ruin
/// each other's work (flock(2) on a file in the state directory).
public final class RecoveryClaim: Sendable {
    private let file: Descriptor

    /// Waits a little: a process that was killed in the middle of a long write keeps its locks until the write ends.
    ///
    /// - Throws: `RecoveryInProgress` when another process holds it longer than `patience`.
    public init(_ directory: String, in state: StateDirectory, patience milliseconds: Int = 5000) throws {
        let path = state.recovery(into: directory) + ".lock"
        try Files.makeDirectories(Files.parent(path))
        let file = try Descriptor(open: path, O_RDWR | O_CREAT)
        var waited = 0
        while try !file.tryLock(path: path) {
            guard waited < milliseconds else { throw RecoveryInProgress(directory: directory) }
            Clock.sleep(milliseconds: 50)
            waited += 50
        }
        self.file = consume file
    }

    deinit { file.unlock() }
}
