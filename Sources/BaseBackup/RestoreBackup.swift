import DataDirectory
import Glibc
import Platform
public import Repository
import Synchronization
import WAL

/// Restores the files of a complete backup: every frame verified, everything fsynced, `backup_label` and `tablespace_map`
/// in place, an empty `pg_wal`, and a `backup_manifest` for pg_verifybackup. Neither `recovery.signal` nor settings are
/// written: that is recovery's business.
///
/// pg_control comes last, so that a directory whose restore was interrupted cannot be started; the same call on it
/// continues the restore.
///
/// - Parameter progress: called now and then, from the calling thread.
/// - Throws: `TargetInUse`, `ObjectDamaged`, `NoSuchBackup`, `SystemError`.
public func restoreBackup(
    _ backup: BackupDescription, of incarnation: Incarnation, from store: any ObjectStore, request: RestoreRequest,
    progress: @escaping @Sendable (CopyProgress) -> Void = { _ in }
) throws -> RestoreReport {
    let began = Clock.monotonic
    let lease = try BackupLease(backup.label, of: incarnation, in: store)
    defer { withExtendedLifetime(lease) {} }
    let target = try RestoreTarget(request, backup)
    let manifest = try ManifestReader(backup.label, of: incarnation, in: store)
    var files = try manifest.files()
    let controlIndex = files.firstIndex { $0?.path == ControlFile.path }
    let mapIndex = files.firstIndex { $0?.path == "tablespace_map" }
    let kept = Set([controlIndex, mapIndex].compactMap { $0 })
    var holes: Set<Int> = []
    if let selection = request.selection {
        for case (let index, let file?) in files.enumerated() where !kept.contains(index) {
            switch selection(file.path, file.size) {
            case .whole: continue
            case .hole: if file.kind == .regular { holes.insert(index) }
            case .absent: files.remove(index)
            }
        }
    }
    if let reserve = request.reserve {
        let whole = holes.reduce(reserve + files.totalSize) { $0 - files.size($1) }
        let place = Files.parent(target.path)
        let free = try Files.space(at: place).free
        guard free >= whole else { throw NotEnoughSpace(path: place, needed: whole, free: free) }
    }
    let removed = try target.prepare(files, manifest)

    let job = RestoreJob(root: target.path, files: files, isDelta: target.isDelta)
    let isPartial = request.selection != nil
    func isHeld(_ index: Int) -> Bool {
        kept.contains(index)
            || isPartial && files.indices.contains(index) && (holes.contains(index) || files[index] == nil)
    }
    try restoreFrames(job, manifest, incarnation, store, isHeld: isHeld, jobs: request.jobs) { done in
        progress(CopyProgress(done: done, total: backup.size, seconds: Double(Clock.monotonic - began) / 1e9))
    }
    try restoreEmptyFiles(job)
    try makeHoles(job, holes)

    var special: [Int: [UInt8]] = [:]
    if let mapIndex, let text = try manifest.content(of: "tablespace_map", incarnation: incarnation, store: store) {
        let bytes = Array(try mapped(String(decoding: text, as: UTF8.self), target).utf8)
        special[mapIndex] = bytes
        files.setSize(mapIndex, Int64(bytes.count))
        try replaceDurably(target.path + "/tablespace_map", bytes: bytes, mode: 0o600)
    }
    guard let controlIndex,
        let control = try manifest.content(of: ControlFile.path, incarnation: incarnation, store: store)
    else { throw Problem("backup \"\(backup.label)\" has no \(ControlFile.path)") }
    _ = try ControlFile(parsing: control, path: ControlFile.path)
    special[controlIndex] = control

    let controlPath = target.path + "/" + ControlFile.path
    if request.isThrowaway {
        let file = try Descriptor(open: controlPath, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try control.withUnsafeBytes { try file.write($0, path: controlPath) }
    } else {
        try target.synchronize()
        try writeVerifiableManifest(target.path + "/backup_manifest", files, job, special, backup)
        try replaceDurably(controlPath, bytes: control, mode: mode_t(files[controlIndex]!.mode))
        try target.unmark()
    }
    return RestoreReport(
        files: files.indices.count { files.isRegular($0) }, size: files.totalSize,
        written: job.written.load(ordering: .relaxed) + special.values.reduce(0) { $0 + Int64($1.count) },
        fetched: job.fetched.load(ordering: .relaxed), removed: removed, seconds: Double(Clock.monotonic - began) / 1e9)
}

/// Feeds the workers and waits for them.
///
/// - Parameter isHeld: files that are written separately, or not at all.
private func restoreFrames(
    _ job: RestoreJob, _ manifest: ManifestReader, _ incarnation: Incarnation, _ store: any ObjectStore,
    isHeld: (Int) -> Bool, jobs: Int, progress: (Int64) -> Void
) throws {
    var threads: [Worker] = []
    defer { for thread in threads { thread.join() } }
    do {
        for _ in 0..<max(1, jobs) {
            threads.append(
                try Worker {
                    do { try RestoreWorker(job).run() } catch { job.items.cancel(error) }
                })
        }
        var covered = [Int64](repeating: 0, count: job.files.count)
        func cover(_ run: ManifestRun) { if covered.indices.contains(run.file) { covered[run.file] += run.length } }
        var item = RestoreItem()
        var current: (id: Int, pack: StoredPack)?
        func flush() throws {
            if item.pack != nil || !item.zeros.isEmpty { try job.items.send(item) }
            item = RestoreItem(pack: current?.pack)
            progress(job.done.load(ordering: .relaxed))
        }
        try manifest.forEachFrame { id, frame, runs in
            runs.forEach(cover)
            let runs = runs.filter { !isHeld($0.file) }
            if current?.id != id {
                guard let place = manifest.packs[id] else {
                    throw Problem("the manifest of backup \"\(manifest.label)\" names an unknown pack")
                }
                try flush()
                let pack = try StoredPack(incarnation.pack(place.label, place.number), in: store)
                current = (id, pack)
                item = RestoreItem(pack: pack)
            }
            guard !runs.isEmpty else { return }
            item.frames.append((frame, runs))
            item.bytes += runs.reduce(0) { $0 + $1.length }
            if item.bytes >= 4 << 20 { try flush() }
        }
        try flush()
        for run in try manifest.zeroRuns() {
            cover(run)
            if isHeld(run.file) { continue }
            item.zeros.append(run)
            item.bytes += run.length
            if item.zeros.count >= 64 { try flush() }
        }
        try flush()
        for (index, file) in job.files.enumerated() {
            if let file, file.kind == .regular, covered[index] != file.size {
                throw Problem(
                    "the manifest of backup \"\(manifest.label)\" is incomplete",
                    detail: "Of file \"\(file.path)\" it has \(covered[index]) of \(file.size) bytes.")
            }
        }
        job.items.finish()
        for thread in threads { thread.join() }
        threads = []
        if let failure = job.items.failure { throw failure }
        progress(job.done.load(ordering: .relaxed))
    } catch {
        job.items.cancel(error)
        throw error
    }
}

/// Files without content have no run.
private func restoreEmptyFiles(_ job: RestoreJob) throws {
    for case let file? in job.files where file.kind == .regular && file.size == 0 {
        let path = job.root + "/" + file.path
        let descriptor = try Descriptor(open: path, O_WRONLY | O_CREAT | O_TRUNC, mode: mode_t(file.mode))
        _ = try retrying(.changeMode, path) { fchmod(descriptor.raw, mode_t(file.mode)) }
    }
}

/// Files of their full length and nothing in it.
private func makeHoles(_ job: RestoreJob, _ indexes: Set<Int>) throws {
    for index in indexes {
        guard let file = job.files[index], file.size > 0 else { continue }
        let path = job.root + "/" + file.path
        let descriptor = try Descriptor(open: path, O_WRONLY | O_CREAT | O_EXCL, mode: mode_t(file.mode))
        _ = try retrying(.truncate, path) { ftruncate(descriptor.raw, off_t(file.size)) }
    }
}

/// `tablespace_map` with the places tablespaces have now: a starting server makes its links from it.
private func mapped(_ text: String, _ target: RestoreTarget) throws -> String {
    var map = try TablespaceMapFile(parsing: text)
    map.links = map.links.map { link in
        TablespaceLink(
            oid: link.oid, location: target.tablespaces[link.oid] ?? link.location, isInPlace: link.isInPlace)
    }
    return map.text
}

private func writeVerifiableManifest(
    _ path: String, _ files: FileList, _ job: RestoreJob, _ special: [Int: [UInt8]], _ backup: BackupDescription
) throws {
    try replaceDurably(path, mode: 0o600) { output, temporary in
        var list = VerifiableManifest(
            major: backup.major, systemIdentifier: backup.systemIdentifier)
        for case (let index, let file?) in files.enumerated() where file.kind == .regular {
            let sum = special[index].map(FileChecksums.of) ?? job.checksums.finished(index, size: file.size)
            list.add(path: file.path, size: file.size, modified: file.modified, checksum: sum)
            if list.pending.count >= 64 << 10 { try list.hand(to: output, temporary) }
        }
        list.finish(timeline: backup.timeline, start: backup.startLSN, end: backup.stopLSN)
        try list.hand(to: output, temporary)
    }
}
