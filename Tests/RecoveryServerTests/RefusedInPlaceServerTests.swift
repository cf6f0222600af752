import Glibc
import Platform
import Support
import Testing

/// A recovery in place archives what the dead server left only once it is known that there is a recovery.
@Suite(.serialized) struct RefusedInPlaceServerTests {
    private struct Row: Sendable {
        let name: String
        var arguments: [String] = []
        var environment: [String: String] = [:]
        /// Shell commands, with the data directory as $1, another cluster's as $2 and the repository as $3.
        var before = "", after = ""
        var ending = Finished.TerminationStatus.exited(4)
        let says: [String]
    }

    private static let rows = [
        Row(
            name: "before the oldest backup", arguments: ["--target-time", "2001-01-01 00:00:00+00"],
            says: ["cannot reach time 2001-01-01", "oldest usable backup"]),
        Row(
            name: "behind the last transaction", arguments: ["--target-time", "2099-01-01 00:00:00+00"],
            says: ["cannot reach time 2099-01-01", "before the target"]),
        Row(
            name: "a file that can't be read may hold it", arguments: ["--target-time", "2099-01-01 00:00:00+00"],
            before: "chmod 0 \"$1\"/pg_wal/$LAST", after: "chmod 600 \"$1\"/pg_wal/$LAST",
            says: ["cannot reach time 2099-01-01", "in pg_wal of", "cannot be read, and may hold transactions"]),
        Row(
            name: "no such restore point", arguments: ["--target-name", "nowhere"],
            says: ["restore point \"nowhere\" is not in the archive"]),
        Row(
            name: "no such transaction", arguments: ["--target-xid", "4000000"],
            says: ["the end of transaction 4000000 is not in the archive"]),
        Row(
            name: "no such timeline", arguments: ["--target", "latest", "--target-timeline", "9"],
            says: ["timeline 9 is not in the archive"]),
        Row(
            name: "no such drop", arguments: ["--before-drop", "postgres.public.never"],
            says: ["no drop of the tables"]),
        Row(
            name: "no such backup", arguments: ["--target", "latest", "--backup", "20010101T000000Z-full"],
            ending: .exited(1), says: ["20010101T000000Z-full"]),
        Row(
            name: "no backup", arguments: ["--target", "latest"],
            before: "cd \"$3\"; mv main/*/backup ../backup.away",
            after: "cd \"$3\"/main/*/; mv ../../../backup.away backup",
            says: ["there is no complete base backup"]),
        Row(
            name: "programs of another version",
            arguments: ["--target", "latest", "--start", "--bin-directory", TestServer.v16.bin],
            ending: .exited(1), says: ["are of PostgreSQL 16"]),
        Row(
            name: "a setting that is too low", arguments: ["--target", "latest", "--set", "max_connections=3"],
            ending: .exited(1), says: ["max_connections"]),
        Row(
            name: "a cluster's directory that the repository does not know", arguments: ["--target", "latest"],
            before: "mv \"$1\" \"$1.kept\"; cp -a \"$2\" \"$1\"", after: "rm -rf \"$1\"; mv \"$1.kept\" \"$1\"",
            ending: .exited(1), says: ["cannot archive", "Nothing was changed."]),
        Row(
            name: "interrupted while it plans", arguments: ["--target", "latest"],
            environment: ["TIDEMARK_FAULT": "open:backup.json=kill"], ending: .exited(137), says: ["fault: killed"]),
    ]

    @Test func `a refusal leaves the repository and the directory as they were`() throws {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.cluster.psql("create table t (n int)")
        try site.cluster.psql("create table gone (n int)")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        try site.cluster.psql("alter system set archive_command = '/bin/false'")
        try site.cluster.psql("select pg_reload_conf()")
        try site.cluster.wait(for: "the setting") { try site.cluster.psql("show archive_command") == "/bin/false" }
        try site.cluster.psql("insert into gone select generate_series(1, 1000)")
        try site.cluster.psql("select pg_switch_wal()")
        try site.cluster.psql("insert into gone values (0)")
        try site.cluster.psql("drop table gone")
        let last = try site.cluster.psql("select pg_walfile_name(pg_current_wal_lsn())")
        try site.cluster.stop(mode: "immediate")
        let other = try TestCluster(initdb: ["--wal-segsize=1"])
        try other.psql("create table stranger ()")
        try other.stop(mode: "immediate")

        func shell(_ script: String) throws -> String {
            try runAsServerUser(
                "/bin/bash", ["-ec", script, "bash", site.cluster.data, other.data, site.repository],
                environment: ["LAST": last]
            ).output
        }
        func contents() throws -> String {
            try shell("find \"$1\" \"$3\" -type f -printf '%p %s %T@\\n' -o -printf '%p\\n' | sort")
        }
        let before = try contents()
        for row in Self.rows {
            _ = try shell(row.before)
            let finished = try site.tidemark(["recover", "--yes"] + row.arguments, environment: row.environment)
            _ = try shell(row.after)
            #expect(finished.ending == row.ending, "\(row.name): \(finished)")
            for words in row.says { #expect(finished.errors.contains(words), "\(row.name): \(finished)") }
            #expect(!finished.errors.contains("of the old directory\n"), "\(row.name): \(finished)")
            #expect(try contents() == before, "\(row.name)")
        }

        // A drop that only the file has which the server was writing is found before anything is archived.
        let planned = try site.tidemark(["plan", "--before-drop", "postgres.public.gone"], expectSuccess: true)
        #expect(planned.output.contains(last), "\(planned)")
        #expect(try contents() == before)
        // What ends while it archives has changed nothing in the directory, and goes on from there.
        let killed = try site.tidemark(
            ["recover", "--yes", "--before-drop", "postgres.public.gone"],
            environment: ["TIDEMARK_FAULT": "rename:/wal/#2=kill"])
        #expect(killed.errors.contains("fault: killed"), "\(killed)")
        let finished = try site.tidemark(
            ["recover", "--yes", "--start", "--before-drop", "postgres.public.gone"], expectSuccess: true)
        // What is planned twice is said once.
        #expect(finished.errors.ranges(of: "was dropped at").count == 1, "\(finished)")
        #expect(finished.output.contains("As predicted"), "\(finished)")
        #expect(try site.cluster.psql("select count(*) from gone") == "1001")
    }
}
