import Configuration
import Glibc
import Operations
import Platform
import Presentation

enum InitCommand: Command {
    static let grammar = Grammar(
        "init", "set up a cluster's place in the repository and check the server's settings",
        description: [
            "Creates the repository if it doesn't exist, and in it the place for the cluster as it is now (major version and system "
                + "identifier). After initdb or pg_upgrade, run it again: a new place is created next to the old one. Running it twice "
                + "changes nothing. A place that has backups or WAL, but not its incarnation.json, is refused: part of the storage "
                + "may be missing. --rebuild writes the document anew.",
            "Then the server's settings are compared with what archiving needs. What is missing is printed, or with --write set by "
                + "ALTER SYSTEM. Changes of wal_level and archive_mode need a restart of the server.",
        ],
        options: [
            Grammar.Option("write", "set what is missing with ALTER SYSTEM and reload the server's configuration"),
            Grammar.Option("replace", "with --write: replace an archive_command or archive_library of another program"),
            Grammar.Option(
                "rebuild", "write a lost or damaged incarnation.json anew, next to the backups and WAL that are there"),
            Grammar.Option("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark init", "create the repository, say what the server lacks"),
            Grammar.Example("sudo tidemark init --write", "set it, too"),
        ],
        exits: [(3, "done, but the server lacks a setting, must be restarted for one, or could not be queried")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let job = try InitJob(of: cluster, in: invocation.configuration(), invocation.installation())
        for directory in job.directories { try Ownership.makeDirectory(directory, for: cluster) }
        try Ownership.become(ownerFor: cluster)
        let arguments = invocation.arguments
        let report = try job.run(
            !arguments.has("write") ? .nothing : arguments.has("replace") ? .everything : .settings,
            rebuilding: arguments.has("rebuild"))
        if invocation.json {
            try invocation.print(json: InitDocument(report))
        } else {
            // As systemd documents it: whether this system was booted with it (sd_booted(3)).
            invocation.print(initText(report, hasSystemd: access("/run/systemd/system", F_OK) == 0))
        }
        return report.isGood ? .success : .problemsFound
    }
}

/// The absolute path of `tidemark`, which PostgreSQL calls; it lies beside this executable.
func leanExecutable() throws -> String {
    var buffer = [CChar](repeating: 0, count: Int(PATH_MAX) + 1)
    let count = try retrying(.readLink, "/proc/self/exe") { readlink("/proc/self/exe", &buffer, Int(PATH_MAX)) }
    let own = String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return Files.parent(own) + "/tidemark"
}
