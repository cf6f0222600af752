import Platform
import Support
import Testing

/// Owner and privileges of a recovered table.
@Suite(.serialized) struct OwnershipTests {
    private static let privileges = """
        select coalesce(relacl::text, 'none') || ' ' || coalesce((select string_agg(attname || attacl::text, ' ' order by attname)
            from pg_attribute where attrelid = c.oid and attacl is not null), '-') || ' of ' || pg_get_userbyid(relowner)
        from pg_class c where oid =
        """

    @Test func `owner and grants are as they were, whatever new tables get today`() throws {
        let shop = try Shop(
            """
            create role alice; create role clerk; create role "Old ""one"; create role lead; create role gone;
            create schema sales authorization alice; grant usage on schema sales to clerk, lead; grant create on schema sales to gone;
            create table sales.orders (id serial primary key, customer text); alter table sales.orders owner to alice;
            grant select on sales.orders to clerk; grant all on sales.orders to lead with grant option;
            grant update (customer) on sales.orders to clerk; grant usage on sequence sales.orders_id_seq to clerk;
            set role lead; grant select on sales.orders to public; reset role;
            create table sales.private (id int); alter table sales.private owner to alice; revoke all on sales.private from alice;
            create table sales.lost (id serial, b text); alter table sales.lost owner to "Old ""one";
            grant select on sales.lost to clerk; grant update (b) on sales.lost to gone, clerk;
            create statistics sales.lost_all on id, b from sales.lost; alter statistics sales.lost_all owner to "Old ""one";
            insert into sales.orders (customer) values ('x'); insert into sales.lost (b) values ('y');
            """)
        try shop.backup()
        let names = ["sales.orders", "sales.orders_id_seq", "sales.private"]
        let expected = try names.map { try shop.sql("\(Self.privileges) '\($0)'::regclass") }
        let schema = try shop.sql("select nspacl, pg_get_userbyid(nspowner) from pg_namespace where nspname = 'sales'")
        let target = try shop.moment()
        try shop.sql(
            """
            drop schema sales cascade; drop role "Old ""one"; drop role gone; create role reader;
            alter default privileges grant all on tables to reader; alter default privileges grant select on tables to public;
            alter default privileges grant usage on sequences to reader;
            """)
        try shop.site.archiveEverything()
        let finished = try shop.recover(["-t", "shop.sales.*", "--target-time", target, "--replace", "--yes"])
        for (name, expected) in zip(names, expected) {
            #expect(try shop.sql("\(Self.privileges) '\(name)'::regclass") == expected, "\(finished.errors)")
        }
        // Without the dropped role.
        #expect(
            try shop.sql("select nspacl, pg_get_userbyid(nspowner) from pg_namespace where nspname = 'sales'")
                == schema.replacing(",gone=C/alice", with: ""))
        #expect(
            try shop.sql("\(Self.privileges) 'sales.lost'::regclass")
                == "{postgres=arwdDxt/postgres,clerk=r/postgres} b{clerk=w/postgres} of postgres")
        #expect(
            try shop.sql("select pg_get_userbyid(stxowner) from pg_statistic_ext where stxname = 'lost_all'")
                == "postgres")
        #expect(
            finished.errors.contains("The owner (Old \"one) does not exist in the live cluster; you own the tables."))
        #expect(finished.errors.contains("Privileges of roles that do not exist in the live cluster: gone."))

        // The same beside the live ones, under another name.
        let beside = try shop.recover([
            "-t", "shop.sales.orders", "--target-time", target, "--into-table=elsewhere.orders",
        ])
        for (name, expected) in zip(["elsewhere.orders", "elsewhere.orders_id_seq"], expected) {
            // The role that granted privileges on may not use the new schema; the owner has granted them.
            #expect(
                try shop.sql("\(Self.privileges) '\(name)'::regclass") == expected.replacing("/lead", with: "/alice"),
                "\(beside.errors)")
        }
        #expect(!beside.errors.contains("not exist in the live cluster"), "\(beside.errors)")
    }

    @Test func `settings of the database and its roles do not change values on their way`() throws {
        let shop = try Shop(
            """
            create table orders (id int primary key, day date, at timestamptz, took interval, f float8, g real, raw bytea, price money,
                list text[], doc xml);
            insert into orders select n, date '2026-05-06' + n, '2026-05-06 07:08:09+00', '-1 day 2 hours', pi() * n, 0.1::real * n,
                '\\x00ff5c', 12.34, array['null', null, 'a'], '<a/><b/>' from generate_series(1, 12) n;
            """)
        try shop.sql(
            """
            alter database shop set datestyle = 'SQL, DMY'; alter database shop set intervalstyle = 'sql_standard';
            alter database shop set extra_float_digits = -10; alter database shop set timezone = 'Asia/Kolkata';
            alter database shop set bytea_output = 'escape'; alter database shop set search_path = 'nowhere'
            """)
        try shop.backup()
        let fingerprint = "select count(*), md5(string_agg(o::text, ',' order by id)) from public.orders o"
        // This way the result is exact, whatever is set.
        let fixed =
            "set datestyle = iso; set intervalstyle = postgres; set extra_float_digits = 3; set timezone = 'UTC'; "
        let expected = try shop.sql(fixed + fingerprint)
        try shop.site.archiveEverything()
        try shop.sql(
            """
            alter database shop set datestyle = 'SQL, MDY'; alter database shop set intervalstyle = 'iso_8601';
            alter database shop set array_nulls = off; alter database shop set xmloption = document;
            alter database shop set standard_conforming_strings = off; alter database shop set default_transaction_isolation = 'serializable'
            """)
        try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--into-table=public.\"a \\ 'b\""])
        let again = fingerprint.replacing("public.orders", with: "public.\"a \\ 'b\"")
        #expect(try shop.sql(fixed + again) == expected)
        let compared = try shop.recover(["-t", "shop.public.orders", "--target", "latest", "--diff"])
        #expect(
            compared.output.contains("12 rows then, 12 now; 0 missing, 0 changed, 0 added since"), "\(compared.output)")
    }
}
