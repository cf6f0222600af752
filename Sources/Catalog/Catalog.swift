import Glibc
import Platform
public import Repository
import SQLite
public import WAL

/// A local index over one incarnation's part of the repository: its segments, their contents, and their links.
///
/// It holds nothing that isn't in the repository: the file can be deleted at any time, a damaged one is rebuilt, and
/// every process that opens a catalog synchronizes it with the repository first (`synchronize`). Several processes may
/// use one at once, but a `Catalog` object serves one thread.
public final class Catalog {
    public let archive: ClusterArchive
    /// The SQLite file.
    public let path: String
    private(set) var file: CatalogFile
    private(set) var database: Database
    private let note: (String) -> Void
    /// Segments that no server would get, though their heads, from which their rows are made, are sound.
    public var undelivered: [WALBreak] = []
    /// How many segments are read before their rows are written.
    var batchSize = 2000
    var relisting = Relisting()

    /// Opens the catalog of an incarnation; creates it if necessary.
    /// - Parameters:
    ///   - path: of its file; created if missing.
    ///   - mayBeInMemory: whether to build the catalog in memory, for this object only, when its file can't be written.
    ///   - note: gets messages for the log: why the catalog had to be rebuilt, or what it waits for.
    public init(
        at path: String, archive: ClusterArchive, mayBeInMemory: Bool = true,
        note: @escaping (String) -> Void
    ) throws {
        self.archive = archive
        self.note = note
        self.path = path
        file = CatalogFile(path: path)
        do {
            database = try Catalog.patiently(path, note) { [file] in try file.open(note: note) }
        } catch  where mayBeInMemory && Catalog.isOfPlace(error) {
            let reason = explanation(of: error)
            note("catalog \"\(path)\" cannot be written and is built in memory for this command only: \(reason)")
            file.isKept = false
            database = try file.open(note: note)
        }
        try belong()
    }

    /// Records the repository in the catalog; a catalog of another repository is emptied first.
    private func belong() throws {
        let location = archive.store.location
        guard try about("location") != location else { return }
        // The process that fills it locks out other writers.
        try file.locked {
            let known = try about("location")
            guard known != location else { return }
            if let known {
                note("catalog \"\(path)\" belongs to repository \"\(known)\" and is rebuilt from \"\(location)\"")
                try empty()
            } else {
                try Catalog.patiently(path, note) { try setAbout("location", location) }
            }
        }
    }

    /// Empties the catalog, so that the next `synchronize` reads everything again.
    public func startAnew() throws { try file.locked { try empty() } }

    private func empty() throws {
        do {
            try Catalog.patiently(path, note) {
                // All or nothing: half of it would be taken for the whole.
                try database.transaction {
                    for table in ["segment", "object", "chunk", "run", "event", "open", "folder", "history", "about"] {
                        try database.execute("DELETE FROM \(table)")
                    }
                    try setAbout("location", archive.store.location)
                }
            }
        } catch is DatabaseError {
            // The file is too damaged to be emptied.
            database = try file.makeAnew()
            try setAbout("location", archive.store.location)
        }
    }

    /// Synchronizes the catalog, then runs `body`; if the catalog turns out to be damaged, empties it and does both
    /// again.
    /// - Parameters:
    ///   - jobs: how many heads are read at once.
    ///   - isExact: as in `synchronize`.
    ///   - progress: gets how many segments have been read, and of how many.
    public func current<Value>(
        jobs: Int, isExact: Bool = false, progress: (Int, Int) -> Void = { _, _ in }, _ body: (Catalog) throws -> Value
    ) throws -> Value {
        try intact { catalog in
            _ = try catalog.synchronize(jobs: jobs, isExact: isExact, progress: progress)
            return try body(catalog)
        }
    }

    private static func isOfPlace(_ error: any Error) -> Bool {
        switch error {
        case let error as SystemError:
            [EACCES, EPERM, EROFS, ENOSPC, EDQUOT, ENOTDIR, ENOENT, ELOOP].contains(error.code)
        case let error as DatabaseError: error.isOfPlace
        default: false
        }
    }

    /// Waits for a process that has locked the file, and says so.
    private static func patiently<Value>(
        _ path: String, _ note: (String) -> Void, _ body: () throws -> Value
    ) throws -> Value {
        var seconds = 0
        while true {
            do { return try body() } catch let error as DatabaseError where error.isBusy {
                let most = Int(CatalogFile.longWait / CatalogFile.shortWait)
                guard seconds < most else {
                    throw Problem(
                        "catalog \"\(path)\" is locked by another process",
                        detail: "The process did not release it within \(most) seconds.",
                        hint: "\"fuser \(path)\" names the process. The catalog may be removed: it is rebuilt.")
                }
                if seconds == 0 { note("catalog \"\(path)\" is locked by another process; waiting for it") }
                seconds += 1
            }
        }
    }

    /// Runs `body` with a catalog that was synchronized before; if it turns out to be damaged, synchronizes an empty
    /// one first.
    public func stillCurrent<Value>(jobs: Int, _ body: (Catalog) throws -> Value) throws -> Value {
        var isFirst = true
        return try intact { catalog in
            if !isFirst { _ = try catalog.synchronize(jobs: jobs) }
            isFirst = false
            return try body(catalog)
        }
    }

    /// Runs `body`; if the catalog turns out to be damaged, empties it and runs `body` again.
    public func intact<Value>(_ body: (Catalog) throws -> Value) throws -> Value {
        do {
            return try Catalog.patiently(path, note) { try body(self) }
        } catch let error as DatabaseError where error.isDamage {
            note("catalog \"\(path)\" is damaged and is rebuilt from the repository: \(error.reason)")
            try file.remove()
            database = try file.open(note: note)
            try belong()
            return try body(self)
        }
    }

    /// What SQLite finds wrong with the file, and impossible values in its tables; empty when it is sound.
    public func problems() throws -> [String] {
        let found = try database.problems()
        guard found.isEmpty else { return found }
        do { _ = try segments() } catch let error as DatabaseError where error.isDamage { return [error.reason] }
        return []
    }

    // MARK: Facts about the catalog itself

    func about(_ name: String) throws -> String? {
        try database.text("SELECT value FROM about WHERE name = ?", name)
    }
    func setAbout(_ name: String, _ value: String) throws {
        try database.run("INSERT OR REPLACE INTO about (name, value) VALUES (?, ?)", name, value)
    }

    /// Nil while no segment is known.
    public func segmentSize() throws -> UInt32? {
        guard let text = try about("segment_size") else { return try archive.segmentSizeOfBackups() }
        guard let size = UInt32(text), SegmentName.exists(segmentSize: size) else {
            throw database.damage("\"\(text)\" is no segment size")
        }
        return size
    }

    /// When the catalog was last synchronized.
    public func synchronized() throws -> Moment? {
        try about("synchronized").flatMap { Int64($0) }.map { Moment(microseconds: $0) }
    }

    /// The timeline histories in the repository. Timeline 1 has none.
    public func histories() throws -> [TimelineID: TimelineHistory] {
        let statement = try database.prepare("SELECT timeline, content FROM history")
        var found: [TimelineID: TimelineHistory] = [:]
        while try statement.step() {
            let timeline = TimelineID(UInt32(truncatingIfNeeded: statement.integer(0)))
            if let history = try? TimelineHistory(timeline: timeline, file: statement.text(1)) {
                found[timeline] = history
            }
        }
        return found
    }

    /// The histories, as a genealogy.
    public func genealogy() throws -> Genealogy {
        Genealogy(try histories(), segmentSize: try segmentSize() ?? 16 << 20)
    }

    /// The segments in the repository.
    public func segments() throws -> SegmentSet {
        let size = try segmentSize() ?? 16 << 20
        var set = SegmentSet(segmentSize: size)
        // Each segment is counted a second time in the runs; one statement reads both from the same snapshot.
        let statement = try database.prepare(
            """
            SELECT timeline, first, last, (SELECT sum(segments) FROM chunk WHERE chunk.timeline = run.timeline) FROM run
            """)
        var counted: [TimelineID: Int64] = [:]
        while try statement.step() {
            let timeline = try statement.timeline(0)
            let (first, last) = (try statement.number(1, size), try statement.number(2, size))
            guard first <= last else {
                throw database.damage("a run of segments ends at number \(last), before its begin at \(first)")
            }
            set.insert(first...last, on: timeline)
            counted[timeline] = statement.integer(3)
        }
        for (timeline, count) in counted {
            let found = set.runs(of: timeline).reduce(0 as Int64) { $0 + Int64($1.upperBound - $1.lowerBound) + 1 }
            guard found == count else {
                throw database.damage("timeline \(timeline) has \(count) segments by one count, \(found) by another")
            }
        }
        return set
    }
}
