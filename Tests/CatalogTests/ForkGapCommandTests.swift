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
        func ask(_ line: [String]) throws -> (status: String, gaps: [String], words: String) {
            let finished = try tidemark(line + ["--config", configuration])
            let words = (finished.output + finished.errors).replacing("&quot;", with: "\"")
            let found = words.matches(
                of: /[sS]egments? "([0-9A-F]{24})"(?: to "([0-9A-F]{24})")? (?:(?:is|are) missing|of timeline)/)
            let gaps = try found.map { match in
                let last = match.output.2 ?? match.output.1
                return try ForkGapTests.short(
                    #require(SegmentName("\(match.output.1)")), #require(SegmentName("\(last)")))
            }
            return ("\(finished.ending)", Set(gaps).sorted(), "\(gap.name), \(line): \(finished)")
        }
        let new = ["--target", "latest", "--data-directory", scratch.file("new")]
        let (all, onHistory) = (gap.gaps, gap.onHistory ?? gap.gaps)
        let unreached = gap.unreached.map { [$0] } ?? []
        let table = ["--table", "postgres.public.t", "--to-file", scratch.file("t.sql")]
        let commands: [([String], [String])] = [
            (["segments"], all), (["verify", "--wal"], all), (["events"], all),
            (["around", "--target-time", "2100-01-01 00:00 UTC"], onHistory),
            (["check", "--only", "wal_continuity"], onHistory),
            (["check", "--only", "recovery_window"], unreached), (["check", "--only", "rpo"], unreached),
            (["plan"] + new, unreached), (["recover", "--dry-run"] + new, unreached), (["drill"], unreached),
            (["recover-table", "--target", "latest"] + table, unreached),
        ]
        for (line, gaps) in commands {
            let told = try ask(line)
            #expect(told.gaps == gaps.sorted(), "\(told.words)")
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
        for line in [["list"], ["window"], ["status"], ["report"], ["report", "--html", "-"]] {
            let told = try ask(line)
            #expect(Set(told.gaps).isSuperset(of: line == ["window"] ? unreached : onHistory), "\(told.words)")
            #expect(Set(told.gaps).isSubset(of: all + (gap.ofBackup.map { [$0] } ?? [])), "\(told.words)")
        }
    }
}
