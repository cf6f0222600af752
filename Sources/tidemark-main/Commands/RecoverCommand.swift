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
        order.overrides = arguments.settings
        order.remarks = invocation.json ? [jsonRemark] : []
        let context = invocation.context(leavesServer: true)
        let job = try RecoverJob(order, of: cluster, invocation.installation(), context)
        return try carryOut(job, invocation, printsJSON: invocation.json)
    }

    private static func carryOut(
        _ job: RecoverJob, _ invocation: Invocation, printsJSON: Bool
    ) throws -> ExitStatus {
        if invocation.arguments.has("dry-run") {
            let planned = try job.preview()
            try invocation.show(planned, asJSON: printsJSON)
            try job.refuseWhatCannotBe(planned)
            return .success
        }
        let planned = try job.plan()
        if job.wantsConsent {
            if !printsJSON { try invocation.show(planned, asJSON: false) }
            let question = question(job)
            let agreed =
                try job.replacesOwn
                ? invocation.confirm(
                    "\(question) Type the cluster's name, \(planned.cluster.name), to go ahead: ",
                    byTyping: planned.cluster.name) : invocation.confirm(question)
            guard agreed else { return .interrupted }
        }
        let report = try job.run(planned)
        if printsJSON {
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

    /// Passwords are not kept. A setting with one must be given again: without it, the value would be different.
    private static func refuseWithoutSecrets(_ state: RecoveryState, _ invocation: Invocation) throws {
        let named = Set(invocation.arguments.all("set").map { RecordedOrder.parts($0).name.lowercased() })
        for setting in state.withheldOverrides where invocation.arguments.settings[setting] == nil {
            let option = "--" + setting.replacing("_", with: "-")
            invocation.log(
                .warning, "the password in \(option) was not kept",
                hint: "If the server asks for it, give \(option) again, or put the password into ~/.pgpass.")
        }
        if let setting = state.withheldSettings.first(where: { !named.contains($0) }) {
            throw Problem(
                "the value of \"\(setting)\" was not kept: it contains a password",
                hint: "Give it again: --set \(setting)=VALUE.")
        }
    }

    private static func resume(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, _ directory: String
    ) throws -> ExitStatus {
        let mapped = try RecoveryOptions.tablespaces(invocation.arguments).values.sorted()
        let interrupted = try InterruptedRecovery(into: directory, mapped: mapped, of: cluster)
        try refuseWithoutSecrets(interrupted.state, invocation)
        var order = try RecoveryOrder(of: interrupted.state)
        invocation.log(.log, "resuming: tidemark recover \(RecoveryOptions.line(order))")
        // Flags of the first call hold for this one, unless it says otherwise.
        let flags = order.overrides.merging(invocation.arguments.settings) { $1 }
        let configured = try Configuration(reading: invocation.configurationPath(), flags: flags)
            .cluster(named: cluster.name)
        order.settings += try RecoveryOptions.settings(invocation.arguments)
        order.directory = directory
        order.keepsOld = order.keepsOld || invocation.arguments.has("keep-old")
        let job = try RecoverJob(
            resuming: interrupted, order, of: configured, invocation.installation(),
            invocation.context(leavesServer: true))
        return try carryOut(job, invocation, printsJSON: invocation.json || order.remarks.contains(jsonRemark))
    }

    /// In the record of a recovery whose first call prints JSON; so does the one that resumes it.
    private static let jsonRemark = "json"
}
