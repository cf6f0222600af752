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
    /// Whether a backup must be usable: that its branch was put aside is a problem then.
    public var mustBeUsable: Bool

    public init(
        jobs: Int = 2, includesWAL: Bool = true, progressDirectory: String? = nil, mustBeUsable: Bool = true
    ) {
        (self.jobs, self.includesWAL) = (jobs, includesWAL)
        (self.progressDirectory, self.mustBeUsable) = (progressDirectory, mustBeUsable)
    }
}

/// Verifies a whole backup in the repository, without a server: the manifest is sound and complete, every pack exists
/// and matches it, every frame has its original content, every page its checksum, and the WAL is complete and
/// continuous.
///
/// Continues after a problem; the report has all of them. An object that can't be read is one. What `progress` throws
/// ends it.
/// - Throws: only what makes verifying impossible, such as a repository that can't be reached; `NoSuchBackup` and
///   `BackupInProgress` as a lease does; `LeaseLost`: what is missing then may have been removed meanwhile.
public func verifyBackup(
    _ backup: BackupDescription, of archive: ClusterArchive, request: VerifyRequest,
    progress: @escaping @Sendable (CopyProgress) throws -> Void = { _ in }
) throws -> VerifyReport {
    let began = Clock.monotonic
    let lease = try BackupLease(backup.label, of: archive)
    var report = VerifyReport(label: backup.label)
    let own = BackupProblem.Trace.object(archive.incarnation.backup(backup.label, Manifest.objectName))
    do {
        let manifest = try ManifestReader(backup.label, of: archive)
        try ManifestVerification(backup, archive, request, manifest).run(into: &report) { done in
            try lease.confirm()
            try progress(CopyProgress(done: done, total: backup.size, seconds: Double(Clock.monotonic - began) / 1e9))
        }
    } catch let error as ObjectAbsent {
        report.problems.append(BackupProblem(error.message, trace: .object(error.key)))
    } catch let error as DatabaseError where error.isDamage {
        report.problems.append(
            BackupProblem("the manifest is damaged", detail: "SQLite says: \(error.reason).", trace: own))
    } catch let error as any Explained where error.concernsOneObject || error is Problem {
        report.problems.append(BackupProblem(error.message, detail: error.detail, trace: own))
    }
    report.aside = try withoutAside([backup], of: archive).aside.first
    if request.mustBeUsable, let aside = report.aside { report.problems.append(aside.problem) }
    // The WAL of a backup whose branch was put aside isn't where it was.
    if request.includesWAL, request.mustBeUsable || report.aside == nil {
        let wal = try WALVerification(backup, archive).run()
        report.segments = wal.segments
        report.problems += wal.problems
    }
    try lease.confirm()
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
            report.problems.append(
                BackupProblem(
                    "the manifest is damaged", detail: "SQLite says: \(problem).", trace: .object(manifest.key)))
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
