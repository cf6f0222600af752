import FoundationEssentials
import Glibc
import Platform
import Support
import WAL

/// The part of `tidemark check --json` that the tests use.
struct CheckAnswer: Decodable {
    struct Check: Decodable {
        let id: String
        let status: String
        let message: String
        let nextStep: String?
    }
    let checks: [Check]

    init(asking node: PatroniTrio.Node, _ options: [String] = []) throws {
        let said = try node.tidemark(["check", "--json"] + options)
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        do { self = try decoder.decode(Self.self, from: Data(said.output.utf8)) } catch {
            throw Problem("check does not answer: \(error)", detail: said.output + said.errors)
        }
    }
}

/// The steps in docs/archiving.md ("With Patroni") after a fault that Patroni does not repair. The states of the
/// servers, Patroni and `tidemark check` decide whether a step is taken, however long it takes.
extension PatroniTrio {
    /// The steps that were taken.
    struct Mending {
        /// Timelines that `tidemark check` named.
        var putAside: [TimelineID] = []
        /// Nodes, with the reason.
        var madeAnew: [String] = []
        /// How often synchronous mode was switched off and on.
        var synchronised = 0
        var count: Int { putAside.count + madeAnew.count + synchronised }
    }

    /// Waits until the trio is healthy.
    /// - Returns: the timelines that had to be put aside for it.
    func awaitHealthMending() throws -> Set<TimelineID> {
        var strays: Set<TimelineID> = []
        // Earlier messages of a node don't count.
        var read: [String: Int] = [:]
        var beingMade: Set<String> = []
        for node in nodes { read[node.name] = try node.log().count }
        try wait(for: "one leader and two standbys, mending them") {
            // A leader that does not answer doesn't count.
            guard let leader = try leader(), let history = try? leader.history() else { return false }
            let others = nodes.filter { $0 !== leader }
            // Another primary must first learn that it doesn't lead.
            guard others.allSatisfy({ (try? $0.psql("select pg_is_in_recovery()")) != "f" }) else { return false }
            let check = try CheckAnswer(asking: leader, ["--only", "timelines"]).checks[0]
            switch check.status {
            case "ok": break
            case "critical":
                strays.formUnion(try putAside(as: check, on: leader))
                return false
            default: return false
            }
            for standby in others {
                let log = try standby.log().dropFirst(read[standby.name] ?? 0)
                if beingMade.contains(standby.name) {
                    guard log.contains(where: { $0.contains("replica has been created") }) else { return false }
                    beingMade.remove(standby.name)
                }
                guard let reason = try reason(thatCannotFollow: standby, leader, history, log) else { continue }
                // Without force: Patroni's own work must be finished.
                let answer = try run(
                    "/usr/bin/curl",
                    [
                        "-s", "-m", "30", "-X", "POST", "http://127.0.0.1:\(standby.rest)/reinitialize",
                    ])
                guard answer.output.contains("reinitialize started") else { return false }
                step("make \(standby.name) anew: \(reason)")
                read[standby.name] = read[standby.name]! + log.count
                beingMade.insert(standby.name)
                mending.madeAnew.append("\(standby.name): \(reason)")
                return false
            }
            // The node that held the lock in between left its name in etcd, which the leader then never changes.
            let words = patroni(in: try leader.log().dropFirst(read[leader.name] ?? 0))
            if words.count(where: { $0.hasSuffix("Synchronous replication key updated by someone else") }) >= 3,
                try !cluster().contains(where: { $0.role == "sync_standby" })
            {
                step("synchronous mode off and on: \(leader.name) can't name a standby")
                try setSynchronousMode(false, on: leader)
                try wait(for: "\(leader.name) to leave synchronous mode") {
                    (try? leader.psql("show synchronous_standby_names")) == ""
                }
                try setSynchronousMode(true, on: leader)
                read[leader.name] = try leader.log().count
                mending.synchronised += 1
                return false
            }
            return try isHealthy() && allFollow(leader, on: history.timeline)
        }
        return strays
    }

    /// Patroni's lines; the server's have the milliseconds after a point.
    private func patroni(in log: ArraySlice<String>) -> [String] {
        log.filter { $0.utf8.count > 24 && Array($0.utf8)[19] == UInt8(ascii: ",") }
    }

    private func setSynchronousMode(_ isOn: Bool, on leader: Node) throws {
        let said = try run(
            "/usr/bin/curl",
            [
                "-s", "-m", "30", "-X", "PATCH", "http://127.0.0.1:\(leader.rest)/config", "-d",
                "{\"synchronous_mode\": \(isOn)}",
            ])
        guard said.output.contains("\"synchronous_mode\": \(isOn)") else {
            throw Problem("Patroni does not change synchronous mode: \(said.output)")
        }
    }

    /// Runs the commands that the check names.
    private func putAside(as check: CheckAnswer.Check, on leader: Node) throws -> [TimelineID] {
        step("check on \(leader.name): \(check.message)")
        let words = (check.nextStep ?? "").split(separator: " ").map { $0.filter { $0 != ";" } }
        let commands = words.indices.filter { words[$0...].starts(with: ["tidemark", "segments", "put-aside"]) }
        let names = commands.compactMap { $0 + 3 < words.count ? words[$0 + 3] : nil }
        guard !names.isEmpty else {
            throw Problem("check names no command", detail: "\(check.message) \(check.nextStep ?? "")")
        }
        return try names.map { name in
            guard case .history(let timeline)? = ArchiveFileName(name) else { throw Problem("\(name) is no timeline") }
            step("put \(name) aside")
            try leader.tidemark(["segments", "put-aside", name, "--yes"], expectSuccess: true)
            mending.putAside.append(timeline)
            return timeline
        }
    }

    /// Nil while it may still follow.
    private func reason(
        thatCannotFollow standby: Node, _ leader: Node, _ history: TimelineHistory, _ log: ArraySlice<String>
    ) throws -> String? {
        // PostgreSQL searches pg_wal as well, and takes the newest.
        let strays = ((try? Files.list(standby.data + "/pg_wal")) ?? []).filter {
            if case .history(let timeline)? = ArchiveFileName($0) { timeline > history.timeline } else { false }
        }
        if let stray = strays.max() { return "\(stray) is in its pg_wal, and \(leader.name) is on \(history.timeline)" }
        // A server that can't start logs the reason each time.
        let refusals = log.filter {
            $0.contains("FATAL:  requested timeline ")
                && ($0.contains("is not a child of this server's history")
                    || $0.contains("does not contain minimum recovery point"))
        }
        if refusals.count >= 3, (try? standby.psql("select 1")) == nil { return refusals.last }
        // While Patroni is still working on it, it isn't lost.
        let patroni = patroni(in: log).suffix(3)
        let content = "INFO: no action. I am (\(standby.name)), a secondary, and following a leader (\(leader.name))"
        guard patroni.count == 3, patroni.allSatisfy({ $0.hasSuffix(content) }),
            let (timeline, position) = try? standby.position()
        else { return nil }
        if timeline == history.timeline {
            guard let end = LSN(try leader.psql("select pg_current_wal_insert_lsn()")), position > end else {
                return nil
            }
            return "it is at \(position) of timeline \(timeline), and the leader at \(end)"
        }
        if history.contains(timeline, at: position) { return nil }
        let left = history.switchPoint(from: timeline).map { ", which the leader's history leaves at \($0)" }
        return "it is at \(position) of timeline \(timeline)\(left ?? ", which isn't the leader's")"
    }

    /// Whether the others stream, and have replayed what their leader had written a moment before.
    private func allFollow(_ leader: Node, on timeline: TimelineID) -> Bool {
        guard let text = try? leader.psql("select pg_current_wal_flush_lsn()"), let end = LSN(text) else {
            return false
        }
        for _ in 0..<50 {
            let streaming =
                (try? leader.psql("select application_name from pg_stat_replication where state = 'streaming'"))
                .map { $0.split(separator: "\n").map(String.init) } ?? []
            let isDone = nodes.allSatisfy { node in
                guard node !== leader else { return true }
                guard streaming.contains(node.name), let (own, at) = try? node.position() else { return false }
                return own == timeline && at >= end
            }
            if isDone { return true }
            Clock.sleep(milliseconds: 100)
        }
        return false
    }
}

extension PatroniTrio.Node {
    /// The log of Patroni and the server.
    func log() throws -> [String] {
        try Files.readText("\(directory)/patroni-\(name).out").split(separator: "\n").map(String.init)
    }

    /// Its timeline and position.
    func position() throws -> (TimelineID, LSN) {
        let said =
            try runAsServerUser(
                TestServer.v15.bin + "/psql",
                [
                    "-d", "host=\(directory) port=\(port) user=postgres dbname=postgres replication=database", "-XAtq",
                    "-c", "IDENTIFY_SYSTEM",
                ]
            ).output.split(separator: "\n").last?.split(separator: "|") ?? []
        guard said.count > 2, let timeline = UInt32(said[1]), let position = LSN(String(said[2])) else {
            throw Problem("\(name) does not say where it is")
        }
        return (TimelineID(timeline), position)
    }

    /// The history of the timeline the leader writes.
    func history() throws -> TimelineHistory {
        let name = try psql("select substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8)")
        guard let number = UInt32(name, radix: 16) else { throw Problem("\(self.name) says it is on timeline \(name)") }
        let file = "\(data)/pg_wal/\(name).history"
        guard number > 1 else { return TimelineHistory(TimelineID(1)) }
        return try TimelineHistory(timeline: TimelineID(number), file: Files.readText(file))
    }
}
