import Configuration
import Platform
import Recovery
import Repository
import Setup

enum PlanCommand: Command {
    static let grammar = Grammar(
        "plan", "show where a recovery would end, without touching anything",
        description: [
            "Chooses the base backup, follows the timelines, checks that every WAL segment needed is in the archive, and names the "
                + "last transaction that will be there and the first that won't, by PostgreSQL's own rules. A target that can't "
                + "be reached is refused with the reason and the nearest ones that can."
        ],
        options: TargetOptions.options + RecoveryOptions.shown + [Grammar.Option("json", "print JSON")],
        examples: [
            Grammar.Example("tidemark plan --target latest", "everything the archive holds"),
            Grammar.Example("tidemark plan --target-time '2026-11-05 09:59:00 Europe/Berlin'", "up to a moment"),
        ],
        exits: [(4, "the target cannot be reached")])

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let planned = try PlannedRecovery(invocation, cluster)
        try planned.show(invocation)
        return .success
    }
}

/// A plan with the archive and the setup it was made for.
struct PlannedRecovery {
    let cluster: ClusterConfiguration
    let archive: RecoveryArchive
    let plan: Plan
    let directory: String
    let setup: RecoverySetup

    init(_ invocation: Invocation, _ cluster: ClusterConfiguration) throws {
        self.cluster = cluster
        let arguments = invocation.arguments
        let request = try TargetOptions.request(arguments, zone: cluster.timezone)
        directory = try absolutePath(arguments.value("data-directory") ?? cluster.dataDirectory).withoutTrailingSlash
        setup = try RecoveryOptions.setup(
            invocation, cluster, isOwnDirectory: directory == cluster.dataDirectory.withoutTrailingSlash)
        archive = try RecoveryArchive(
            store: DirectoryStore(cluster.repository), cluster: cluster.name, dataDirectory: cluster.dataDirectory,
            jobs: cluster.jobs)
        do { plan = try archive.plan(request, usePartials: arguments.has("use-partial")) } catch let refusal as PlanRefusal {
            throw Unreachable(refusal: refusal)
        }
    }

    var settings: [RecoverySetting] { plan.settings(for: setup, directory: directory) }

    var archiving: String {
        setup.isOwnDirectory
            ? "as configured: \"\(directory)\" is the cluster's own directory"
            : "off in \"\(directory)\", which is not the cluster's configured directory"
    }

    func show(_ invocation: Invocation) throws {
        if invocation.json {
            try invocation.print(
                json: PlanDocument(
                    plan, settings: settings, archiving: setup.isOwnDirectory, remarks: archive.remarks))
        } else {
            invocation.print(
                PlanText(
                    plan: plan, settings: settings, archiving: archiving, zone: cluster.timezone,
                    remarks: archive.remarks
                ).text)
        }
    }
}

/// A refusal, with its exit status.
struct Unreachable: Explained, ExitStatusProviding {
    let refusal: PlanRefusal
    var message: String { refusal.message }
    var detail: String? { refusal.detail }
    var hint: String? { refusal.hint }
    var exitStatus: ExitStatus {
        switch refusal.reason {
        case .unknownBackup: .failure
        default: .unreachable
        }
    }
}

/// The options that shape the recovered server.
enum RecoveryOptions {
    static let shown: [Grammar.Option] = [
        .init("data-directory", value: "DIR", "the directory to recover into (default: the cluster's own)"),
        .init(
            "target-action", value: "promote|pause|shutdown",
            "what the server does at the target (default: promote, so that it takes writes)"),
        .init("standby", "set up a standby that follows the archive, instead of ending recovery"),
        .init(
            "use-partial",
            "where the last segment of a timeline was archived as .partial only, take what it holds"),
        .init(
            "set", value: "NAME=VALUE", repeats: true, "a server setting for the recovered directory; may be repeated"),
    ]

    static func setup(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, isOwnDirectory: Bool
    ) throws -> RecoverySetup {
        let arguments = invocation.arguments
        let commands = ServerCommands(
            executable: try leanExecutable(), configuration: try invocation.configurationPath(),
            cluster: cluster.name)
        var setup = RecoverySetup(restoreCommand: commands.restore, isOwnDirectory: isOwnDirectory)
        setup.isStandby = arguments.has("standby")
        if let word = arguments.value("target-action") {
            guard let action = TargetAction(rawValue: word) else {
                throw UsageError("--target-action takes \"promote\", \"pause\" or \"shutdown\", not \"\(word)\"")
            }
            setup.action = action
        }
        setup.extra = try arguments.all("set").map { text throws(UsageError) in
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = parts[0].lowercased()
            guard parts.count == 2, !name.isEmpty,
                name.allSatisfy({ $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ".") })
            else { throw UsageError("--set takes NAME=VALUE, not \"\(text)\"") }
            return RecoverySetting(name, String(parts[1]))
        }
        return setup
    }
}

extension String {
    /// `/a/b` for `/a/b/`.
    var withoutTrailingSlash: String {
        var text = self
        while text.count > 1 && text.hasSuffix("/") { text.removeLast() }
        return text
    }
}
