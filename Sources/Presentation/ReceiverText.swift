import Configuration
public import Notifications

/// The receivers and their events, and whether a test has reached them.
public func receiversText(_ rows: [ReceiverRow], waiting: Int) -> String {
    var table = TextTable(["receiver", "events"])
    for row in rows { table.add([row.receiver, row.events.joined(separator: ", ")]) }
    return table.text + "\n\n\(waiting) message\(waiting == 1 ? " is" : "s are") waiting for delivery."
}

/// A receiver as JSON.
public struct ReceiverRow: Encodable {
    let receiver: String
    let events: [String]
    /// Nil when nothing was sent.
    public let delivered: Bool?
    let problem: String?
    let detail: String?
    let hint: String?

    public init(_ receiver: Receiver, tested: Bool = false, _ failure: DeliveryFailure? = nil) {
        self.receiver = receiver.name
        events = receiver.notifier.events.map(\.rawValue).sorted()
        delivered = tested ? failure == nil : nil
        (problem, detail, hint) = (failure?.message, failure?.detail, failure?.hint)
    }
}
