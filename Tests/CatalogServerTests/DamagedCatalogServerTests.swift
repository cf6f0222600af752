import Glibc
import Platform
import Support
import Testing

/// Damage to a catalog's file; docs/catalog.md describes the consequences.
private struct Mishap: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// `$CATALOG` is the file, `$STATE` its directory.
    let script: String
    let says: String
    var undo = "true"

    static let all = [
        Mishap(
            testDescription: "a table that lacks a column",
            script: sqlite("alter table segment rename column link to knot"), says: "is damaged and is rebuilt"),
        Mishap(
            testDescription: "a table that is gone", script: sqlite("drop table segment"),
            says: "is damaged and is rebuilt"
        ),
        Mishap(
            testDescription: "no database", script: "echo nonsense >$CATALOG; rm -f $CATALOG-*",
            says: "is damaged and is rebuilt"),
        Mishap(
            testDescription: "a row that somebody has added",
            script: sqlite("insert into folder values (9, '00000009000000AA', null, null)"),
            says: "somebody else has changed its table"),
        Mishap(testDescription: "a file that can't be written", script: "chmod 0444 $CATALOG", says: "is read-only"),
        Mishap(
            testDescription: "a directory", script: "rm -f $CATALOG*; mkdir -p $CATALOG/mine", says: "is not a file"),
        Mishap(
            testDescription: "a directory that can't be written", script: "rm -f $CATALOG*; chmod 0555 $STATE",
            says: "is built in memory for this command only", undo: "chmod 0750 $STATE"),
        Mishap(
            testDescription: "a catalog in a directory that can't be written",
            script: "chmod 0444 $CATALOG*; chmod 0555 $STATE", says: "is built in memory for this command only",
            undo: "chmod 0750 $STATE"),
    ]

    static let outside = ["segment", "object", "chunk", "run", "event", "folder"].map { table in
        Mishap(
            testDescription: "rows that are gone from \(table)", script: sqlite("delete from \(table)"),
            says: "somebody else has changed its table")
    }

    static func sqlite(_ statement: String) -> String {
        "python3 -c \"import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); c.execute(sys.argv[2]); c.commit()\" "
            + "$CATALOG \"\(statement)\""
    }
}

@Suite(.serialized) struct DamagedCatalogServerTests {
    private static let site = TestSite.shared {
        let site = try TestSite(initdb: ["--wal-segsize=1"])
        try site.tidemark(["backup"], expectSuccess: true)
        try site.cluster.psql("create table t as select 1; drop table t")
        try site.archiveEverything()
        return site
    }
    private static let lookers = [["list"], ["window"], ["events"], ["segments"]]

    private func shell(_ site: TestSite, _ script: String) throws {
        let state = try site.learned()
        let folder = try #require(try Files.list(site.repository + "/main").first)
        try runAsServerUser(
            "/bin/bash", ["-ec", script], environment: ["STATE": state, "CATALOG": "\(state)/\(folder).catalog"])
    }

    /// Removes ages, which change.
    private func answer(_ site: TestSite, _ command: [String]) throws -> (output: String, errors: String) {
        let finished = try site.tidemark(command, expectSuccess: true)
        let lines = finished.output.split(separator: "\n").filter { !$0.contains(" old.") }
        return (lines.joined(separator: "\n"), finished.errors)
    }

    @Test(arguments: Mishap.all + Mishap.outside) private func `every answer is as before, and says what was wrong`(
        _ mishap: Mishap
    )
        throws
    {
        let site = try Self.site.get()
        for command in Self.lookers {
            let before = try answer(site, command).output
            try shell(site, mishap.script)
            let after = try answer(site, command)
            try shell(site, mishap.undo)
            #expect(after.output == before, "\(command)")
            #expect(after.errors.contains(mishap.says), "\(command): \(after.errors)")
            if mishap.says.isEmpty { #expect(after.errors == "", "\(command)") }
            try shell(site, "rm -rf $CATALOG.aside-*; chmod -f 0640 $CATALOG* || true")
            #expect(try answer(site, command).errors == "", "\(command)")
        }
    }

    @Test func `a catalog that another process has locked is waited for, with a message`() throws {
        let site = try Self.site.get()
        _ = try answer(site, ["segments"])
        let (held, said) = (site.scratch.file("held"), site.scratch.file("said"))
        try shell(
            site,
            """
            hold='import sqlite3,sys,time,os
            c=sqlite3.connect(sys.argv[1]); c.execute("begin exclusive"); open(sys.argv[2],"w").close()
            while os.path.exists(sys.argv[2]): time.sleep(0.05)'
            setsid python3 -c "$hold" $CATALOG \(held) >/dev/null 2>&1 &
            until [ -e \(held) ]; do sleep 0.05; done
            """)
        // Something new, so that it must be synchronized.
        try site.cluster.psql("select pg_create_restore_point('locked')")
        try site.archiveEverything()
        let worker = try Worker {
            _ = try? runAsServerUser(
                "/bin/bash",
                ["-c", "\"$0\" segments >/dev/null 2>\(said); echo $? >\(said).status", Executables.tidemark()],
                environment: ["TIDEMARK_CONFIG": site.configuration])
        }
        try wait(for: "the command to say what it waits for") {
            try Files.exists(said) && Files.readText(said).contains("is locked by another process; waiting for it")
        }
        try Files.remove(held)
        worker.join()
        #expect(try Files.readText(said + ".status") == "0\n")
    }
}
