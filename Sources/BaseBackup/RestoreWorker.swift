import Glibc
import Platform
import Repository
import Synchronization

/// Frames of one pack that one thread restores.
struct RestoreItem: Sendable {
    var pack: StoredPack?
    /// With the file runs that lie in each.
    var frames: [(frame: PackFrame, runs: [ManifestRun])] = []
    /// Stretches of zeros, which matter only where something is already there.
    var zeros: [ManifestRun] = []
    var bytes: Int64 = 0
}

/// What the threads of one restore share.
final class RestoreJob: Sendable {
    let root: String
    let files: FileList
    let isDelta: Bool
    let items = Channel<RestoreItem>(capacity: 32)
    let checksums: FileChecksums
    let written = Atomic<Int64>(0)
    let fetched = Atomic<Int64>(0)
    let done = Atomic<Int64>(0)

    init(root: String, files: FileList, isDelta: Bool) {
        self.root = root
        self.files = files
        self.isDelta = isDelta
        checksums = FileChecksums(count: files.count)
    }
}

/// One thread of a restore: fetches frames, verifies them, and writes their runs.
final class RestoreWorker {
    private let job: RestoreJob
    private var decompressor: Decompressor
    private var buffer: UnsafeMutableRawBufferPointer
    private let content: UnsafeMutableRawBufferPointer
    /// What is in place already, in a delta restore.
    private let present: UnsafeMutableRawBufferPointer
    /// The large file written last: its next run mostly comes next.
    private var open: OpenFile?

    init(_ job: RestoreJob) throws {
        self.job = job
        decompressor = try Decompressor()
        buffer = .allocate(byteCount: Compressor.bound(CopyItem.frameSize), alignment: 4096)
        content = .allocate(byteCount: CopyItem.frameSize, alignment: 4096)
        present = .allocate(byteCount: CopyItem.frameSize, alignment: 4096)
    }

    deinit {
        buffer.deallocate()
        content.deallocate()
        present.deallocate()
    }

    func run() throws {
        while let item = try job.items.receive() {
            for (frame, runs) in item.frames { try restore(frame, runs, from: item.pack!) }
            for run in item.zeros { try restoreZeros(run) }
            job.done.add(item.bytes, ordering: .relaxed)
        }
        open = nil
    }

    private func restore(_ frame: PackFrame, _ runs: [ManifestRun], from pack: StoredPack) throws {
        for run in runs {
            guard job.files.indices.contains(run.file), let file = job.files[run.file], run.offset >= 0,
                run.length >= 0, run.offset + run.length <= file.size, run.frameOffset >= 0,
                run.frameOffset + run.length <= Int64(frame.size), Int(frame.size) <= CopyItem.frameSize
            else { throw ObjectDamaged(key: pack.key, "The manifest has a run outside of its file or frame.") }
        }
        if job.isDelta, try isInPlace(frame, runs) {
            account(runs, UnsafeRawBufferPointer(present))
            return
        }
        if Int(frame.length) > buffer.count {
            throw ObjectDamaged(key: pack.key, "The manifest has a frame of impossible length.")
        }
        try pack.extract(frame, with: &decompressor, buffer: buffer, content: content)
        job.fetched.add(Int64(frame.length), ordering: .relaxed)
        for run in runs {
            let start = Int(run.frameOffset)
            let bytes = UnsafeRawBufferPointer(rebasing: content[start..<(start + Int(run.length))])
            try write(bytes, run)
        }
        account(runs, UnsafeRawBufferPointer(content))
    }

    /// Whether the files hold a frame's content already. Its runs must make up the whole frame; then one digest tells.
    private func isInPlace(_ frame: PackFrame, _ runs: [ManifestRun]) throws -> Bool {
        var position = 0
        for run in runs {
            guard run.frameOffset == Int64(position) else { return false }
            let place = UnsafeMutableRawBufferPointer(rebasing: present[position..<(position + Int(run.length))])
            guard try readPresent(run, into: place) else { return false }
            position += place.count
        }
        guard position == Int(frame.size) else { return false }
        return Digest(of: UnsafeRawBufferPointer(rebasing: present[..<position])) == frame.digest
    }

    /// False when the file isn't there or has another length.
    private func readPresent(_ run: ManifestRun, into place: UnsafeMutableRawBufferPointer) throws -> Bool {
        let file = job.files[run.file]!
        if run.length < file.size {
            let open = try openLarge(run.file)
            return try open.read(into: place, at: run.offset) == place.count
        }
        let path = job.root + "/" + file.path
        do throws(SystemError) {
            let descriptor = try Descriptor(open: path, O_RDONLY | O_NOFOLLOW)
            guard try descriptor.status(path: path).size == file.size else { return false }
            return try descriptor.read(into: place, path: path) == place.count
        } catch {
            if error.code == ENOENT || error.code == ELOOP { return false }
            throw error
        }
    }

    private func account(_ runs: [ManifestRun], _ frame: UnsafeRawBufferPointer) {
        job.checksums.add(
            runs.map { run in
                let start = Int(run.frameOffset)
                let bytes = UnsafeRawBufferPointer(rebasing: frame[start..<(start + Int(run.length))])
                let behind = job.files.size(run.file) - run.offset - run.length
                return (run.file, FileChecksums.part(bytes, behind: behind))
            })
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ run: ManifestRun) throws {
        let file = job.files[run.file]!
        if run.length == file.size {
            try writeWhole(bytes, file)
        } else {
            try writePart(bytes, run)
        }
    }

    private func writeWhole(_ bytes: UnsafeRawBufferPointer, _ file: ManifestFile) throws {
        let path = job.root + "/" + file.path
        let descriptor = try Descriptor(
            open: path, O_WRONLY | O_CREAT | O_NOFOLLOW | (job.isDelta ? O_TRUNC : O_EXCL), mode: mode_t(file.mode))
        try finishAttributes(descriptor, file, path)
        try descriptor.writePages(bytes, at: 0, path: path)
        if bytes.count >= 256 << 10 { descriptor.startWriteback(at: 0, count: bytes.count) }
        job.written.add(Int64(bytes.count), ordering: .relaxed)
        try descriptor.close(path: path)
    }

    private func finishAttributes(_ descriptor: borrowing Descriptor, _ file: ManifestFile, _ path: String) throws {
        // The mode asked for is subject to the umask, and an existing file keeps its own.
        if job.isDelta || file.mode & 0o077 != 0 {
            _ = try retrying(.changeMode, path) { fchmod(descriptor.raw, mode_t(file.mode)) }
        }
    }

    /// Zeros are left out where the file is new: there they are a hole.
    private func writePart(_ bytes: UnsafeRawBufferPointer, _ run: ManifestRun) throws {
        let open = try openLarge(run.file)
        let block = 32 << 10
        var start = 0
        while start < bytes.count {
            var end = min(start + block, bytes.count)
            if !job.isDelta
                && isZero(UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: bytes[start..<end])))
            {
                start = end
                continue
            }
            while end < bytes.count {
                let next = min(end + block, bytes.count)
                if !job.isDelta
                    && isZero(
                        UnsafeMutableRawBufferPointer(mutating: UnsafeRawBufferPointer(rebasing: bytes[end..<next])))
                {
                    break
                }
                end = next
            }
            if !job.isDelta { open.reserve(at: run.offset + Int64(start), count: end - start) }
            try open.write(UnsafeRawBufferPointer(rebasing: bytes[start..<end]), at: run.offset + Int64(start))
            job.written.add(Int64(end - start), ordering: .relaxed)
            start = end
        }
    }

    private func restoreZeros(_ run: ManifestRun) throws {
        guard job.files.indices.contains(run.file), let file = job.files[run.file], run.offset >= 0, run.length > 0,
            run.offset + run.length <= file.size
        else { throw Problem("the manifest has a run of zeros outside of its file") }
        // Opening gives a new file its length, and so its zeros.
        let open = try openLarge(run.file)
        guard job.isDelta else { return }
        var position = run.offset
        while position < run.offset + run.length {
            let count = Int(min(Int64(present.count), run.offset + run.length - position))
            let place = UnsafeMutableRawBufferPointer(rebasing: present[..<count])
            let read = try open.read(into: place, at: position)
            if read < count || !isZero(place) {
                memset(place.baseAddress!, 0, count)
                try open.write(UnsafeRawBufferPointer(place), at: position)
                job.written.add(Int64(count), ordering: .relaxed)
            }
            position += Int64(count)
        }
    }

    private func openLarge(_ index: Int) throws -> OpenFile {
        if let open, open.index == index { return open }
        let file = job.files[index]!
        let path = job.root + "/" + file.path
        let descriptor = try Descriptor(open: path, O_RDWR | O_CREAT | O_NOFOLLOW, mode: mode_t(file.mode))
        try finishAttributes(descriptor, file, path)
        // Several threads may do this to one file, all to the same effect.
        if try descriptor.status(path: path).size != file.size {
            _ = try retrying(.truncate, path) { ftruncate(descriptor.raw, off_t(file.size)) }
        }
        let opened = OpenFile(index: index, path: path, descriptor: descriptor)
        open = opened
        return opened
    }
}

private final class OpenFile {
    let index: Int
    private let path: String
    private let descriptor: Descriptor

    init(index: Int, path: String, descriptor: consuming Descriptor) {
        self.index = index
        self.path = path
        self.descriptor = descriptor
    }

    func read(into place: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        try descriptor.read(into: place, at: offset, path: path)
    }

    func reserve(at offset: Int64, count: Int) { descriptor.reserve(at: offset, count: count) }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws {
        try descriptor.writePages(bytes, at: offset, path: path)
        descriptor.startWriteback(at: offset, count: bytes.count)
    }
}
