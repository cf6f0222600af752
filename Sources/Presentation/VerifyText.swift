public import Archiving
import Backups
import Monitoring
public import Operations
import Platform
import WAL

/// The result of verifying a backup.
public func verifiedLine(_ backup: VerifyJob.Backup) -> String {
    let report = backup.report
    let verdict =
        switch report.problems.count {
        case 0: "good"
        case let count: counted(count, "problem")
        }
    let before =
        report.skippedPacks == 0
        ? ""
        : "; \(report.skippedPacks) of \(counted(report.packs, "pack")) \(report.skippedPacks == 1 ? "was" : "were") found good "
            + "before an interruption"
    return "backup \(report.label): \(verdict); \(size(report.bytes)) in \(counted(report.frames, "frame")), "
        + "\(counted(report.pages, "page")) and \(counted(report.segments, "WAL segment")) read, "
        + duration(report.seconds) + before
}

/// The result of verifying archived WAL.
public func verifiedWALText(_ verification: ArchiveVerification) -> String {
    "\(counted(verification.segments, "segment")) (\(size(Int64(clamping: verification.bytes))), stored in "
        + "\(size(verification.storedBytes))) with \(counted(verification.records, "record")) and "
        + "\(counted(verification.otherFiles, "other file")) read; \(counted(verification.problems.count, "problem"))"
        + (verification.unread > 0
            ? "\n\(counted(verification.unread, "segment")) \(verification.unread == 1 ? "is" : "are") of a PostgreSQL version this tidemark does not know: only "
                + (verification.unread == 1 ? "its checksum was verified." : "their checksums were verified.")
            : "")
}

/// Verified backups and archived WAL as JSON.
public struct VerifyDocument: Encodable {
    let backups: [VerifiedBackupDocument]
    let wal: [VerifiedWALDocument]

    public init(_ report: VerifyJob.Report) {
        backups = report.backups.map(VerifiedBackupDocument.init)
        wal = report.archives.map(VerifiedWALDocument.init)
    }
}

/// A verified backup as JSON.
public struct VerifiedBackupDocument: Encodable {
    struct Gap: Encodable {
        let first, last: String
        let segments: Int
    }
    let label: String
    let problems: [ProblemRow]
    /// Gaps after the backup: it can't be recovered past them.
    let gaps: [Gap]
    let packs, skippedPacks, frames, segments: Int
    let bytes, pages: Int64
    let seconds: Double

    public init(_ backup: VerifyJob.Backup) {
        let report = backup.report
        label = report.label
        problems = report.problems.map { ProblemRow(message: $0.message, detail: $0.detail) }
        gaps = backup.gaps.map { Gap(first: $0.first.description, last: $0.last.description, segments: $0.count) }
        (packs, skippedPacks, frames) = (report.packs, report.skippedPacks, report.frames)
        (segments, bytes, pages) = (report.segments, report.bytes, report.pages)
        seconds = report.seconds
    }
}

/// Verified archived WAL as JSON.
public struct VerifiedWALDocument: Encodable {
    struct Problem: Encodable {
        let segment: String?
        let message: String
        let detail: String?
    }
    let segments, otherFiles, unread: Int
    let bytes: UInt64
    let storedBytes: Int64
    let records: UInt64
    let problems: [Problem]

    public init(_ verification: ArchiveVerification) {
        (segments, otherFiles) = (verification.segments, verification.otherFiles)
        (unread, bytes) = (verification.unread, verification.bytes)
        (storedBytes, records) = (verification.storedBytes, verification.records)
        problems = verification.problems.map {
            Problem(segment: $0.segment?.description, message: $0.message, detail: $0.detail)
        }
    }
}
