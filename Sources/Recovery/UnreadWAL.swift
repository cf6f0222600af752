public import Planning
public import Platform
import Repository
public import WAL

/// WAL that nobody could look through: segments that can't be read, or that aren't there.
public struct UnreadWAL: Hashable, Sendable {
    public let first: SegmentName
    public var last: SegmentName
    /// Why, as the rest of a sentence without a full stop: `is missing`.
    public let reason: String
    /// Whether it could not be asked for, so that another attempt may succeed.
    public let isFailure: Bool

    public init(_ first: SegmentName, through last: SegmentName? = nil, reason: String, isFailure: Bool = false) {
        (self.first, self.last, self.reason, self.isFailure) = (first, last ?? first, reason, isFailure)
    }

    /// Nil when the error isn't about this one segment.
    init?(_ name: SegmentName, _ error: any Error) {
        let explained = error as? any Explained
        guard explained?.concernsOneObject == true || error is WALDamage || error is BadSummary else { return nil }
        self.init(
            name, reason: "cannot be read: \(explained?.message ?? "\(error)")", isFailure: error is SystemError)
    }

    /// Of several, a sentence.
    public static func sentence(_ all: [UnreadWAL]) -> String {
        var names: Set<SegmentName> = []
        let all = all.filter { names.insert($0.first).inserted }
        let listed = all.prefix(4).map { one in
            one.first == one.last
                ? "segment \"\(one.first)\" \(one.reason)"
                : "segments \"\(one.first)\" to \"\(one.last)\": the first \(one.reason)"
        }
        return "What happened in some WAL is not known: " + listed.joined(separator: "; ")
            + (all.count > 4 ? "; and \(all.count - 4) more" : "") + "."
    }
}

/// What is looked for was not found, and not everything could be looked through.
public struct DropUnknown: Explained {
    /// `table "public"."orders"`, `database "shop"`.
    public let subject: String
    public let unread: [UnreadWAL]
    /// Why the WAL that is followed ends, each as the middle of a sentence.
    public let obstacles: [String]

    public init(_ subject: String, _ unread: [UnreadWAL], obstacles: [String] = []) {
        (self.subject, self.unread, self.obstacles) = (subject, unread, obstacles)
    }

    public var message: String { "cannot tell whether \(subject) was dropped" }
    public var detail: String? {
        unread.isEmpty
            ? "What happened in some WAL is not known: \(obstacles.joined(separator: "; "))."
            : UnreadWAL.sentence(unread)
    }
    public var hint: String? {
        "Make this WAL readable, or restore it from a copy of the repository; otherwise name the moment with --target-time."
    }
}

extension RecoveryArchive {
    /// As `facts(of:)`, without those segments that can't be read: what comes after them is looked through as well.
    public func readableFacts(of names: [SegmentName]) throws -> (facts: [SegmentFacts], unread: [UnreadWAL]) {
        var unread: [UnreadWAL] = []
        let facts = try facts(of: names) { name, error in
            guard let one = UnreadWAL(name, error) else { throw error }
            unread.append(one)
        }
        return (facts, unread)
    }

    /// The archived segments from a backup on, through a position: those that a recovery can read, and those after a
    /// gap on the same timeline: they show what happened there, though it can't be reached from that backup.
    ///
    /// - Parameter position: nil for all.
    public func segments(
        from wal: ReachableWAL, through position: LSN?, segmentSize: UInt32
    ) throws -> (names: [SegmentName], holes: [UnreadWAL]) {
        var names = wal.segments
        if wal.limit == nil, let last = names.last {
            names += try contents.segments(timeline: last.timeline, from: last.next(segmentSize: segmentSize))
        }
        names = names.filter { name in position.map { name.start(segmentSize: segmentSize) <= $0 } ?? true }
        return (names, names.holes(segmentSize: segmentSize))
    }
}

extension [SegmentName] {
    /// The ranges that are missing between neighbours of one timeline.
    fileprivate func holes(segmentSize: UInt32) -> [UnreadWAL] {
        zip(self, dropFirst()).compactMap { one, other in
            let first = one.next(segmentSize: segmentSize)
            guard one.timeline == other.timeline, first < other, let last = other.previous(segmentSize: segmentSize)
            else { return nil }
            return UnreadWAL(first, through: last, reason: "is missing")
        }
    }
}
