import Platform
public import Postgres

/// Compares a server's settings with what archiving and recovery need.
public struct ServerInspection: Sendable {
    public let findings: [ServerFinding]
    private let cluster: String

    public init(of connection: Connection, archiving: ArchivingCall) throws {
        cluster = archiving.cluster
        func show(_ name: String) throws -> String {
            try connection.query("SELECT current_setting($1, true)", [name]).scalar ?? ""
        }
        var findings: [ServerFinding] = []
        func check(
            _ name: String, _ isGood: (String) -> Bool, wanted: String, _ verdict: ServerFinding.Verdict,
            restart: Bool = false,
            _ reason: String
        ) throws {
            let current = try show(name)
            let good = isGood(current)
            findings.append(
                ServerFinding(
                    name: name, current: current, wanted: good ? nil : wanted, verdict: good ? .good : verdict,
                    reason: reason,
                    needsRestart: restart && !good))
        }
        try check(
            "wal_level", { $0 == "replica" || $0 == "logical" }, wanted: "replica", .required, restart: true,
            "WAL must hold enough to replay from a base backup.")
        try check(
            "archive_mode", { $0 == "on" || $0 == "always" }, wanted: "on", .required, restart: true,
            "The server must archive finished WAL segments.")
        try check(
            "archive_command", archiving.isServed, wanted: archiving.command, .required,
            ArchivingCall.mayHideFailure(show("archive_command"))
                ? "Its exit status must be that of one command: the server removes what it considers archived."
                : archiving.hasOthers
                    ? "Finished WAL segments must go to tidemark, under this cluster's name."
                    : "Finished WAL segments must go to tidemark.")
        if connection.majorVersion >= 15 {
            // A library takes precedence over the command, and from 16 on the server refuses to have both.
            try check(
                "archive_library", \.isEmpty, wanted: "", .required,
                "A library is used in archive_command's place.")
        }
        try check(
            "full_page_writes", { $0 == "on" }, wanted: "on", .required,
            "Pages copied while they are written are repaired from WAL.")
        try check("fsync", { $0 == "on" }, wanted: "on", .advised, "Without it a crash can lose what was committed.")
        try check(
            "archive_timeout", { $0 != "0" }, wanted: "60s", .advised,
            "An idle server otherwise keeps its last commits unarchived for as long as the segment lasts.")
        self.findings = findings
    }

    public var isGoodEnough: Bool { !findings.contains { $0.verdict == .required } }
    public var changes: [ServerFinding] { findings.filter { $0.verdict != .good } }

    /// The setting that archives with another program, which must not be replaced without asking, in words. The library
    /// comes first, because the server uses it instead of the command.
    public var foreignArchiving: (setting: ServerFinding, what: String)? {
        func wrong(_ name: String) -> ServerFinding? {
            findings.first { $0.name == name && $0.verdict != .good && !["", "(disabled)"].contains($0.current) }
        }
        if let library = wrong("archive_library") { return (library, "archive_library sends WAL to another archive") }
        guard let command = wrong("archive_command") else { return nil }
        switch ArchivingCall.receiver(of: command.current) {
        case .otherProgram: return (command, "archive_command calls another program")
        case .tidemark(nil), .tidemark(cluster): return nil
        case .tidemark: return (command, "archive_command archives for another cluster")
        }
    }

    /// Applies the wanted settings with ALTER SYSTEM and reloads the configuration; returns the changes that need a
    /// restart.
    @discardableResult
    public func apply(to connection: Connection) throws -> [ServerFinding] {
        for finding in changes {
            guard let wanted = finding.wanted else { continue }
            let literal = "'" + escaped(wanted) { $0 == "'" ? "''" : nil } + "'"
            try connection.query("ALTER SYSTEM SET \(finding.name) = \(literal)")
        }
        if !changes.isEmpty { try connection.query("SELECT pg_reload_conf()") }
        return changes.filter(\.needsRestart)
    }
}
