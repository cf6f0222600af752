/// A block map's stored form: the number of entries; per entry the tablespace, database, file number and fork, the
/// limit plus one (0 for none), the number of runs, and per run the gap after the one before and its length less one.
/// Entries are in order, and file numbers count from the one before while tablespace and database stay the same.
extension BlockMap {
    public func encode() -> [UInt8] {
        var writer = SummaryWriter()
        let entries = entries()
        writer.number(entries.count)
        var before = RelationFile(tablespace: 0, database: 0, number: 0)
        for entry in entries {
            let isNear = entry.file.tablespace == before.tablespace && entry.file.database == before.database
            writer.number((isNear ? 1 : 0) | UInt64(entry.fork.rawValue) << 1)
            if !isNear {
                writer.number(entry.file.tablespace)
                writer.number(entry.file.database)
            }
            writer.number(isNear ? entry.file.number - before.number : entry.file.number)
            writer.number(entry.limit.map { UInt64($0) + 1 } ?? 0)
            writer.number(entry.blocks.count)
            var next: UInt64 = 0
            for run in entry.blocks {
                writer.number(UInt64(run.lowerBound) - next)
                writer.number(UInt64(run.upperBound - run.lowerBound))
                next = UInt64(run.upperBound) + 1
            }
            before = entry.file
        }
        return writer.bytes
    }

    /// - Parameter maximumBlocks: more changed blocks than this are damage; it bounds the memory used.
    public init(decoding bytes: [UInt8], maximumBlocks: Int = 1 << 27) throws(BadSummary) {
        self.init()
        for entry in try BlockMap.entries(decoding: bytes, maximumBlocks: maximumBlocks) { merge(entry) }
    }

    /// The stored entries, without building a map from them.
    public static func entries(decoding bytes: [UInt8], maximumBlocks: Int = 1 << 27) throws(BadSummary) -> [Entry] {
        var reader = SummaryReader(bytes)
        var before = RelationFile(tablespace: 0, database: 0, number: 0)
        var blocks: UInt64 = 0
        return try reader.list { reader throws(BadSummary) in
            let kind = try reader.number()
            guard kind >> 1 <= 3, let fork = Fork(rawValue: UInt8(kind >> 1)) else {
                throw reader.bad("A fork does not exist.")
            }
            let file: RelationFile
            if kind & 1 != 0 {
                let (number, overflow) = before.number.addingReportingOverflow(try reader.number32())
                if overflow { throw reader.bad("A number is too large.") }
                file = RelationFile(tablespace: before.tablespace, database: before.database, number: number)
            } else {
                file = RelationFile(
                    tablespace: try reader.number32(), database: try reader.number32(), number: try reader.number32())
            }
            before = file
            let limit = try reader.number()
            guard limit <= UInt64(UInt32.max) else { throw reader.bad("A number is too large.") }
            var next: UInt64 = 0
            let runs: [ClosedRange<UInt32>] = try reader.list { reader throws(BadSummary) in
                let first = next &+ (try reader.number() & 0x1_FFFF_FFFF)
                let last = first &+ (try reader.number() & 0x1_FFFF_FFFF)
                guard last <= UInt64(UInt32.max) else { throw reader.bad("A number is too large.") }
                next = last + 1
                blocks += last - first + 1
                guard blocks <= UInt64(maximumBlocks) else { throw reader.bad("It has too many blocks.") }
                return UInt32(first)...UInt32(last)
            }
            return Entry(file: file, fork: fork, limit: limit == 0 ? nil : UInt32(limit - 1), blocks: runs)
        }
    }
}
