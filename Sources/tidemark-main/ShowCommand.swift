import BaseBackup
import Configuration
import Operations
import Platform
import Repository
import WAL

enum ShowCommand: Command {
    static let grammar = Grammar(
        "show", "show what is in a backup",
        description: ["One backup's description, its databases and its largest tables, all from the repository."],
        words: [.init("LABEL", "a backup as \"tidemark list\" names it")],
        options: [
            .init("tables", value: "N", "show the N largest tables (default: 20)"),
            .init("json", "print JSON"),
        ],
        examples: [Grammar.Example("tidemark show 20261105T020000Z-full", "one backup")])

    private struct Document: Encodable {
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
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let label = invocation.arguments.words[0]
        let archive = try incarnations(of: cluster).holding(label)
        let limit = try invocation.arguments.integer("tables", in: 0...1_000_000) ?? 20
        let backup = try archive.backup(label)
        let contents = try backupContents(backup.label, of: archive, limit: limit)
        if invocation.json {
            try invocation.print(json: document(backup, contents))
        } else {
            invocation.print(text(backup, contents))
        }
        return .success
    }

    private static func document(_ backup: BackupDescription, _ contents: BackupContents) -> Document {
        func parts(_ list: [BackupContents.Part]) -> [Document.Part] {
            list.map { .init(name: $0.name, size: $0.size, files: $0.files) }
        }
        return Document(
            label: backup.label, start: backup.startTime.iso8601, stop: backup.stopTime.iso8601,
            startLsn: backup.startLSN.description, stopLsn: backup.stopLSN.description,
            firstWal: backup.startSegment.description, lastWal: backup.stopSegment.description,
            timeline: backup.timeline.rawValue, serverVersion: backup.serverVersion, files: backup.fileCount,
            packs: contents.packs, frames: contents.frames, size: backup.size, storedSize: backup.storedSize,
            zeros: contents.zeros, verifiedPages: backup.verifiedPages, checksums: backup.hasChecksums,
            fromStandby: backup.fromStandby, pinned: backup.isPinned, pinnedUntil: backup.pinnedUntil?.iso8601,
            note: backup.note, corruptPages: backup.corruptPages, tablespaces: backup.tablespaces,
            settings: backup.settings, databases: parts(contents.databases), tables: parts(contents.tables))
    }

    private static func text(_ backup: BackupDescription, _ contents: BackupContents) -> String {
        var facts: [(String, String)] = [
            ("backup", backup.label), ("note", backup.note ?? ""),
            ("server", "PostgreSQL \(backup.settings["server_version"] ?? String(backup.major))"),
            ("source", backup.fromStandby ? "standby" : "primary"),
            ("start", "\(backup.startTime) at \(backup.startLSN)"),
            ("stop", "\(backup.stopTime) at \(backup.stopLSN), timeline \(backup.timeline)"),
            ("WAL", "\(backup.startSegment) to \(backup.stopSegment)"),
            ("size", "\(size(backup.size)) in \(backup.fileCount) files"),
            ("stored", "\(size(backup.storedSize)) in \(contents.packs) packs, \(contents.frames) frames"),
            ("checksums", backup.hasChecksums ? "\(backup.verifiedPages) pages verified" : "off"),
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
            lines += ["", table.text]
        }
        return lines.joined(separator: "\n")
    }
}
