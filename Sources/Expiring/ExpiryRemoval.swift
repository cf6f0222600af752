import Backups
import Platform
import Repository
import Retention
import WAL

extension Expiry {
    /// How many segments are removed between two calls of `proceed`.
    private static let most = 64

    /// Finds the objects to remove.
    func survey(_ report: inout ExpiryReport, includesRemains: Bool) throws {
        // Packs to which a kept backup refers stay, even under a removed label.
        let kept = keptPacks(report.decision)
        if includesRemains {
            report.remains = listing.incomplete
            for label in try gone() where kept.concern(label) {
                for entry in try archive.sparePacks(of: label, keeping: kept) {
                    report.sparePacks.append(archive.incarnation.packFolder(label).appending(entry.name))
                    report.freed += entry.size ?? 0
                }
            }
        }
        for label in report.decision.expired + report.remains {
            report.freed += try archive.removableSize(of: label, keeping: kept)
        }
        guard report.decision.keepWALFrom != nil, let segmentSize = listing.all.first?.segmentSize else { return }
        for timeline in try archive.timelines() {
            for folder in try archive.walFolders(of: timeline) {
                for found in try archive.files(in: folder) {
                    switch found.file {
                    case .segment(let name) where found.copy == 1:
                        if report.decision.keeps(name, segmentSize: segmentSize) { continue }
                        report.segments.append(name)
                    case .segment(let name), .partial(let name), .backupHistory(let name, _):
                        if report.decision.keeps(name, segmentSize: segmentSize) { continue }
                        report.otherWAL.append(folder.appending(found.entry.name))
                    // Histories are small, and recovery reads all of them.
                    case .history: continue
                    }
                    report.freed += found.entry.size ?? 0
                }
            }
        }
        report.segments.sort()
        for name in report.segments {
            if let run = report.segmentRuns.last, run.upperBound.next(segmentSize: segmentSize) == name {
                report.segmentRuns[report.segmentRuns.count - 1] = run.lowerBound...name
            } else {
                report.segmentRuns.append(name...name)
            }
        }
    }

    private func keptPacks(_ decision: RetentionDecision) -> KeptPacks {
        let kept = decision.kept
        return KeptPacks(of: listing.all.filter { kept.contains($0.label) })
    }

    /// Labels of which only packs are left to which some backup refers.
    private func gone() throws -> [String] {
        let others = Set(listing.all.map(\.label) + listing.incomplete + listing.unreadable.map(\.label))
        return try archive.store.list(archive.incarnation.packFolder).filter(\.isFolder).map(\.name)
            .filter { !others.contains($0) }
    }

    func carryOut(_ report: inout ExpiryReport, _ removal: BackupRemoval, proceed: () throws -> Void) throws {
        let kept = keptPacks(report.decision)
        for label in report.decision.expired {
            try proceed()
            attempt("backup \"\(label)\"", &report) { try removal(label, keeping: kept) }
        }
        for label in report.remains {
            try proceed()
            attempt("the remains of \"\(label)\"", &report) { try removal(label, keeping: kept) }
        }
        for key in report.sparePacks {
            try proceed()
            attempt("\"\(key)\"", &report) { try removal.folders.remove(key) }
        }
        // Oldest first: an interrupted expiry leaves no gap.
        for start in stride(from: 0, to: report.segments.count, by: Expiry.most) {
            try proceed()
            let some = report.segments[start..<min(report.segments.count, start + Expiry.most)]
            removal.folders.remove(some.map(archive.incarnation.segment)) { index, error in
                failed("segment \"\(report.segments[start + index])\"", error, &report)
            }
        }
        try proceed()
        removal.folders.remove(report.otherWAL) { index, error in
            failed("\"\(report.otherWAL[index])\"", error, &report)
        }
        for key in Set(report.segments.map { archive.key(for: .segment($0)).folder }) {
            removal.folders.removeIfEmpty(key)
        }
    }

    private func attempt(_ what: String, _ report: inout ExpiryReport, _ body: () throws -> Void) {
        do { try body() } catch { failed(what, error, &report) }
    }

    private func failed(_ what: String, _ error: any Error, _ report: inout ExpiryReport) {
        report.failures.append("could not remove \(what): \(error)")
    }
}
