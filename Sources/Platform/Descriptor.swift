import CLinux
public import Glibc

/// An open file that is closed exactly once: on `close()`, or when it goes out of scope.
public struct Descriptor: ~Copyable, Sendable {
    public let raw: Int32

    /// Opens a file with O_CLOEXEC added to `flags`. Never blocks: a FIFO in place of a file would block its reader
    /// until it has a writer. The reader must still check the file's kind.
    public init(open place: Place, _ flags: Int32, mode: mode_t = 0o640) throws(SystemError) {
        raw = try retrying(.open, place.path) {
            place.opened(flags | O_NONBLOCK | O_NOCTTY, mode)
        }
    }

    public init(open path: String, _ flags: Int32, mode: mode_t = 0o640) throws(SystemError) {
        try self.init(open: Place(path), flags, mode: mode)
    }

    public init(adopting raw: Int32) { self.raw = raw }

    /// A new unnamed file, which vanishes with its descriptor.
    public init(namelessIn directory: String) throws(SystemError) {
        var name = Array((directory + "/tidemark-XXXXXX").utf8CString)
        raw = try retrying(.open, directory) { mkstemp(&name) }
        unlink(name)
        _ = fcntl(raw, F_SETFD, FD_CLOEXEC)
    }

    /// Opens an existing file for reading and writing past the page cache (O_DIRECT in open(2)); nil where that isn't
    /// possible.
    ///
    /// Offsets, lengths and the memory's address must be multiples of `directAlignment`; a file system that requires
    /// more rejects such a call with EINVAL.
    public init?(direct place: Place) {
        let raw = place.opened(O_RDWR | O_NOFOLLOW | clinux_direct_flag(), 0)
        guard raw >= 0 else { return nil }
        self.raw = raw
    }

    /// Bytes; sufficient for disks with sectors of 512 bytes and of 4 KiB.
    public static let directAlignment = 4096

    deinit { _ = Glibc.close(raw) }

    /// Passes the open file on without closing it.
    public consuming func release() -> Int32 {
        let raw = self.raw
        discard self
        return raw
    }

    /// Closes now and reports what the kernel says; needed after writing, since
    /// NFS and quota errors may show up only here.
    public consuming func close(path: String) throws(SystemError) {
        let raw = self.raw
        discard self
        try closing(raw, path)
    }

    /// Fills as much of `buffer` as the file has left from its own offset; returns 0 at the end of the file.
    public borrowing func read(into buffer: UnsafeMutableRawBufferPointer, path: String) throws(SystemError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let wanted = moving(.read, buffer.count - filled)
            let count = try retrying(.read, path) {
                Glibc.read(raw, buffer.baseAddress! + filled, wanted)
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// Fills as much of `buffer` as the file has from `offset` (bytes); the file's own offset is unchanged.
    public borrowing func read(
        into buffer: UnsafeMutableRawBufferPointer, at offset: Int64, path: String
    ) throws(SystemError) -> Int {
        var filled = 0
        while filled < buffer.count {
            let wanted = moving(.read, buffer.count - filled)
            let count = try retrying(.read, path) {
                Glibc.pread(raw, buffer.baseAddress! + filled, wanted, off_t(offset) + off_t(filled))
            }
            if count == 0 { break }
            filled += count
        }
        return filled
    }

    /// How many bytes of a range, up to 16 MiB, are in the page cache; nil when unknown.
    ///
    /// - Parameter offset: a multiple of the page size.
    public borrowing func cachedBytes(at offset: Int64, count: Int) -> Int? {
        let cached = clinux_cached(raw, offset, UInt(count))
        return cached < 0 ? nil : cached
    }

    /// Asks the kernel to read only what is asked for, and nothing ahead of it. Only a hint.
    public borrowing func readNothingAhead() {
        _ = posix_fadvise(raw, 0, 0, POSIX_FADV_RANDOM)
    }

    /// Asks the kernel to read a range that will be read soon. Only a hint.
    public borrowing func readAhead(at offset: Int64, count: Int64) {
        _ = posix_fadvise(raw, off_t(offset), off_t(count), POSIX_FADV_WILLNEED)
    }

    /// Lets a range leave the page cache, except dirty pages. Only a hint.
    public borrowing func dropCached(at offset: Int64, count: Int64) {
        _ = posix_fadvise(raw, off_t(offset), off_t(count), POSIX_FADV_DONTNEED)
    }

    public borrowing func write(_ bytes: UnsafeRawBufferPointer, path: String) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let wanted = moving(.write, bytes.count - written)
            written += try retrying(.write, path) {
                Glibc.write(raw, bytes.baseAddress! + written, wanted)
            }
        }
    }

    public borrowing func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64, path: String) throws(SystemError) {
        var written = 0
        while written < bytes.count {
            let wanted = moving(.write, bytes.count - written)
            written += try retrying(.write, path) {
                Glibc.pwrite(raw, bytes.baseAddress! + written, wanted, off_t(offset) + off_t(written))
            }
        }
    }

    /// Writes bytes that a server will rewrite page by page.
    ///
    /// Linux keeps the bytes of one write in one folio of the page cache (ext4 since 6.16), and examines all blocks of
    /// a folio whenever one of its pages is written: after writes of 1 MiB that takes seven times as long as after
    /// these of 32 KiB. Smaller ones gain little more, and cost more themselves.
    public borrowing func writePages(
        _ bytes: UnsafeRawBufferPointer, at offset: Int64, path: String
    ) throws(SystemError) {
        let most = 32 << 10
        var start = 0
        while start < bytes.count {
            let piece = UnsafeRawBufferPointer(rebasing: bytes[start..<min(start + most, bytes.count)])
            try write(piece, at: offset + Int64(start), path: path)
            start += most
        }
    }

    public borrowing func synchronize(path: String) throws(SystemError) {
        _ = try retrying(.fsync, path) { Glibc.fsync(raw) }
    }

    public borrowing func truncate(to size: Int64, path: String) throws(SystemError) {
        _ = try retrying(.truncate, path) { ftruncate(raw, off_t(size)) }
    }

    /// Asks the kernel to begin writing a range to disk, so that a later fsync waits less. Only a hint: where it isn't
    /// supported nothing happens.
    public borrowing func startWriteback(at offset: Int64, count: Int) {
        _ = clinux_start_writeback(raw, offset, Int64(count))
    }

    /// Waits until the range has been written to disk. Doesn't report failures: the next fsync does.
    public borrowing func finishWriteback(at offset: Int64, count: Int64) {
        _ = clinux_finish_writeback(raw, offset, count)
    }

    /// Asks the file system to allocate a contiguous range that will be written, which then takes less metadata. Only a
    /// hint: not every file system can.
    public borrowing func reserve(at offset: Int64, count: Int) { _ = clinux_reserve(raw, offset, Int64(count)) }

    /// Turns a range of the file into zeros that take no space. Only a hint: not every file system can.
    public borrowing func punchHole(at offset: Int64, count: Int64) { _ = clinux_punch_hole(raw, offset, count) }

    public borrowing func status(path: String) throws(SystemError) -> FileStatus {
        var raw = Glibc.stat()
        _ = try retrying(.stat, path) { fstat(self.raw, &raw) }
        return FileStatus(raw)
    }

    /// Takes the advisory lock flock(2); it ends with the process. False when another process holds it.
    ///
    /// - Parameter shared: any number of holders at once, but none beside an exclusive one.
    public borrowing func tryLock(path: String, shared: Bool = false) throws(SystemError) -> Bool {
        do throws(SystemError) {
            _ = try retrying(.lock, path) { flock(raw, (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) }
            return true
        } catch {
            if error.code == EWOULDBLOCK { return false }
            throw error
        }
    }

    /// Releases the lock at once. Closing does so only when no process has the descriptor any more, and a child that
    /// another thread is starting has it until its exec.
    public borrowing func unlock() { flock(raw, LOCK_UN) }
}

private func moving(_ call: SystemCall, _ count: Int) -> Int { Fault.isArmed ? Fault.length(call, count) : count }
