import Archiving
import DataDirectory
import Glibc
public import Planning
import Platform
public import Repository
import Restoring
public import WAL

/// What the cluster's own data directory says, for a plan.
public struct OwnDirectory: Sendable {
    public let path: String
    /// Where the cluster's WAL ends now, or ended when its server died.
    public let place: KnownPlace
    /// Whether a server runs on it.
    public let isRunning: Bool
    /// The dead server's WAL that is not archived; `recover` in place archives it first.
    public let waiting: WaitingWAL
    /// A file of its pg_wal under whose name the archive has another server's.
    public let contradiction: Contradiction?
    /// Why contradictions could not be looked for; nil when they were.
    public let contradictionProblem: (any Error)?
    /// Files of its pg_wal that are named after histories, and aren't any.
    let damagedHistories: [DamagedOwnHistory]

    /// What keeps some of that from being archived, before anything is tried: `recover` in its place is refused.
    public var blocked: NotRescued? {
        waiting.blocked.first.map {
            NotRescued(
                directory: path, files: waiting.blocked.map(\.name), reason: $0.reason,
                isBlocked: !($0.reason is DamagedOwnHistory))
        }
    }

    /// Nil when there is no such directory, when it is another cluster's, or when a restore left it half done.
    ///
    /// Of a dead server's directory, the WAL from the last checkpoint on is read.
    /// - Throws: `DamagedControlFile`, `SystemError`, `Problem` when it can't be told whose the directory is, or
    ///   whether a server runs on it.
    public init?(_ path: String, of archive: ClusterArchive) throws {
        let directory = DataDirectory(path)
        let (control, major): (ControlFile, Int)
        do { (control, major) = try (directory.controlFile(), directory.majorVersion()) } catch let error as SystemError
            where [ENOENT, ENOTDIR].contains(error.code)
        {
            return nil
        }
        guard control.systemIdentifier == archive.incarnation.systemIdentifier, major == archive.incarnation.major,
            try !isUnfinishedRestore(path)
        else { return nil }
        self.path = path
        isRunning = try directory.runningServer() != nil
        // After a promotion the checkpoint is still the old timeline's for a while (`CreateEndOfRecoveryRecord`,
        // xlog.c), and after another's, a standby's control file is.
        let timeline = try directory.timeline(control)
        var position = max(control.checkpoint, control.minimumRecoveryPoint)
        let isRecovering = try ["standby.signal", "recovery.signal"].contains { try Files.exists("\(path)/\($0)") }
        if isRunning {
            waiting = WaitingWAL()
        } else {
            waiting = WaitingWAL(path, timeline: timeline, of: archive)
            position = max(position, waiting.end ?? .zero)
        }
        do {
            contradiction = try Contradiction.find(
                in: path, timeline: timeline, segments: waiting.named, of: archive)
            contradictionProblem = nil
        } catch { (contradiction, contradictionProblem) = (nil, error) }
        damagedHistories = try DamagedOwnHistory.all(in: directory, of: archive)
        place = KnownPlace(
            timeline: timeline, position: position, takesWrites: isRunning && !isRecovering,
            history: try TimelineHistory(timeline, in: path),
            witness: isRunning ? "The server in \"\(path)\" is" : "Data directory \"\(path)\" was", directory: path)
    }
}

extension OwnDirectory {
    /// What could not be looked for in pg_wal, as sentences.
    var unreadWaiting: [String] {
        let unknown = waiting.problem.map { problem in
            "It is not known what WAL in \"\(path)\" isn't archived yet: "
                + "\(explanation(of: problem))."
        }
        return [unknown].compactMap(\.self)
            + waiting.unreadable.map {
                "\"\($0)\" in pg_wal of \"\(path)\" cannot be read, and may hold transactions."
            }
    }
}

/// The WAL in a dead server's pg_wal that an archive does not hold.
public struct WaitingWAL: Sendable {
    /// A segment, as a file.
    public struct Segment: Sendable {
        public let path: String
        public let summary: SegmentSummary
        /// A segment whose timeline was left in it may end early, like the last one.
        let contents: SegmentContents
        /// Whether it is the one the server was writing, which is archived as `.partial`.
        public let isLast: Bool
    }
    public private(set) var segments: [SegmentName: Segment] = [:]
    public private(set) var histories: [TimelineID: TimelineHistory] = [:]
    /// Where the server's WAL ends, archived or not; nil when unknown.
    public private(set) var end: LSN?
    /// Files that can't be read: `recover` can't archive them either.
    public private(set) var unreadable: [String] = []
    /// Why it could not be looked for.
    public private(set) var problem: (any Error)?
    /// What `recover` can't archive, and why: of what has a name that is taken in the archive, what can be neither read
    /// nor replaced there; and histories that are none.
    private(set) var blocked: [(name: String, reason: any Error)] = []
    /// All segments from the last checkpoint on, whatever the archive has, and those before it that it lacks.
    private(set) var named: [SegmentName] = []

    public var isEmpty: Bool { segments.isEmpty && histories.isEmpty }
    public var hasLast: Bool { segments.values.contains(where: \.isLast) }

    public init() {}

    /// - Parameter timeline: the server's.
    init(_ dataDirectory: String, timeline: TimelineID, of archive: ClusterArchive) {
        let rescue: Rescue
        do {
            rescue = try Rescue(dataDirectory: dataDirectory, archive: archive)
        } catch {
            problem = error
            return
        }
        named = rescue.items.compactMap { item in
            switch item {
            case .last(let name): name
            case .finished(.segment(let name)): name
            case .finished: nil
            }
        }
        var archived: Set<SegmentName> = []
        for name in named {
            do { if try archive.delivers(name) { archived.insert(name) } } catch let error as any Explained
                where error.concernsOneObject
            {
                blocked.append((name.description, error))
            } catch {
                // What can't be asked for counts as missing: `recover` hands it over, which is right either way.
            }
        }
        func isArchived(_ name: SegmentName) -> Bool { archived.contains(name) }
        for item in rescue.items {
            switch item {
            case .last(let name):
                add(name, in: dataDirectory, .partial, isLast: true) {
                    trim(&$0, of: name, at: "\(dataDirectory)/pg_wal/\(name)", archive)
                }
                if isArchived(name) { segments[name] = nil }
            case .finished(let name):
                switch name {
                case .segment(let segment):
                    guard !isArchived(segment) || item == rescue.items.last else { continue }
                    let isLeft = segment.timeline < timeline
                    add(segment, in: dataDirectory, isLeft ? .partial : .completed, isLast: false) {
                        if isLeft {
                            trim(&$0, of: segment, at: "\(dataDirectory)/pg_wal/\(segment)", archive)
                        }
                    }
                    if isArchived(segment) { segments[segment] = nil }
                case .history(let timeline):
                    do {
                        histories[timeline] = try TimelineHistory(timeline, in: dataDirectory)
                        if let damaged = try DamagedOwnHistory(timeline, in: DataDirectory(dataDirectory), of: archive)
                        {
                            blocked.append((name.description, damaged))
                        }
                    } catch { unreadable.append(name.description) }
                case .partial, .backupHistory: continue
                }
            }
        }
    }

    private mutating func add(
        _ name: SegmentName, in dataDirectory: String, _ contents: SegmentContents, isLast: Bool,
        trim: (inout SegmentSummary) -> Void
    ) {
        let path = "\(dataDirectory)/pg_wal/\(name)"
        do {
            var summary = try WaitingWAL.scan(path, name, contents)
            trim(&summary)
            segments[name] = Segment(path: path, summary: summary, contents: contents, isLast: isLast)
            end = max(end ?? .zero, summary.end)
        } catch is WALDamage where contents == .partial && !isLast {
            // A segment made in advance on a timeline that was left, and never written.
        } catch { unreadable.append(name.description) }
    }

    static func scan(
        _ path: String, _ name: SegmentName, _ contents: SegmentContents
    ) throws -> SegmentSummary {
        let size = try FileStatus(of: path).size
        var scanner = SegmentScanner(name: name, length: UInt64(size), contents: contents)
        try WaitingWAL.read(path) { pages in try scanner.feed(RawSpan(_unsafeBytes: pages)) }
        return try scanner.finish()
    }

    /// Hands a file over in pieces of whole pages.
    static func read(_ path: String, _ take: (UnsafeRawBufferPointer) throws -> Void) throws {
        let file = try Descriptor(open: path, O_RDONLY)
        var window = [UInt8](repeating: 0, count: 128 << 10)
        while true {
            let count = try window.withUnsafeMutableBytes { try file.read(into: $0, path: path) }
            if count == 0 { return }
            try window.withUnsafeBytes { try take(UnsafeRawBufferPointer(rebasing: $0[..<count])) }
        }
    }
}

extension TimelineHistory {
    /// A timeline's history as a server has it; nil when it isn't there or isn't one.
    init?(_ timeline: TimelineID, in dataDirectory: String) throws {
        try self.init(timeline, inWAL: dataDirectory + "/pg_wal")
    }
}

extension ClusterArchive {
    /// Whether a segment is archived, as far as its head tells. One that is damaged isn't: a server that hands it over
    /// has it stored again.
    /// - Throws: what keeps it from being opened.
    func delivers(_ name: SegmentName) throws -> Bool {
        do {
            _ = try stored(name).summary()
            return true
        } catch is ObjectAbsent { return false } catch is ObjectDamaged { return false } catch is BadSummary {
            return false
        }
    }
}
