import Configuration
import Jobs
import Operations
import Planning
import Platform
import Presentation
import Recovery

enum DrillCommand: Command {
    static let grammar = Grammar(
        "drill", "rehearse a recovery into a scratch cluster, check it, and record how long it took",
        description: [
            "Recovers into a temporary cluster under scratch_directory: private socket, no archiving, no autovacuum, no background "
                + "workers that could connect to other servers. At the target it runs pg_amcheck if that is installed, the queries of "
                + "drill_sql, and the row counts of drill_min_rows; a restore or a replay without progress for longer than drill_timeout is terminated, and so are checks that take longer. Then the scratch cluster is removed, whatever happened.",
            "Without a target, it recovers everything in the archive. The time it took and the outcome are recorded in the "
                + "repository, where \"tidemark check\" finds the recovery time.",
        ],
        options: TargetOptions.options + [
            .init("random", "a random moment between the oldest backup and the archive's end"),
            .init(
                "set", value: "NAME=VALUE", repeats: true, "a server setting for the scratch cluster; may be repeated"),
            .init("json", "print JSON"),
        ],
        examples: [
            Grammar.Example("tidemark drill", "everything in the archive"),
            Grammar.Example("tidemark drill --random", "somewhere in between; for a timer"),
        ],
        exits: [(3, "the recovery worked, but a check failed"), (4, "the target cannot be reached")])

    static let jobKind: JobKind? = .drill

    static func run(_ invocation: Invocation) throws -> ExitStatus {
        let cluster = try invocation.becomeOwnerWithPlacesApart()
        let arguments = invocation.arguments
        // A target that was typed may be wrong; a timer's command has none.
        if !typed.contains(where: arguments.has) { invocation.notes.begin() }
        let job = try DrillJob(
            target(arguments, cluster), settings: RecoveryOptions.settings(arguments), of: cluster,
            invocation.installation(), invocation.context())
        let report = try job.run()
        if invocation.json {
            try invocation.print(json: DrillDocument(report, job.plan))
        } else {
            invocation.print(drillText(report, job.plan))
        }
        return report.complaints.isEmpty ? .success : .problemsFound
    }

    private static let typed = TargetOptions.points + ["target-timeline", "incarnation", "backup", "set"]

    private static func target(_ arguments: Arguments, _ cluster: ClusterConfiguration) throws -> TargetRequest {
        let given = TargetOptions.points.first(where: arguments.has)
        if arguments.has("random") {
            if let given { throw UsageError("--random and --\(given) exclude each other") }
            return try TargetOptions.request(.anyMoment, arguments)
        }
        guard given != nil else { return try TargetOptions.request(.target(RecoveryTarget(.latest)), arguments) }
        return try TargetOptions.request(arguments, zone: cluster.timezone)
    }
}
