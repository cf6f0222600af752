import Backups
import Glibc
import Platform
import Repository
import Synchronization

/// The state that the threads of one restore share.
final class RestoreJob: Sendable {
    let places: RestorePlaces
    let isDelta: Bool
    let items: Channel<PackPortion>
    let tally: FileTally
    let written = Atomic<Int64>(0)
    let fetched = Atomic<Int64>(0)
    let done = Atomic<Int64>(0)
    /// Whether large files are written through the page cache. Otherwise they bypass it: a restore larger than memory
    /// would evict the pages of this machine's servers, and a virtual machine may have to get every fresh page from its
    /// host first.
    let keepsPages: Bool
    /// Threads that write to one file at once would wait for each other by spinning in the kernel.
    private let turns = (0..<64).map { _ in Monitor(()) }

    init(places: RestorePlaces, isDelta: Bool, keepsPages: Bool, jobs: Int) throws {
        items = Channel(capacity: 4 * jobs)
        self.places = places
        self.isDelta = isDelta
        self.keepsPages = keepsPages
        tally = try FileTally()
    }

    /// Runs `body` while no other thread writes to that file.
    func inTurn(_ file: Int, _ body: () throws -> Void) rethrows {
        try turns[file % turns.count].update { _ in try body() }
    }
}

/// One thread of a restore: fetches frames, verifies them, and writes their runs.
final class RestoreWorker {
    private let job: RestoreJob
    private var decompressor: Decompressor
    private var buffer: UnsafeMutableRawBufferPointer
    private let content: UnsafeMutableRawBufferPointer
    /// The present content of the files, in a delta restore.
    private let present: UnsafeMutableRawBufferPointer
    /// The large file written last: its next run usually follows.
    private var open: LargeFile?

    init(_ job: RestoreJob) throws {
        self.job = job
        decompressor = try Decompressor()
        buffer = .allocate(byteCount: Compressor.bound(Manifest.frameSize), alignment: 4096)
        content = .allocate(byteCount: Manifest.frameSize, alignment: 4096)
        present = .allocate(byteCount: Manifest.frameSize, alignment: 4096)
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

    private func restore(_ frame: PackFrame, _ runs: [FileRun], from pack: StoredPack) throws {
        for (run, file) in runs.lazy.map({ ($0.run, $0.file) }) {
            guard let file, run.offset >= 0, run.length >= 0, run.offset + run.length <= file.size,
                run.frameOffset >= 0,
                run.frameOffset + run.length <= Int64(frame.size), Int(frame.size) <= Manifest.frameSize
            else { throw ObjectDamaged(key: pack.key, "The manifest has a run outside of its file or frame.") }
        }
        if job.isDelta, try isInPlace(frame, runs) {
            return try account(runs, UnsafeRawBufferPointer(present))
        }
        if Int(frame.length) > buffer.count {
            throw ObjectDamaged(key: pack.key, "The manifest has a frame of impossible length.")
        }
        try pack.extract(frame, with: &decompressor, buffer: buffer, content: content)
        job.fetched.add(Int64(frame.length), ordering: .relaxed)
        for part in runs {
            let start = Int(part.run.frameOffset)
            try write(UnsafeRawBufferPointer(rebasing: content[start..<(start + Int(part.run.length))]), part)
        }
        try account(runs, UnsafeRawBufferPointer(content))
    }

    /// Whether the files already have a frame's content. If its runs make up the whole frame, one digest shows it.
    private func isInPlace(_ frame: PackFrame, _ runs: [FileRun]) throws -> Bool {
        var position = 0
        for part in runs {
            guard part.run.frameOffset == Int64(position) else { return false }
            let place = UnsafeMutableRawBufferPointer(rebasing: present[position..<(position + Int(part.run.length))])
            guard try readPresent(part, into: place) else { return false }
            position += place.count
        }
        guard position == Int(frame.size) else { return false }
        return Digest(of: UnsafeRawBufferPointer(rebasing: present[..<position])) == frame.digest
    }

    /// False when the file is missing or has another length.
    private func readPresent(_ part: FileRun, into bytes: UnsafeMutableRawBufferPointer) throws -> Bool {
        let file = part.file!
        if part.run.length < file.size {
            let open = try openLarge(part.run.file, file)
            return try open.read(into: bytes, at: part.run.offset) == bytes.count
        }
        let place = job.places(file.path)
        let path = place.path
        do throws(SystemError) {
            let descriptor = try Descriptor(open: place, O_RDONLY | O_NOFOLLOW)
            let status = try descriptor.status(path: path)
            guard status.size == file.size else { return false }
            // A file whose permissions have been changed isn't in place, whatever its content.
            if status.mode != file.restoredMode {
                _ = try retrying(.changeMode, path) { fchmod(descriptor.raw, file.restoredMode) }
            }
            return try descriptor.read(into: bytes, path: path) == bytes.count
        } catch {
            if error.code == ENOENT || error.code == ELOOP { return false }
            throw error
        }
    }

    private func account(_ runs: [FileRun], _ frame: UnsafeRawBufferPointer) throws {
        try job.tally.add(
            runs.map { part in
                let run = part.run
                let start = Int(run.frameOffset)
                let bytes = UnsafeRawBufferPointer(rebasing: frame[start..<(start + Int(run.length))])
                return FileTally.part(run.file, bytes, following: part.file!.size - run.offset - run.length)
            })
    }

    private func write(_ bytes: UnsafeRawBufferPointer, _ part: FileRun) throws {
        if part.run.length == part.file!.size {
            try writeWhole(bytes, part.file!)
        } else {
            try writePart(bytes, part.run, part.file!)
        }
    }

    private func writeWhole(_ bytes: UnsafeRawBufferPointer, _ file: ManifestFile) throws {
        let place = job.places(file.path)
        let path = place.path
        let descriptor = try Descriptor(
            open: place, O_WRONLY | O_CREAT | O_NOFOLLOW | (job.isDelta ? O_TRUNC : O_EXCL), mode: file.restoredMode)
        try finishAttributes(descriptor, file, path)
        try descriptor.writePages(bytes, at: 0, path: path)
        if bytes.count >= 256 << 10 { descriptor.startWriteback(at: 0, count: bytes.count) }
        job.written.add(Int64(bytes.count), ordering: .relaxed)
        try descriptor.close(path: path)
    }

    private func finishAttributes(_ descriptor: borrowing Descriptor, _ file: ManifestFile, _ path: String) throws {
        // The mode asked for is subject to the umask, and an existing file keeps its own.
        if job.isDelta || file.restoredMode & 0o077 != 0 {
            _ = try retrying(.changeMode, path) { fchmod(descriptor.raw, file.restoredMode) }
        }
    }

    /// Zeros are omitted where the file is new: there they are a hole.
    private func writePart(_ bytes: UnsafeRawBufferPointer, _ run: ManifestRun, _ file: ManifestFile) throws {
        let open = try openLarge(run.file, file)
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
            let stretch = UnsafeRawBufferPointer(rebasing: bytes[start..<end])
            let offset = run.offset + Int64(start)
            if !job.isDelta { job.inTurn(run.file) { open.reserve(at: offset, count: stretch.count) } }
            if try !open.writePast(stretch, at: offset) {
                try job.inTurn(run.file) { try open.write(stretch, at: offset) }
            }
            job.written.add(Int64(end - start), ordering: .relaxed)
            start = end
        }
    }

    private func restoreZeros(_ part: FileRun) throws {
        let run = part.run
        guard let file = part.file, run.offset >= 0, run.length > 0, run.offset + run.length <= file.size else {
            throw Problem("the manifest has a run of zeros outside of its file")
        }
        try job.tally.add([.init(file: run.file, bytes: run.length)])
        // Opening gives a new file its length, and thereby its zeros.
        let open = try openLarge(run.file, file)
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

    private func openLarge(_ index: Int, _ file: ManifestFile) throws -> LargeFile {
        if let open, open.index == index { return open }
        let place = job.places(file.path)
        let path = place.path
        let descriptor = try Descriptor(open: place, O_RDWR | O_CREAT | O_NOFOLLOW, mode: file.restoredMode)
        try finishAttributes(descriptor, file, path)
        // Several threads may do this to one file, with the same result.
        if try descriptor.status(path: path).size != file.size {
            _ = try retrying(.truncate, path) { ftruncate(descriptor.raw, off_t(file.size)) }
        }
        let opened = LargeFile(index: index, place: place, descriptor: descriptor, keepsPages: job.keepsPages)
        open = opened
        return opened
    }
}
