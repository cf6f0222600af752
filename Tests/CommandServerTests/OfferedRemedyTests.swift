import Glibc
import Platform
import Support
import Testing

/// What a message offers is executed as it is printed, and ends the trouble.
@Suite(.serialized) struct OfferedRemedyTests {
    private static let site = TestSite.shared {
        let site = try TestSite(
            settings: ["wal_keep_size": "64MB"], initdb: ["--wal-segsize=1", "--data-checksums"])
        try site.cluster.psql("create table t as select generate_series(1, 1000) n")
        try site.tidemark(["backup"], expectSuccess: true)
        for round in 1...3 {
            try site.cluster.psql("create table t\(round) as select 1 n")
            try site.archiveEverything()
        }
        try site.cluster.stop()
        try runAsServerUser(
            "/bin/bash",
            [
                "-ec",
                "cd $1; mkdir original; cp -a repository state original; cp tidemark.conf original/own.conf; "
                    + "cp -a $2 original/data", "sh",
                site.scratch.path, site.cluster.data,
            ], expectSuccess: true)
        return site
    }

    private static let functions = """
        sql() { $BIN/psql -h ${DATA%/data} -U postgres -d postgres -XAtq -v ON_ERROR_STOP=1 -c "$1"; }
        start() { $BIN/pg_ctl -D $DATA -l ${DATA%/data}/log -w start >/dev/null; }
        stop() { $BIN/pg_ctl -D ${1:-$DATA} -m ${2:-fast} -w stop >/dev/null; }
        finishSegment() {
            sql 'select pg_logical_emit_message(false, $$$$, $$$$)' >/dev/null; sql 'select pg_switch_wal()' >/dev/null
            until [ "$(sql "select not exists (select from pg_ls_archive_statusdir() where name like '%.ready')
                and not exists (select from pg_stat_activity
                    where backend_type = 'archiver' and wait_event is distinct from 'ArchiverMain')")" = t ]
            do sleep 0.03; done
        }
        promote() { touch $DATA/standby.signal; stop; start; $BIN/pg_ctl -D $DATA -w promote >/dev/null; sql checkpoint; }
        damage() { chmod u+w $1; printf xxxxxxxx | dd of=$1 bs=1 conv=notrunc 2>/dev/null; }
        not() { ! grep "$1"; }
        """

    /// One that the server's user may change.
    private func configuration(_ site: TestSite) -> String { site.scratch.file("own.conf") }

    private func shell(_ site: TestSite, _ script: String, expectSuccess: Bool = true) throws -> Finished {
        let original = site.scratch.file("original")
        let labels = try run("/usr/bin/find", ["\(original)/repository", "-name", "*-full", "-path", "*/backup/*"])
            .output
        let segments = try run("/usr/bin/find", ["\(original)/repository", "-name", "0*.zst"]).output
            .split(separator: "\n").map { Files.name(String($0)).dropLast(4) }.filter { $0.utf8.count == 24 }.sorted()
        return try runAsServerUser(
            "/bin/bash",
            ["-c", "PATH=\(try Executables.directory.get()):$PATH; cd $SITE; \(Self.functions)\n\(script)"],
            environment: [
                "TIDEMARK_CONFIG": configuration(site), "SITE": site.scratch.path, "DATA": site.cluster.data,
                "REPOSITORY": site.repository, "STATE": site.scratch.file("state"), "BIN": site.cluster.server.bin,
                "LABEL": Files.name(String(labels.prefix { $0 != "\n" })),
                "SEGMENT": String(segments[segments.count - 2]), "FIRST": String(segments[1]), "PGCTLTIMEOUT": "300",
            ], expectSuccess: expectSuccess)
    }

    /// The command as it is printed: to the end of the options that all have, or of the quotation.
    private func offer(_ beginning: String, in text: String, _ site: TestSite) -> String? {
        let program = text.replacing("/tidemark ", with: "/")
        guard let start = program.firstRange(of: "tidemark \(beginning)")?.lowerBound else { return nil }
        let line = program[start...].prefix { $0 != "\n" }
        let end = line.firstRange(of: "--config \(configuration(site))")?.upperBound ?? line.firstIndex(of: "\"")
        return end.map { String(line[..<$0]) }
    }

    private func putBack(_ site: TestSite) throws {
        _ = try shell(
            site,
            """
            for d in copy*/ first/; do stop $d immediate 2>/dev/null; done; stop $DATA immediate 2>/dev/null
            chmod -R u+w . 2>/dev/null
            find . -mindepth 1 -maxdepth 1 ! -name original ! -name tidemark.conf -exec rm -rf {} +
            rm -rf $DATA; cp -a original/* .; mv data $DATA
            """)
    }

    @Test(arguments: OfferedRemedy.all) func `what is offered ends the trouble`(_ remedy: OfferedRemedy) throws {
        let site = try Self.site.get()
        try putBack(site)
        _ = try shell(site, "start; set -e; " + remedy.trouble)
        try follow(remedy, site)
        try putBack(site)
    }

    /// The clock was wrong while it was taken.
    @Test func `a backup that ended in the future is removed as it is offered`() throws {
        let site = try Self.site.get()
        try putBack(site)
        let before = try site.backupLabels()
        _ = try shell(site, "start; tidemark backup --no-expire")
        let path = try #require(
            run("/usr/bin/find", [site.repository, "-name", "backup.json"]).output.split(separator: "\n")
                .first { path in !before.contains { path.contains($0) } }.map(String.init))
        let late = try Files.readText(path).replacing(/"stop_time"\ :\ "\d{4}/, with: "\"stop_time\" : \"2096")
        try replaceDurably(path, bytes: resealed(late), mode: 0o644)
        try replaceDurably(path + ".xxh128", bytes: seal(of: resealed(late)), mode: 0o644)
        try follow(
            OfferedRemedy(
                "a backup from the future", "", "tidemark check --only backup_age", offers: "remove", further: "--yes",
                afterwards: "tidemark check --only backup_age"), site)
        #expect(try site.backupLabels() == before)
        try putBack(site)
    }

    private func follow(_ remedy: OfferedRemedy, _ site: TestSite) throws {
        let reported = try shell(site, remedy.report, expectSuccess: false)
        let said = reported.output + reported.errors
        let offered = try #require(offer(remedy.offer, in: said, site), "\(remedy): \(said)")
        let line = offered.replacing("PATH", with: remedy.path)
        let finished = try shell(site, "cd $DATA/.; \(line) \(remedy.further) </dev/null", expectSuccess: false)
        let found = "\(remedy): \(offered): \(finished)\nafter \(said)"
        #expect(finished.ending == .exited(remedy.ends), "\(found)")
        let says = try shell(site, "printf %s \"\(remedy.says.replacing("\"", with: "\\\""))\"").output
        #expect((finished.output + finished.errors).contains(says), "\(found)")
        let after = try shell(site, "set -e -o pipefail; " + remedy.afterwards, expectSuccess: false)
        #expect(after.ending == .exited(0), "\(found)\nafterwards: \(after)")
    }
}
