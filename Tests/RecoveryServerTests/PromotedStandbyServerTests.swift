import Platform
import Support
import Testing

/// A standby made by `recover`, and how it came to take writes.
struct PromotedStandby: Sendable, CustomTestStringConvertible {
    enum Way: Sendable { case pgControl, function, withoutSignal }
    let server: TestServer
    let isInPlace: Bool
    let way: Way
    var testDescription: String { "\(server), \(isInPlace ? "in place" : "beside"), \(way)" }

    init(_ server: TestServer, inPlace: Bool, _ way: Way) {
        (self.server, isInPlace, self.way) = (server, inPlace, way)
    }

    static let all = [
        PromotedStandby(.v15, inPlace: false, .pgControl), PromotedStandby(.v15, inPlace: true, .function),
        PromotedStandby(.v15, inPlace: true, .withoutSignal), PromotedStandby(.v16, inPlace: true, .pgControl),
        PromotedStandby(.v18, inPlace: true, .withoutSignal), PromotedStandby(.v18, inPlace: false, .function),
    ]
}

/// What becomes of a standby made by `recover` when it takes over.
@Suite(.serialized) struct PromotedStandbyServerTests {
    @Test(arguments: PromotedStandby.all)
    func `nothing of the recovery is left once a standby takes writes`(_ story: PromotedStandby) throws {
        let site = try TestSite(
            story.server, settings: ["max_connections": "55"], initdb: ["--wal-segsize=1"])
        let cluster = site.cluster
        // Less than the server has, which counts at its next start.
        try cluster.append(to: "postgresql.conf", ["max_connections = 40"])
        try cluster.psql("create table t as select 1 n")
        try site.tidemark(["backup"], expectSuccess: true)
        try site.archiveEverything()
        let copy = try RecoveredDirectory(site)
        let directory = story.isInPlace ? cluster.data : copy.path
        let ran = site.scratch.file("ran")
        let order = [
            "--target", "latest", "--standby", "--set", "primary_conninfo=host=/nowhere", "--set", "work_mem=5MB",
            "--set", "hot_standby_feedback=on", "--set", "recovery_end_command=echo >\(ran)",
        ]
        if story.isInPlace { try cluster.stop() }
        let made =
            try story.isInPlace ? site.tidemark(["recover", "--start", "--yes"] + order) : copy.recover(order)
        try #require(made.ending == .exited(0), "\(made.errors)")
        func psql(_ sql: String) throws -> String { try story.isInPlace ? cluster.psql(sql) : copy.psql(sql) }
        func settings() throws -> String { try Files.readText(directory + "/postgresql.auto.conf") }
        func control(_ arguments: [String]) throws {
            try runAsServerUser(
                story.server.bin + "/pg_ctl",
                ["-D", directory, "-l", site.scratch.file("again"), "-w", "-s", "-t", "600"] + arguments)
        }
        // As long as it is a standby it has them, whoever pushes or restarts.
        #expect(try settings().contains("restore_command"))
        try runAsServerUser(Executables.tidemark(), ["recovery-end", "--data-directory", directory])
        #expect(try settings().contains("primary_conninfo"))

        switch story.way {
        case .pgControl: try control(["promote"])
        case .function: #expect(try psql("select pg_promote(true, 600)") == "t")
        case .withoutSignal:
            try control(["stop"])
            try runAsServerUser("/bin/rm", [directory + "/standby.signal"])
            try control(["start"])
            _ = try psql("insert into t values (2)")
            try site.archiveEverything()
        }
        try cluster.wait(for: "the record of the recovery to go") {
            try !Files.exists(directory + "/pg_wal/tidemark.recovery")
        }
        let after = try settings()
        for name in ["restore_command", "recovery_", "primary_conninfo", "hot_standby_feedback = 'on'"] {
            #expect(!after.contains(name), "\(after)")
        }
        #expect(after.contains("work_mem = '5MB'"), "\(after)")
        #expect(after.contains("max_connections = '55'"), "what it needs to follow again: \(after)")
        // Without a recovery's end, PostgreSQL runs no command.
        if story.way != .withoutSignal { #expect(try Files.exists(ran)) }
        try control(["restart"])
        #expect(try psql("show primary_conninfo") == "")
        #expect(try psql("select pg_is_in_recovery()") == "f")
    }
}
