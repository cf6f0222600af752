/// Writes one file from front to back with bounded memory.
///
/// The kernel is asked to write each window to disk as soon as it is full; then the previous window is waited for and
/// dropped from the page cache. So the pages of this machine's servers stay cached, the final fsync has little to wait
/// for, and at most two windows are in memory. Their pages are reused; a virtual machine may have to get fresh ones
/// from its host, which may cost more than all the rest.
public struct WriteStream {
    private static let window: Int64 = 8 << 20

    private var written: Int64 = 0
    /// How far the kernel was asked to write.
    private var started: Int64 = 0
    /// How far it has written.
    private var finished: Int64 = 0

    public init() {}

    /// Appends to the file, which has no other writer.
    public mutating func write(
        _ bytes: UnsafeRawBufferPointer, to file: borrowing Descriptor, path: String
    ) throws(SystemError) {
        try file.write(bytes, path: path)
        written += Int64(bytes.count)
        guard written - started >= WriteStream.window else { return }
        file.startWriteback(at: started, count: Int(written - started))
        if finished < started {
            file.finishWriteback(at: finished, count: started - finished)
            file.dropCached(at: finished, count: started - finished)
            finished = started
        }
        started = written
    }
}
