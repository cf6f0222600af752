import Platform
import Support
import Testing

/// Objects that DROP … CASCADE removed from other tables are listed, and come back on request.
@Suite(.serialized) struct CascadeTests {
    private static let definition = """
        create role seer;
        create table orders (id serial primary key, amount int); insert into orders (amount) values (1), (2);
        create table items (id int primary key, order_id int references orders, n int default 0);
        insert into items values (10, 1), (11, 2);
        create table "Parts" (order_id int, constraint "to orders" foreign key (order_id) references orders on delete cascade);
        create table numbered (n int default nextval('orders_id_seq'));
        create view small as select * from orders where amount < 2; grant select on small to seer;
        create view smaller as select * from small; alter view smaller owner to seer;
        create materialized view sums as select sum(amount) from orders; create unique index sums_once on sums (sum);
        create policy known on items for select to seer using (exists (select from orders o where o.id = order_id));
        create rule gone as on delete to items do also update orders set amount = 0 where id = old.order_id;
        create function first_of(orders) returns int language sql as 'select $1.amount';
        create table other (id int); create view unconcerned as select * from other
        """
    /// Which of them exist.
    private static let left = """
        select concat_ws(' ', (select string_agg(conname, ',' order by conname) from pg_constraint
            where contype = 'f' and confrelid = to_regclass('orders')),
            (select string_agg(relname, ',' order by relname) from pg_class where relkind in ('v', 'm') and relnamespace = 'public'::regnamespace),
            (select string_agg(polname, ',') from pg_policy), (select count(*) from pg_rewrite where rulename = 'gone'),
            (select string_agg(proname, ',') from pg_proc where proname = 'first_of'))
        """

    @Test(arguments: [TestServer.v15, .v18])
    func `everything that went with a table is named, and made anew where it is asked for`(_ server: TestServer) throws
    {
        // A setting for people, not for programs.
        let shop = try Shop(
            Self.definition, "alter database shop set quote_all_identifiers = \(server == .v18 ? "on" : "off")",
            server: server)
        let before = try shop.sql(Self.left)
        try shop.backup()
        try shop.sql("insert into orders (amount) values (3)")
        let target = try shop.moment()
        try shop.sql("drop table orders cascade")
        try shop.sql("insert into items values (12, 99)")
        try shop.site.archiveEverything()
        let command = ["-t", "shop.public.orders", "--target-time", target]
        let everything = [
            "foreign key items_order_id_fkey of public.items", "foreign key \"to orders\" of public.\"Parts\"",
            "view public.small", "view public.smaller", "materialized view public.sums",
            "policy known on table public.items", "rule gone on table public.items", "first_of",
            "default value for column n of table public.numbered",
        ]
        // Listed without any option, in words and for programs; a table beside the old one gets no objects of other
        // tables.
        let plain = try shop.recover(command + ["--into-table=public.orders"])
        for name in everything {
            #expect(plain.output.contains(name) && plain.errors.contains(name), "\(name): \(plain)")
        }
        #expect(!plain.output.contains("unconcerned") && !plain.output.contains("orders_pkey"), "\(plain.output)")
        try shop.sql("drop table orders")
        let all = ["--with-foreign-keys", "--with-triggers", "--with-views"]
        let beside = try shop.recover(command + ["--into-table=public.again", "--json"] + all)
        for name in everything.map({ $0.replacing("\"", with: "\\\"") }) {
            #expect(beside.output.contains(name), "\(name): \(beside.output)")
        }
        #expect(try shop.sql(Self.left) == "unconcerned 0")
        try shop.sql("drop table again")
        // A row without its counterpart keeps only the foreign key from coming back.
        let most = try shop.recover(command + ["--into-table=public.orders"] + all)
        #expect(
            most.output.contains("foreign key items_order_id_fkey of public.items (insert or update on table"),
            "\(most)")
        #expect(
            try shop.sql(Self.left) + " first_of" == before.replacing("items_order_id_fkey,", with: ""),
            "\(most.errors)")
        #expect(try shop.sql("select sum from sums") == "6")
        #expect(try shop.sql("select count(*) from smaller") == "1")
        #expect(try shop.sql("select has_table_privilege('seer', 'small', 'select')") == "t")
        #expect(try shop.sql("select viewowner from pg_views where viewname = 'smaller'") == "seer")
        // Under its own name, with everything that is possible.
        try shop.sql("drop table orders cascade; delete from items where id = 12")
        let replaced = try shop.recover(command + ["--replace", "--yes"])
        #expect(replaced.errors.contains("Created, because the live database lacked them"), "\(replaced.errors)")
        #expect(try shop.sql(Self.left) + " first_of" == before)
        #expect(try shop.sql("select count(*) from items") == "2")
        // When everything is there, nothing is reported.
        try shop.sql("create function first_of(orders) returns int language sql as 'select 1'")
        try shop.sql("alter table numbered alter n set default nextval('orders_id_seq')")
        let quiet = try shop.recover(command + ["--into-table", "--json"])
        #expect(!quiet.output.contains("depended on"), "\(quiet.output)")
    }
}
