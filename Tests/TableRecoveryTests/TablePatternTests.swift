import TableRecovery
import Testing

@Suite struct TablePatternTests {
    @Test(arguments: [
        ("shop.public.orders", "shop", "public", "orders"),
        ("Shop.Public.ORDERS", "shop", "public", "orders"),
        ("shop.\"Weird Schema\".\"Ta\"\"b.le\"", "shop", "Weird Schema", "Ta\"b.le"),
        ("\"Shop\".public.o$1", "Shop", "public", "o$1"),
        ("shop.public.größe", "shop", "public", "größe"),
        ("shop.public.\"a\"b", "shop", "public", "ab"),
        // An accent that combines with a quotation mark.
        ("shop.public.\"a\"\"\u{301}b\"", "shop", "public", "a\"\u{301}b"),
    ])
    func `names are read as SQL writes them`(_ text: String, _ database: String, _ schema: String, _ table: String)
        throws
    {
        let pattern = try TablePattern(text)
        #expect(pattern.database == database)
        #expect(pattern.schema.name == schema)
        #expect(pattern.table.name == table)
        #expect(pattern.isExact)
    }

    @Test(arguments: [
        ("shop.public.*", "orders", true), ("shop.public.ord*", "orders", true), ("shop.public.ord*", "items", false),
        ("shop.public.o?ders", "orders", true), ("shop.public.o?ders", "oders", false),
        ("shop.public.*_2026_*", "sales_2026_01", true), ("shop.public.\"*\"", "orders", false),
        ("shop.public.\"*\"", "*", true),
    ])
    func `wildcards match outside of quotation marks`(_ text: String, _ table: String, _ matches: Bool) throws {
        let pattern = try TablePattern(text)
        #expect(pattern.matches(schema: "public", table: table) == matches)
        #expect(!pattern.matches(schema: "other", table: table))
    }

    @Test func `the database may come from an option`() throws {
        let pattern = try TablePattern("public.orders", database: "shop")
        #expect(pattern.database == "shop")
        #expect(TablePattern.everything(in: "shop").matches(schema: "a", table: "b"))
    }

    @Test(arguments: [
        ("orders", "It has 1 part."), ("public.orders", "It has 2 parts."), ("a.b.c.d", "It has 4 parts."),
        ("shop..orders", "A part of it is empty."), ("shop.public.", "A part of it is empty."),
        ("shop.public.\"orders", "A quotation mark is not closed."),
        ("shop.public.my orders", "A name with \" \" in it must be quoted."),
        ("*.public.orders", "The database must be named in full, without wildcards."),
    ])
    func `text that is no name is refused`(_ text: String, _ reason: String) {
        let error = #expect(throws: BadTablePattern.self) { try TablePattern(text) }
        #expect(error?.reason == reason)
    }

    @Test func `a suffix is kept whole in a long name`() {
        let name = TableName(schema: "s", name: String(repeating: "ä", count: 31))
        let longer = name.appending("_20261105t085900z")
        #expect(longer.name.utf8.count <= 63)
        #expect(longer.name.hasSuffix("ä_20261105t085900z"))
        #expect(TableName(schema: "a b", name: "c\"d").sql == "\"a b\".\"c\"\"d\"")
    }
}
