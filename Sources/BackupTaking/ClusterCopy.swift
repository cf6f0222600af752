import Backups
import DataDirectory
import Platform
import Postgres
import Repository
import WAL

/// Copies the files of one backup: threads fill packs, and this thread writes the manifest meanwhile.
final class ClusterCopy {
    /// The objects of a finished copy in the repository.
    struct Stored {
        var fileCount = 0
        var size: Int64 = 0
        var storedSize: Int64 = 0
        var packs: [NeededPacks] = []
        var verifiedPages: Int64 = 0
        var corruptPages: [CorruptPage] = []
        var bytesRead: Int64 = 0
    }

    private let source: BackupSource
    private let label: String
    private let job: CopyJob
    private let manifest: ManifestWriter
    private var suspects: [SuspectPage] = []
    private var stored = Stored()
    /// All objects of the backup in the repository, with their sizes in bytes.
    private var objects: [(key: RepositoryKey, size: Int64)] = []

    /// - Parameter manifest: with the files to copy.
    init(
        _ manifest: ManifestWriter, source: BackupSource, label: String, start: LSN,
        salvage: Salvage
    ) {
        self.manifest = manifest
        self.source = source
        self.label = label
        let workers = max(1, source.request.jobs)
        let canCheck = source.control.hasChecksums && source.control.blockSize == UInt32(PageCheck.pageSize)
        job = CopyJob(
            root: source.directory.path, archive: source.archive,
            label: label, request: source.request,
            pageCheck: canCheck ? PageCheck(blocksPerFile: source.control.blocksPerRelationFile) : nil, start: start,
            salvage: salvage, workers: workers)
    }

    /// Copies everything except the last files; returns when all packs are durable.
    func run(report: (BackupEvent) throws -> Void) throws {
        let job = job
        let began = Clock.monotonic
        let total = try manifest.regularFiles().size
        var done: Int64 = 0
        var plan = try CopyPlan(manifest)
        var waiting = 0
        var isDealtOut = false
        func deal() throws {
            while !isDealtOut, waiting < job.itemsAhead {
                guard let item = try plan.next() else {
                    isDealtOut = true
                    return job.items.finish()
                }
                try job.items.send(item)
                waiting += 1
            }
        }
        let copy: @Sendable () throws -> Void = {
            try CopyWorker(job).run()
            job.results.finish()
        }
        try withWorkers(max(1, source.request.jobs), copy, cancel: job.cancel) {
            try deal()
            while let batch = try job.results.receive() {
                waiting -= 1
                try deal()
                try manifest.add(batch)
                suspects += batch.suspects
                stored.verifiedPages += batch.verifiedPages
                stored.bytesRead += batch.read
                done += batch.planned
                try report(
                    .copying(CopyProgress(done: done, total: total, seconds: Double(Clock.monotonic - began) / 1e9)))
            }
        }
    }

    /// Adds the files from the server, and stores the manifest.
    ///
    /// - Parameters:
    ///   - control: pg_control, read after everything else was copied, so that its minimum recovery point covers every
    ///     page copied from a standby. For a primary any of its states between start and stop will do, because
    ///     backup_label overrides its checkpoint.
    ///   - stop: where the copy becomes consistent.
    func finish(control: [UInt8], end: BackupModeEnd, stop: LSN, superusers: [String]) throws -> Stored {
        var last: [(String, [UInt8])] = [(ControlFile.path, control), ("backup_label", Array(end.labelFile.utf8))]
        if !end.tablespaceMap.isEmpty { last.append(("tablespace_map", Array(end.tablespaceMap.utf8))) }
        try addLast(last)

        (stored.fileCount, stored.size) = try manifest.finishFiles()
        let own = job.storedPacks
        var packs: [Int: ManifestPack] = [:]
        for id in try manifest.referredPacks() {
            guard let pack = try job.salvage.pack(id) ?? own[id] else { throw Problem("pack \(id) was not stored") }
            packs[id] = pack
        }
        try manifest.add(packs: packs)
        try manifest.add(meta: [
            "format": Manifest.format, "tidemark_version": tidemarkVersion, "label": label,
            "system_identifier": String(source.control.systemIdentifier),
            "major": String(source.archive.incarnation.major), "stop_lsn": stop.description,
            "superusers": superusers.joined(separator: "\n"),
        ])
        let key = source.archive.incarnation.backup(label, Manifest.objectName)
        let manifestSize = try manifest.store(
            as: key, in: source.archive.store, compressLevel: source.request.compressLevel)
        objects = [(key, manifestSize)]
        stored.storedSize = manifestSize + own.values.reduce(0) { $0 + $1.size }
        for pack in packs.merging(own, uniquingKeysWith: { $1 }).sorted(by: { $0.key < $1.key }).map(\.value) {
            objects.append((source.archive.incarnation.pack(pack.label, pack.name), pack.size))
        }
        stored.packs = try manifest.neededPacks(first: label)
        stored.corruptPages = try corruptPages(stop)
        return stored
    }

    /// Compares the names and sizes of all the backup's objects with the listing, before `backup.json` is written.
    ///
    /// - Throws: `Problem`: a backup must not be complete without its data.
    func confirm() throws {
        var listed: [RepositoryKey: [String: Int64]] = [:]
        for (key, size) in objects {
            if listed[key.folder] == nil {
                let entries = try source.archive.store.list(key.folder)
                listed[key.folder] = entries.reduce(into: [:]) { $0[$1.name] = $1.size }
            }
            let found = listed[key.folder]?[key.name]
            guard found != size else { continue }
            throw Problem(
                "backup \"\(label)\" is not in repository \"\(source.archive.store.location)\" as it was written",
                detail: found.map { "\"\(key)\" has \($0) bytes instead of \(size)." } ?? "\"\(key)\" is not there.",
                hint: "Was the repository's file system away in the meantime? Take the backup again.")
        }
    }

    /// Stores small files that come after everything else, in a pack of their own.
    private func addLast(_ contents: [(path: String, bytes: [UInt8])]) throws {
        let now = Clock.now
        var batch = CopyBatch()
        let number = job.nextPack()
        var writer = try PackWriter(into: source.archive.store.begin(source.archive.incarnation.pack(label, number)))
        var compressor = try Compressor(level: source.request.compressLevel)
        for (path, bytes) in contents {
            let room = Compressor.bound(bytes.count)
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: room, alignment: 64)
            defer { buffer.deallocate() }
            let frame = try bytes.withUnsafeBytes { content in
                let length = try compressor.compress(content, into: buffer)
                return try writer.add(
                    UnsafeRawBufferPointer(rebasing: buffer[..<length]), size: content.count,
                    digest: Digest(of: content))
            }
            let id = Manifest.frameID(pack: number, ordinal: writer.frames.count - 1)
            batch.frames.append(.init(id: id, pack: number, frame: frame))
            let file = try manifest.add(
                ManifestFile(
                    path: path, kind: .regular, mode: 0o600, modified: now, size: Int64(bytes.count), target: nil,
                    digest: Digest(of: bytes)))
            batch.runs.append((id, ManifestRun(file: file, offset: 0, length: Int64(bytes.count), frameOffset: 0)))
        }
        try writer.finish()
        job.stored(pack: number, writer)
        try manifest.add(batch)
    }

    /// Of the pages with a wrong checksum, those that no later WAL can repair: written before the backup's start, or
    /// with an LSN after its end.
    private func corruptPages(_ stop: LSN) throws -> [CorruptPage] {
        let bad = suspects.filter { $0.lsn < job.start || $0.lsn > stop }.sorted {
            ($0.file, $0.block) < ($1.file, $1.block)
        }
        var last: (file: Int, path: String?, relation: String?)?
        return try bad.compactMap { page in
            if last?.file != page.file {
                let path = try manifest.path(of: page.file)
                last = (page.file, path, try path.flatMap(manifest.relationName))
            }
            return last?.path.map { CorruptPage(path: $0, block: page.block, relation: last?.relation) }
        }.sorted { ($0.path, $0.block) < ($1.path, $1.block) }
    }
}
