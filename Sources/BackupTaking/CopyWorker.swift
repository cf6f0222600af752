import Backups
import DataDirectory
import Glibc
import Platform
import Repository
import WAL

/// One thread of a backup: reads files, verifies pages, compresses frames, fills its own packs.
final class CopyWorker {
    private let job: CopyJob
    private var compressor: Compressor
    private let content: UnsafeMutableRawBufferPointer
    private let compressed: UnsafeMutableRawBufferPointer

    init(_ job: CopyJob) throws {
        self.job = job
        compressor = try Compressor(level: job.compressLevel)
        content = .allocate(byteCount: Manifest.frameSize, alignment: 4096)
        compressed = .allocate(byteCount: Compressor.bound(Manifest.frameSize), alignment: 4096)
    }

    deinit {
        content.deallocate()
        compressed.deallocate()
    }

    /// Works until nothing is left. Every pack is durable before the next one begins.
    func run() throws {
        while let first = try job.items.receive() {
            let number = job.nextPack()
            let object = try job.archive.store.begin(job.archive.incarnation.pack(job.label, number))
            var pack = OpenPack(number: number, writer: try PackWriter(into: object))
            var item: CopyItem? = first
            while let next = item {
                try copy(next, into: &pack)
                item = pack.writer.length < job.packSize ? try job.items.receive() : nil
            }
            if let failure = job.results.failure { throw failure }
            try pack.writer.finish()
            job.stored(pack: number, pack.writer)
        }
    }

    private struct OpenPack: ~Copyable {
        let number: Int
        var writer: PackWriter
    }

    private func copy(_ item: CopyItem, into pack: inout OpenPack) throws {
        var batch = CopyBatch()
        switch item {
        case .stretch(let file, let offset, let length):
            try copyStretch(file, offset, length, into: &pack, &batch)
        case .bundle(let files): try copyBundle(files, into: &pack, &batch)
        }
        try job.results.send(batch)
    }

    private func copyStretch(
        _ found: CopyFile, _ offset: Int64, _ length: Int64, into pack: inout OpenPack, _ batch: inout CopyBatch
    ) throws {
        batch.planned = length
        let path = path(found)
        guard let file = try openIfPresent(path) else {
            // If the first part is missing, the file isn't in the backup at all.
            if offset == 0 { batch.vanished.append(found.index) } else { batch.resized.append(found.index) }
            return
        }
        // Data that the server doesn't use now must not evict what it uses.
        let isForeign = file.cachedBytes(at: offset, count: Int(length)).map { $0 < length / 8 } ?? false
        // What the kernel would read ahead by itself belongs to the next stretch, which would look like the server's.
        file.readNothingAhead()
        file.readAhead(at: offset, count: length)
        var done: Int64 = 0
        defer { if isForeign { file.dropCached(at: offset, count: done) } }
        while done < length {
            let wanted = Int(min(Int64(content.count), length - done))
            job.rateLimit?.take(wanted)
            let place = UnsafeMutableRawBufferPointer(rebasing: content[..<wanted])
            let count = try file.read(into: place, at: offset + done, path: path)
            if count < wanted { batch.resized.append(found.index) }
            if count == 0 { break }
            let bytes = UnsafeMutableRawBufferPointer(rebasing: place[..<count])
            try checkPages(of: found, in: bytes, at: offset + done, from: file, &batch)
            let run = ManifestRun(file: found.index, offset: offset + done, length: Int64(count), frameOffset: 0)
            batch.read += Int64(count)
            if isZero(bytes) {
                batch.runs.append((Manifest.zeros, run))
            } else {
                batch.runs.append((try store(UnsafeRawBufferPointer(bytes), into: &pack, &batch), run))
            }
            done += Int64(count)
            if count < wanted { break }
        }
    }

    private func copyBundle(_ files: [CopyFile], into pack: inout OpenPack, _ batch: inout CopyBatch) throws {
        var filled = 0
        var runs: [ManifestRun] = []
        for found in files {
            let planned = Int(found.size)
            batch.planned += found.size
            let path = path(found)
            guard let file = try openIfPresent(path) else {
                batch.vanished.append(found.index)
                continue
            }
            // The growth of a relation since the walk is in the WAL; other files are copied in their present size, if
            // it fits.
            let room = content.count - filled
            let isRelation = PageCheck.covers(found.path) != nil
            let now = isRelation ? planned : Int(min(try file.status(path: path).size, Int64(room)))
            let wanted = min(max(planned, now), room)
            job.rateLimit?.take(wanted)
            let place = UnsafeMutableRawBufferPointer(rebasing: content[filled..<(filled + wanted)])
            let count = try file.read(into: place, at: 0, path: path)
            if count != planned { batch.resized.append(found.index) }
            let bytes = UnsafeMutableRawBufferPointer(rebasing: place[..<count])
            if count > 0 { try checkPages(of: found, in: bytes, at: 0, from: file, &batch) }
            batch.digests.append(
                (found.index, count < CopyItem.bundleLimit ? Digest(of: UnsafeRawBufferPointer(bytes)) : nil))
            if count == 0 { continue }
            runs.append(ManifestRun(file: found.index, offset: 0, length: Int64(count), frameOffset: Int64(filled)))
            filled += count
        }
        batch.read += Int64(filled)
        guard filled > 0 else { return }
        let frame = try store(UnsafeRawBufferPointer(rebasing: content[..<filled]), into: &pack, &batch)
        batch.runs += runs.map { (frame, $0) }
    }

    /// Compresses and stores content unless a frame with the same content is known; returns the frame's number.
    private func store(_ bytes: UnsafeRawBufferPointer, into pack: inout OpenPack, _ batch: inout CopyBatch) throws
        -> Int64
    {
        let digest = Digest(of: bytes)
        var length = 0
        switch try job.salvage.place(of: digest, size: bytes.count) {
        case .pack(let number, let ordinal, let frame):
            let id = Manifest.frameID(pack: number, ordinal: ordinal)
            batch.frames.append(.init(id: id, pack: number, frame: frame))
            return id
        case .loose(let object, let frame):
            let place = UnsafeMutableRawBufferPointer(rebasing: compressed[..<Int(frame.length)])
            if try object.read(into: place, at: Int64(frame.offset)) == place.count { length = place.count }
        case nil: break
        }
        if length == 0 { length = try compressor.compress(bytes, into: compressed) }
        let id = Manifest.frameID(pack: pack.number, ordinal: pack.writer.frames.count)
        let frame = try pack.writer.add(
            UnsafeRawBufferPointer(rebasing: compressed[..<length]), size: bytes.count, digest: digest)
        batch.frames.append(.init(id: id, pack: pack.number, frame: frame))
        return id
    }

    /// Checks every whole page in `bytes`. One with a wrong checksum is read again a few times: it may have been half
    /// written.
    private func checkPages(
        of found: CopyFile, in bytes: UnsafeMutableRawBufferPointer, at offset: Int64, from file: borrowing Descriptor,
        _ batch: inout CopyBatch
    ) throws {
        guard let check = job.pageCheck, let name = PageCheck.covers(found.path) else { return }
        let size = PageCheck.pageSize
        var position = 0
        while position + size <= bytes.count {
            let page = bytes.baseAddress! + position
            let block = check.block(at: offset + Int64(position), of: name)
            var verdict = PageCheck.verdict(page, block: block)
            var attempt = 0
            while case .bad(let lsn) = verdict {
                attempt += 1
                if attempt > 5 {
                    batch.suspects.append(SuspectPage(file: found.index, block: block, lsn: lsn))
                    break
                }
                Clock.sleep(milliseconds: attempt * 5)
                let place = UnsafeMutableRawBufferPointer(start: page, count: size)
                guard try file.read(into: place, at: offset + Int64(position), path: path(found)) == size else {
                    break  // cut off meanwhile
                }
                verdict = PageCheck.verdict(page, block: block)
            }
            if verdict == .good { batch.verifiedPages += 1 }
            position += size
        }
    }

    private func path(_ file: CopyFile) -> String { job.root + "/" + file.path }

    private func openIfPresent(_ path: String) throws -> Descriptor? {
        do throws(SystemError) {
            let file = try Descriptor(open: path, O_RDONLY)
            // Another file may have taken the name since the walk.
            if try file.status(path: path).kind != .regular { return nil }
            return file
        } catch {
            if error.code == ENOENT { return nil }
            throw UnreadableFile.explained(error, String(path.dropFirst(job.root.count + 1)))
        }
    }
}
