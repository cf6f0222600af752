import Glibc
import Platform
import Repository
import Support
import Testing
import WAL

@Suite(.serialized) struct KilledPushServerTests {
    /// `make soak` runs for a long time.
    private var isSoak: Bool { getenv("TIDEMARK_SOAK") != nil }

    @Test(arguments: TestServer.ends)
    func `pushes killed at random moments under load lose and spoil nothing`(_ server: TestServer) throws {
        let site = try TestSite(server, initdb: ["--wal-segsize=1"])
        let originals = site.scratch.file("originals")
        try Files.makeDirectories(originals)
        chmod(originals, 0o777)
        let program = try Executables.tidemark()
        let script = site.scratch.file("push")
        let rounds = isSoak ? 40 : 6
        try replaceDurably(
            script,
            bytes: Array(
                """
                #!/bin/bash
                cp "$1" "\(originals)/$2"
                for round in {1..\(rounds)}; do
                    timeout -s KILL 0.0$((RANDOM % 4))$((RANDOM % 10)) \
                        \(program) archive-push --config \(site.configuration) "$1" 2>/dev/null && exit 0
                    echo >> \(site.scratch.file("kills"))
                done
                exec \(program) archive-push --config \(site.configuration) "$1"

                """.utf8), mode: 0o755)
        chmod(script, 0o755)
        try site.cluster.psql("alter system set archive_command = '\(script) %p %f'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.pgbench(["-i", "-q", "-s", "2"])
        try site.cluster.pgbench(["-c", "4", "-T", isSoak ? "600" : "6", "-M", "prepared"])
        try site.archiveEverything()
        try site.checkEverythingArchived()

        let archive = try site.archive()
        let stored = try archive.segments(timeline: TimelineID(1))
        var decompressor = try Decompressor()
        for segment in stored where try Files.exists("\(originals)/\(segment)") {
            var bytes: [UInt8] = []
            try archive.stored(segment).extract(with: &decompressor) { bytes += $0 }
            #expect(try bytes == Files.read("\(originals)/\(segment)"), "\(segment)")
        }
        let kills = try Files.readText(site.scratch.file("kills")).count
        #expect(kills >= (isSoak ? 2000 : 20), "only \(kills) pushes were killed, \(stored.count) segments")
    }

    @Test func `many hostile calls at once harm nothing`() throws {
        let archive = try Archive(settings: ["archive_jobs = 2"])
        let good = archive.origin.segments[1].description
        try archive.push(archive.origin.wal(good), expectSuccess: true)
        let before = try archive.contents()
        let fifo = archive.scratch.file(archive.origin.segments[2].description)
        #expect(mkfifo(fifo, 0o666) == 0)
        let huge = archive.scratch.file("0000000100000000000000AA")
        try createDurably(huge, bytes: [], mode: 0o644)
        #expect(truncate(huge, 10 << 30) == 0)
        let calls: [(arguments: [String], allowed: [Int32])] = [
            (["archive-push"], [2]), (["archive-push", ""], [2]), (["archive-push", "/"], [1]),
            (["archive-push", "."], [1]), (["archive-push", "/dev/zero"], [1]), (["archive-push", "a", "b"], [2]),
            (["archive-push", "--level"], [2]), (["archive-push", fifo], [1]), (["archive-push", huge], [1]),
            (["archive-push", archive.scratch.path], [1]), (["archive-push", "x\n00000001000000000000000A"], [1]),
            (["archive-push", String(repeating: "A", count: 5000)], [1]), (["archive-push", "\u{1F480}"], [1]),
            (["archive-push", archive.origin.wal(good)], [0]), (["archive-get"], [200]),
            (["archive-get", good], [200]), (["archive-get", good, ""], [200]), (["archive-get", good, "/"], [200]),
            (["archive-get", good, "/nonexistent/x"], [200]),
            (["archive-get", "../../etc/passwd", "/dev/null"], [200]),
            (["archive-get", "00000001\n00000000000000AA", archive.scratch.file("x")], [200]),
            (["archive-get", "0000000100000000000000FE", archive.scratch.file("y")], [1]),
            (["archive-get", good, archive.scratch.file("z")], [0]),
        ]
        try mapInOrder(
            Array(0..<(isSoak ? 10_000 : 230)), workers: 6, ahead: 12,
            transform: { number -> String? in
                let call = calls[number % calls.count]
                let finished = try tidemark(call.arguments, environment: ["TIDEMARK_CONFIG": archive.configuration])
                if case .exited(let status) = finished.ending, call.allowed.contains(status) { return nil }
                return "\(call.arguments): \(finished.ending) \(finished.errors)"
            }, consume: { if let wrong = $0 { Issue.record("\(wrong)") } })
        #expect(try archive.contents() == before)
        #expect(try Files.read(archive.scratch.file("z")) == Files.read(archive.origin.wal(good)))
    }
}
