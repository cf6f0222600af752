/// The blocks that a range of WAL changes, per relation file and fork.
///
/// Each fork has a *limit* (this block and all after it must not be taken from an older copy: the file was created,
/// truncated or removed) and a set of blocks. Maps of adjacent ranges merge in any grouping as long as the order is
/// kept. The triple (tablespace, database, relation 0) with limit 0 says that every file of that database directory is
/// new. Free space maps are not included: PostgreSQL changes them without WAL.
public struct BlockMap: Sendable {
    /// What happened to one fork of one relation file.
    public struct Entry: Hashable, Sendable {
        public let file: RelationFile
        public let fork: Fork
        /// Nil when the file continues its older copy.
        public let limit: UInt32?
        /// Changed blocks, ascending, not adjacent.
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
        /// A limit of 0 starts a new incarnation, so that the blocks of the old one are dropped without a search.
        var incarnation: UInt32
    }

    private static let unlimited = UInt32.max
    /// An entry of the table holds 64 blocks, a bit each, so that random changes of a table take little memory.
    private static let chunkBits: UInt32 = 6
    private static let firstSize = 64

    private var relations: [Relation] = []
    /// Open addressing: 0 is empty, else index + 1 into `relations`.
    private var relationTable = [UInt32](repeating: 0, count: 64)
    /// The relation of each incarnation.
    private var owners: [UInt32] = []
    /// Open addressing, two words an entry: (incarnation + 1) << 32 | chunk, 0 if empty; and a bit per changed block.
    private var table = [UInt64](repeating: 0, count: 2 * firstSize)
    private var used = 0
    private var latest = -1

    public init() {}

    public var isEmpty: Bool { relations.isEmpty }

    /// Whether the map has a relation file, in any tablespace.
    public func mentions(database: UInt32, number: UInt32) -> Bool {
        relations.contains { $0.database == database && $0.number == number }
    }

    /// Adds a changed block.
    public mutating func change(_ file: RelationFile, _ fork: Fork, block: UInt32) {
        change(
            tablespace: file.tablespace, database: file.database, number: file.number, fork: fork.rawValue, block: block
        )
    }

    /// Records that all blocks from `limit` on are new, and drops the changes recorded there.
    public mutating func cut(_ file: RelationFile, _ fork: Fork, to limit: UInt32) {
        let index = relation(
            tablespace: file.tablespace, database: file.database, number: file.number, fork: UInt32(fork.rawValue))
        cut(index, to: limit)
    }

    /// Not inlined: the loop over records needs the registers.
    @inline(never)
    mutating func change(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt8, block: UInt32) {
        let index = relation(tablespace: tablespace, database: database, number: number, fork: UInt32(fork))
        insert(
            (UInt64(relations[index].incarnation) + 1) << 32 | UInt64(block >> BlockMap.chunkBits),
            1 << UInt64(block & 63))
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

    @inline(__always)
    private mutating func find(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32) -> Int {
        let mask = relationTable.count - 1
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
        return add(tablespace: tablespace, database: database, number: number, fork: fork, at: place)
    }

    @inline(never)
    private mutating func add(tablespace: UInt32, database: UInt32, number: UInt32, fork: UInt32, at place: Int) -> Int
    {
        let index = relations.count
        relations.append(
            Relation(
                tablespace: tablespace, database: database, number: number, fork: fork, limit: BlockMap.unlimited,
                incarnation: UInt32(owners.count)))
        owners.append(UInt32(index))
        relationTable[place] = UInt32(index + 1)
        latest = index
        if relations.count * 2 >= relationTable.count {
            relationTable = [UInt32](repeating: 0, count: relationTable.count * 2)
            let mask = relationTable.count - 1
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
    private mutating func insert(_ key: UInt64, _ bits: UInt64) {
        let mask = table.count - 1
        var place = Int(truncatingIfNeeded: BlockMap.mix(key)) << 1 & mask
        while true {
            let found = table[place]
            if found == key { break }
            if found == 0 {
                table[place] = key
                used += 1
                table[place + 1] = bits
                if used * 4 > mask { grow() }
                return
            }
            place = (place + 2) & mask
        }
        // Usually it is known already; then nothing is written, and the table isn't checked for sharing.
        if table[place + 1] & bits != bits { table[place + 1] |= bits }
    }

    /// Grows the table, and drops entries of earlier incarnations.
    @inline(never)
    private mutating func grow() {
        let current = chunks()
        var size = BlockMap.firstSize
        while size < current.count * 4 { size *= 2 }
        table = [UInt64](repeating: 0, count: size * 2)
        let mask = table.count - 1
        for chunk in current {
            var place = Int(truncatingIfNeeded: BlockMap.mix(chunk.key)) << 1 & mask
            while table[place] != 0 { place = (place + 2) & mask }
            table[place] = chunk.key
            table[place + 1] = chunk.bits
        }
        used = current.count
    }

    /// The non-empty entries of the table.
    private func chunks() -> [(key: UInt64, bits: UInt64)] {
        var chunks: [(key: UInt64, bits: UInt64)] = []
        for place in stride(from: 0, to: table.count, by: 2) where table[place + 1] != 0 {
            let incarnation = UInt32(truncatingIfNeeded: (table[place] >> 32) - 1)
            if relations[Int(owners[Int(incarnation)])].incarnation == incarnation {
                chunks.append((table[place], table[place + 1]))
            }
        }
        return chunks
    }

    private mutating func cut(_ index: Int, to limit: UInt32) {
        relations[index].limit = min(relations[index].limit, limit)
        if limit == 0 {
            relations[index].incarnation = UInt32(owners.count)
            owners.append(UInt32(index))
            return
        }
        let high = UInt64(relations[index].incarnation) + 1
        for place in stride(from: 0, to: table.count, by: 2) where table[place] >> 32 == high {
            let first = UInt32(truncatingIfNeeded: table[place]) << BlockMap.chunkBits
            if first >= limit {
                table[place + 1] = 0
            } else if limit - first < 64 {
                table[place + 1] &= 1 << UInt64(limit - first) - 1
            }
        }
    }

    /// Appends `newer`, the map of the following range.
    public mutating func merge(_ newer: BlockMap) {
        for entry in newer.entries() { merge(entry) }
    }

    /// Appends an entry of the following range.
    public mutating func merge(_ entry: Entry) {
        let index = relation(
            tablespace: entry.file.tablespace, database: entry.file.database, number: entry.file.number,
            fork: UInt32(entry.fork.rawValue))
        if let limit = entry.limit { cut(index, to: limit) }
        let high = (UInt64(relations[index].incarnation) + 1) << 32
        for run in entry.blocks {
            for chunk in run.lowerBound >> BlockMap.chunkBits...run.upperBound >> BlockMap.chunkBits {
                let first = chunk << BlockMap.chunkBits
                let from = max(run.lowerBound, first) - first
                let to = min(run.upperBound - first, 63)
                insert(high | UInt64(chunk), (UInt64.max >> UInt64(63 - (to - from))) << UInt64(from))
            }
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
        var found = chunks().map { chunk in
            let owner = owners[Int(truncatingIfNeeded: (chunk.key >> 32) - 1)]
            return (key: UInt64(rank[Int(owner)]) << 32 | (chunk.key & 0xFFFF_FFFF), bits: chunk.bits)
        }
        found.sort { $0.key < $1.key }
        var entries: [Entry] = []
        entries.reserveCapacity(order.count)
        var next = 0
        for (place, index) in order.enumerated() {
            var runs: [ClosedRange<UInt32>] = []
            while next < found.count, found[next].key >> 32 == place {
                let first = UInt32(truncatingIfNeeded: found[next].key) << BlockMap.chunkBits
                BlockMap.append(found[next].bits, from: first, to: &runs)
                next += 1
            }
            let known = relations[index]
            // Only forks 0, 2 and 3 are ever added.
            guard let fork = Fork(rawValue: UInt8(truncatingIfNeeded: known.fork)) else { continue }
            entries.append(
                Entry(
                    file: RelationFile(tablespace: known.tablespace, database: known.database, number: known.number),
                    fork: fork, limit: known.limit == BlockMap.unlimited ? nil : known.limit, blocks: runs))
        }
        return entries
    }

    /// Adds the runs of one bits in `bits`, whose first stands for block `first`; adjacent ones become one.
    private static func append(_ bits: UInt64, from first: UInt32, to runs: inout [ClosedRange<UInt32>]) {
        var rest = bits
        while rest != 0 {
            let begin = UInt32(rest.trailingZeroBitCount)
            let count = UInt32((~(rest >> UInt64(begin))).trailingZeroBitCount)
            // The last block may be the last number, whose successor there isn't.
            let run = first + begin...first + (begin + count - 1)
            if let last = runs.last, last.upperBound == run.lowerBound - 1 {
                runs[runs.count - 1] = last.lowerBound...run.upperBound
            } else {
                runs.append(run)
            }
            rest &= begin + count == 64 ? 0 : UInt64.max << UInt64(begin + count)
        }
    }
}
