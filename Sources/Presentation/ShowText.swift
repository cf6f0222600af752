import Backups
public import Operations
import Platform
import WAL

/// The contents of a backup.
public func showText(_ report: ShowReport) -> String {
    let (backup, contents) = (report.backup, report.contents)
    var facts: [(String, String)] = [
        ("backup", backup.label), ("note", backup.note ?? ""),
        ("server", "PostgreSQL \(backup.settings["server_version"] ?? String(backup.major))"),
        ("source", backup.fromStandby ? "standby" : "primary"),
        ("start", "\(backup.startTime) at \(backup.startLSN)"),
        ("stop", "\(backup.stopTime) at \(backup.stopLSN), timeline \(backup.timeline)"),
        ("WAL", "\(backup.startSegment) to \(backup.stopSegment)"),
        ("size", "\(size(backup.size)) in \(counted(backup.fileCount, "file"))"),
        (
            "stored",
            "\(size(backup.storedSize)) in \(counted(contents.packs, "pack")), \(counted(contents.frames, "frame"))"
        ),
        ("checksums", backup.hasChecksums ? "\(counted(backup.verifiedPages, "page")) verified" : "off"),
    ]
    if backup.isPinned { facts.append(("pinned", backup.pinnedUntil.map { "until \($0)" } ?? "for good")) }
    facts += backup.tablespaces.map { ("tablespace", "\($0.name) in \($0.location), \(size($0.size))") }
    facts += backup.corruptPages.map {
        ("corrupt", "block \($0.block) of \($0.relation ?? "an unknown relation"), file \($0.path)")
    }
    var lines = facts.filter { !$0.1.isEmpty }.map { name, value in
        name + String(repeating: " ", count: 12 - name.count) + value
    }
    for (title, parts) in [("database", contents.databases), ("table", contents.tables)] where !parts.isEmpty {
        var table = TextTable([title, "size", "files"], [.left, .right, .right])
        for part in parts { table.add([part.name, size(part.size), String(part.files)]) }
        lines += [""] + table.lines
    }
    return joined(lines)
}

/// The same as JSON.
public struct ShowDocument: Encodable {
    struct Part: Encodable {
        let name: String
        let size: Int64
        let files: Int
    }
    let label, start, stop, startLsn, stopLsn, firstWal, lastWal: String
    let timeline: UInt32
    let serverVersion, files, packs, frames: Int
    let size, storedSize, zeros, verifiedPages: Int64
    let checksums, fromStandby, pinned: Bool
    let pinnedUntil, note: String?
    let corruptPages: [CorruptPage]
    let tablespaces: [BackedUpTablespace]
    let settings: [String: String]
    let databases, tables: [Part]

    public init(_ report: ShowReport) {
        func parts(_ list: [BackupContents.Part]) -> [Part] {
            list.map { Part(name: $0.name, size: $0.size, files: $0.files) }
        }
        let (backup, contents) = (report.backup, report.contents)
        label = backup.label
        (start, stop) = (backup.startTime.iso8601, backup.stopTime.iso8601)
        (startLsn, stopLsn) = (backup.startLSN.description, backup.stopLSN.description)
        (firstWal, lastWal) = (backup.startSegment.description, backup.stopSegment.description)
        (timeline, serverVersion) = (backup.timeline.rawValue, backup.serverVersion)
        (files, packs, frames) = (backup.fileCount, contents.packs, contents.frames)
        (size, storedSize, zeros) = (backup.size, backup.storedSize, contents.zeros)
        (verifiedPages, checksums) = (backup.verifiedPages, backup.hasChecksums)
        (fromStandby, pinned) = (backup.fromStandby, backup.isPinned)
        (pinnedUntil, note) = (backup.pinnedUntil?.iso8601, backup.note)
        (corruptPages, tablespaces, settings) = (backup.corruptPages, backup.tablespaces, backup.settings)
        (databases, tables) = (parts(contents.databases), parts(contents.tables))
    }
}
