public import Backups
import DataDirectory
import Platform
public import Repository
import SQLite
import WAL

/// The options of a verification.
public struct VerifyRequest: Sendable {
    public var jobs: Int
    /// Read the WAL that the backup needs, too.
    public var includesWAL: Bool
    /// Where to record packs found good, in case the verification is interrupted; nil for nowhere.
    public var progressDirectory: String?

    public init(jobs: Int = 2, includesWAL: Bool = true, progressDirectory: String? = nil) {
        self.jobs = jobs
        self.includesWAL = includesWAL
        self.progressDirectory = progressDirectory
    }
}

/// Verifies a whole backup in the repository, without a server: the manifest is sound and complete, every pack exists
/// and matches it, every frame has its original content, every page its checksum, and the WAL is complete and
/// continuous.
///
/// Continues after a problem; the report has all of them. An object that can't be read is one. What `progress` throws
/// ends it.
/// - Throws: only what makes verifying impossible, such as a repository that can't be reached; `NoSuchBackup` and
///   `BackupInProgress` as a lease does.
public func verifyBackup(
    _ backup: BackupDescription, of archive: ClusterArchive, request: VerifyRequest,
    progress: @escaping @Sendable (CopyProgress) throws -> Void = { _ in }
) throws -> VerifyReport {
    let began = Clock.monotonic
    let lease = try BackupLease(backup.label, of: archive)
    defer { withExtendedLifetime(lease) {} }
    var report = VerifyReport(label: backup.label)
    do {
        let manifest = try ManifestReader(backup.label, of: archive)
        try ManifestVerification(backup, archive, request, manifest).run(into: &report) { done in
            try progress(CopyProgress(done: done, total: backup.size, seconds: Double(Clock.monotonic - began) / 1e9))
        }
    } catch let error as ObjectAbsent {
        report.problems.append(BackupProblem(error.message))
    } catch let error as DatabaseError where error.isDamage {
        report.problems.append(BackupProblem("the manifest is damaged", detail: "SQLite says: \(error.reason)."))
    } catch let error as any Explained where error.concernsOneObject || error is Problem {
        report.problems.append(BackupProblem(error.message, detail: error.detail))
    }
    report.problems += try withoutAside([backup], of: archive).aside.map(\.problem)
    if request.includesWAL {
        let wal = try WALVerification(backup, archive).run()
        report.segments = wal.segments
        report.problems += wal.problems
    }
    report.seconds = Double(Clock.monotonic - began) / 1e9
    return report
}

/// The verification of a manifest and its packs.
private struct ManifestVerification {
    let backup: BackupDescription
    let archive: ClusterArchive
    let request: VerifyRequest
    let manifest: ManifestReader

    init(
        _ backup: BackupDescription, _ archive: ClusterArchive, _ request: VerifyRequest,
        _ manifest: ManifestReader
    ) {
        (self.backup, self.archive) = (backup, archive)
        (self.request, self.manifest) = (request, manifest)
    }

    func run(into report: inout VerifyReport, progress: (Int64) throws -> Void) throws {
        for problem in try manifest.database.problems() {
            report.problems.append(BackupProblem("the manifest is damaged", detail: "SQLite says: \(problem)."))
        }
        report.problems += try missingFiles()
        try manifest.forEachIncompleteFile { path in
            report.problems.append(
                BackupProblem(
                    path.map { "the runs of file \"\($0)\" do not add up to its content" }
                        ?? "the manifest has a run of an unknown file"))
        }
        let memory = VerifyProgressFile(
            directory: request.progressDirectory, label: backup.label, incarnation: archive.incarnation.folderName)
        let jobs = max(1, request.jobs)
        let job = VerifyJob(backup, pageCheck: try pageCheck(), progress: memory, jobs: jobs)
        try checkFrames(job, jobs, &report, progress)
        job.findings.update { found in
            report.problems += found.problems
            report.frames = found.frames
            report.bytes = found.bytes
            report.pages = found.pages
        }
        memory.remove()
    }

    private func pageCheck() throws -> PageCheck? {
        guard backup.hasChecksums,
            let bytes = try? manifest.content(of: ControlFile.path, archive: archive),
            let control = try? ControlFile(parsing: bytes, path: ControlFile.path),
            control.blockSize == UInt32(PageCheck.pageSize)
        else { return nil }
        return PageCheck(blocksPerFile: control.blocksPerRelationFile)
    }

    private func missingFiles() throws -> [BackupProblem] {
        let needed: [String] = ["PG_VERSION", ControlFile.path, "backup_label"]
        return try needed.filter { path in
            try manifest.database.integer("SELECT count(*) FROM file WHERE path = ?", path) == 0
        }.map { BackupProblem("the manifest lacks file \"\($0)\"") }
    }

    private func checkFrames(
        _ job: VerifyJob, _ jobs: Int, _ report: inout VerifyReport, _ progress: (Int64) throws -> Void
    ) throws {
        let work: @Sendable () throws -> Void = { try VerifyWorker(job).run() }
        let feed = try withWorkers(jobs, work, cancel: job.items.cancel) {
            var feed = PackFeed(job: job, archive: archive, manifest: manifest)
            try manifest.sortedRuns().forEachFrame { pack, frame, runs in
                if try feed.add(pack, frame, runs) {
                    try progress(job.findings.update { $0.bytes } + feed.skippedBytes)
                }
            }
            try feed.finish()
            job.items.finish()
            return feed
        }
        if let failure = job.items.failure { throw failure }
        (report.packs, report.skippedPacks) = (feed.packs, feed.skipped)
        report.problems += feed.problems
        // The report of a damaged frame says more.
        let told = Set(job.findings.update { $0.problems.map(\.message) })
        report.problems += feed.unproven.filter { !told.contains($0.message) }
    }
}

/// Groups frames into work items, pack by pack, and compares each pack's stored bytes and index with the manifest.
private struct PackFeed {
    let job: VerifyJob
    let archive: ClusterArchive
    let manifest: ManifestReader
    private(set) var packs = 0
    private(set) var skipped = 0
    private(set) var skippedBytes: Int64 = 0
    private(set) var problems: [BackupProblem] = []
    /// Packs whose stored bytes differ from the manifest's digest.
    private(set) var unproven: [BackupProblem] = []
    private var current: Int?
    private var fitsManifest = true
    private var pack: StoredPack?
    private var index: Set<PackFrame> = []
    private var item = PackPortion()

    init(job: VerifyJob, archive: ClusterArchive, manifest: ManifestReader) {
        (self.job, self.archive, self.manifest) = (job, archive, manifest)
    }

    /// - Returns: whether a work item was queued.
    mutating func add(_ id: Int, _ frame: PackFrame, _ runs: [FileRun]) throws -> Bool {
        var handedOut = false
        if current != id {
            try flush(last: true)
            try open(id)
            handedOut = true
        }
        guard let pack else {
            skippedBytes += Int64(frame.size)
            return handedOut
        }
        if !index.contains(frame) {
            fitsManifest = false
            problems.append(
                BackupProblem(
                    "pack \"\(pack.key)\" does not match the manifest",
                    detail: "Its index has no such frame at offset \(frame.offset)."))
        }
        item.add(frame, runs, bytes: Int64(frame.size))
        if item.isFull {
            try flush(last: false)
            handedOut = true
        }
        return handedOut
    }

    mutating func finish() throws { try flush(last: true) }

    private mutating func open(_ id: Int) throws {
        current = id
        pack = nil
        fitsManifest = true
        packs += 1
        guard let place = manifest.packs[id] else {
            problems.append(BackupProblem("the manifest names an unknown pack"))
            return
        }
        if job.progress.good.contains(id) {
            skipped += 1
            return
        }
        do {
            let opened = try archive.pack(place.label, place.name)
            index = Set(try opened.index())
            pack = opened
            item = PackPortion(pack: opened)
            do {
                try opened.prove(size: place.size, digest: place.digest)
            } catch let error as ObjectDamaged {
                fitsManifest = false
                unproven.append(VerifyJob.damage(of: opened, error.reason))
            }
            // The pack is done when this placeholder and all its items are.
            job.progress.begin(id, pieces: 1)
        } catch let error as ObjectAbsent {
            problems.append(BackupProblem("pack \"\(error.key)\" is missing"))
        } catch let error as ObjectDamaged {
            problems.append(BackupProblem("pack \"\(error.key)\" is damaged", detail: error.detail))
        } catch let error as any Explained where error.concernsOneObject {
            problems.append(BackupProblem(error.message, detail: error.detail))
        }
    }

    private mutating func flush(last: Bool) throws {
        guard let current, let pack else { return }
        if !item.frames.isEmpty {
            job.progress.begin(current, pieces: 1)
            pack.readAhead(item.frames.lazy.map(\.frame))
            try job.items.send((current, item))
        }
        item = PackPortion(pack: pack)
        if last { job.progress.finish(current, isGood: fitsManifest) }
    }
}
