import Archiving
public import Configuration
import Documents
import Glibc
public import Platform
import Repository
public import WAL

/// Queued notifications, in a directory of a cluster's state: `queue/<moment>-<id>.json` for each that some receiver
/// has not got yet, and `told.json` for the last notification about each subject.
///
/// Queueing is quick and uses no network, so that the reported job doesn't wait. Another process delivers; what it
/// can't deliver stays for the next one, for a day.
public struct Outbox: Sendable {
    public let directory: String
    private var queue: String { directory + "/queue" }
    private var toldFile: String { directory + "/told.json" }
    /// How long delivery is attempted, in microseconds.
    static let lifetime: Int64 = 86_400_000_000

    public init(_ directory: String) { self.directory = directory }

    /// The outbox of a cluster.
    public init(for cluster: ClusterConfiguration) {
        self.init(cluster.state.notices)
    }

    /// The last notification about a subject, for each receiver.
    private struct Told: Codable {
        var status: Notification.Status
        var message: String
        /// Microseconds since 1970.
        var time: Int64
        var suppressed: Int
    }

    /// Queues `notification` for every receiver that wants it and has not got the same already.
    ///
    /// - Parameter quietIfToldSince: don't send it when any trouble about its subject was reported between this time
    ///   and the notification's.
    /// - Returns: the receivers it is queued for.
    @discardableResult
    public func enqueue(
        _ notification: Notification, for receivers: [Receiver], quietIfToldSince: Moment? = nil
    ) throws -> [Receiver] {
        try Files.makeDirectories(queue)
        return try locked("told.lock") {
            var told = readTold()
            var taken: [(receiver: Receiver, suppressed: Int)] = []
            for receiver in receivers where receiver.wants(notification.event) {
                let key = "\(receiver.name) \(notification.subject)"
                let last = told[key]
                if notification.isOnlyAnEnd, last.map({ $0.status == .success }) ?? true { continue }
                if notification.event != nil, notification.status != .success, let last, last.status != .success {
                    let isSame = last.status == notification.status && last.message == notification.message
                    let age = Outbox.age(of: last.time, at: notification.time.microseconds) ?? -1
                    let isRecent = age >= 0 && age < receiver.notifier.repeatAfter * 1000
                    if isSame && isRecent || quietIfToldSince.map({ $0.microseconds <= last.time && age >= 0 }) ?? false
                    {
                        if last.suppressed < Int.max { told[key]?.suppressed += 1 }
                        continue
                    }
                }
                taken.append((receiver, last?.suppressed ?? 0))
                told[key] = Told(
                    status: notification.status, message: notification.message,
                    time: notification.time.microseconds, suppressed: 0)
            }
            // A success that no receiver wants ends the trouble nevertheless: the next one is reported again.
            if notification.status == .success {
                for receiver in receivers where !receiver.wants(notification.event) {
                    told["\(receiver.name) \(notification.subject)"] = nil
                }
            }
            // One file for each number of suppressed ones; usually that is one file.
            for (suppressed, group) in Dictionary(grouping: taken, by: \.suppressed).sorted(by: { $0.key < $1.key }) {
                var copy = notification
                copy.suppressed = suppressed
                let queued = QueuedNotification(copy, receivers: group.map(\.receiver.name))
                try replaceDurably(
                    "\(queue)/\(notification.id)-\(suppressed).json", bytes: try encodeJSON(queued), mode: 0o640)
            }
            // After two months the same is reported again.
            told = told.filter {
                Outbox.age(of: $0.value.time, at: notification.time.microseconds) ?? .max < 60 * Outbox.lifetime
            }
            try replaceDurably(toldFile, bytes: try encodeJSON(told), mode: 0o640)
            return taken.map(\.receiver)
        }
    }

    /// The events of a delivery.
    public enum Event: Sendable {
        case delivered(id: String, receiver: String)
        case failed(DeliveryFailure)
        case givenUp(id: String, receiver: String)
        /// A queued notification can't be read now; it stays.
        case unreadable(any Error)
    }

    /// Delivers queued notifications, oldest first; one process at a time, others wait for it up to a minute.
    ///
    /// - Parameters:
    ///   - sleep: how to pause between attempts; milliseconds.
    /// - Returns: whether nothing is left.
    public func deliver(
        to receivers: [Receiver], sleep: (Int) -> Void = { Clock.sleep(milliseconds: $0) },
        report: (Event) -> Void
    ) throws -> Bool {
        try Files.makeDirectories(queue)
        return try locked("queue.lock") {
            var isEmpty = true
            // A receiver that doesn't answer is not tried again for each further notification.
            var unreachable: Set<String> = []
            for name in try Files.list(queue).sorted() where name.hasSuffix(".json") {
                let path = queue + "/" + name
                let bytes: [UInt8]
                do { bytes = try Files.read(path, limit: 4 << 20) } catch {
                    // It may be readable later.
                    report(.unreadable(error))
                    isEmpty = false
                    continue
                }
                guard var queued = try? decodeJSON(QueuedNotification.self, from: bytes),
                    let notification = queued.notification
                else {
                    // Not a queued notification, or of another version: it can't be delivered.
                    try Files.removeIfPresent(path)
                    continue
                }
                for receiverName in queued.receivers {
                    guard let receiver = receivers.first(where: { $0.name == receiverName }) else {
                        queued.receivers.removeAll { $0 == receiverName }
                        continue
                    }
                    if !unreachable.contains(receiverName), attempt(notification, receiver, sleep, report) {
                        report(.delivered(id: notification.id, receiver: receiverName))
                    } else if Clock.now - notification.time.microseconds > Outbox.lifetime {
                        try noteGivenUp(receiverName)
                        report(.givenUp(id: notification.id, receiver: receiverName))
                    } else {
                        unreachable.insert(receiverName)
                        continue
                    }
                    queued.receivers.removeAll { $0 == receiverName }
                    // Recorded at once: a later process must not notify this receiver again.
                    if !queued.receivers.isEmpty {
                        try replaceDurably(path, bytes: try encodeJSON(queued), mode: 0o640)
                    }
                }
                if queued.receivers.isEmpty { try Files.removeIfPresent(path) } else { isEmpty = false }
            }
            return isEmpty
        }
    }

    private func attempt(
        _ notification: Notification, _ receiver: Receiver, _ sleep: (Int) -> Void, _ report: (Event) -> Void
    ) -> Bool {
        let backoff = Backoff(attempts: receiver.notifier.attempts, delay: receiver.notifier.retryDelay)
        var number = 1
        while true {
            do throws(DeliveryFailure) {
                try receiver.deliver(notification)
                return true
            } catch {
                report(.failed(error))
                guard !error.isPermanent, let pause = backoff.pause(after: number, asked: error.retryAfter) else {
                    return false
                }
                sleep(Int(pause))
                number += 1
            }
        }
    }

    /// The number of queued notifications, and the time of the oldest.
    public func waiting() throws -> (count: Int, oldest: Int64?) {
        let names = try Files.listIfPresent(queue).filter { $0.hasSuffix(".json") }
        let times = try names.compactMap { try FileStatus(ifPresent: queue + "/" + $0)?.modified }
        return (names.count, times.min())
    }

    /// A notification that a receiver never got.
    private struct GivenUp: Codable {
        var receiver: String
        /// Microseconds since 1970.
        var time: Int64
    }
    private static func isOfThisWeek(_ one: GivenUp, at now: Int64) -> Bool {
        age(of: one.time, at: now).map { (0..<7 * lifetime).contains($0) } ?? false
    }
    private var givenUpFile: String { directory + "/given-up.json" }

    /// The receivers of the notifications that were given up in the week before `now`, one for each notification.
    public func givenUp(now: Moment) throws -> [String] {
        guard try Files.exists(givenUpFile) else { return [] }
        return try decodeJSON([GivenUp].self, from: Files.read(givenUpFile, limit: 16 << 20))
            .filter { Outbox.isOfThisWeek($0, at: now.microseconds) }.map(\.receiver)
    }

    func noteGivenUp(_ receiver: String) throws {
        let known = (try? decodeJSON([GivenUp].self, from: Files.read(givenUpFile, limit: 16 << 20))) ?? []
        let now = Clock.now
        let kept = known.filter { Outbox.isOfThisWeek($0, at: now) }.suffix(999)
        try replaceDurably(
            givenUpFile, bytes: try encodeJSON(kept + [GivenUp(receiver: receiver, time: now)]), mode: 0o640)
    }

    /// From one time to another, in microseconds; nil when the file has a time that no clock can have shown.
    private static func age(of time: Int64, at now: Int64) -> Int64? {
        let (age, isImpossible) = now.subtractingReportingOverflow(time)
        return isImpossible ? nil : age
    }

    private func readTold() -> [String: Told] {
        guard let bytes = try? Files.read(toldFile, limit: 16 << 20) else { return [:] }
        return (try? decodeJSON([String: Told].self, from: bytes)) ?? [:]
    }

    private func locked<Value>(_ name: String, _ body: () throws -> Value) throws -> Value {
        let path = directory + "/" + name
        let file = try Descriptor(open: path, O_RDWR | O_CREAT)
        for _ in 0..<600 {
            if try file.tryLock(path: path) { return try body() }
            Clock.sleep(milliseconds: 100)
        }
        throw Problem(
            "another process holds the lock \"\(path)\"",
            hint: "It is delivering notifications; see \"\(runnable("tidemark notify"))\".")
    }
}
