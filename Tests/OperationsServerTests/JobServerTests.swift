import Archiving
import Configuration
import Operations
import Planning
import Platform
import Postgres
import Recovery
import Restoring
import Support
import Synchronization
import Testing
import WAL

/// Jobs without a command line: a request in, a report out.
@Suite(.serialized) struct JobServerTests {
    private static let shared = TestSite.shared {
        let site = try TestSite()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select generate_series(1, 1000) as n")
        try site.archiveEverything()
        return site
    }

    private let site: TestSite
    private let cluster: ClusterConfiguration
    private let installation: Installation

    init() throws {
        site = try Self.shared.get()
        cluster = try Configuration(reading: site.configuration).cluster(named: "main")
        installation = Installation(executable: try Executables.tidemark(), configuration: site.configuration)
    }

    private var latest: TargetRequest { TargetRequest(.target(RecoveryTarget(.latest))) }

    @Test func `a plan is what the command shows`() throws {
        let planned = try PlannedRecovery(
            RecoveryOrder(latest, directory: site.scratch.file("elsewhere")), of: cluster, installation)
        let shown = try site.tidemark(
            ["plan", "--target", "latest", "--data-directory", site.scratch.file("elsewhere"), "--json"],
            expectSuccess: true)
        #expect(shown.output.contains("\"lsn\" : \"\(planned.plan.end)\""), "\(planned.plan.end) \(shown.output)")
        #expect(shown.output.contains("\"\(planned.plan.backup.label)\""), "\(shown.output)")
        for setting in planned.settings { #expect(shown.output.contains("\"\(setting.name)\""), "\(setting.line)") }
        #expect(planned.settings.contains { $0.value.contains("--config \(site.configuration)") })
        // There is nobody to ask or notify, and nothing was created.
        #expect(try !Files.exists(site.scratch.file("elsewhere")))
    }

    @Test func `a recovery that is cancelled can be resumed, and has what the plan says`() throws {
        let directory = site.scratch.file("recovered")
        var order = RecoveryOrder(latest, directory: directory)
        order.settings = [RecoverySetting("work_mem", "9MB")]
        let told = Mutex<(lines: [String], remains: RecoveryRemains?)>(([], nil))
        var context = JobContext()
        context.report = { message in told.withLock { $0.lines.append(message.message) } }
        context.leaving = { remains in told.withLock { $0.remains = remains } }
        context.progress = { [cancellation = context.cancellation] _ in cancellation.cancel() }
        let job = try RecoverJob(order, of: cluster, installation, context)
        #expect(job.old == nil && job.wantsConsent && !job.replacesOwn)
        let planned = try job.plan()
        #expect(throws: JobCancelled.self) { try job.run(planned) }
        #expect(told.withLock { $0.remains?.directory } == directory)
        #expect(told.withLock { $0.lines.contains { $0.contains("into \"\(directory)\"") } })
        #expect(context.notes.all["backup"] == planned.plan.backup.label)
        #expect(try isUnfinishedRestore(directory))

        let interrupted = try InterruptedRecovery(into: directory, of: cluster)
        let recorded = try RecoveryOrder(of: interrupted.state)
        #expect(recorded.target.timeline == .number(TimelineID(1)) && recorded.directory == directory)
        // An examination that asks the user doesn't hold the lock.
        _ = try RecoveryClaim(directory, in: cluster.state, patience: 0)
        let again = try RecoverJob(resuming: interrupted, recorded, of: cluster, installation)
        // It was confirmed already.
        #expect(!again.wantsConsent)
        let report = try again.run(again.plan())
        #expect(report.result == nil && (report.prepared?.restore.files ?? 0) > 100)
        #expect(report.planned.plan.end == planned.plan.end)
        let left = try RecoveryState(of: directory, in: cluster.state)
        #expect(left == nil, "nothing is left to resume")
        try expectRows(1000, in: report)
    }

    /// Starts the recovered server, and stops it again.
    private func expectRows(_ count: Int, in report: RecoverReport) throws {
        let directory = report.planned.directory
        _ = try run("/bin/chown", ["-R", "postgres:", directory])
        let bin = site.cluster.server.bin
        try runAsServerUser(
            bin + "/pg_ctl", ["-D", directory, "-l", directory + "/log", "-w", "-t", "300", "start"],
            expectSuccess: true)
        defer { _ = try? runAsServerUser(bin + "/pg_ctl", ["-D", directory, "-m", "immediate", "stop"]) }
        let conninfo = try report.planned.conninfo().description
        func ask(_ query: String) throws -> String {
            let finished = try runAsServerUser(bin + "/psql", ["-XAtc", query, conninfo], expectSuccess: false)
            return finished.output.split(separator: "\n").joined() + finished.errors
        }
        try wait(for: "the end of the recovery") { try ask("select pg_is_in_recovery()") == "f" }
        #expect(try ask("select count(*) from t") == "\(count)")
    }
}
