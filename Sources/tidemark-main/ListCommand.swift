import Archiving
import BaseBackup
import Catalog
import Configuration
import Operations
import Platform
import Repository
import WAL

enum ListCommand: Command {
    static let grammar = Grammar(
        "list", "list the base backups",
        description: [
            "Lists every complete backup of the cluster, oldest first. Backups that are still running or were interrupted are named below the "
                + "table; they can't be used."
        ],
        options: [.init("json", "print JSON")],
        examples: [Grammar.Example("tidemark list", "all backups")],
        exits: [
            (
                3,
                "WAL is missing that a backup needs to reach later moments, or a backup or an earlier incarnation cannot be read"
            )
        ])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let known = try incarnations(of: cluster)
        var rows: [ListedBackup] = []
        var remarks: [String] = []
        var gaps: [LineageGap] = []
        var isWhole = true
        var unreadable = 0
        var lost: [LostHistory] = []
        for archive in known.all {
            let incarnation = archive.incarnation
            let isCurrent = incarnation == known.current.incarnation
            let listing: BackupListing
            do { listing = try archive.listBackups() } catch  where !isCurrent {
                // What was before is no reason to be silent about what is.
                let explained = error as? any Explained
                invocation.log(
                    .warning, "incarnation \(incarnation.folderName), before initdb or pg_upgrade, cannot be read",
                    detail: "\(explained?.message ?? "\(error)").", hint: explained?.hint)
                isWhole = false
                continue
            }
            let (windows, histories) =
                listing.complete.isEmpty ? ([], []) : windows(of: listing.complete, archive, cluster, invocation)
            lost += histories
            let ends = Dictionary(
                windows.filter(\.isConsistent).map { ($0.backup.label, $0.last?.time ?? $0.from) },
                uniquingKeysWith: max)
            let found = windows.compactMap { if case .missing(let gap) = $0.ending { gap } else { nil } }
            if !found.isEmpty {
                let expired = try expiredSegments(
                    of: archive, by: invocation.policy(for: cluster), segmentSize: found[0].segmentSize)
                for gap in found where !gaps.contains(gap) && !gap.names.allSatisfy({ expired.contains($0) }) {
                    gaps.append(gap)
                }
            }
            rows += try listing.all.map { backup in
                ListedBackup(
                    backup, of: incarnation, until: ends[backup.label],
                    verified: try lastVerification(of: backup.label, of: archive),
                    damage: listing.aside.first { $0.backup.label == backup.label }?.damage)
            }
            remarks += listing.aside.map {
                "backup \"\($0.backup.label)\" can't be used: \($0.damage), with its \"\($0.file)\""
            }
            remarks += listing.incomplete.map { "backup \"\($0)\" is not complete: it still runs, or was interrupted" }
            for damaged in listing.unreadable { invocation.log(.warning, damaged.reason) }
            unreadable += listing.unreadable.count
            if !isCurrent {
                remarks += listing.all.map {
                    "backup \"\($0.label)\" is of incarnation \(incarnation.folderName), before initdb or pg_upgrade"
                }
            }
        }
        if invocation.json {
            try invocation.print(json: rows)
        } else if rows.isEmpty {
            invocation.print(
                unreadable == 0
                    ? "Cluster \"\(cluster.name)\" has no complete backup."
                    : "Cluster \"\(cluster.name)\" has no complete backup that can be read; \(unreadable) cannot.")
        } else {
            var table = TextTable(
                [
                    "label", "type", "start", "stop", "took", "size", "stored", "ratio", "WAL needed",
                    "recoverable until", "verified", "note",
                ],
                [.left, .left, .left, .left, .right, .right, .right, .right])
            for row in rows { table.add(row.columns) }
            invocation.print(table.text)
        }
        if !invocation.json {
            for remark in remarks { invocation.print(remark) }
            for gap in gaps {
                invocation.print("WAL \(gap.sentence): backups taken before the gap cannot be recovered past it.")
            }
        }
        for history in lost { invocation.log(.error, history) }
        return gaps.isEmpty && lost.isEmpty && isWhole && unreadable == 0 ? .success : .problemsFound
    }

    /// How far the archived WAL takes each backup, and the histories that might take it further. Empty without a catalog:
    /// the backups are listed all the same.
    private static func windows(
        of backups: [BackupDescription], _ archive: ClusterArchive, _ cluster: ClusterConfiguration,
        _ invocation: Invocation
    ) -> ([RecoveryWindow], [LostHistory]) {
        let (terminal, log) = (invocation.terminal, invocation.log)
        do {
            defer { terminal.finishProgress() }
            let catalog = try Catalog(
                at: cluster.state.catalog(of: archive.incarnation), archive: archive, note: { log(.warning, $0) })
            func show(_ done: Int, _ all: Int) {
                terminal.progress("reading segments: \(done) of \(all)", log: log)
            }
            return try catalog.current(jobs: cluster.jobs, progress: show) {
                (try $0.windows(of: backups.map(BackupSpan.init)), try $0.lostHistories())
            }
        } catch {
            log(.warning, "it is not known until when backups are recoverable", detail: "\(error)")
            return ([], [])
        }
    }
}

/// One line of `tidemark list`.
private struct ListedBackup: Encodable {
    let label: String
    let incarnation: String
    let type: String
    let start: String
    let stop: String
    let seconds: Double
    let size: Int64
    let storedSize: Int64
    let firstWal: String
    let lastWal: String
    let timeline: UInt32
    let corruptPages: Int
    let note: String?
    let pinned: Bool
    let pinnedUntil: String?
    let recoverableUntil: String?
    let verified: String?
    let verifyProblems: Int?

    /// Why it can't be used.
    let damage: String?

    init(
        _ backup: BackupDescription, of incarnation: Incarnation, until: Moment?, verified: RecordedVerification?,
        damage: String?
    ) {
        recoverableUntil = until?.iso8601
        self.damage = damage
        pinned = backup.isPinned
        pinnedUntil = backup.pinnedUntil?.iso8601
        self.verified = verified?.time.iso8601
        verifyProblems = verified?.problems
        label = backup.label
        self.incarnation = incarnation.folderName
        type = backup.kind.rawValue
        start = backup.startTime.iso8601
        stop = backup.stopTime.iso8601
        seconds = backup.timings.total
        size = backup.size
        storedSize = backup.storedSize
        firstWal = backup.startSegment.description
        lastWal = backup.stopSegment.description
        timeline = backup.timeline.rawValue
        corruptPages = backup.corruptPages.count
        note = backup.note
    }

    private var remarks: String {
        let pin = pinned ? pinnedUntil.map { "pinned until \($0.prefix(10))" } ?? "pinned" : nil
        let corrupt = corruptPages > 0 ? "\(corruptPages) corrupt page\(corruptPages == 1 ? "" : "s")" : nil
        return [damage, note, pin, corrupt].compactMap { $0 }.joined(separator: "; ")
    }

    /// To the second, as PostgreSQL writes it.
    private func short(_ moment: String) -> String { String(moment.prefix(19).map { $0 == "T" ? " " : $0 }) + "+00" }

    var columns: [String] {
        let ratio = storedSize > 0 ? Int((Double(size) / Double(storedSize) * 10).rounded()) : 0
        return [
            label, type, short(start), short(stop),
            Quantity.pretty(milliseconds: Int64(seconds * 1000)), tidemark_main.size(size),
            tidemark_main.size(storedSize), "\(ratio / 10).\(ratio % 10)", "\(firstWal) … \(lastWal.suffix(8))",
            recoverableUntil.map(short) ?? (damage == nil ? "not known" : "never"),
            verified.map { day in
                let count = verifyProblems ?? 0
                return String(day.prefix(10)) + (count == 0 ? "" : ": \(count) \(count == 1 ? "problem" : "problems")")
            }
                ?? "never", remarks,
        ]
    }
}
