import Platform
import Postgres
import Testing

/// libpq's connection strings, with some keywords exchanged.
@Suite struct ConnectionStringTests {
    @Test func `keywords and URIs lead to another server with role and database as they were`() throws {
        for text in [
            "host=db1 port=5433 dbname='my shop' user=o\\'neil hostaddr=10.0.0.1 target_session_attrs=read-write",
            "postgresql://o%27neil@db1:5433/my%20shop?hostaddr=10.0.0.1&target_session_attrs=read-write",
        ] {
            let there = try ConnectionString(text).at(socketDirectory: "/srv/re covered", port: "5999")
            #expect(there["user"] == "o'neil" && there["dbname"] == "my shop")
            #expect(there["host"] == "/srv/re covered" && there["port"] == "5999")
            #expect(there["hostaddr"] == nil && there["target_session_attrs"] == nil)
            #expect(try ConnectionString(there.description)["user"] == "o'neil")
            #expect(try ConnectionString(there.description)["host"] == "/srv/re covered")
        }
    }

    @Test func `a port that isn't given stays, an empty string leaves all to the environment`() throws {
        let there = try ConnectionString("port=5433").at(socketDirectory: "/tmp", port: nil)
        #expect(there.description.split(separator: " ").sorted() == ["host=/tmp", "port=5433"])
        #expect(try ConnectionString("").description == "")
    }

    @Test func `another role on a temporary server gets the database of the string's own role`() throws {
        for (text, database) in [("user=backup", "backup"), ("user=backup dbname=shop", "shop")] {
            let there = try ConnectionString(text).atOwnServer(socketDirectory: "/tmp", port: "1", user: "postgres")
            #expect(there["dbname"] == database && there["user"] == "postgres", "\(there)")
        }
    }

    @Test func `a failure to connect is told in one sentence for each address`() {
        let failure = ConnectionFailure(
            libpqMessage: """
                connection to server on socket "/s" failed: No such file or directory
                \tIs the server running locally and accepting connections on that socket?
                connection to server at "db2" failed: Connection refused
                \tIs the server running on that host and accepting TCP/IP connections?

                """)
        #expect(
            failure.reason == "connection to server on socket \"/s\" failed: No such file or directory; "
                + "connection to server at \"db2\" failed: Connection refused")
        #expect(failure.kind == .notRunning)
    }

    @Test func `the file of a service does not lead elsewhere`() throws {
        let there = try ConnectionString("service=live").atOwnServer(socketDirectory: "/tmp", port: "1")
        #expect(there["hostaddr"] == "" && there["target_session_attrs"] == "any" && there["requirepeer"] == "")
    }

    @Test(arguments: ["", "x", "\u{301}", "\u{200D}"]) func `libpq reads back what is quoted`(_ follower: String) throws
    {
        for value in ["a'\(follower) host=evil", "a\\\(follower)' host=evil", "a \(follower)"] {
            var string = try ConnectionString("port=1")
            string["user"] = value
            let back = try ConnectionString(string.description)
            #expect(back["user"].map { Array($0.utf8) } == Array(value.utf8) && back["host"] == nil, "\(string)")
        }
    }

    @Test func `passwords are not shown`() throws {
        let shown = try ConnectionString("postgresql://u:secret@h/d?sslpassword=other").withoutSecrets.description
        #expect(!shown.contains("secret") && !shown.contains("other") && shown.contains("user=u"))
    }

    @Test func `a string that libpq cannot read is refused in its words`() {
        #expect {
            _ = try ConnectionString("host=h dbname 'x'")
        } throws: { ($0 as? Problem)?.detail?.contains("missing \"=\"") == true }
    }
}
