import Platform
import Support
import Testing

/// No command depends on the directory that it is called in.
@Suite(.serialized) struct WorkingDirectoryTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t as select generate_series(1, 10) n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        return site
    }

    @Test(arguments: ["rmdir \"$PWD\"", "chmod 0 .", "mkdir x && cd x && chmod 0 .."])
    func `a command works in a directory that is gone or can't be entered`(_ script: String) throws {
        let site = try Self.site.get()
        for words in [
            ["list"], ["check"], ["verify"], ["backup", "--no-expire"], ["drill"],
            ["recover", "--target", "latest", "--data-directory", "DIRECTORY/copy", "--start", "--yes"],
            ["recover-table", "-t", "postgres.public.t", "--target", "latest", "--to-file", "DIRECTORY/t.sql"],
        ] {
            let scratch = try Scratch()
            let directory = try run("/usr/bin/mktemp", ["-d", scratch.file("XXXXXX")]).output.split(separator: "\n")[0]
            _ = try run("/bin/chown", ["postgres:", String(directory)])
            let line = words.map { $0.replacing("DIRECTORY", with: directory) }
            defer {
                let stop = "\(site.cluster.server.bin)/pg_ctl -D \(directory)/copy -m immediate -s stop"
                _ = try? runAsServerUser("/bin/bash", ["-c", "test ! -e \(directory)/copy || \(stop)"])
            }
            let finished = try runAsServerUser(
                "/bin/bash",
                [
                    "-c", "mkdir $0/here && cd $0/here && \(script) && exec \"$@\"", String(directory),
                    Executables.tidemark(),
                ] + line,
                environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
            guard case .exited(let status) = finished.ending, status == 0 || words == ["check"] && status < 4 else {
                Issue.record("\(script), \(words): \(finished)")
                continue
            }
            #expect(!finished.errors.contains("working directory"), "\(words): \(finished)")
        }
    }
}
