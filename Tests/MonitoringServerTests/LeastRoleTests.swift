import Glibc
import Platform
import Support
import Testing

/// With the privileges that the docs name, and no others, every command works as the docs say.
@Suite(.serialized) struct LeastRoleTests {
    private static let docs = Files.parent(Files.parent(Files.parent(#filePath))) + "/docs/"

    /// The text between two strings of a page, at their first occurrence.
    private static func piece(of page: String, _ begin: String, _ end: String) throws -> String {
        let text = try Files.readText(docs + page)
        let start = try #require(text.firstRange(of: begin), "\(page): \(begin)")
        let rest = text[start.upperBound...]
        return String(rest[..<(try #require(rest.firstRange(of: end))).lowerBound])
    }

    /// A cluster with tables that the role may not read, and a configuration with no other role.
    private static func site(_ server: TestServer) throws -> TestSite {
        let site = try TestSite(
            server, settings: ["fsync": "on", "archive_timeout": "1h"],
            initdb: ["--wal-segsize=1", "--data-checksums"],
            configuration: [
                "drill_database = 'shop'", "drill_min_rows = 'sales.orders=100'",
                "drill_sql = 'select count(*) = 1 from public.secret; select count(*) = 100 from orders'",
            ], initialize: false)
        try site.cluster.psql("create role alice")
        for database in ["shop", "closed"] { try site.cluster.psql("create database \(database)") }
        try site.cluster.psql("revoke connect on database closed from public")
        try site.cluster.psql(
            """
            create schema sales authorization alice; create table public.secret as select 42 n;
            create table sales.orders (id int primary key, customer text); alter table sales.orders owner to alice;
            create table sales.gone as select 1 n; alter table sales.gone owner to alice;
            insert into sales.orders select n, 'c' || n from generate_series(1, 100) n
            """, database: "shop")
        try site.cluster.psql(try piece(of: "security.md", "```sql\n", "```"))
        try site.cluster.psql(try piece(of: "security.md", "may not connect to one, run `", "…") + "closed to tidemark")
        try site.cluster.psql("alter role tidemark set search_path = 'sales'")
        let user = try runAsServerUser("/usr/bin/id", ["-un"]).output.split(separator: "\n")[0]
        let map = try piece(of: "security.md", "with `", "` in pg_ident.conf").split(separator: " ")
        try site.cluster.append(to: "pg_ident.conf", ["\(map[0]) \(user) \(map[2])"])
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "printf '%s\\nlocal all postgres trust\\n' \"$1\" > \"$2\"", "sh",
                "local" + (try piece(of: "security.md", "\n\n    local", "\n")),
                site.cluster.data + "/pg_hba.conf",
            ])
        try site.cluster.psql("select pg_reload_conf()")
        let text = try Files.readText(site.configuration).replacing("user=postgres", with: "user=tidemark")
        try replaceDurably(site.configuration, bytes: Array(text.utf8), mode: 0o644)
        return site
    }

    @Test(arguments: [TestServer.v15, .v18])
    func `every command does its work with the role of docs`(_ server: TestServer) throws {
        let site = try Self.site(server)
        #expect(try Files.readText(site.configuration).contains("user=tidemark"))
        var seen: Set<String> = []
        @discardableResult
        func tidemark(_ line: String, _ says: String..., status: Int32 = 0) throws -> String {
            let words = line.split(separator: " ").map(String.init)
            seen.insert(words[0])
            let finished = try site.tidemark(words)
            let all = finished.output + finished.errors
            #expect(finished.ending == .exited(status), "\(line): \(all)")
            for sign in ["permission denied", "must be ", "could not be queried", "not in the manifest", "WARNING"] {
                #expect(!all.contains(sign), "\(line): \(all)")
            }
            for text in says { #expect(all.contains(text), "\(line), \(text): \(all)") }
            return all
        }
        @discardableResult
        func shop(_ sql: String) throws -> String { try site.cluster.psql(sql, database: "shop") }

        try tidemark("init", "Created ")
        try tidemark("backup --pin")
        let moment = try shop("select to_char(now() at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')")
        try shop("drop table sales.gone")
        try site.archiveEverything()
        let label = try #require(try site.backupLabels().first)
        try tidemark("check", "is well")
        try tidemark("status")
        try tidemark("plan --target latest", "last included")
        // The wheels that other versions come from have no pg_amcheck.
        let looks = server == .v15 ? "pg_amcheck checked every database." : "The drill passed."
        try tidemark("drill", "The drill passed.", "3 checks of your own", looks)
        try tidemark("drill --target immediate", "The drill passed.")

        let copy = site.scratch.file("copy")
        try tidemark(
            "recover --target immediate --target-action pause --start --yes --data-directory \(copy)",
            "answers queries and waits")
        try runAsServerUser(server.bin + "/pg_ctl", ["-D", copy, "-m", "immediate", "stop"])

        // For the live database it needs the privileges in docs/table-recovery.md.
        try tidemark("recover-table --target latest -t shop.public.secret --to-file \(site.scratch.file("dump"))")
        for arguments in [["--replace", "--yes"], ["--diff"], ["--diff", "--apply", "missing", "--yes"]] {
            let refused = try site.tidemark(
                ["recover-table", "--target", "latest", "-t", "shop.sales.orders"] + arguments)
            #expect(refused.ending == .exited(1), "\(refused)")
            #expect(refused.errors.contains("role tidemark lacks rights on table \"sales.orders\""), "\(refused)")
            #expect(refused.errors.contains("GRANT \"alice\" TO \"tidemark\";"), "\(refused)")
            #expect(!refused.errors.contains("restor"), "\(refused)")
        }
        try site.cluster.psql(
            try Self.piece(of: "table-recovery.md", "```sql\nGRANT shop", "```").replacing(
                "_owner", with: "GRANT alice"))
        try tidemark("recover-table --target latest -t shop.sales.orders --into-table", "100 rows in ")
        #expect(try shop("select count(*) from pg_tables where schemaname = 'sales' and tableowner = 'alice'") == "2")
        try shop("delete from sales.orders where id <= 10; update sales.orders set customer = 'x' where id = 11")
        try tidemark("recover-table --target latest -t shop.sales.orders --diff", "10 missing, 1 changed", status: 3)
        try tidemark("recover-table --target latest -t shop.sales.orders --diff --apply missing --yes", "10 put back")
        try tidemark("recover-table --target latest -t shop.sales.orders --replace --yes")
        #expect(try shop("select count(*) from sales.orders where customer like 'c%'") == "100")
        try tidemark("recover-table --before-drop -t shop.sales.gone --replace --yes")
        #expect(try shop("select tableowner from pg_tables where tablename = 'gone'") == "alice")

        try tidemark("expire")
        try tidemark("verify")
        try tidemark("verify --wal")
        try tidemark("list", label)
        try tidemark("show \(label)")
        try tidemark("du")
        try tidemark("segments")
        try tidemark("window")
        try tidemark("events", "sales.gone")
        try tidemark("around --target-time \(moment)")
        try tidemark("catalog rebuild")
        try tidemark("catalog status")
        try tidemark("history")
        try tidemark("report")
        try tidemark("clean")
        try tidemark("backup")
        try tidemark("remove \(label) --yes --force")
        // Commands that use no server, and those that the server runs.
        let others: Set = [
            "archive-push", "archive-get", "recovery-end", "settings", "import", "notify", "help", "version",
        ]
        let documented = try Files.readText(Self.docs + "commands.md").split(separator: "\n")
            .filter { $0.hasPrefix("### `tidemark ") }.map { String($0.split(separator: " ")[2].prefix { $0 != "`" }) }
        #expect(Set(documented).subtracting(others).subtracting(seen) == [], "\(documented)")
        // It has read nothing with its own privileges.
        let read = try runAsServerUser(
            server.bin + "/psql",
            ["-X", "-h", site.cluster.directory, "-U", "tidemark", "-d", "shop", "-c", "select * from public.secret"],
            expectSuccess: false)
        #expect(read.errors.contains("permission denied for table secret"), "\(read)")
    }

    @Test func `init --write with that role says what it lacks`() throws {
        let site = try Self.site(.v15)
        try site.cluster.psql("alter system set archive_timeout = 0")
        try site.cluster.psql("select pg_reload_conf()")
        let refused = try site.tidemark(["init", "--write"])
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains("permission denied to set parameter"), "\(refused)")
        #expect(refused.errors.contains("The role needs more rights: a superuser has all"), "\(refused)")
    }
}
