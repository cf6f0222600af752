import Documents
import Planning
import Platform
import Repository
import Support
import TableRecovery
import Testing
import WAL

@testable import Operations
@testable import Recovery

/// What an interrupted recovery leaves for whoever resumes it.
@Suite struct RecordedOrderTests {
    private let scratch: Scratch
    private let state: StateDirectory

    init() throws {
        scratch = try Scratch()
        state = StateDirectory(scratch.file("state"), cluster: "main", repository: "/srv/repository")
    }

    private static let points: [(String, TargetRequest.Point)] = [
        ("a time", .target(RecoveryTarget(.time(Moment(microseconds: 1_764_000_000_123_456)), inclusive: false))),
        ("an early time", .target(RecoveryTarget(.time(Moment(microseconds: -5))))),
        ("an LSN", .target(RecoveryTarget(.lsn(LSN("16/B374D848")!), inclusive: false))),
        ("a transaction", .target(RecoveryTarget(.xid(.max)))),
        ("a restore point", .target(RecoveryTarget(.name("before = \"2\" 'x' \u{e9}")))),
        ("the end of the backup", .target(RecoveryTarget(.immediate))),
        ("the end of the archive", .target(RecoveryTarget(.latest))),
        (
            "tables",
            .beforeDrop(
                of: [
                    TablePattern(database: "a\"b.c", schema: .init("S*?"), table: .any),
                    TablePattern(database: "d", schema: .any, table: .init("t")),
                ], isDatabaseMeant: true)
        ),
        ("a database", .beforeDropOfDatabase("a=b")),
    ]

    @Test(arguments: points.indices)
    func `every target is read as it was ordered`(_ index: Int) throws {
        let (name, point) = Self.points[index]
        for (number, timeline) in [RecoveryTarget.Timeline.own, .latest, .current, .number(TimelineID(7))].enumerated()
        {
            var target = TargetRequest(
                point, timeline: timeline, backup: number == 0 ? nil : "20261105T020000Z",
                incarnation: number == 1 ? "15-77" : nil)
            target.usesPartials = number == 2
            target.readsAside = number != 1
            var order = RecoveryOrder(target, directory: "/srv/a_b")
            order.tablespaces = number == 0 ? [:] : ["/old_place": "/new=place", "/camelCase": "/x"]
            order.action = number == 3 ? .pause : .promote
            order.settings = [.init("work_mem", "9MB"), .init("a.b", "x=y=z"), .init("empty", "")]
            (order.isStandby, order.isDelta) = (number == 1, number == 2)
            (order.keepsOld, order.starts) = (number == 2, number == 3)
            order.logFile = number == 0 ? nil : "/var/log/x"
            order.overrides = number == 0 ? [:] : ["bin_directory": "/usr/lib/x=y", "jobs": "3"]
            order.remarks = number == 0 ? [] : ["json"]
            let recorded = order.recorded(target)
            try RecoveryState(recorded, directory: order.directory).save(in: state)
            let left = try #require(try RecoveryState(of: order.directory, in: state))
            #expect(left.order == recorded && left.phase == .restoring, "\(name)")
            let read = try RecoveryOrder(of: left)
            #expect(read.recorded(read.target) == recorded && read.directory == order.directory, "\(name)")
            // Independent of how it is recorded.
            #expect("\(read.target)" == "\(target)" && read.tablespaces == order.tablespaces, "\(name)")
            #expect(read.settings == order.settings && read.overrides == order.overrides, "\(name)")
        }
    }

    @Test func `passwords are not kept, and what was left out is named`() throws {
        var order = RecoveryOrder(TargetRequest(.target(RecoveryTarget(.latest))), directory: "/srv/x")
        order.settings = [
            .init("work_mem", "9MB"), .init("primary_conninfo", "host=primary password='hunter 23'"),
            .init("my.address", "postgresql://me:hunter25@host/db"),
        ]
        order.overrides = ["conninfo": "host=/run password=hunter22", "jobs": "2"]
        let state = RecoveryState(order.recorded(order.target), directory: order.directory)
        #expect(state.withheldSettings == ["primary_conninfo", "my.address"])
        #expect(state.withheldOverrides == ["conninfo"])
        #expect(!String(decoding: try encodeJSON(state), as: UTF8.self).contains("hunter"))
        let read = try RecoveryOrder(of: state)
        #expect(read.settings == [.init("work_mem", "9MB")])
        #expect(read.overrides == ["conninfo": "host=/run", "jobs": "2"])
    }

    @Test func `what another version has left is not taken for anything else`() throws {
        let order = RecoveryOrder(TargetRequest(.target(RecoveryTarget(.latest))), directory: "/srv/x")
        try RecoveryState(order.recorded(order.target), directory: "/srv/x").save(in: state)
        let path = state.recovery(into: "/srv/x") + ".json"
        let now = try Files.readText(path)
        let documents = [
            (
                #"{"arguments":["--target","latest"],"directory":"/srv/x","phase":"prepared","server_options":[]}"#,
                OtherRecoveryState(directory: "/srv/x", isNewer: false)
            ),
            (
                now.replacing("\"version\" : 3", with: "\"version\" : 4"),
                OtherRecoveryState(directory: "/srv/x", isNewer: true)
            ),
        ]
        for (document, error) in documents {
            #expect(document != now)
            try replaceDurably(path, bytes: Array(document.utf8), mode: 0o600)
            #expect(throws: error) { try RecoveryState(of: "/srv/x", in: state) }
        }
        // What can't be understood isn't guessed.
        for (right, wrong) in [("\"latest\"", "\"newest\""), ("\"promote\"", "\"promoted\""), ("\"own\"", "\"x\"")] {
            try replaceDurably(path, bytes: Array(now.replacing(right, with: wrong).utf8), mode: 0o600)
            #expect(now.contains(right))
            #expect(throws: (any Error).self) {
                try RecoveryState(of: "/srv/x", in: state).map { try RecoveryOrder(of: $0) }
            }
        }
    }
}
