import Archiving
import Configuration
import Glibc
import Platform
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
                + "no time to archive is archived first; the old directory is renamed, not removed. Another directory must be "
                + "empty or absent, unless --keep-old renames it, too. In any directory but the cluster's own archiving is off, "
                + "and the server listens on a socket in the directory only, until you change that (--set).",
            "Every recovery is recorded in the repository.",
        ],
        options: TargetOptions.options + DropOptions.options + RecoveryOptions.shown + [
            .init("start", "start the server and wait until the target is reached"),
            .init(
                "log-file", value: "FILE", "the started server's log (default: tidemark-recovery.log in the directory)"),
            .init(
                "keep-old", "rename a directory that isn't empty, and recover in its place; in place, this is always so"
            ),
            .init(
                "resume", "go on with a recovery into this directory that was interrupted; --set changes its settings"),
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
                "beside the living server"),
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

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.cluster()
        let directory = try PlannedRecovery.directory(invocation, cluster)
        if invocation.arguments.has("resume") { return try resume(invocation, cluster, directory) }
        let old = try OldDirectory(directory)
        let isDelta = invocation.arguments.has("delta")
        if old != nil, !isInPlace(directory, cluster), !isDelta, !invocation.arguments.has("keep-old") {
            try refuseToRename(directory, cluster)
        }
        if !isDelta { try old?.refuseIfMounted() }
        if invocation.arguments.has("dry-run") {
            let planned = try PlannedRecovery(invocation, cluster)
            try planned.show(invocation)
            try planned.refuseWhatCannotBe(keeping: old == nil || isDelta)
            return .success
        }
        guard
            let planned = try plan(invocation, cluster, in: directory, takingPlaceOf: old, asking: invocation)
        else { return .interrupted }
        let claim = try RecoveryClaim(directory, in: cluster.state)
        defer { withExtendedLifetime(claim) {} }
        try refuseIfChanged(directory, since: old)
        var job = RecoverJob(
            invocation: invocation, planned: planned,
            state: RecoveryState(arguments: line(following: planned.plan.history), directory: directory))
        return try job.run(old: isDelta ? nil : old)
    }

    private static func isInPlace(_ directory: String, _ cluster: ClusterConfiguration) -> Bool {
        directory == cluster.dataDirectory.withoutTrailingSlash
    }

    private static func refuseToRename(_ directory: String, _ cluster: ClusterConfiguration) throws {
        let isRestored = try RecoveryState(of: directory, in: cluster.state)?.phase == .prepared
        throw Problem(
            "cannot recover into directory \"\(directory)\"",
            detail: isRestored
                ? "A recovery into it was interrupted after everything had been restored." : "It is not empty.",
            hint: isRestored
                ? "Go on with \"\(resumeCommand(directory))\"; or rename the directory with --keep-old, and start anew."
                : "Name an empty directory or one that does not exist yet; or rename this one with --keep-old.")
    }

    /// Archives what only the old directory holds, plans, and asks.
    ///
    /// - Parameter asking: the call whose `--yes` counts.
    /// - Returns: nil when the answer is no.
    private static func plan(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, in directory: String,
        takingPlaceOf old: OldDirectory?, asking: Invocation
    ) throws -> PlannedRecovery? {
        let isDelta = invocation.arguments.has("delta")
        let takesOwn = isInPlace(directory, cluster) && old != nil
        let rescued =
            try takesOwn ? RescueJob(cluster: cluster, log: invocation.log, isDelta: isDelta).run(directory) : nil
        let planned = try PlannedRecovery(invocation, cluster, rescued: rescued)
        // Found out before anybody is asked.
        try planned.refuseWhatCannotBe(keeping: old == nil || isDelta)
        if !invocation.json { try planned.show(invocation) }
        let question =
            old == nil
            ? "Recover into \"\(directory)\"?"
            : isDelta
                ? "Recover into \"\(directory)\", and overwrite what is there now?"
                : "Recover into \"\(directory)\", and rename what is there now?"
        let agreed = try takesOwn ? asking.confirm(question, byTyping: cluster.name) : asking.confirm(question)
        return agreed ? planned : nil
    }

    /// - Throws: `Problem` when the directory is another one now, or when a server has run on it since.
    private static func refuseIfChanged(_ directory: String, since old: OldDirectory?) throws {
        guard try OldDirectory(directory) == old else {
            throw Problem(
                "directory \"\(directory)\" is not what it was when the recovery was planned",
                detail: "Somebody else has worked on it meanwhile.", hint: "Look at it, and run the command again.")
        }
    }

    /// The command line, with the timeline that was chosen: what told it may be gone when the recovery is resumed.
    private static func line(following timeline: TimelineID) -> [String] {
        let typed = Array(commandLineWords().dropFirst(2))
        guard let place = typed.firstIndex(where: { $0.hasPrefix("--target-timeline") }) else {
            return typed + ["--target-timeline", timeline.description]
        }
        let words = typed[place].contains("=") ? 1 : 2
        guard typed[place..<min(typed.count, place + words)].last?.hasSuffix("latest") == true else { return typed }
        return typed[..<place] + ["--target-timeline", timeline.description] + typed[(place + words)...]
    }

    /// Passwords are not kept. A setting that held one must be named again: without it, it would be another one's.
    private static func refuseWithoutSecrets(_ state: RecoveryState, _ invocation: Invocation) throws {
        let named = Set(invocation.arguments.all("set").map { "set " + $0.prefix { $0 != "=" } })
        for option in state.withheld ?? [] where !named.contains(option) {
            if option == "conninfo" {
                guard invocation.arguments.settings["conninfo"] == nil else { continue }
                invocation.log(
                    .warning, "the password in --conninfo was not kept",
                    hint: "Where the server asks for it, name --conninfo again, or put the password into ~/.pgpass.")
            } else {
                let setting = option.dropFirst(4)
                throw Problem(
                    "the value of \"\(setting)\" was not kept: it holds a password",
                    hint: "Name it again: --set \(setting)=VALUE.")
            }
        }
    }

    /// The right to go on with a recovery that was looked at without it: nobody waits for a person's answer.
    /// - Throws: `RecoveryInProgress`; `Problem` when somebody else has gone on with it meanwhile.
    private static func claim(
        _ directory: String, _ cluster: ClusterConfiguration, goingOnWith state: RecoveryState
    ) throws -> RecoveryClaim {
        let claim = try RecoveryClaim(directory, in: cluster.state)
        guard try RecoveryState(of: directory, in: cluster.state) == state else {
            throw Problem(
                "the recovery into \"\(directory)\" is not where it was when it was looked at",
                detail: "Somebody else has gone on with it meanwhile, or has ended it.",
                hint: "Look at the directory, and run the command again if the recovery is still unfinished.")
        }
        return claim
    }

    private static func resume(
        _ invocation: Invocation, _ cluster: ClusterConfiguration, _ directory: String
    ) throws -> ExitStatus {
        // Whoever works on it is known before anything is looked at; it is given back at once.
        _ = try RecoveryClaim(directory, in: cluster.state)
        guard let state = try RecoveryState(of: directory, in: cluster.state) else {
            throw Problem(
                "no recovery into \"\(directory)\" was interrupted",
                hint: "Name the directory with --data-directory, or start a recovery with a target.")
        }
        try refuseWithoutSecrets(state, invocation)
        let line =
            state.arguments + (invocation.json && !state.arguments.contains("--json") ? ["--json"] : [])
            + invocation.arguments.all("set").map { "--set=\($0)" }
        let again = Invocation(
            arguments: try Arguments(line, by: grammar), log: invocation.log, notes: invocation.notes)
        invocation.log(.log, "resuming: tidemark recover \(state.arguments.joined(separator: " "))")
        // Flags of the first call hold for this one, unless it says otherwise.
        let flags = again.arguments.settings.merging(invocation.arguments.settings) { $1 }
        let configured = try Configuration(reading: invocation.configurationPath(), flags: flags)
            .cluster(named: cluster.name)
        // Nothing was done yet when it was interrupted, or somebody has put a directory there since: a server may have run on
        // it, and has committed what the first call knew nothing of.
        let old = state.phase == .restoring ? try OldDirectory(directory) : nil
        if invocation.arguments.has("dry-run") {
            let planned = try PlannedRecovery(again, configured, rescued: old == nil ? true : nil)
            try planned.show(again)
            return .success
        }
        guard let old else {
            // What an old directory's WAL held was archived, and the server's partial may be part of it.
            let planned = try PlannedRecovery(again, configured, rescued: true)
            let claim = try claim(directory, cluster, goingOnWith: state)
            defer { withExtendedLifetime(claim) {} }
            if state.phase == .restoring { try refuseIfChanged(directory, since: nil) }
            var job = RecoverJob(invocation: again, planned: planned, state: state)
            return try job.run(old: nil)
        }
        let isDelta = again.arguments.has("delta")
        if !isInPlace(directory, configured), !isDelta,
            !again.arguments.has("keep-old"), !invocation.arguments.has("keep-old")
        {
            try refuseToRename(directory, configured)
        }
        if !isDelta { try old.refuseIfMounted() }
        guard
            let planned = try plan(again, configured, in: directory, takingPlaceOf: old, asking: invocation)
        else { return .interrupted }
        let claim = try claim(directory, cluster, goingOnWith: state)
        defer { withExtendedLifetime(claim) {} }
        try refuseIfChanged(directory, since: old)
        var job = RecoverJob(invocation: again, planned: planned, state: state)
        return try job.run(old: isDelta ? nil : old)
    }
}
