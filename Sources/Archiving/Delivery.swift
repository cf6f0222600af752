import Glibc
import Platform
import WAL

/// Writes a file so that it appears under its name whole or not at all; not durable.
enum Delivery {
    /// The temporary is `.<name>.tidemark` beside the destination, locked while it is written: a killed process leaves
    /// at most this one file per destination, and the next one reuses it. If another process holds it, a temporary with
    /// a unique name is used.
    ///
    /// - Parameter patches: called last; the bytes to overwrite.
    static func put(
        at destination: String, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void,
        patches: () -> [SegmentPatch] = { [] }
    ) throws {
        let shared = temporary(for: destination)
        var path = shared
        var file = try Descriptor(open: shared, O_WRONLY | O_CREAT | O_NOFOLLOW, mode: 0o600)
        if try !isOurs(file, shared) {
            path = temporaryName(for: destination)
            file = try Descriptor(open: path, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        }
        do {
            try file.truncate(to: 0, path: path)
            try write { try file.write($0, path: path) }
            for patch in patches() {
                try patch.bytes.withUnsafeBytes { try file.write($0, at: Int64(patch.offset), path: path) }
            }
            try Files.rename(path, to: destination)
        } catch {
            try? Files.remove(path)
            throw error
        }
        try file.close(path: destination)
    }

    static func temporary(for destination: String) -> String {
        "\(Files.parent(destination))/.\(Files.name(destination)).tidemark"
    }

    /// Whether this process's lock is on the file that has the name now, not on one that was renamed meanwhile.
    private static func isOurs(_ file: borrowing Descriptor, _ path: String) throws -> Bool {
        guard try file.tryLock(path: path) else { return false }
        let opened = try file.status(path: path)
        guard opened.kind == .regular, let named = try FileStatus(ofLinkItself: path) else { return false }
        return named.inode == opened.inode && named.device == opened.device
    }
}
