import Platform
import Support
import Testing

/// Names that are not UTF-8, as databases without an encoding have them.
@Suite(.serialized) struct UnencodedNameTests {
    @Test(arguments: [
        ("", ""), ("plain", "plain"), ("é", "é"), ("a\u{FFFD}b", "a\u{FFFD}ef\u{FFFD}bf\u{FFFD}bdb"),
        ("\u{FFFD}e9", "\u{FFFD}ef\u{FFFD}bf\u{FFFD}bde9"),
    ])
    func `a text of UTF-8 comes back`(_ text: String, shown: String) {
        #expect(ServerText.string(Array(text.utf8)) == shown)
        #expect(ServerText.bytes(shown) == Array(text.utf8))
    }

    @Test func `no two texts become one, and each comes back`() {
        let pieces: [[UInt8]] = [
            [0xE9], [0xE8], [0xC3, 0xA9], [0xC3], [0xA9], [0x80], [0xFF], [0xF0, 0x9F, 0x98], [0xED, 0xA0, 0x80],
            [0xEF, 0xBF, 0xBD], Array("e9".utf8), Array("x".utf8), [0xC0, 0x80], [0x0A],
        ]
        var seen: [String: [UInt8]] = [:]
        for one in pieces {
            for two in pieces {
                for three in pieces {
                    let bytes = one + two + three
                    let text = ServerText.string(bytes)
                    #expect(ServerText.bytes(text) == bytes, "\(bytes)")
                    #expect(seen[text].map { $0 == bytes } ?? true, "\(bytes) and \(seen[text] ?? [])")
                    seen[text] = bytes
                }
            }
        }
        // What nobody made from bytes is taken as it is.
        for text in ["\u{FFFD}", "\u{FFFD}x", "\u{FFFD}E9", "\u{FFFD}+1", "a\u{FFFD}9"] {
            #expect(ServerText.bytes(text) == Array(text.utf8), "\(text)")
        }
    }

    @Test(arguments: ["SQL_ASCII", "UTF8"])
    func `a database of such a name is backed up and comes back with the others`(_ encoding: String) throws {
        let site = try TestSite(initdb: ["--encoding=\(encoding)", "--locale=C"])
        let cluster = site.cluster
        /// Statements of any bytes, as printf writes them, in a database of such a name.
        func psql(_ statements: String, in database: String, directory: String? = nil) throws -> String {
            try runAsServerUser(
                "/bin/sh",
                [
                    "-c",
                    "printf \"$1\" | \"$4\" -XAtq -v ON_ERROR_STOP=1 -h \"$3\" -U postgres -d \"$(printf \"$2\")\"",
                    "sh",
                    statements, database, directory ?? cluster.directory, cluster.server.bin + "/psql",
                ], environment: ["PGCLIENTENCODING": "SQL_ASCII"]
            ).output.split(separator: "\n").joined(separator: " ")
        }
        // In a cluster of UTF-8 only a database without an encoding can make one.
        try cluster.psql("create database raw encoding 'SQL_ASCII' locale 'C' template template0")
        for name in ["caf\\351", "caf\\350"] {
            _ = try psql(
                "create database \\042\(name)\\042 encoding 'SQL_ASCII' locale 'C' template template0", in: "raw")
            _ = try psql("create table t as select '\(name)' as a; create table \\042\(name)\\042 (id int)", in: name)
        }
        try cluster.psql("create table good as select 1 as a", database: "raw")
        let taken = try site.tidemark(["backup"], expectSuccess: true)
        #expect(!taken.errors.contains("WARNING"), "\(taken)")
        try site.archiveEverything()
        let label = try #require(try site.backupLabels().first)
        let shown = try site.tidemark(["show", label, "--tables", "10000"], expectSuccess: true).output
        for name in ["caf\u{FFFD}e9", "caf\u{FFFD}e8"] {
            #expect(shown.contains(name) && shown.contains("\(name).public.t"), "\(shown.suffix(3000))")
        }
        _ = try site.tidemark(["check"])

        let copy = site.scratch.file("copy")
        let recovered = try site.tidemark([
            "recover", "--target", "latest", "--data-directory", copy, "--start", "--yes",
        ])
        #expect(recovered.ending == .exited(0), "\(recovered)")
        let socket = try #require(recovered.output.firstMatch(of: /host=([^ ']*)/)?.1)
        for (name, hex) in [("caf\\351", "636166e9"), ("caf\\350", "636166e8")] {
            #expect(try psql("select encode(a::bytea, 'hex') from t", in: name, directory: String(socket)) == hex)
        }
        try runAsServerUser(cluster.server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "-w", "stop"])

        let table = try site.tidemark(
            ["recover-table", "-t", "raw.public.good", "--target", "latest", "--into-table=public.again"])
        #expect(table.ending == .exited(0), "\(table)")
        let refused = try site.tidemark(
            ["recover-table", "-t", "\"caf\u{FFFD}e9\".public.t", "--target", "latest", "--diff"])
        #expect(refused.ending == .exited(1) && refused.errors.contains("its name is not UTF-8"), "\(refused)")
        #expect(refused.errors.contains("use pg_dump there"), "\(refused)")
    }

    /// Both as a terminal of that encoding sends it, and as it is shown.
    @Test func `the drop of a database of such a name is found, and no other's`() throws {
        let site = try TestSite(initdb: ["--encoding=SQL_ASCII", "--locale=C"])
        func psql(_ statement: String) throws {
            try runAsServerUser(
                "/bin/sh",
                [
                    "-c", "printf \"$1\" | \"$3\" -XAtq -v ON_ERROR_STOP=1 -h \"$2\" -U postgres -d postgres", "sh",
                    statement, site.cluster.directory, site.cluster.server.bin + "/psql",
                ], environment: ["PGCLIENTENCODING": "SQL_ASCII"], expectSuccess: true)
        }
        // The first one is in the backup, the others' names are in WAL only.
        try psql("create database \\042caf\\351\\042")
        try site.tidemark(["backup"], expectSuccess: true)
        for byte in ["350", "352"] { try psql("create database \\042caf\\\(byte)\\042") }
        var drops: [String: String] = [:]
        for byte in ["351", "350", "352"] {
            drops[byte] = try site.cluster.psql("select pg_current_xact_id()")
            try psql("drop database \\042caf\\\(byte)\\042")
        }
        try site.archiveEverything()
        for (byte, shown) in [("351", "e9"), ("350", "e8"), ("352", "ea")] {
            var said: [String] = []
            for word in ["caf\\\(byte)", "caf\u{FFFD}\(shown)"] {
                let plan = try runAsServerUser(
                    "/bin/sh",
                    [
                        "-c", "\"$1\" plan --before-drop-database \"$(printf \"$2\")\"", "sh", Executables.tidemark(),
                        word,
                    ], environment: ["TIDEMARK_CONFIG": site.configuration], expectSuccess: false)
                #expect(plan.ending == .exited(0), "\(byte): \(plan)")
                #expect(plan.errors.contains("database \"caf\u{FFFD}\(shown)\" was dropped"), "\(plan)")
                let found = try #require(plan.errors.firstMatch(of: /by transaction ([0-9]+)/)?.1, "\(plan)")
                said.append(String(found))
            }
            let before = try #require(drops[byte].flatMap { Int($0) })
            #expect(
                Set(said).count == 1 && said.allSatisfy { (before + 1...before + 2).contains(Int($0) ?? 0) }, "\(said)")
        }
    }
}

extension ServerText {
    fileprivate static func string(_ bytes: [UInt8]) -> String { bytes.withUnsafeBytes { string($0) } }
}
