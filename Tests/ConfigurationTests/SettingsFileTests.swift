import Configuration
import Platform
import Support
import Testing

/// A configuration that must be refused, and the expected message.
struct Refusal: Sendable, CustomTestStringConvertible {
    let name: String
    let text: String
    let message: String
    var hint: String?
    var testDescription: String { name }

    private static let names =
        "Use letters, digits, \"-\" and \"_\", starting with a letter or digit; it becomes a directory's name."

    static let all = [
        Refusal(
            name: "unknown setting", text: "repositry = '/r'", message: "t.conf:1: unknown setting \"repositry\"",
            hint: "Did you mean \"repository\"?"),
        Refusal(
            name: "bad unit", text: "wal_wait_timeout = 5minutes",
            message: "t.conf:1: wal_wait_timeout must be a duration, not \"5minutes\"",
            hint: "Valid units are \"ms\", \"s\", \"min\", \"h\" and \"d\"; the longest is 36500d."),
        Refusal(
            name: "duplicate setting", text: "jobs = 1\n# comment\njobs = 2",
            message: "t.conf:3: jobs is already in line 1"),
        Refusal(
            name: "duplicate section", text: "[cluster a]\n[cluster \"a\"]",
            message: "t.conf:2: section \"cluster a\" is already in line 1"),
        Refusal(
            name: "unquoted spaces", text: "conninfo = host=/tmp dbname=x",
            message: "t.conf:1: text after the value of conninfo",
            hint: "Quote a value that has spaces: conninfo = '…'."),
        Refusal(
            name: "open quote", text: "repository = '/r", message: "t.conf:1: closing quote missing after repository"),
        Refusal(name: "no value", text: "repository =", message: "t.conf:1: value missing for repository"),
        Refusal(name: "open heading", text: "[cluster main", message: "t.conf:1: \"]\" missing"),
        Refusal(name: "text after a heading", text: "[cluster main] x", message: "t.conf:1: text after \"]\""),
        Refusal(name: "no name", text: "= 5", message: "t.conf:1: setting name expected, found \"=\""),
        Refusal(
            name: "unknown section", text: "[repository local]",
            message: "t.conf:1: unknown section \"repository local\"",
            hint:
                "Sections are written [cluster NAME], [notify], [notify NAME], [check], [check NAME], [retention] or [retention NAME]."
        ),
        Refusal(
            name: "relative path", text: "repository = 'backups'",
            message: "t.conf:1: repository must be an absolute path, not \"backups\""),
        Refusal(
            name: "a repository of an unknown kind", text: "repository = 'ftp://host/backups'",
            message: "t.conf:1: repository cannot be \"ftp://host/backups\": \"ftp\" is no kind of repository",
            hint: "The only kind is a directory, named by its absolute path."),
        Refusal(
            name: "a path with a colon", text: "repository = 'a b://c'",
            message: "t.conf:1: repository must be an absolute path, not \"a b://c\""),
        Refusal(
            name: "out of range", text: "compress_level = 99",
            message: "t.conf:1: compress_level must be a whole number from 1 to 19, not \"99\""),
        Refusal(
            name: "near miss of a word", text: "log_level = warnin",
            message: "t.conf:1: log_level must be one of error, warning, log, debug, not \"warnin\"",
            hint: "Did you mean \"warning\"?"),
        Refusal(
            name: "cluster setting at the top", text: "data_directory = '/d'",
            message: "t.conf:1: data_directory must be under a [cluster …] heading"),
        Refusal(
            name: "nothing configured", text: "repository = '/r'", message: "t.conf: no cluster is configured",
            hint: "Add a section [cluster main] with its data_directory."),
        Refusal(
            name: "required setting missing", text: "[cluster main]\ndata_directory = '/d'",
            message: "t.conf: repository is missing for cluster \"main\"",
            hint: "Directory for archived WAL and base backups."),
        Refusal(
            name: "cluster name that is a path", text: "repository = '/r'\n[cluster ../x]",
            message: "t.conf:2: invalid cluster name \"../x\"",
            hint:
                "Use letters, digits, \"-\" and \"_\", starting with a letter or digit; it becomes a directory's name."),
        Refusal(
            name: "cluster name with a quotation mark", text: "repository = '/r'\n[cluster quo\"te]",
            message: "t.conf:2: invalid cluster name \"quo\"te\"", hint: names),
        Refusal(
            name: "cluster name that begins with one", text: "repository = '/r'\n[cluster \"quote]",
            message: "t.conf:2: invalid cluster name \"\"quote\"", hint: names),
        Refusal(
            name: "unknown time zone", text: "timezone = 'CEST'",
            message: "t.conf:1: timezone: unknown time zone \"CEST\"",
            hint: "Use a numeric offset such as +01, or a full name such as Europe/Berlin."),
    ]
}

struct SettingsFileTests {
    @Test(arguments: Refusal.all)
    func `a mistake is reported with file, line and hint`(_ refusal: Refusal) throws {
        let mistake = try #require(throws: SettingsMistake.self) {
            try Configuration(parsing: refusal.text, file: "t.conf")
        }
        #expect(mistake.message == refusal.message)
        #expect(mistake.hint == refusal.hint)
    }

    @Test func `a cluster's value wins over the shared one, and a flag over both`() throws {
        let text = """
            repository = '/r'   # comment
            compress_level = 5
            [cluster main]
            data_directory = '/it''s here'
            compress_level 7
            [cluster "second"]
            data_directory = '/second'\r
            """
        let configuration = try Configuration(parsing: text, file: "t.conf")
        let main = try configuration.cluster(named: "main")
        let second = try configuration.cluster(named: "second")
        #expect(main.dataDirectory == "/it's here")
        #expect(main.compressLevel == 7)
        #expect(main.source("compress_level") == .file(path: "t.conf", line: 5))
        #expect(second.compressLevel == 5)
        #expect(second.dataDirectory == "/second")
        #expect(second.source("backup_compress_level") == .standard)
        let flagged = try Configuration(parsing: text, file: "t.conf", flags: ["compress_level": "9"])
        #expect(try flagged.cluster(named: "main").compressLevel == 9)
        #expect(try flagged.cluster(named: "main").source("compress_level") == .flag)
    }

    @Test func `with several clusters one must be named, and a near miss is suggested`() throws {
        let configuration = try Configuration(
            parsing: "repository = '/r'\n[cluster main]\ndata_directory = '/a'\n[cluster shop]\ndata_directory = '/b'",
            file: "t.conf")
        #expect(throws: (any Error).self) { try configuration.cluster(named: nil) }
        do { _ = try configuration.cluster(named: "shpo") } catch {
            #expect(error.hint == "Did you mean --cluster shop?")
        }
    }

    @Test(arguments: [
        ("10", 10 as Int64?), ("8kB", 8192), ("1GB", 1 << 30), ("1gb", nil), ("-1", nil), ("", nil),
        ("99999999999TB", nil), ("4 MB", 4 << 20),
    ])
    func `sizes have PostgreSQL's units`(text: String, bytes: Int64?) { #expect(Quantity.bytes(text) == bytes) }

    @Test(arguments: [
        (0 as Int64, "0 bytes"), (10_239, "10239 bytes"), (10_240, "10 kB"), (16 << 20, "16 MB"),
        (10_485_247, "10239 kB"),
        (10 << 20, "10 MB"), (5 << 30, "5120 MB"), (10 << 30, "10 GB"),
    ])
    func `sizes are shown as pg_size_pretty does`(bytes: Int64, text: String) {
        #expect(Quantity.pretty(bytes: bytes) == text)
    }

    @Test func `a cluster's own retention rules win over the shared ones, setting by setting`() throws {
        let text = """
            repository = '/r'
            [cluster main]
            data_directory = '/a'
            [cluster shop]
            data_directory = '/b'
            [retention]
            keep_full = 4
            recovery_window = 14d
            [retention shop]
            keep_full = 0
            keep_weekly = 2
            """
        func rules(_ cluster: String, flags: [String: String] = [:]) throws -> RetentionConfiguration {
            let configuration = try Configuration(parsing: text, file: "t.conf", flags: flags)
            return configuration.retention(for: try configuration.cluster(named: cluster))
        }
        let (main, shop) = (try rules("main"), try rules("shop"))
        #expect(["keep_full", "keep_weekly"].map(main.number) == [4, nil])
        #expect(["keep_full", "keep_weekly"].map(shop.number) == [0, 2])
        for rules in [main, shop] { #expect(rules.milliseconds("recovery_window") == 14 * 86_400_000 as Int64) }
        #expect(try rules("shop", flags: ["keep_full": "1"]).number("keep_full") == 1)
    }
}
