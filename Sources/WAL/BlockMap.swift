/// The blocks a stretch of WAL changes, per relation file and fork.
///
/// For each the map holds a *limit* (nothing at or behind it may be taken from an older copy: the file was created, cut or
/// removed) and a set of blocks. Maps of adjacent stretches merge in any grouping as long as the order is kept.
/// The pair (tablespace, database, relation 0) with limit 0 says that every file of that database directory is new.
/// Free space maps are not in it: PostgreSQL changes them without telling WAL.
public struct BlockMap: Sendable {
    /// What happened to one fork of one relation file.
    public struct Entry: Hashable, Sendable {
        public let file: RelationFile
        public let fork: Fork
        /// Nil: the file goes on from its older copy.
        public let limit: UInt32?
        /// Changed blocks, ascending and apart.
        public let blocks: [ClosedRange<UInt32>]

        public init(file: RelationFile, fork: Fork, limit: UInt32?, blocks: [ClosedRange<UInt32>]) {
            self.file = file
            self.fork = fork
            self.limit = limit
            self.blocks = blocks
        }
    }

    /// A fork of a relation file, packed for hashing.
    private struct Key: Hashable {
        let tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32
    }
    private struct Relation: Sendable {
        let tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32
        var limit: UInt32
        /// A limit of 0 starts a new incarnation, so that the blocks of the old one are forgotten without a search.
        var incarnation: UInt32
    }

    private static let unlimited = UInt32.max
    /// Marks a forgotten block's place in the table.
    private static let forgotten = UInt64.max

    private var relations: [Relation] = []
    /// Open addressing: 0 is empty, else index + 1 into `relations`.
    private var relationTable = [UInt32](repeating: 0, count: 64)
    /// Relation of each incarnation.
    private var owners: [UInt32] = []
    /// Open addressing: (incarnation + 1) << 32 | block; 0 is empty.
    private var blockTable = [UInt64](repeating: 0, count: 256)
    private var used = 0
    private var latest = -1

    public init() {}

    public var isEmpty: Bool { relations.isEmpty }

    /// Adds a changed block.
    public mutating func change(_ file: RelationFile, _ fork: Fork, block: UInt32) {
        change(
            tablespace: file.tablespace, database: file.database, number: file.number, fork: fork.rawValue, block: block
        )
    }

    /// Notes that nothing at or behind `limit` is as it was, and forgets the changes noted there.
    public mutating func cut(_ file: RelationFile, _ fork: Fork, to limit: UInt32) {
        let index = relation(
            tablespace: file.tablespace, database: file.database, number: file.number, fork: UInt32(fork.rawValue))
        cut(index, to: limit)
    }

    @inline(__always)
    mutating func change(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt8, block: UInt32) {
        let index = relation(tablespace: tablespace, database: database, number: number, fork: UInt32(fork))
        insert((UInt64(relations[index].incarnation) + 1) << 32 | UInt64(block))
    }

    @inline(__always)
    private static func mix(_ value: UInt64) -> UInt64 {
        let folded = (value ^ (value >> 32)) &* 0x9E37_79B9_7F4A_7C15
        return folded ^ (folded >> 29)
    }

    @inline(__always)
    private static func hash(_ tablespace: UInt32, _ database: UInt32, _ number: UInt32, _ fork: UInt32) -> UInt64 {
        mix((UInt64(number) << 32 | UInt64(database)) ^ mix(UInt64(tablespace) << 8 | UInt64(fork)))
    }

    @inline(__always)
    private mutating func relation(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32) -> Int {
        if latest >= 0 {
            let known = relations[latest]
            if known.number == number, known.fork == fork, known.database == database, known.tablespace == tablespace {
                return latest
            }
        }
        return find(tablespace: tablespace, database: database, number: number, fork: fork)
    }

    @inline(never)
    private mutating func find(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32) -> Int {
        var mask = relationTable.count - 1
        var place = Int(truncatingIfNeeded: BlockMap.hash(tablespace, database, number, fork)) & mask
        while relationTable[place] != 0 {
            let index = Int(relationTable[place]) - 1
            let known = relations[index]
            if known.number == number, known.fork == fork, known.database == database, known.tablespace == tablespace {
                latest = index
                return index
            }
            place = (place + 1) & mask
        }
        let index = relations.count
        relations.append(
            Relation(
                tablespace: tablespace, database: database, number: number, fork: fork, limit: BlockMap.unlimited,
                incarnation: UInt32(owners.count)))
        owners.append(UInt32(index))
        relationTable[place] = UInt32(index + 1)
        latest = index
        if relations.count * 2 > mask {
            relationTable = [UInt32](repeating: 0, count: relationTable.count * 2)
            mask = relationTable.count - 1
            for (index, known) in relations.enumerated() {
                var place =
                    Int(
                        truncatingIfNeeded: BlockMap.hash(known.tablespace, known.database, known.number, known.fork))
                    & mask
                while relationTable[place] != 0 { place = (place + 1) & mask }
                relationTable[place] = UInt32(index + 1)
            }
        }
        return index
    }

    @inline(__always)
    private mutating func insert(_ key: UInt64) {
        let mask = blockTable.count - 1
        var place = Int(truncatingIfNeeded: BlockMap.mix(key)) & mask
        while true {
            let found = blockTable[place]
            if found == key { return }
            if found == 0 { break }
            place = (place + 1) & mask
        }
        blockTable[place] = key
        used += 1
        if used * 2 > mask { grow() }
    }

    /// Makes room, and drops what belongs to earlier incarnations.
    @inline(never)
    private mutating func grow() {
        let current = blockTable.filter { key in key != 0 && key != BlockMap.forgotten && isCurrent(key) }
        var size = 256
        while size < current.count * 4 { size *= 2 }
        blockTable = [UInt64](repeating: 0, count: size)
        for key in current {
            var place = Int(truncatingIfNeeded: BlockMap.mix(key)) & (size - 1)
            while blockTable[place] != 0 { place = (place + 1) & (size - 1) }
            blockTable[place] = key
        }
        used = current.count
    }

    private func isCurrent(_ key: UInt64) -> Bool {
        let incarnation = UInt32(truncatingIfNeeded: (key >> 32) - 1)
        return relations[Int(owners[Int(incarnation)])].incarnation == incarnation
    }

    private mutating func cut(_ index: Int, to limit: UInt32) {
        relations[index].limit = min(relations[index].limit, limit)
        if limit == 0 {
            relations[index].incarnation = UInt32(owners.count)
            owners.append(UInt32(index))
            return
        }
        let high = UInt64(relations[index].incarnation) + 1
        for place in blockTable.indices {
            let key = blockTable[place]
            if key >> 32 == high, key != BlockMap.forgotten, UInt32(truncatingIfNeeded: key) >= limit {
                blockTable[place] = BlockMap.forgotten
            }
        }
    }

    /// Appends what `newer`, the map of the stretch that follows, says.
    public mutating func merge(_ newer: BlockMap) {
        for entry in newer.entries() { merge(entry) }
    }

    /// Appends what the stretch that follows says about one fork.
    public mutating func merge(_ entry: Entry) {
        let index = relation(
            tablespace: entry.file.tablespace, database: entry.file.database, number: entry.file.number,
            fork: UInt32(entry.fork.rawValue))
        if let limit = entry.limit { cut(index, to: limit) }
        let high = (UInt64(relations[index].incarnation) + 1) << 32
        for run in entry.blocks {
            for block in run { insert(high | UInt64(block)) }
        }
    }

    /// Everything in the map, in the order of files and forks.
    public func entries() -> [Entry] {
        var rank = [UInt32](repeating: 0, count: relations.count)
        let order = relations.indices.sorted { a, b in
            let (a, b) = (relations[a], relations[b])
            return (a.tablespace, a.database, a.number, a.fork) < (b.tablespace, b.database, b.number, b.fork)
        }
        for (place, index) in order.enumerated() { rank[index] = UInt32(place) }
        var keys: [UInt64] = []
        for key in blockTable where key != 0 && key != BlockMap.forgotten && isCurrent(key) {
            let owner = owners[Int(truncatingIfNeeded: (key >> 32) - 1)]
            keys.append(UInt64(rank[Int(owner)]) << 32 | (key & 0xFFFF_FFFF))
        }
        keys.sort()
        var entries: [Entry] = []
        entries.reserveCapacity(order.count)
        var next = 0
        for (place, index) in order.enumerated() {
            var runs: [ClosedRange<UInt32>] = []
            while next < keys.count, keys[next] >> 32 == place {
                let first = UInt32(truncatingIfNeeded: keys[next])
                var last = first
                next += 1
                while next < keys.count, last < .max, keys[next] == UInt64(place) << 32 | UInt64(last + 1) {
                    last += 1
                    next += 1
                }
                runs.append(first...last)
            }
            let known = relations[index]
            // Only forks 0, 2 and 3 get in.
            guard let fork = Fork(rawValue: UInt8(truncatingIfNeeded: known.fork)) else { continue }
            entries.append(
                Entry(
                    file: RelationFile(tablespace: known.tablespace, database: known.database, number: known.number),
                    fork: fork, limit: known.limit == BlockMap.unlimited ? nil : known.limit, blocks: runs))
        }
        return entries
    }
}
