import Archiving
import Configuration
import Glibc
import Jobs
import Operations
import Planning
import Platform
import Presentation
import Recovery
import WAL

enum RecoverCommand: Command {
    static let grammar = Grammar(
        "recover", "bring the cluster back to a moment",
        description: [
            "Makes the same plan as \"tidemark plan\", asks for confirmation, restores the base backup, writes the recovery settings "
                + "into postgresql.auto.conf, and with --start starts the server, follows the replay and compares what was reached "
                + "with what was predicted.",
            "Without --data-directory it works in place, in the cluster's own directory: the server must be stopped; WAL that it had "
                + "not archived is archived first; the old directory is renamed, not removed. Another directory must be "
                + "empty or absent, unless --keep-old renames it, too. In any directory except the cluster's own, archiving is off, "
                + "and the server listens only on a socket in that directory, until you change that (--set).",
            "Every recovery is recorded in the repository.",
        ],
        options: TargetOptions.options + DropOptions.options + RecoveryOptions.shown + [
            .init("start", "start the server and wait until the target is reached"),
            .init(
                "log-file", value: "FILE", "the started server's log (default: tidemark-recovery.log in the directory)"),
            .init(
                "keep-old",
                "rename a directory that isn't empty, and recover in its place; this is the default in place"
            ),
            .init(
                "resume", "continue an interrupted recovery into this directory; --set changes its settings"),
            .init(
                "delta",
                "bring an existing copy of this cluster to the backup's state: rewrite only what differs, remove what is not in it"
            ),
            .init("dry-run", "print the plan and stop"),
            .init("yes", letter: "y", "don't ask for confirmation"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example(
                "tidemark recover --target-time '2026-11-05 09:59:00+01' --data-directory /srv/recovered --start",
                "next to the live server"),
            Grammar.Example("tidemark recover --target latest --start", "in place, after the server has died"),
            Grammar.Example(
                "tidemark recover --before-drop shop.public.orders --data-directory /srv/recovered --start",
                "undo a DROP"),
            Grammar.Example("tidemark recover --target latest --dry-run", "the plan only"),
        ],
        exits: [
            (3, "the server ended elsewhere than the plan said"),
            (4, "the target cannot be reached; nothing was touched"),
        ])

    static let jobKind: JobKind? = .recover

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwner()
        let arguments = invocation.arguments
        let directory = try RecoveryOptions.directory(arguments, cluster)
        if arguments.has("resume") { return try resume(invocation, cluster, directory) }
        var order = try RecoveryOptions.order(arguments, cluster)
        order.words = line
        let context = invocation.context(leavesServer: true)
        let job = try RecoverJob(order, of: cluster, invocation.installation(), context)
        return try carryOut(job, invocation, asking: invocation)
    }

    /// - Parameters:
    ///   - invocation: the call with the order.
    ///   - asking: the call whose `--yes` and `--dry-run` count.
    private static func carryOut(
        _ job: RecoverJob, _ invocation: Invocation, asking: Invocation
    ) throws -> ExitStatus {
        if asking.arguments.has("dry-run") {
            let planned = try job.preview()
            try invocation.show(planned)
            try job.refuseWhatCannotBe(planned)
            return .success
        }
        let planned = try job.plan()
        if job.wantsConsent {
            if !invocation.json { try invocation.show(planned) }
            let question = question(job)
            let agreed =
                try job.replacesOwn
                ? asking.confirm(
                    "\(question) Type the cluster's name, \(planned.cluster.name), to go ahead: ",
                    byTyping: planned.cluster.name) : asking.confirm(question)
            guard agreed else { return .interrupted }
        }
        let report = try job.run(planned)
        if invocation.json {
            try invocation.print(json: RecoverDocument(report))
        } else {
            invocation.print(try report.text())
        }
        return report.result?.asPredicted == false ? .problemsFound : .success
    }

    private static func question(_ job: RecoverJob) -> String {
        let directory = job.order.directory
        return job.old == nil
            ? "Recover into \"\(directory)\"?"
            : job.order.isDelta
                ? "Recover into \"\(directory)\", and overwrite what is there now?"
                : "Recover into \"\(directory)\", and rename what is there now?"
    }

    /// The command line, with the chosen timeline: the reasons for the choice may be gone when the recovery is resumed.
    private static func line(following timeline: TimelineID) -> [String] {
        let typed = Array(commandLineWords().dropFirst(2))
        guard let place = typed.firstIndex(where: { $0.hasPrefix("--target-timeline") }) else {
            return typed + ["--target-timeline", timeline.description]
        }
        let words = typed[place].contains("=") ? 1 : 2
        guard typed[place..<min(typed.count, place + words)].last?.hasSuffix("latest") == true else { return typed }
        return typed[..<place] + ["--target-timeline", timeline.description] + typed[(place + words)...]
    }

    /// Passwords are not kept. A setting with one must be given again: without it, the value would be different.
    private static func refuseWithoutSecrets(_ state: RecoveryState, _ invocation: Invocation) throws {
        let named = Set(invocation.arguments.all("set").map { "set " + $0.prefix { $0 != "=" } })
        for option in state.withheld ?? [] where !named.contains(option) {
            if option == "conninfo" {
                guard invocation.arguments.settings["conninfo"] == nil else { continue }
                invocation.log(
                    .warning, "the password in --conninfo was not kept",
                    hint: "If the server asks for it, give --conninfo again, or put the password into ~/.pgpass.")
            } else {
                let setting = option.dropFirst(4)
                throw Problem(
                    "the value of \"\(setting)\" was not kept: it contains a password",
                    hint: "Give it again: --set \(setting)=VALUE.")
            }
        }
    }

    private static func resume(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, _ directory: String
    ) throws -> ExitStatus {
        let mapped = try RecoveryOptions.tablespaces(invocation.arguments).values.sorted()
        let interrupted = try InterruptedRecovery(into: directory, mapped: mapped, of: cluster)
        let state = interrupted.state
        try refuseWithoutSecrets(state, invocation)
        let line =
            state.arguments + (invocation.json && !state.arguments.contains("--json") ? ["--json"] : [])
            + invocation.arguments.all("set").map { "--set=\($0)" }
        let again = Invocation(
            arguments: try Arguments(line, by: grammar), log: invocation.log, notes: invocation.notes)
        invocation.log(.log, "resuming: tidemark recover \(state.arguments.map(shellQuoted).joined(separator: " "))")
        // Flags of the first call hold for this one, unless it says otherwise.
        let flags = again.arguments.settings.merging(invocation.arguments.settings) { $1 }
        let configured = try Configuration(reading: invocation.configurationPath(), flags: flags)
            .cluster(named: cluster.name)
        var order = try RecoveryOptions.order(again.arguments, configured)
        order.directory = directory
        order.keepsOld = order.keepsOld || invocation.arguments.has("keep-old")
        let job = try RecoverJob(
            resuming: interrupted, order, of: configured, again.installation(), again.context(leavesServer: true))
        return try carryOut(job, again, asking: invocation)
    }
}
