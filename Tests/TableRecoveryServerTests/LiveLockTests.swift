import Platform
import Support
import Testing

/// What recover-table waits for in the live database ends, also when it is killed, and so does what waits behind it.
@Suite(.serialized) struct LiveLockTests {
    private static let isWaiting = """
        select count(*) from pg_locks where not granted and pid in
            (select pid from pg_stat_activity where application_name = 'tidemark')
        """

    /// A shop whose table is lost, and whose other table is locked by a session in the background.
    private func lockedShop() throws -> (Shop, command: [String]) {
        let shop = try Shop(
            """
            create table customers (name text primary key); insert into customers values ('c');
            create table orders (id int primary key, customer text references customers); insert into orders values (1, 'c')
            """)
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("drop table orders")
        try shop.site.archiveEverything()
        try runAsServerUser(
            "/bin/sh",
            [
                "-c", "\"$@\" >/dev/null 2>&1 &", "sh", TestServer.v15.bin + "/psql", "-h", shop.cluster.directory,
                "-U", "postgres", "-d", "shop", "-Xqc",
                "set application_name = holder; begin; lock customers in share mode; select pg_sleep(3600)",
            ])
        try shop.cluster.wait(for: "the lock") {
            try shop.sql("select count(*) from pg_locks where relation = 'customers'::regclass and granted") == "1"
        }
        return (
            shop,
            [
                "-t", "shop.public.orders", "--target-time", target, "--into-table=public.orders",
                "--with-foreign-keys", "--yes",
            ]
        )
    }

    @Test func `a lock in the live database that is never granted ends the recovery with the reason`() throws {
        let (shop, command) = try lockedShop()
        let refused = try shop.recover(command, expectSuccess: false)
        let holder = try shop.sql("select pid from pg_stat_activity where application_name = 'holder'")
        #expect(refused.ending == .exited(1))
        #expect(refused.errors.contains("ERROR:  tables of the live database are in use"), "\(refused.errors)")
        #expect(refused.errors.contains("process \(holder) (active)"), "\(refused.errors)")
        #expect(try shop.sql("select to_regclass('orders') is null") == "t")
        try shop.sql("select pg_terminate_backend(\(holder))")
        try shop.recover(command)
        #expect(try shop.sql("select customer from orders") == "c")
    }

    @Test(arguments: ["INT", "KILL"])
    func `nothing waits for a lock when the recovery has been ended`(_ signal: String) throws {
        let (shop, command) = try lockedShop()
        let script = """
            "$@" >/dev/null 2>&1 & process=$!
            while [ "$(psql -h "$PGHOST" -U postgres -d shop -XAtc "$QUESTION")" = 0 ]; do sleep 0.1; done
            kill -$SIGNAL $process; wait $process; echo $?
            """
        let finished = try runAsServerUser(
            "/bin/bash",
            [
                "-c", script, "bash", "/usr/bin/env", "--default-signal=INT",
                Executables.directory.get() + "/tidemark-main",
            ]
                + ["recover-table", "--config", shop.site.configuration] + command,
            environment: ["PGHOST": shop.cluster.directory, "QUESTION": Self.isWaiting, "SIGNAL": signal])
        #expect(finished.output == (signal == "INT" ? "130\n" : "137\n"), "\(finished)")
        // The lock's holder is still there.
        let start = Clock.monotonic
        try shop.cluster.wait(for: "the end of the wait") { try shop.sql(Self.isWaiting) == "0" }
        #expect(Clock.monotonic - start < 20_000_000_000)
        #expect(try shop.sql("select count(*) from pg_stat_activity where application_name = 'holder'") == "1")
        try shop.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'holder'")
        try shop.site.tidemark(["clean"], expectSuccess: true)
    }

    @Test func `a standby that must confirm commits, and is away, doesn't hold up the recovery`() throws {
        let shop = try Shop("create table orders (id int primary key); insert into orders values (1), (2)")
        try shop.backup()
        let target = try shop.moment()
        try shop.sql("drop table orders")
        try shop.site.archiveEverything()
        try shop.sql("alter system set synchronous_standby_names = 'away'")
        try shop.sql("select pg_reload_conf()")
        try shop.cluster.wait(for: "the setting") { try shop.sql("show synchronous_standby_names") == "away" }
        try shop.recover(["-t", "shop.public.orders", "--target-time", target, "--into-table=public.orders", "--yes"])
        #expect(try shop.sql("select count(*) from orders") == "2")
        try shop.sql("alter system reset synchronous_standby_names")
        try shop.sql("select pg_reload_conf()")
    }
}
