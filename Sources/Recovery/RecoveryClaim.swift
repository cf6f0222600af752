import Glibc
public import Platform
public import Repository

/// Another process is recovering into this directory.
public struct RecoveryInProgress: Explained, Equatable {
    public let directory: String
    /// The directory above it, if that is what is locked.
    var parent: String?

    public init(directory: String) { self.directory = directory }

    public var message: String {
        parent.map { "another process recovers into a directory in \"\($0)\"" }
            ?? "another process recovers into directory \"\(directory)\""
    }
    public var detail: String? {
        parent.map {
            "It holds the lock of \"\($0)\", since nothing can be written into the state directory; the lock ends with that process."
        } ?? "It holds the lock of this directory; the lock ends with that process."
    }
    public var hint: String? {
        parent == nil
            ? "Wait for it to finish, or end it and continue with \"\(resumeCommand(directory))\"."
            : "Wait for it to finish; or name a state directory that can be written, with --state-directory."
    }
}

/// The right to recover into a directory: two recoveries that rename, restore and start in the same place would ruin
/// each other's work (flock(2) on a file in the state directory).
///
/// A full or read-only state directory is no reason not to recover: a lock file that is there is locked as it is, and
/// instead of one that cannot be created, the directory above the recovered one is locked.
public final class RecoveryClaim: Sendable {
    private let file: Descriptor

    /// Waits a little: a process that was killed in the middle of a long write keeps its locks until the write ends.
    ///
    /// - Throws: `RecoveryInProgress` when another process holds it longer than `patience`.
    public init(_ directory: String, in state: StateDirectory, patience milliseconds: Int = 5000) throws {
        var path = state.recovery(into: directory) + ".lock"
        var refusal = RecoveryInProgress(directory: directory)
        let file: Descriptor
        do throws(SystemError) {
            try Files.makeDirectories(Files.parent(path))
            file = try Descriptor(open: path, O_RDWR | O_CREAT)
        } catch {
            if (try? Files.exists(path)) == true {
                file = try Descriptor(open: path, O_RDONLY)
            } else {
                path = try RecoveryClaim.existing(above: directory)
                refusal.parent = path
                file = try Descriptor(open: path, O_RDONLY | O_DIRECTORY)
            }
        }
        var waited = 0
        while try !file.tryLock(path: path) {
            guard waited < milliseconds else { throw refusal }
            Clock.sleep(milliseconds: 50)
            waited += 50
        }
        self.file = consume file
    }

    deinit { file.unlock() }

    private static func existing(above directory: String) throws -> String {
        var path = Files.parent(Files.resolvedAsFarAsPossible(directory))
        while try !Files.exists(path) { path = Files.parent(path) }
        return path
    }
}
