import Glibc
import Platform
import Support
import WAL

/// A pair or trio of servers that goes through random switchovers, failovers and recoveries, and records which rows
/// must exist.
///
/// The same seed gives the same steps; the time at which a push is killed depends on the machine.
final class RandomHistory {
    let group: ServerGroup
    private(set) var primary: Server
    /// The acknowledged rows that belong to the surviving history.
    private(set) var rows: Set<Int> = []
    /// Whether a server died before all of its WAL was archived, so that segments may be missing.
    private(set) var mayLackSegments = false

    /// Missing segments before a backup.
    var passed: Set<SegmentName> = []

    private var random: SeededGenerator
    private var lastRow = 0
    /// Servers that are dead, or ahead of the surviving history; each is brought back in one of four ways.
    private var lost: [Server] = []

    private var standbys: [Server] {
        group.servers.filter { server in server !== primary && !lost.contains { $0 === server } }
    }
    private var runningStandbys: [Server] { standbys.filter(\.isRunning) }

    init(_ version: TestServer, servers: Int, seed: UInt64) throws {
        random = SeededGenerator(seed: seed)
        // Archived through a script that can hold every push back, or kill it at any moment.
        group = try ServerGroup(version, settings: ["archive_command": "'DIRECTORY/push NAME %p'"])
        let program = try Executables.tidemark()
        let directory = group.directory
        let script = """
            #!/bin/bash
            [ ! -e \(directory)/hold ] || exit 1
            push="\(program) archive-push --config \(directory)/$1.conf $2"
            for round in 1 2; do
                [ -e \(directory)/kill ] || break
                timeout -s KILL 0.$((RANDOM % 2))$((RANDOM % 10)) $push 2>/dev/null && exit 0
            done
            exec $push

            """
        try createDurably(directory + "/push", bytes: Array(script.utf8), mode: 0o755)
        chmod(directory + "/push", 0o755)
        primary = try group.addPrimary()
        try primary.psql("create table t (n int)", "create table filler (n int, text text)")
        try primary.tidemark(["backup"], expectSuccess: true)
        for name in ["b", "c"].prefix(servers - 1) {
            let mode = Bool.random(using: &random) ? "always" : "on"
            _ = try group.addStandby(name, of: primary, settings: ["archive_mode": mode])
        }
    }

    // MARK: - A round

    /// Random steps, after which everything comes to rest: nothing held back, every server running and following.
    func round() throws {
        for _ in 0..<Int.random(in: 2...5, using: &random) { try step() }
        try rest()
    }

    private func step() throws {
        switch Int.random(in: 0..<20, using: &random) {
        case 0..<3: try write()
        case 3: try fill()
        case 4..<8: try switchOver()
        case 8..<12: try failOver()
        case 12: try recoverInPlace()
        case 13: try hold()
        case 14, 15: try toggle("kill", "kill pushes at random moments")
        case 16: try lookAhead()
        case 17: try rest()
        case 18: try pauseStandby()
        default:
            group.step("switch and checkpoint")
            try primary.psql("select pg_switch_wal()", "checkpoint")
            for standby in runningStandbys { try standby.psql("checkpoint") }
        }
    }

    /// Brings back lost servers, and waits until every server has archived everything.
    private func rest() throws {
        group.step("come to rest")
        for flag in ["hold", "kill"] { try Files.removeIfPresent("\(group.directory)/\(flag)") }
        try primary.reload()
        if !lost.isEmpty {
            // A server that read the fork's segment from the archive would otherwise get all of the old timeline's
            // records in it.
            try primary.psql("select pg_switch_wal()")
            try group.drain(primary)
        }
        for server in lost { try bringBack(server) }
        for standby in standbys where !standby.isRunning { try standby.start() }
        try write(1)
        for standby in standbys { try group.catchUp(standby, with: primary) }
        try primary.psql("checkpoint", "select pg_switch_wal()")
        for standby in standbys { try standby.psql("checkpoint") }
        try group.drain(primary)
        for standby in standbys {
            try group.catchUp(standby, with: primary)
            if standby.settings["archive_mode"] == "always" { try group.drain(standby) }
        }
        let there = try Set(primary.psql("select n from t").split(separator: "\n").compactMap { Int($0) })
        guard there == rows else {
            throw Problem(
                "the primary has other rows than were acknowledged",
                detail: "Missing: \(rows.subtracting(there).sorted()); too many: \(there.subtracting(rows).sorted()).")
        }
    }

    /// Takes a backup, after which nothing is missing.
    func backUp() throws {
        group.step("back up \(primary.name)")
        try primary.tidemark(["backup"], expectSuccess: true)
        mayLackSegments = false
    }

    // MARK: - Steps

    private func write(_ count: Int? = nil) throws {
        let count = count ?? Int.random(in: 1...60, using: &random)
        group.step("write \(count) rows on \(primary.name)")
        let numbers = (lastRow + 1)...(lastRow + count)
        lastRow += count
        try primary.run(numbers.map { "insert into t values (\($0));" }.joined(separator: "\n"))
        rows.formUnion(numbers)
    }

    /// A session that writes until its server dies; returns once it has begun.
    private func startWriting() throws -> (session: BackgroundProcess, rows: ClosedRange<Int>) {
        let numbers = (lastRow + 1)...(lastRow + 20_000)
        lastRow = numbers.upperBound
        group.step("write on \(primary.name) until it dies")
        let file = "\(group.directory)/unfinished.sql"
        let script = numbers.map { "insert into t values (\($0));\n" }.joined()
        try replaceDurably(file, bytes: Array(script.utf8), mode: 0o644)
        let session = try BackgroundProcess(
            "\(primary.version.bin)/psql -h \(group.directory) -p \(primary.port) -U postgres -d postgres -Xq -f \(file)",
            name: "unfinished", in: group.directory)
        try group.wait(for: "the session to write") {
            try primary.psql("select count(*) from t where n >= \(numbers.lowerBound)") != "0"
        }
        return (session, numbers)
    }

    private func fill() throws {
        group.step("fill a few segments on \(primary.name)")
        let count = Int.random(in: 2_000...12_000, using: &random)
        try primary.psql(
            "insert into filler select n, md5(n::text) || repeat('-', 200) from generate_series(1, \(count)) n")
    }

    /// Several segments wait until the next step that needs the archive, so that there is something to look ahead at.
    private func hold() throws {
        group.step("hold pushes back")
        try replaceDurably("\(group.directory)/hold", bytes: [], mode: 0o644)
        for _ in 0..<Int.random(in: 2...6, using: &random) {
            try write(2)
            try primary.psql("select pg_switch_wal()")
        }
        if Bool.random(using: &random) {
            try Files.removeIfPresent("\(group.directory)/hold")
            try primary.reload()
        }
    }

    private func toggle(_ flag: String, _ what: String) throws {
        let path = "\(group.directory)/\(flag)"
        let isSet = try Files.exists(path)
        group.step("\(isSet ? "no longer " : "")\(what)")
        if isSet { try Files.removeIfPresent(path) } else { try createDurably(path, bytes: [], mode: 0o644) }
    }

    private func lookAhead() throws {
        let jobs = [1, 2, 4].randomElement(using: &random)!
        group.step("archive_jobs = \(jobs)")
        for server in group.servers { try server.configure(["archive_jobs = \(jobs)"]) }
    }

    private func pauseStandby() throws {
        guard let standby = runningStandbys.randomElement(using: &random) else { return }
        let mode = Bool.random(using: &random) ? "always" : "on"
        group.step("stop \(standby.name) for a while, archive_mode = \(mode)")
        try standby.stop()
        standby.settings["archive_mode"] = mode
        try standby.writeSettings()
        try write()
    }

    private func switchOver() throws {
        guard let candidate = runningStandbys.randomElement(using: &random) else { return }
        group.step("switch over from \(primary.name) to \(candidate.name)")
        try Files.removeIfPresent("\(group.directory)/hold")
        try group.catchUp(candidate, with: primary)
        let old = primary
        try old.stop()
        // A shutdown waits until the standbys have received everything, including the shutdown checkpoint; one that is
        // just connecting may not have.
        let end = try old.shell(
            "\(old.version.bin)/pg_controldata '\(old.data)' | sed -n 's/^Latest checkpoint location: *//p'"
        ).output.split(separator: "\n").joined()
        guard try candidate.psql("select coalesce(pg_last_wal_receive_lsn() > '\(end)', false)") == "t" else {
            group.step("not received: start \(old.name) again")
            return try old.start()
        }
        try candidate.promote()
        primary = candidate
        try followPrimary(old)
        try old.start()
    }

    private func failOver() throws {
        let candidates = try runningStandbys.map { ($0, try $0.received()) }.sorted { $0.1 > $1.1 }
        // Usually the one that has received the most, but an operator may choose another.
        let unusual = Int.random(in: 0..<4, using: &random) == 0
        guard let (candidate, _) = unusual ? candidates.last : candidates.first else { return }
        let waits = Int.random(in: 0..<3, using: &random) > 0
        let held = try Files.exists("\(group.directory)/hold")
        if waits, !held { try group.drain(primary) } else { mayLackSegments = true }
        let old = primary
        let isKill = Bool.random(using: &random)
        let unfinished = Bool.random(using: &random) ? try startWriting() : nil
        defer { unfinished?.session.end() }
        if unfinished != nil { mayLackSegments = true }
        group.step("\(isKill ? "kill -9" : "stop -m immediate") \(old.name), promote \(candidate.name)")
        if isKill { try old.kill() } else { try old.stop("immediate") }
        try Files.removeIfPresent("\(group.directory)/hold")
        try candidate.promote()
        primary = candidate
        lost.append(old)
        let there = try Set(primary.psql("select n from t").split(separator: "\n").compactMap { Int($0) })
        let written = rows.union(unfinished.map { Set($0.rows) } ?? [])
        guard there.isSubset(of: written) else {
            throw Problem("rows came up that nobody wrote: \(there.subtracting(written).sorted())")
        }
        rows = there
        let fork = try candidate.fork()
        for standby in standbys {
            if standby.isRunning {
                try group.wait(for: "\(standby.name) to have got all that \(old.name) had sent") {
                    try !standby.isStreaming()
                }
            }
            // A standby with more WAL than the new primary is on an abandoned history.
            let isAhead = try standby.isRunning && standby.received() > fork
            if !standby.isRunning || isAhead {
                group.step("\(standby.name) may be ahead of \(candidate.name)")
                try standby.stop()
                lost.append(standby)
            } else {
                try followPrimary(standby)
            }
        }
        if Bool.random(using: &random) { try bringBack(old) }
    }

    private func followPrimary(_ server: Server) throws {
        try server.follow(primary)
        if server.isRunning { try server.reload() }
        for standby in standbys where standby.upstream !== primary {
            try standby.follow(primary)
            if standby.isRunning { try standby.reload() }
        }
    }

    private func bringBack(_ server: Server) throws {
        lost.removeAll { $0 === server }
        server.settings["archive_mode"] = Bool.random(using: &random) ? "always" : "on"
        let way = Int.random(in: 0..<4, using: &random)
        switch way {
        // With missing segments the archive doesn't lead to the present.
        case _ where way == 0 || way == 1 && mayLackSegments:
            group.step("make \(server.name) anew")
            try server.stop("immediate")
            try group.copy(primary, to: server)
        case 1:
            group.step("recover \(server.name) as a standby in place")
            try server.stop("immediate")
            // While nothing of the new timeline is archived, the archive doesn't lead there.
            try primary.psql("select pg_switch_wal()")
            try group.drain(primary)
            try server.follow(primary)
            try server.tidemark(
                [
                    "recover", "--target", "latest", "--standby", "--start", "--yes", "--set",
                    "config_file=\(server.serverConfiguration)", "--set",
                    "archive_mode=\(server.settings["archive_mode"]!)",
                ], expectSuccess: true)
            try server.psql("alter system reset all")
            try server.stop()
            try server.start()
        default:
            group.step("rewind \(server.name)\(way == 2 ? ", with the archive's help" : "")")
            try primary.psql("checkpoint")
            try server.stop()
            // pg_rewind first lets a killed server recover by itself, which a standby would not do.
            try server.shell("rm -f '\(server.data)/standby.signal'")
            let rewind = [
                "--target-pgdata=\(server.data)", "--source-server=\(primary.conninfo)", "--no-sync",
                "--config-file=\(server.serverConfiguration)",
            ]
            let alone = way == 2 ? nil : try server.tool("pg_rewind", rewind, expectSuccess: false)
            if alone?.ending != .exited(0) {
                // The checkpoint at the end of its recovery may have removed the WAL back to the fork.
                if let alone, !alone.errors.contains("could not find previous WAL record") {
                    throw Problem(alone.errors)
                }
                try server.tool("pg_rewind", rewind + ["--restore-target-wal"])
            }
            try server.follow(primary)
            try server.start()
        }
    }

    /// All servers are down, and the primary is recovered from the archive and its directory.
    private func recoverInPlace() throws {
        guard !mayLackSegments else { return }
        let toPoint = Bool.random(using: &random)
        let point = "point\(lastRow)"
        try Files.removeIfPresent("\(group.directory)/hold")
        if toPoint {
            try primary.psql("select pg_create_restore_point('\(point)')")
            let kept = rows
            try write()
            rows = kept
            try primary.psql("select pg_switch_wal()")
            try group.drain(primary)
        }
        let target = toPoint ? ["--target-name", point] : ["--target", "latest"]
        group.step("recover \(primary.name) in place, \(target.joined(separator: " "))")
        let others = standbys
        for standby in others { try standby.stop() }
        try primary.stop("immediate")
        try primary.tidemark(
            ["recover", "--start", "--yes", "--set", "config_file=\(primary.serverConfiguration)"] + target,
            expectSuccess: true)
        lost += others
    }
}
