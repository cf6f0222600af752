import BaseBackup
import Platform
import Postgres
import Recovery

/// Whether this host can bear the recovered cluster, found out before anything is touched.
struct HostCheck {
    private let planned: PlannedRecovery
    private let settings: [String: String]

    init(_ planned: PlannedRecovery) {
        self.planned = planned
        let described = planned.archive.backups.backup(planned.plan.backup.label)?.settings ?? [:]
        settings = described.merging(planned.setup.extra.map { ($0.name, $0.value) }) { $1 }
    }

    /// - Throws: `Problem` when the directory's file system is too small.
    func refuseWithoutSpace() throws {
        var place = planned.directory
        while try !Files.exists(place), place != "/" { place = Files.parent(place) }
        let space = try Files.space(at: place)
        // Replayed WAL passes through pg_wal; PostgreSQL keeps it in bounds.
        let needed = planned.plan.backup.size + 4 * Int64(planned.plan.segmentSize)
        guard space.free < needed else { return }
        throw Problem(
            "not enough space to recover into \"\(planned.directory)\"",
            detail: "The backup needs \(size(needed)); the file system of \"\(place)\" has \(size(space.free)) free.",
            hint: "Free space, or name a directory elsewhere with --data-directory.")
    }

    /// Sentences about settings that may be too much for this host.
    var warnings: [String] {
        guard let text = try? Files.readPseudoFile("/proc/meminfo") else { return [] }
        func kilobytes(_ name: String) -> Int64? {
            text.split(separator: "\n").first { $0.hasPrefix(name + ":") }
                .flatMap { $0.split(separator: " ").dropFirst().first }.flatMap { Int64($0) }
        }
        var warnings: [String] = []
        if let buffers = settings["shared_buffers"].flatMap(RecoverySetting.bytes), let total = kilobytes("MemTotal"),
            buffers > total * 1024 * 3 / 4
        {
            warnings.append(
                "The original has shared_buffers = \(size(buffers)); this host has \(size(total * 1024)) of memory. "
                    + "Use less, for example --set shared_buffers=\(max(1, total / 4096))MB.")
        }
        if settings["huge_pages"] == "on", kilobytes("HugePages_Total") ?? 0 == 0 {
            warnings.append("The original insists on huge pages; this host has none. Use --set huge_pages=off.")
        }
        return warnings
    }
}
