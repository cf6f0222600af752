public import Backups
import DataDirectory
import Glibc
import Platform
public import Repository
import Synchronization
import WAL

/// Restores the files of a complete backup: every frame verified, everything fsynced, `backup_label` and
/// `tablespace_map` in place, an empty `pg_wal`, and a `backup_manifest` for pg_verifybackup. Neither `recovery.signal`
/// nor settings are written: that is recovery's business.
///
/// pg_control is written last, so that a directory whose restore was interrupted cannot be started; the same call on it
/// continues the restore, until the caller has done the rest and calls `completeRestore`.
///
/// - Parameter progress: called now and then, from the calling thread. What it throws ends the restore.
/// - Throws: `TargetInUse`, `ObjectDamaged`, `NoSuchBackup`, `LeaseLost`, `SystemError`.
public func restoreBackup(
    _ backup: BackupDescription, of archive: ClusterArchive, request: RestoreRequest,
    progress: @escaping @Sendable (CopyProgress) throws -> Void = { _ in }
) throws -> RestoreReport {
    let lease = try BackupLease(backup.label, of: archive)
    return try lease.reading {
        try restoreFiles(of: backup, lease, archive, request) {
            try lease.confirm()
            try progress($0)
        }
    }
}

private func restoreFiles(
    of backup: BackupDescription, _ lease: BackupLease, _ archive: ClusterArchive, _ request: RestoreRequest,
    progress: (CopyProgress) throws -> Void
) throws -> RestoreReport {
    let began = Clock.monotonic
    let target = try RestoreTarget(request, backup)
    let manifest = try ManifestReader(backup.label, of: archive)
    try manifest.checkBounds(backup)
    let part = try RestorePart(request, sparing: target.foreignMounts())
    var extent = try part.extent(of: manifest)
    if let reserve = request.reserve {
        let place = Files.parent(target.path)
        let free = try Files.space(at: place).free
        guard free >= reserve + extent.space else {
            throw NotEnoughSpace(path: place, needed: reserve + extent.space, free: free)
        }
    }
    let (places, extra) = try target.prepare(part, manifest)

    let jobs = max(1, request.jobs)
    let job = try RestoreJob(
        places: places, isDelta: target.isDelta, keepsPages: request.isThrowaway || request.isReadSoon, jobs: jobs)
    try restoreFrames(job, manifest, part, archive, jobs: jobs) { done in
        try progress(CopyProgress(done: done, total: backup.size, seconds: Double(Clock.monotonic - began) / 1e9))
    }
    try finishFiles(job, manifest, part)

    var special: [String: [UInt8]] = [:]
    if let text = try manifest.content(of: "tablespace_map", archive: archive) {
        let bytes = Array(try mapped(String(decoding: text, as: UTF8.self), target, manifest).utf8)
        special["tablespace_map"] = bytes
        extent.size += Int64(bytes.count - text.count)
        try replaceDurably(places("tablespace_map"), bytes: bytes, mode: 0o600)
    }
    guard let controlFile = try manifest.file(at: ControlFile.path),
        let control = try manifest.content(of: ControlFile.path, archive: archive)
    else { throw Problem("backup \"\(backup.label)\" has no \(ControlFile.path)") }
    _ = try ControlFile(parsing: control, path: ControlFile.path)
    special[ControlFile.path] = control

    // Without this one no server starts.
    try lease.confirm()
    let controlPlace = places(ControlFile.path)
    if request.isThrowaway {
        let file = try Descriptor(open: controlPlace, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
        try control.withUnsafeBytes { try file.write($0, path: controlPlace.path) }
    } else {
        try target.synchronize()
        if part.isEverything {
            try writeVerifiableManifest(places("backup_manifest"), manifest, job, special, backup)
        }
        try replaceDurably(controlPlace, bytes: control, mode: controlFile.restoredMode)
    }
    return RestoreReport(
        files: extent.files, size: extent.size,
        written: job.written.load(ordering: .relaxed) + special.values.reduce(0) { $0 + Int64($1.count) },
        fetched: job.fetched.load(ordering: .relaxed), removed: extra.removed, brokenLinks: extra.brokenLinks,
        keptMounts: extra.keptMounts, seconds: Double(Clock.monotonic - began) / 1e9)
}

/// Queues the work for the threads and waits for them.
private func restoreFrames(
    _ job: RestoreJob, _ manifest: ManifestReader, _ part: RestorePart, _ archive: ClusterArchive, jobs: Int,
    progress: (Int64) throws -> Void
) throws {
    let work: @Sendable () throws -> Void = { try RestoreWorker(job).run() }
    try withWorkers(jobs, work, cancel: job.items.cancel) {
        var item = PackPortion()
        var current: (id: Int, pack: StoredPack)?
        func flush() throws {
            // A frame that is in place already is not read.
            if !job.isDelta { item.pack?.readAhead(item.frames.lazy.map(\.frame)) }
            if item.pack != nil || !item.zeros.isEmpty { try job.items.send(item) }
            item = PackPortion(pack: current?.pack)
            try progress(job.done.load(ordering: .relaxed))
        }
        // Runs of an unknown file are only reported by a complete restore.
        let sorted = try manifest.sortedRuns { $0.map(part.isCopied) ?? part.isEverything }
        try sorted.forEachFrame { id, frame, runs in
            if current?.id != id {
                guard let place = manifest.packs[id] else {
                    throw Problem("the manifest of backup \"\(manifest.label)\" names an unknown pack")
                }
                try flush()
                let pack = try archive.pack(place.label, place.name)
                current = (id, pack)
                item = PackPortion(pack: pack)
            }
            item.add(frame, runs, bytes: runs.reduce(0) { $0 + $1.run.length })
            if item.isFull { try flush() }
        }
        try flush()
        try sorted.forEachZeroRun { run in
            item.add(zeros: run)
            if item.isFull { try flush() }
        }
        try flush()
        job.items.finish()
    }
    if let failure = job.items.failure { throw failure }
    try progress(job.done.load(ordering: .relaxed))
}

/// Creates files without runs, empty ones and holes, and checks that all others are complete.
private func finishFiles(_ job: RestoreJob, _ manifest: ManifestReader, _ part: RestorePart) throws {
    try manifest.forEachFile(.regular) { index, file in
        if RestorePart.special.contains(file.path) { return }
        let place = job.places(file.path)
        let path = place.path
        switch part.treatment(of: file.path, size: file.size) {
        case .absent: return
        case .whole where file.size > 0:
            let restored = try job.tally.total(of: index).bytes
            guard restored == file.size else {
                throw Problem(
                    "the manifest of backup \"\(manifest.label)\" is incomplete",
                    detail: "Of file \"\(file.path)\" it has \(restored) of \(file.size) bytes.")
            }
        case .whole, .hole:
            let flags = O_WRONLY | O_CREAT | (file.size == 0 ? O_TRUNC : O_EXCL)
            let descriptor = try Descriptor(open: place, flags, mode: file.restoredMode)
            _ = try retrying(.changeMode, path) { fchmod(descriptor.raw, file.restoredMode) }
            _ = try retrying(.truncate, path) { ftruncate(descriptor.raw, off_t(file.size)) }
        }
    }
}

/// `tablespace_map` with the new places of tablespaces: a starting server creates its links from it.
private func mapped(_ text: String, _ target: RestoreTarget, _ manifest: ManifestReader) throws -> String {
    var map = try TablespaceMapFile(parsing: text)
    map.links = try map.links.map { link in
        if let place = target.tablespaces[link.oid] {
            return TablespaceLink(oid: link.oid, location: place, isInPlace: link.isInPlace)
        }
        // A tablespace in place has its path in the data directory.
        guard link.location == "pg_tblspc/\(link.oid)" else {
            throw manifest.damaged("tablespace_map names tablespace \(link.oid), which the backup does not have")
        }
        return link
    }
    return map.text
}

private func writeVerifiableManifest(
    _ place: Place, _ manifest: ManifestReader, _ job: RestoreJob, _ special: [String: [UInt8]],
    _ backup: BackupDescription
) throws {
    try replaceDurably(place, mode: 0o600) { output, temporary in
        var list = VerifiableManifest(
            major: backup.major, systemIdentifier: backup.systemIdentifier)
        try manifest.forEachFile(.regular) { index, file in
            let bytes = special[file.path]
            list.add(
                path: file.path, size: bytes.map { Int64($0.count) } ?? file.size, modified: file.modified,
                checksum: try bytes.map(FileTally.checksum) ?? job.tally.total(of: index).checksum)
            if list.pending.count >= 64 << 10 { try list.hand(to: output, temporary) }
        }
        list.finish(timeline: backup.timeline, start: backup.startLSN, end: backup.stopLSN)
        try list.hand(to: output, temporary)
    }
}
