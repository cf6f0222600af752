import Glibc
import Platform

/// The shared memory of a scratch server that was killed: System V's, which outlives every process. The server's
/// postmaster.pid has its number, and the memory itself names the data directory.
struct ScratchMemory {
    private let identifier: Int32
    private let directory: FileStatus

    /// Nil where no postmaster.pid tells of one.
    init?(of data: Place) {
        guard let directory = try? FileStatus(ofLinkItself: data), directory.kind == .directory,
            let file = try? Descriptor(open: data.appending("postmaster.pid"), O_RDONLY)
        else { return nil }
        var bytes = [UInt8](repeating: 0, count: 4096)
        guard let count = try? bytes.withUnsafeMutableBytes({ try file.read(into: $0, path: data.path) }) else {
            return nil
        }
        // The seventh line is the key and the number (src/include/utils/pidfile.h).
        let lines = String(decoding: bytes.prefix(count), as: UTF8.self)
            .split(separator: "\n", omittingEmptySubsequences: false)
        let words = lines.count > 6 ? lines[6].split(separator: " ") : []
        guard words.count == 2, let identifier = Int32(words[1]) else { return nil }
        (self.identifier, self.directory) = (identifier, directory)
    }

    /// Removes it, unless another data directory's server has made it, or a process still uses it.
    func remove() { removeServerMemory(identifier, of: directory) }
}
