import FoundationEssentials
import Glibc
import Platform
import Support
import Testing

/// Patroni and etcd run three servers, and after every fault that they survive the archive is complete. The steps that
/// an operator must take after some faults are taken here according to docs/archiving.md, and counted.
/// `TIDEMARK_TEST_SEED` reproduces a failure with its seed; `TIDEMARK_TEST_FAULTS` names the faults, separated by
/// commas.
@Suite(.serialized) struct PatroniServerTests {
    private enum Fault: CaseIterable {
        case switchover, killServer, killNode, killPatroni, pauseNode, restartStandby

        /// Whether Patroni may leave a standby where it can't follow, so that the operator must repair it.
        var needsOperator: Bool {
            switch self {
            case .killServer, .killNode, .pauseNode: true
            case .switchover, .killPatroni, .restartStandby: false
            }
        }

        /// Whether the primary's server dies.
        var isCrash: Bool { self == .killServer || self == .killNode }
    }

    @Test func `under Patroni nothing is stuck, nothing is lost and nobody is alarmed without reason`() throws {
        let isSoak = getenv("TIDEMARK_SOAK") != nil
        let rounds = isSoak ? 20 : 5
        // Only the soak has time for the repairs after several of the others.
        let usual = Fault.allCases.filter { isSoak || !$0.needsOperator }
        let names = getenv("TIDEMARK_TEST_FAULTS").map { String(cString: $0).split(separator: ",").map(String.init) }
        let faults = names.map { names in Fault.allCases.filter { names.contains("\($0)") } } ?? usual
        let given = getenv("TIDEMARK_TEST_SEED").flatMap { UInt64(String(cString: $0)) }
        // The soak searches for unknown faults; other runs repeat a known sequence.
        let seed = given ?? (getenv("TIDEMARK_SOAK") == nil ? 4 : UInt64(Clock.now))
        print("Patroni, \(rounds) rounds: seed \(seed)")
        var random = SeededGenerator(seed: seed)
        let trio = try PatroniTrio()
        trio.step("seed \(seed)")
        var (roundsDone, failovers) = (0, 0)
        // Rows that were acknowledged on a timeline that was put aside: Patroni took the lead from their server.
        var left: Set<String> = []
        defer {
            let mending = trio.mending
            print(
                "Patroni, seed \(seed): \(roundsDone) of \(rounds) rounds, failed over \(failovers) times, mended \(mending.count) times "
                    + "(\(mending.putAside.count) timelines put aside, with \(left.count) acknowledged rows; "
                    + "\(mending.madeAnew.count) standbys made anew; "
                    + "\(mending.synchronised) times synchronous mode off and on), \(trio.rewinds) times rewound")
            for reason in mending.madeAnew { print("  made anew: \(reason)") }
        }
        do {
            let first = try trio.awaitLeader()
            _ = try first.psql("create table t (n uuid)")
            try first.tidemark(["backup"], expectSuccess: true)
            let ports = trio.nodes.map { "\($0.port)" }.joined(separator: ",")
            let conninfo =
                "host=127.0.0.1,127.0.0.1,127.0.0.1 port=\(ports) user=postgres dbname=postgres connect_timeout=2 "
                + "target_session_attrs=read-write"
            let writer = try AcknowledgedWriter(conninfo, psql: TestServer.v15.bin + "/psql", in: trio.directory)
            let load = try BenchLoad(conninfo, pgbench: TestServer.v15.bin + "/pgbench", in: trio.directory)
            defer { withExtendedLifetime(load) {} }
            for round in 1...rounds {
                // A switchover every other time, as most installations mainly switch over and back; one failover
                // between them in any case.
                let fault =
                    round % 2 == 1
                    ? Fault.switchover
                    : round == 4 && names == nil && !isSoak ? .killServer : faults.randomElement(using: &random)!
                let before = try trio.awaitLeader()
                try cause(fault, trio, &random)
                if try fault.isCrash && trio.awaitLeader() !== before { failovers += 1 }
                if fault.needsOperator {
                    let strays = try trio.awaitHealthMending()
                    let rows = try writer.acknowledged()
                    left.formUnion(rows.filter { strays.contains($0.value) }.keys)
                }
                try trio.awaitHealth()
                try check(trio, writer, without: left)
                roundsDone = round
            }
            if names == nil { #expect(failovers > 0) }
            // Each failover leaves a former leader that Patroni has to rewind, unless it had sent all of its WAL.
            if isSoak, names == nil { #expect(trio.rewinds > 0) }
        } catch { throw Problem("\(error)", detail: trio.account()) }
    }

    private func cause(_ fault: Fault, _ trio: PatroniTrio, _ random: inout SeededGenerator) throws {
        // After the last fault Patroni may still be choosing.
        try trio.wait(for: "a leader and a synchronous standby") {
            try trio.leader() != nil && trio.cluster().contains { $0.role == "sync_standby" }
        }
        let leader = try trio.awaitLeader()
        let standbys = trio.nodes.filter { $0 !== leader }
        func newLeader() throws {
            try trio.wait(for: "another leader than \(leader.name)") {
                try trio.leader().map { $0 !== leader } ?? false
            }
        }
        trio.step("\(fault), leader \(leader.name)")
        switch fault {
        case .switchover:
            try trio.switchOver(from: leader)
            try newLeader()
        case .killServer:
            if let postmaster = leader.postmaster { kill(postmaster, SIGKILL) }
            if trio.failsOverAtOnce { try newLeader() }
            try trio.wait(for: "a running leader") { try trio.leader() != nil }
        case .killNode:
            leader.patroni?.end(SIGKILL)
            if let postmaster = leader.postmaster { kill(postmaster, SIGKILL) }
            try newLeader()
            try trio.start(leader)
        case .killPatroni:
            // Its server continues to write until Patroni is back, or another node leads.
            leader.patroni?.end(SIGKILL)
            try trio.start(leader)
        case .pauseNode:
            leader.patroni?.signal(SIGSTOP)
            let processes = leader.processes
            for process in processes { kill(process, SIGSTOP) }
            try newLeader()
            for process in processes { kill(process, SIGCONT) }
            leader.patroni?.signal(SIGCONT)
        case .restartStandby:
            let standby = standbys.randomElement(using: &random)!
            guard let postmaster = standby.postmaster else { throw Problem("\(standby.name) does not run") }
            kill(postmaster, SIGKILL)
            // Patroni reports it only after a while, and until then shows it as healthy.
            try trio.wait(for: "\(standby.name) to answer again") {
                standby.postmaster != postmaster && (try? standby.psql("select 1")) == "1"
            }
        }
    }

    /// The cluster is healthy, and continues to write: so is its archive.
    private func check(_ trio: PatroniTrio, _ writer: AcknowledgedWriter, without left: Set<String>) throws {
        let leader = try trio.awaitLeader()
        trio.step("check on \(leader.name)")
        // Older than what is kept: the last segments of abandoned timelines are archived now.
        for _ in 0..<20 { _ = try leader.psql("select pg_switch_wal()", "create table gone (); drop table gone") }
        for node in trio.nodes { _ = try node.psql("checkpoint") }
        let last = try leader.psql("select pg_walfile_name(pg_switch_wal())")
        for node in trio.nodes {
            try trio.wait(for: "the archiver of \(node.name) to have nothing left of what came up to \(last)") {
                try node.waiting().allSatisfy { $0.prefix(24) > last }
            }
        }
        let acknowledged = try writer.acknowledged()
        let there = try Set(leader.psql("select n from t").split(separator: "\n").map(String.init))
        let missing = acknowledged.filter { !there.contains($0.key) && !left.contains($0.key) }
        guard missing.isEmpty else {
            throw Problem(
                "of \(acknowledged.count) acknowledged rows \(missing.count) are gone: \(missing.prefix(5))",
                detail: "They were written on timelines \(Set(missing.values).sorted()).")
        }
        for command in [["segments"], ["verify", "--wal"], ["plan", "--target", "latest"]] {
            try leader.tidemark(command, expectSuccess: true)
        }
        // A backlog of the archiver, on a busy machine, goes away.
        var alarms: [String] = []
        do {
            try trio.wait(for: "check to raise no alarm") {
                alarms = try CheckAnswer(asking: leader).checks.filter { $0.status != "ok" }
                    .map { "\($0.id) \($0.status): \($0.message)" }
                return alarms.isEmpty
            }
        } catch { throw Problem("check raises an alarm: \(alarms)") }
    }
}
