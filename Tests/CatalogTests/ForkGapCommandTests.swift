import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

/// Every command that speaks of gaps, about the same archives as in `ForkGapTests`.
@Suite struct ForkGapCommandTests {
    @Test(arguments: ForkGap.all)
    func `every command reports the same gap`(_ gap: ForkGap) throws {
        let repository = try ForkGapTests.archive(gap)
        let scratch = repository.scratch
        let configuration = scratch.file("tidemark.conf")
        let text = """
            repository = '\(repository.store.location)'
            state_directory = '\(scratch.file("state"))'
            scratch_directory = '\(scratch.file("scratch"))'
            [cluster main]
            data_directory = '\(scratch.file("data"))'
            conninfo = 'host=\(scratch.path) user=postgres dbname=postgres'
            bin_directory = '\(TestServer.v15.bin)'

            """
        try createDurably(configuration, bytes: Array(text.utf8), mode: 0o644)
        if geteuid() == 0 { _ = try run("/bin/chown", ["-R", "postgres:", scratch.path]) }
        func ask(_ line: [String]) throws -> (status: Finished.TerminationStatus, gaps: [String], words: String) {
            let finished = try tidemark(line + ["--config", configuration])
            let words = (finished.output + finished.errors).replacing("&quot;", with: "\"")
            let found = words.matches(
                of: /[sS]egments? "([0-9A-F]{24})"(?: to "([0-9A-F]{24})")? (?:(?:is|are) missing|of timeline)/)
            let gaps = try found.map { match in
                let last = match.output.2 ?? match.output.1
                return try ForkGapTests.short(
                    #require(SegmentName("\(match.output.1)")), #require(SegmentName("\(last)")))
            }
            return (finished.ending, Set(gaps).sorted(), "\(gap.name), \(line): \(finished)")
        }
        let new = ["--target", "latest", "--data-directory", scratch.file("new")]
        let (all, onHistory) = (gap.gaps, gap.onHistory ?? gap.gaps)
        let unreached = gap.unreached.map { [$0] } ?? []
        let table = ["--table", "postgres.public.t", "--to-file", scratch.file("t.sql")]
        // With the exit status where there is a gap.
        let commands: [(line: [String], gaps: [String], status: Int32)] = [
            (["segments"], all, 3), (["verify", "--wal"], all, 3), (["events"], all, 3),
            (["around", "--target-time", "2100-01-01 00:00 UTC"], onHistory, 3),
            (["check", "--only", "wal_continuity"], onHistory, 3),
            (["check", "--only", "recovery_window"], unreached, 3), (["check", "--only", "rpo"], unreached, 3),
            (["plan"] + new, unreached, 4), (["recover", "--dry-run"] + new, unreached, 4), (["drill"], unreached, 4),
            (["recover-table", "--target", "latest"] + table, unreached, 4),
        ]
        for (line, gaps, status) in commands {
            let told = try ask(line)
            #expect(told.gaps == gaps.sorted(), "\(told.words)")
            if !gaps.isEmpty { #expect(told.status == .exited(status), "\(told.words)") }
        }
        let segments = try ask(["segments"]).words
        #expect(segments.contains("Moments after ") == (!all.isEmpty && !gap.isFirst), "\(segments)")
        #expect(segments.contains("No moment can be reached: ") == gap.isAll, "\(segments)")
        // What concerns a timeline that nobody follows says so.
        let window = try tidemark(["window", "--config", configuration]).output
        for line in window.split(separator: "\n") where onHistory.isEmpty && line.contains(" be reached: ") {
            #expect(line.hasPrefix("On timeline "), "\(gap.name): \(window)")
        }
        // These speak of every backup and every timeline.
        for (line, status) in [
            (["list"], 3), (["window"], 3), (["status"], 3), (["report"], 0), (["report", "--html", "-"], 0),
        ] as [([String], Int32)] {
            let told = try ask(line)
            if !unreached.isEmpty { #expect(told.status == .exited(status), "\(told.words)") }
            #expect(Set(told.gaps).isSuperset(of: line == ["window"] ? unreached : onHistory), "\(told.words)")
            #expect(Set(told.gaps).isSubset(of: all + (gap.ofBackup.map { [$0] } ?? [])), "\(told.words)")
        }
    }
}
