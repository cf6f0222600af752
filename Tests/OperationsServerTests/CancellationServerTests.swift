import Archiving
import Backups
import Configuration
import Operations
import Planning
import Platform
import Repository
import Retention
import Support
import TableRecovery
import Testing
import WAL

/// A job, and what must be unchanged after a cancellation.
private struct CancelledJob: Sendable, CustomTestStringConvertible {
    let name: String
    let start: @Sendable (CancellationServerTests, JobContext) throws -> Void
    let left: @Sendable (CancellationServerTests) throws -> [String]
    var testDescription: String { name }

    init(
        _ name: String, _ start: @escaping @Sendable (CancellationServerTests, JobContext) throws -> Void,
        leaves left: @escaping @Sendable (CancellationServerTests) throws -> [String]
    ) {
        (self.name, self.start, self.left) = (name, start, left)
    }

    static let all = [
        CancelledJob(
            "backup", { _ = try BackupJob(of: $0.cluster, by: $0.origin, $1).run() }, leaves: { try $0.labels() }),
        CancelledJob(
            "verify", { _ = try VerifyJob(of: $0.cluster, policy: $0.policy, $1).run(.all, withWAL: true) },
            leaves: { try $0.verifications() }),
        CancelledJob(
            "verify --wal", { _ = try VerifyJob(of: $0.cluster, policy: $0.policy, $1).runWAL() },
            leaves: { try $0.verifications() }),
        CancelledJob(
            "import", { _ = try ImportJob(into: $0.cluster, $1).run($0.site.cluster.data + "/pg_wal") },
            leaves: { try $0.segments() }),
        CancelledJob(
            "drill", { _ = try DrillJob($0.latest, of: $0.cluster, $0.installation, $1).run() },
            leaves: { try $0.scratchClusters() }),
        CancelledJob(
            "recover-table",
            { tests, context in
                var order = TableRecoveryOrder([try TablePattern("postgres.public.t")], tests.latest)
                order.destinations = [.replacement]
                _ = try TableRecoveryJob(order, of: tests.cluster, context).run()
            },
            leaves: { try $0.scratchClusters() + [$0.site.cluster.psql("select count(*) from pg_class")] }),
        CancelledJob(
            "expire", { _ = try ExpireJob(of: $0.cluster, by: $0.policy, $0.origin, $1).run() },
            leaves: { try $0.labels() + $0.segments() }),
        CancelledJob(
            "clean", { _ = try CleanJob(of: $0.cluster, $1).run() },
            leaves: { try $0.scratchClusters() }),
    ]
}

/// The caller of a job can cancel it, from any thread and without a signal.
@Suite(.serialized) struct CancellationServerTests {
    private static let shared = TestSite.shared {
        let site = try TestSite()
        try site.cluster.psql("create table t as select generate_series(1, 1000) as n")
        for _ in 1...2 { try site.tidemark(["backup", "--no-expire"], expectSuccess: true) }
        try site.archiveEverything()
        return site
    }

    fileprivate let site: TestSite
    fileprivate let cluster: ClusterConfiguration
    fileprivate let installation: Installation
    fileprivate let origin = JobOrigin(user: "test", tidemarkVersion: "0")
    fileprivate let latest = TargetRequest(.target(RecoveryTarget(.latest)))
    fileprivate var policy: RetentionPolicy {
        var policy = RetentionPolicy()
        policy.keepFull = 1
        return policy
    }

    init() throws {
        site = try Self.shared.get()
        cluster = try Configuration(reading: site.configuration).cluster(named: "main")
        installation = Installation(executable: try Executables.tidemark(), configuration: site.configuration)
    }

    fileprivate func labels() throws -> [String] { try currentArchive(of: cluster).listBackups().all.map(\.label) }

    fileprivate func segments() throws -> [String] {
        let archive = try currentArchive(of: cluster)
        return try archive.timelines().flatMap { try archive.segments(timeline: $0).map(\.description) }
    }

    fileprivate func verifications() throws -> [String] {
        let archive = try currentArchive(of: cluster)
        return try labels().map { "\($0) \(String(describing: try lastVerification(of: $0, of: archive)))" }
    }

    fileprivate func scratchClusters() throws -> [String] { try Files.listIfPresent(cluster.scratchDirectory).sorted() }

    @Test(arguments: CancelledJob.all)
    fileprivate func `a job that is cancelled as it begins changes nothing`(_ job: CancelledJob) throws {
        // Left by a dead process, for the job that cleans.
        let left = cluster.scratchDirectory + "/tidemark-table-4000001-1a"
        if job.name == "clean" { try Files.makeDirectories(left) }
        defer { try? Files.removeTree(left) }
        let before = try job.left(self)
        let context = JobContext()
        context.cancellation.cancel()
        #expect(throws: JobCancelled.self) { try job.start(self, context) }
        #expect(try job.left(self) == before)
        // What it would have done otherwise, where that can be seen.
        guard job.name == "clean" else { return }
        try job.start(self, JobContext())
        #expect(try job.left(self) != before)
    }

    @Test(arguments: CancelledJob.all.filter { !["expire", "clean"].contains($0.name) })
    fileprivate func `a job that is cancelled on its way ends, and removes its own files`(_ job: CancelledJob) throws {
        let before = try job.left(self)
        var context = JobContext()
        context.progress = { [cancellation = context.cancellation] _ in cancellation.cancel() }
        #expect(throws: JobCancelled.self) { try job.start(self, context) }
        #expect(try job.left(self) == before)
    }

    @Test func `an expiry that was cancelled can be done again`() throws {
        _ = try ExpireJob(of: cluster, by: policy, origin).run()
        #expect(try labels().count == 1)
    }

    @Test func `a recovery that is cancelled before it has archived the dead server's WAL leaves it there`() throws {
        let site = try TestSite()
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.psql("alter system set archive_command = 'false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.psql("create table t as select generate_series(1, 1000) as n")
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.stop(mode: "immediate")
        let cluster = try Configuration(reading: site.configuration).cluster(named: "main")
        func archived() throws -> Int {
            let archive = try currentArchive(of: cluster)
            return try archive.timelines().reduce(0) { try $0 + archive.segments(timeline: $1).count }
        }
        let before = try archived()
        func job(_ context: JobContext) throws -> RecoverJob {
            try RecoverJob(
                RecoveryOrder(latest, directory: site.cluster.data), of: cluster, installation, context)
        }
        let context = JobContext()
        context.cancellation.cancel()
        #expect(throws: JobCancelled.self) { try job(context).plan() }
        #expect(try archived() == before)
        _ = try job(JobContext()).plan()
        #expect(try archived() > before)
    }
}
