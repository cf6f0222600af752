import Platform
import Support
import Testing
import WAL

/// What `window` and `list` promise on archives with forks, `plan` accepts as they say it.
@Suite struct PromisedMomentsServerTests {
    /// Who asks, and what the archive holds: a backup of `a` on timeline 1, and more than one timeline.
    enum Genealogy: String, CaseIterable, Sendable {
        /// A primary died; what it archived last its standby never received.
        case failover
        /// Of the new primary only the history is archived yet.
        case freshFailover
        /// The dead primary's directory is still there, and the question is asked on its host.
        case failedPrimary
        /// No data directory tells which of two servers is the right one.
        case newHost
        /// The same, and each of them was backed up.
        case newHostWithBackups
        /// Two recoveries in place, each to an earlier moment.
        case backTwice
        /// The abandoned end of the parent has a backup of its own.
        case abandonedBackup
        /// The first segment after the fork was lost.
        case lostFork
        /// A copy was promoted and archives; the server lives.
        case strayCopy
    }

    private struct Window: Decodable {
        let backup: String
        let timeline: UInt32
        let targetTimeline: UInt32?
        let isConsistent: Bool
        let from: String
        let to: String?
    }
    private struct Windows: Decodable {
        let from, to: String?
        let windows: [Window]
    }
    private struct Listed: Decodable {
        let label: String
        let stop: String
        let recoverableUntil: String?
        let recoverableTimeline: UInt32?
    }

    /// Commits rows, with a moment between any two.
    private func write(_ server: Server, _ rows: Int, _ moments: inout [Moment]) throws {
        for row in 0..<rows {
            try server.psql("insert into t values (\(row))")
            let now = try server.psql("select (extract(epoch from clock_timestamp()) * 1000000)::bigint")
            moments.append(Moment(microseconds: try #require(Int64(now))))
            try server.psql("insert into t values (\(row))", "select pg_switch_wal()")
        }
    }

    private func failover(
        _ group: ServerGroup, _ moments: inout [Moment], archives: Bool = true, backsUp: Bool = false
    ) throws -> (old: Server, new: Server) {
        let (a, b) = try group.addBackedUpPair()
        try write(a, 2, &moments)
        try group.catchUp(b, with: a)
        group.step("the standby stops, its primary continues and dies, and the standby takes over")
        try group.failOver(from: a, to: b) {
            try write(a, 2, &moments)
            if backsUp {
                try a.tidemark(["backup", "--no-expire"], expectSuccess: true)
                try write(a, 1, &moments)
            }
        } end: {
            try $0.kill()
        }
        if archives { try write(b, 2, &moments) }
        try group.wait(for: "the history to be archived") { try group.archived().contains("00000002.history") }
        if archives { try group.drain(b) }
        return (a, b)
    }

    /// - Returns: the server whose configuration is used.
    private func make(_ genealogy: Genealogy, _ group: ServerGroup, _ moments: inout [Moment]) throws -> Server {
        switch genealogy {
        case .failover: return try failover(group, &moments).new
        case .freshFailover: return try failover(group, &moments, archives: false).new
        case .failedPrimary: return try failover(group, &moments).old
        case .abandonedBackup: return try failover(group, &moments, backsUp: true).new
        case .newHost, .newHostWithBackups:
            let (a, b) = try failover(group, &moments, backsUp: genealogy == .newHostWithBackups)
            if genealogy == .newHostWithBackups {
                try b.tidemark(["backup", "--no-expire"], expectSuccess: true)
                try write(b, 1, &moments)
                try group.drain(b)
            }
            try b.kill()
            try a.shell("mv '\(a.data)' '\(a.data).gone'")
            return a
        case .lostFork:
            let b = try failover(group, &moments).new
            let first = try #require(try group.archived().first { $0.hasPrefix("00000002") && $0.count == 24 })
            try runAsServerUser("/usr/bin/find", [group.wal, "-name", "\(first).zst", "-delete"])
            return b
        case .strayCopy:
            let a = try group.addBackedUpPrimary()
            let b = try group.addStandby("b", of: a)
            try write(a, 1, &moments)
            try group.catchUp(b, with: a)
            try b.promote()
            try write(a, 2, &moments)
            try write(b, 2, &moments)
            try group.drain(a)
            try group.drain(b)
            return a
        case .backTwice:
            let a = try group.addBackedUpPrimary()
            try write(a, 3, &moments)
            for back in [moments[1], moments[0]] {
                try group.drain(a)
                try a.stop()
                try a.tidemark(
                    [
                        "recover", "--target-time", back.description, "--start", "--yes", "--set",
                        "config_file=\(a.serverConfiguration)",
                    ], expectSuccess: true)
                try write(a, 2, &moments)
            }
            try group.drain(a)
            return a
        }
    }

    private static let samples: [(TestServer, Genealogy)] =
        Genealogy.allCases.map { (.v15, $0) } + [(.v18, .failover), (.v18, .freshFailover), (.v16, .backTwice)]

    @Test(arguments: samples)
    func `each moment that window and list promise, plan accepts as they say it`(
        _ version: TestServer, _ genealogy: Genealogy
    ) throws {
        let group = try ServerGroup(version)
        try group.accounted {
            var moments: [Moment] = []
            let server = try make(genealogy, group, &moments)
            func plan(_ moment: Moment, _ options: [String], _ promise: String) throws {
                // Beside the cluster: it is the archive of which they tell.
                let planned = try server.tidemark(
                    ["plan", "--target-time", moment.description, "--data-directory", group.directory + "/beside"]
                        + options)
                #expect(planned.ending == .exited(0), "\(promise): \(planned)")
            }
            func option(_ timeline: UInt32?) -> [String] { timeline.map { ["--target-timeline", "\($0)"] } ?? [] }
            let table = try server.tidemark(["window"])
            let told = try decoded(Windows.self, server.tidemark(["window", "--json"]).output)
            group.step("rows of window: \(table.output)")
            var promised: Set<Moment> = []
            var count = 0
            for window in told.windows where window.isConsistent {
                guard let to = window.to.flatMap({ Moment(iso8601: $0) }) else { continue }
                let from = try #require(Moment(iso8601: window.from))
                for moment in moments where from <= moment && moment < to {
                    promised.insert(moment)
                    count += 1
                    try plan(
                        moment, ["--backup", window.backup] + option(window.targetTimeline), "window \(window)")
                }
            }
            #expect(count > 0)
            // Nothing that the archive has is left out: on some timeline each of them can be reached.
            if genealogy != .lostFork { #expect(promised.count == moments.count, "\(told.windows)") }
            if let from = told.from.flatMap({ Moment(iso8601: $0) }), let to = told.to.flatMap({ Moment(iso8601: $0) })
            {
                #expect(!table.output.contains("It can't be told"))
                #expect(table.output.contains("\nAny moment from \(from) to \(to) can be recovered to"), "\(table)")
            } else {
                #expect(table.output.contains("It can't be told which of timelines 1, 2 is the cluster's"), "\(table)")
            }
            for line in table.output.split(separator: "\n") {
                let sentence = /(?:With (--target-timeline \d+): )?Any moment from ([-0-9:. +]+) to ([-0-9:. +]+) can/
                guard let match = line.firstMatch(of: sentence) else { continue }
                func end(_ text: Substring) throws -> Moment {
                    try #require(Moment(iso8601: String(text).replacing(" ", with: "T").replacing("+00", with: "Z")))
                }
                let from = try end(match.output.2)
                let to = try end(match.output.3)
                let options = match.output.1.map { $0.split(separator: " ").map(String.init) } ?? []
                for moment in moments where from <= moment && moment < to { try plan(moment, options, String(line)) }
            }
            for backup in try decoded([Listed].self, server.tidemark(["list", "--json"]).output) {
                guard let until = backup.recoverableUntil.flatMap({ Moment(iso8601: $0) }) else { continue }
                let stop = try #require(Moment(iso8601: backup.stop))
                for moment in moments where stop <= moment && moment < until {
                    try plan(moment, ["--backup", backup.label] + option(backup.recoverableTimeline), "list \(backup)")
                }
            }
            let shown = try server.tidemark(["list"]).output
            let isNamed = [Genealogy.newHost, .newHostWithBackups, .abandonedBackup].contains(genealogy)
            #expect(shown.contains(" on timeline ") == isNamed, "\(shown)")
        }
    }
}
