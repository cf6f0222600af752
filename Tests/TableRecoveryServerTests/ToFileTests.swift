import Platform
import Support
import Testing

/// Where a dump must not be written.
private struct Place: Sendable, CustomTestStringConvertible {
    let name: String
    /// REPOSITORY, STATE, DATA, SPACE and PLACE stand for directories.
    let path: String
    /// A shell script that runs beforehand.
    var preparation = ""
    let says: String
    var testDescription: String { name }
}

private let places = [
    Place(name: "a file", path: "PLACE/f", preparation: "touch PLACE/f", says: "file \"PLACE/f\" already exists"),
    Place(
        name: "a link to a file", path: "PLACE/l", preparation: "touch PLACE/g; ln -s g PLACE/l",
        says: "file \"PLACE/l\" already exists"),
    Place(
        name: "a link that leads to nothing", path: "PLACE/d", preparation: "ln -s nowhere PLACE/d",
        says: "It is a symbolic link that leads to nothing."),
    Place(name: "the repository", path: "REPOSITORY/main/x.dump", says: "lies in repository \"REPOSITORY\""),
    Place(
        name: "the repository by a link", path: "PLACE/link/x.dump", preparation: "ln -s REPOSITORY/main PLACE/link",
        says: "lies in repository \"REPOSITORY\""),
    Place(
        name: "a link to what isn't in the repository yet", path: "PLACE/new.dump",
        preparation: "ln -s REPOSITORY/new.dump PLACE/new.dump", says: "lies in repository \"REPOSITORY\""),
    Place(name: "the state directory", path: "STATE/x/y.sql", says: "lies in state directory \"STATE\""),
    Place(name: "the data directory", path: "DATA/x.dump", says: "lies in data directory \"DATA\""),
    Place(name: "a tablespace", path: "SPACE/x.dump", says: "lies in tablespace \"SPACE\""),
    Place(
        name: "another server's data directory", path: "PLACE/other/base/x.dump",
        preparation:
            "mkdir -p PLACE/other/base PLACE/other/global; touch PLACE/other/PG_VERSION PLACE/other/global/pg_control",
        says: "lies in data directory \"PLACE/other\""),
]

@Suite(.serialized) struct ToFileTests {
    private static let site = TestSite.shared {
        let shop = try Shop("create table orders (id int primary key); insert into orders values (1)")
        let scratch = shop.site.scratch
        try runAsServerUser("/bin/mkdir", [scratch.file("place"), scratch.file("space")])
        try shop.sql("create tablespace space location '\(scratch.file("space"))'")
        try shop.backup()
        try shop.site.archiveEverything()
        return shop.site
    }

    @Test(arguments: places)
    private func `a dump is not written over anything, nor where only servers and tidemark write`(_ place: Place) throws
    {
        let site = try Self.site.get()
        let shop = Shop(site)
        func real(_ text: String) -> String {
            [
                ("REPOSITORY", site.repository), ("STATE", site.scratch.file("state")), ("DATA", site.cluster.data),
                ("SPACE", site.scratch.file("space")), ("PLACE", site.scratch.file("place")),
            ].reduce(text) { $0.replacing($1.0, with: $1.1) }
        }
        try runAsServerUser("/bin/sh", ["-ec", real(place.preparation)])
        let path = real(place.path)
        let (before, wasThere) = try (FileStatus(ofLinkItself: path), Files.exists(path))
        let refused = try shop.recover(
            ["-t", "shop.public.orders", "--target", "latest", "--to-file", path], expectSuccess: false)
        #expect(refused.ending == .exited(1), "\(refused)")
        #expect(refused.errors.contains(real(place.says)), "\(refused)")
        #expect(refused.errors.contains("elsewhere") || refused.errors.contains("nothing is overwritten"), "\(refused)")
        #expect(try FileStatus(ofLinkItself: path) == before)
        #expect(try Files.exists(path) == wasThere)
    }

    @Test func `a file that appears meanwhile is not overwritten`() throws {
        let site = try Self.site.get()
        let path = site.scratch.file("place") + "/meanwhile"
        let ended = try Gate(at: "open:/server.log").run(
            Executables.directory.get() + "/tidemark-main",
            ["recover-table", "-t", "shop.public.orders", "--target", "latest", "--to-file", path],
            environment: ["TIDEMARK_CONFIG": site.configuration], meanwhile: "echo mine >'\(path)'")
        #expect(ended.ending == .exited(1), "\(ended)")
        #expect(ended.errors.contains("file \"\(path)\" already exists"), "\(ended)")
        #expect(ended.errors.contains("It has appeared meanwhile; nothing is overwritten."), "\(ended)")
        #expect(try Files.readText(path) == "mine\n")
    }
}
