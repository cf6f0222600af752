import Configuration
import Glibc
import Platform
import Support
import Testing
import WAL

struct MomentTests {
    @Test(arguments: [
        ("2025-11-05 09:00:00+00", 1_762_333_200_000_000 as Int64), ("2025-11-05T09:00Z", 1_762_333_200_000_000),
        ("2025-11-05 10:00:00.5 Europe/Berlin", 1_762_333_200_500_000),
        ("2025-11-05 03:30 -05:30", 1_762_333_200_000_000),
        // A repeated hour means the later offset, a skipped one the earlier, as in PostgreSQL.
        ("2025-10-26 02:30 Europe/Berlin", 1_761_442_200_000_000),
        ("2025-03-30 02:30 Europe/Berlin", 1_743_298_200_000_000),
    ])
    func `a time with a zone means one moment`(text: String, microseconds: Int64) throws {
        #expect(try Moment(parsing: text).microseconds == microseconds)
    }

    @Test(arguments: [
        ("2025-11-05 09:00:00", "no time zone in \"2025-11-05 09:00:00\""),
        ("yesterday", "\"yesterday\" is not a date and time"),
        ("2025-5-11 10:00Z", "month expected at \"5-11 10:00Z\" in \"2025-5-11 10:00Z\""),
        ("2025-13-11 10:00Z", "there is no month 13 in \"2025-13-11 10:00Z\""),
        ("2025-02-29 10:00Z", "there is no day 29 in \"2025-02-29 10:00Z\""),
        ("2025-11-05", "time of day missing in \"2025-11-05\""),
        ("2025-11-05 10:00 CET", "unknown time zone \"CET\""),
        // Directories of zones, and files that aren't one: the C library takes them for UTC.
        ("2025-11-05 10:00 America/Indiana", "unknown time zone \"America/Indiana\""),
        ("2025-11-05 10:00 Europe/", "unknown time zone \"Europe/\""),
        ("2025-11-05 10:00 /zone.tab", "unknown time zone \"/zone.tab\""),
        ("2025-11-05 10:00:00 ../../etc/passwd", "unknown time zone \"../../etc/passwd\""),
        ("2025-11-05 25:00Z", "there is no hour 25 in \"2025-11-05 25:00Z\""),
        (
            "2025-11-05 10:00:00.1234567Z",
            "fraction of at most six digits expected at \"1234567Z\" in \"2025-11-05 10:00:00.1234567Z\""
        ),
    ])
    func `an ambiguous time is refused`(text: String, message: String) throws {
        let error = try #require(throws: MomentError.self) { try Moment(parsing: text) }
        #expect(error.message == message)
        #expect(error.hint?.contains("Europe/Berlin") == true)
    }

    /// What is started afterwards inherits the process's environment.
    @Test func `a time zone that is named changes none of the process`() throws {
        let before = getenv("TZ").map { String(cString: $0) }
        let moment = try Moment(parsing: "2025-11-05 10:00 Asia/Kolkata")
        #expect(try moment == Moment(parsing: "2025-11-05 04:30Z"))
        #expect(getenv("TZ").map { String(cString: $0) } == before)
    }

    @Test func `a configured zone stands in for a missing one`() throws {
        #expect(try Moment(parsing: "2025-11-05 10:00", zone: "Europe/Berlin") == Moment(parsing: "2025-11-05 09:00Z"))
    }
}

@Suite(.serialized) struct MomentServerTests {
    @Test func `two thousand random times mean what PostgreSQL means by them`() throws {
        let zones = [
            "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca",
            "Antarctica/Troll",
            "Pacific/Apia", "America/St_Johns", "+05:45", "-0330", "Z", "UTC", "+01",
        ]
        var generator = SeededGenerator(seed: 20_261_120)
        var texts: [String] = []
        for _ in 0..<2000 {
            func two(_ range: ClosedRange<Int>) -> String {
                let number = Int.random(in: range, using: &generator)
                return number < 10 ? "0\(number)" : "\(number)"
            }
            let date = "\(Int.random(in: 1971...2037, using: &generator))-\(two(1...12))-\(two(1...28))"
            let fraction = Bool.random(using: &generator) ? ".\(Int.random(in: 1...999_999, using: &generator))" : ""
            texts.append(
                "\(date) \(two(0...23)):\(two(0...59)):\(two(0...59))\(fraction) \(zones.randomElement(using: &generator)!)"
            )
        }
        let cluster = try TestCluster()
        let rows = texts.map { "('\($0)'::timestamptz)" }.joined(separator: ",")
        let answers = try cluster.psql(
            "select (extract(epoch from t) * 1000000)::bigint from (values \(rows)) as v(t)"
        ).split(separator: "\n")
        #expect(answers.count == texts.count)
        for (text, answer) in zip(texts, answers) {
            #expect(try Moment(parsing: text).microseconds == Int64(answer), "\(text)")
        }
    }

    @Test func `a moment is shown as PostgreSQL shows it in UTC`() throws {
        let cluster = try TestCluster()
        var generator = SeededGenerator(seed: 7)
        let moments = (0..<500).map { _ in
            Moment(microseconds: Int64.random(in: 0...4_000_000_000_000_000, using: &generator))
        }
        let rows = moments.map { "(\($0.microseconds)::numeric)" }.joined(separator: ",")
        let shown = try cluster.psql(
            "set timezone = 'UTC'; select to_timestamp(0) + (m || ' microseconds')::interval from (values \(rows)) as v(m)"
        ).split(separator: "\n").map(String.init)
        #expect(shown == moments.map(\.description))
    }
}
