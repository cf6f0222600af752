import Configuration
import Glibc
import Monitoring
import Notifications
import Platform
import Support
import Synchronization
import Testing
import WAL

@Suite struct OutboxTests {
    private let scratch: Scratch
    private let outbox: Outbox
    /// The documents that the command received, one a line.
    private var told: String { scratch.file("told") }

    init() throws {
        scratch = try Scratch()
        outbox = Outbox(scratch.file("notify"))
    }

    private func teller(_ lines: [String] = []) throws -> [Receiver] {
        try receivers(["command = 'cat >> \(told)'", "events = 'all'", "retry_delay = 1s"] + lines)
    }

    /// Delivers without waiting; returns the pauses.
    @discardableResult
    private func deliver(_ receivers: [Receiver]) throws -> (isEmpty: Bool, pauses: [Int], events: [Outbox.Event]) {
        let pauses = Mutex<[Int]>([])
        var events: [Outbox.Event] = []
        let isEmpty = try outbox.deliver(
            to: receivers, sleep: { pause in pauses.withLock { $0.append(pause) } }, report: { events.append($0) })
        return (isEmpty, pauses.withLock { $0 }, events)
    }

    private func toldMessages() throws -> [String] {
        guard try Files.exists(told) else { return [] }
        return try Files.readText(told).split(separator: "\n").map(String.init)
    }

    @Test func `queueing is quick, whatever the receivers do, and delivery comes later`() throws {
        let everybody = try receivers(["command = 'sleep 600'", "webhook_url = 'http://127.0.0.1:1/x'", "events = all"])
        let start = Clock.monotonic
        #expect(try outbox.enqueue(notification(), for: everybody).count == 2)
        #expect(Clock.monotonic - start < 300_000_000_000)
        #expect(try outbox.waiting().count == 1)
    }

    @Test func `what is queued is delivered once, in order, and then forgotten`() throws {
        let teller = try teller()
        for number in 1...3 {
            try outbox.enqueue(notification(message: "trouble \(number)", at: Int64(number)), for: teller)
        }
        #expect(try deliver(teller).isEmpty)
        let messages = try toldMessages()
        #expect(messages.count == 3)
        for number in 1...3 { #expect(messages[number - 1].contains("trouble \(number)")) }
        #expect(try outbox.waiting().count == 0)
        try deliver(teller)
        #expect(try toldMessages().count == 3)
    }

    @Test func `only receivers that want an event are notified of it`() throws {
        let teller = try receivers(["command = 'cat >> \(told)'", "events = 'drill_failure'"])
        #expect(try outbox.enqueue(notification(.backupFailure), for: teller).isEmpty)
        #expect(try outbox.enqueue(notification(.drillFailure), for: teller).count == 1)
        // A test goes to all receivers.
        #expect(try outbox.enqueue(notification(nil), for: teller).count == 1)
    }

    @Test func `the same trouble is notified once, until it ends or a day has passed`() throws {
        let teller = try teller(["repeat_after = 1h"])
        /// Message, status, seconds from now, and whether it is sent.
        let story: [(String, Notification.Status, Int64, Bool)] = [
            ("disk full", .error, 0, true), ("disk full", .error, 60, false), ("disk full", .error, 120, false),
            // Another trouble is new.
            ("no such role", .error, 180, true),
            // So is its end, and whatever begins after that.
            ("backup finished", .success, 240, true), ("backup finished", .success, 300, true),
            ("no such role", .error, 360, true), ("no such role", .error, 3000, false),
            ("no such role", .error, 360 + 3600, true),
        ]
        for (index, (message, status, seconds, isTold)) in story.enumerated() {
            let queued = try outbox.enqueue(
                notification(.backupFailure, status, message: message, at: seconds), for: teller)
            #expect(!queued.isEmpty == isTold, "line \(index)")
        }
        try deliver(teller)
        let messages = try toldMessages()
        #expect(messages.count == 5 + 1)
        #expect(messages[1].contains("\"suppressed\":2"))
        #expect(messages[5].contains("\"suppressed\":1"))
    }

    @Test func `success ends a trouble even for receivers that don't want success`() throws {
        let teller = try receivers(["command = 'cat >> \(told)'", "events = 'backup_failure'"])
        #expect(try !outbox.enqueue(notification(), for: teller).isEmpty)
        #expect(try outbox.enqueue(notification(.backupSuccess, .success, at: 10), for: teller).isEmpty)
        #expect(try !outbox.enqueue(notification(at: 20), for: teller).isEmpty)
    }

    @Test func `a unit's failure isn't notified when the job has reported it`() throws {
        let teller = try teller()
        let since = Moment(microseconds: Clock.now - 600_000_000)
        let unit = notification(.unitFailure, .error, message: "unit tidemark-backup@main.service failed", at: 1)
        #expect(try !outbox.enqueue(notification(), for: teller).isEmpty)
        #expect(try outbox.enqueue(unit, for: teller, quietIfToldSince: since).isEmpty)
        // A notification that a wrong clock dated in the future doesn't count.
        let ahead = Outbox(scratch.file("ahead"))
        #expect(try !ahead.enqueue(notification(at: 365 * 86_400), for: teller).isEmpty)
        #expect(try !ahead.enqueue(unit, for: teller, quietIfToldSince: since).isEmpty)
        let other = Outbox(scratch.file("other"))
        #expect(try !other.enqueue(unit, for: teller, quietIfToldSince: since).isEmpty)
    }

    @Test func `delivery is tried again with growing pauses, and as the server asks`() throws {
        let server = try LoopbackServer("http_server.py")
        func hook(_ path: String) throws -> [Receiver] {
            try receivers([
                "webhook_url = 'http://127.0.0.1:\(server.port)/\(path)'", "events = all", "retry_delay = 500ms",
                "attempts = 4",
            ])
        }
        try outbox.enqueue(notification(), for: hook("flaky"))
        #expect(try deliver(hook("flaky")).pauses == [500, 1000])
        try outbox.enqueue(notification(message: "b"), for: hook("busy"))
        #expect(try deliver(hook("busy")).pauses == [1000])
        try outbox.enqueue(notification(message: "c"), for: hook("failing"))
        let failing = try deliver(hook("failing"))
        #expect(failing.pauses == [500, 1000, 2000] && !failing.isEmpty)
        // Rejected permanently: tried once; it stays in case the address is corrected.
        let gone = try deliver(hook("gone"))
        #expect(gone.pauses.isEmpty && !gone.isEmpty)
        #expect(try deliver(hook("ok")).isEmpty)
        let requests = try server.log(SeenRequest.self)
        #expect(requests.count { $0.path == "/flaky" } == 3)
        #expect(Set(requests.filter { $0.path == "/flaky" }.map(\.body)).count == 1)
        #expect(requests.count { $0.path == "/gone" } == 1)
    }

    @Test func `one receiver's failure doesn't affect the others, and none is notified twice`() throws {
        let text = """
            repository = '/r'
            [cluster main]
            data_directory = '/d'
            [notify]
            events = all
            command = 'cat >> \(told)'
            webhook_url = 'http://127.0.0.1:1/x'
            attempts = 1
            """
        let everybody = Receiver.all(of: try Configuration(parsing: text, file: "t.conf").notifiers)
        for number in 1...2 {
            try outbox.enqueue(notification(message: "trouble \(number)", at: Int64(number)), for: everybody)
        }
        #expect(try !deliver(everybody).isEmpty)
        #expect(try !deliver(everybody).isEmpty)
        #expect(try toldMessages().count == 2)
        #expect(try outbox.waiting().count == 2)
    }

    @Test func `a message that cannot be delivered for a day is given up`() throws {
        let nobody = try receivers(["webhook_url = 'http://127.0.0.1:1/x'", "events = all", "attempts = 1"])
        try outbox.enqueue(notification(at: -86_500), for: nobody)
        let outcome = try deliver(nobody)
        #expect(outcome.isEmpty)
        #expect(outcome.events.contains { if case .givenUp = $0 { true } else { false } })
        // It is reported for a week, and nothing else counts.
        #expect(try outbox.givenUp(now: Moment(microseconds: Clock.now)) == [nobody[0].name])
        #expect(try outbox.givenUp(now: Moment(microseconds: Clock.now + 8 * 86_400_000_000)).isEmpty)
        #expect(try Outbox(scratch.file("another")).givenUp(now: Moment(microseconds: Clock.now)).isEmpty)
    }

    /// The command, and the expected error; nil when it succeeds.
    @Test(
        arguments: [
            ("cat > /dev/null", nil), ("true", nil), ("echo broken >&2; exit 3", "status 3: broken"),
            ("kill -9 $$", "signal 9"),
            ("sleep 600", "did not end within 300 ms"), ("sleep 600 & sleep 600", "did not end within 300 ms"),
            ("trap '' TERM INT HUP; sleep 600", "did not end within 300 ms"),
            ("cat <&2 >&2; kill -STOP $$", "did not end within 300 ms"),
            ("sleep 600 & echo $! >&2; exit 0", nil), ("sleep 1 & kill -9 $!; wait $!", "status 137"),
            ("no-such-program", "status 127"),
            (": \"${TIDEMARK_STATUS:?}\" && test \"$TIDEMARK_EVENT\" = backup_failure", nil),
            ("test -z \"$TIDEMARK_SMTP_PASSWORD$TIDEMARK_WEBHOOK_SECRET\"", nil),
        ] as [(String, String?)])
    func `a command that fails or hangs is noticed`(command: String, says: String?) throws {
        setenv("TIDEMARK_SMTP_PASSWORD", "pass word", 1)
        let quoted = command.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''")
        let start = Clock.monotonic
        let failure = try receivers([
            "command = '\(quoted)'", "timeout = \(says?.contains("within") == true ? "300ms" : "300s")",
        ])[0]
        .test(notification())
        #expect(Clock.monotonic - start < 300_000_000_000)
        if let says {
            #expect(failure?.reason.contains(says) == true, "\(failure?.reason ?? "nothing")")
        } else {
            #expect(failure == nil, "\(failure?.reason ?? "")")
        }
    }
}
