/// Writes one file from front to back without filling memory with it.
///
/// The kernel is asked to write each window to disk as soon as it is full, and the window before is waited for and leaves
/// the page cache. So what servers of this machine keep there stays, fsync at the end has little to wait for, and no more
/// than two windows are in memory. Its pages are used again and again; fresh ones may cost a virtual machine more than all
/// the rest, if it has to get each from its host.
public struct WriteStream {
    private static let window: Int64 = 8 << 20

    private var written: Int64 = 0
    /// Up to where the kernel was asked to write.
    private var started: Int64 = 0
    /// Up to where it has.
    private var finished: Int64 = 0

    public init() {}

    /// Appends to the file, which nobody else writes to.
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
