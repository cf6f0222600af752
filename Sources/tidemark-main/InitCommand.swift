import Archiving
import Configuration
import DataDirectory
import Glibc
import Operations
import Platform
import Postgres
import Repository
import Setup

enum InitCommand: Command {
    static let grammar = Grammar(
        "init", "set up a cluster's place in the repository and check the server's settings",
        description: [
            "Creates the repository if it doesn't exist, and in it the place for the cluster as it is now (major version and system "
                + "identifier). After initdb or pg_upgrade, run it again: a new place is created next to the old one. Running it twice "
                + "changes nothing.",
            "Then the server's settings are compared with what archiving needs. What is missing is printed, or with --write set by "
                + "ALTER SYSTEM. Changes of wal_level and archive_mode need a restart of the server.",
        ],
        options: [
            Grammar.Option("write", "set what is missing with ALTER SYSTEM and reload the server's configuration"),
            Grammar.Option("replace", "with --write: replace an archive_command or archive_library of another program"),
            Grammar.Option("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark init", "create the repository, say what the server lacks"),
            Grammar.Example("sudo tidemark init --write", "set it, too"),
        ],
        exits: [(3, "done, but the server lacks a setting, or must be restarted for one")])

    private struct Report: Encodable {
        let cluster: String
        let repository: String
        let incarnation: String
        let created: Bool
        let settings: [ServerFinding]
        let restartNeeded: Bool
    }

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let configuration = try invocation.configuration()
        let cluster = try invocation.cluster(becomeOwner: false)
        guard try Files.exists(cluster.dataDirectory) else {
            throw Problem(
                "data directory \"\(cluster.dataDirectory)\" does not exist",
                hint: "Correct data_directory in \"\(configuration.path)\".")
        }
        try cluster.places.check()
        for directory in [cluster.repository, cluster.stateDirectory] {
            try Ownership.makeDirectory(directory, for: cluster)
        }
        try Ownership.become(ownerFor: cluster)

        let connection = try Connection(cluster.conninfo)
        for directory in [cluster.repository, cluster.stateDirectory] { try Files.makeDirectories(directory) }
        let (incarnation, isNew) = try initializeCluster(
            named: cluster.name, dataDirectory: DataDirectory(cluster.dataDirectory), connection: connection,
            in: cluster.openRepository())
        let inspection = try ServerInspection(
            of: connection, archiving: invocation.installation().archivingCall(for: cluster, in: configuration))
        let write = invocation.arguments.has("write")
        if write, let foreign = inspection.foreignArchiving, !invocation.arguments.has("replace") {
            throw Problem(
                foreign.what, detail: "It is: \(foreign.setting.current)",
                hint: "If tidemark is to take over, add --replace; the other archive then gets no more WAL.")
        }
        let restart =
            write ? try !inspection.apply(to: connection).isEmpty : inspection.findings.contains(where: \.needsRestart)
        if invocation.json {
            try invocation.print(
                json: Report(
                    cluster: cluster.name, repository: cluster.repository, incarnation: incarnation.folderName,
                    created: isNew,
                    settings: inspection.findings, restartNeeded: restart))
        } else {
            invocation.print(
                isNew
                    ? "Created \(incarnation) in repository \"\(cluster.repository)\"."
                    : "\(incarnation) is already in repository \"\(cluster.repository)\".")
            invocation.print(text(inspection, written: write, restart: restart))
            invocation.print(schedule(cluster.name))
        }
        return write ? (restart ? .problemsFound : .success) : (inspection.isGoodEnough ? .success : .problemsFound)
    }

    private static func text(_ inspection: ServerInspection, written: Bool, restart: Bool) -> String {
        guard !inspection.changes.isEmpty else { return "The server's settings are as they should be." }
        var lines = [written ? "Set with ALTER SYSTEM:" : "For postgresql.conf (\"tidemark init --write\" sets it):"]
        for finding in inspection.changes {
            let value = (finding.wanted ?? "").reduce(into: "") { $0 += $1 == "'" ? "''" : String($1) }
            lines.append("    \(finding.name) = '\(value)'   # was '\(printable(finding.current))'. \(finding.reason)")
        }
        if restart { lines.append("Restart the server: wal_level and archive_mode take effect only then.") }
        return lines.joined(separator: "\n")
    }

    /// How to have backups and checks made by themselves.
    private static func schedule(_ cluster: String) -> String {
        // As systemd documents it: whether this system was booted with it (sd_booted(3)).
        guard access("/run/systemd/system", F_OK) == 0 else {
            return "To schedule backups and checks, see crontab.sample in the documentation."
        }
        let timers = ["backup", "check", "verify", "drill"].map { "tidemark-\($0)@\(cluster).timer" }
        return "To schedule backups and checks:\n    systemctl enable --now "
            + timers.joined(separator: " ")
    }
}

/// The absolute path of `tidemark`, which PostgreSQL calls; it lies beside this executable.
func leanExecutable() throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = try retrying(.readLink, "/proc/self/exe") { readlink("/proc/self/exe", &buffer, Int(PATH_MAX)) }
    let own = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Files.parent(own) + "/tidemark"
}
