import Repository
import SQLite

/// Which of one backup's packs a backup refers to, its own or another's; an element of `packs` in `backup.json`.
public struct NeededPacks: Sendable, Equatable, Codable {
    /// The backup that stored them.
    public var label: String
    /// Of their numbers, ascending, without overlap.
    public var ranges: [ClosedRange<Int>]
    /// How many packs these are.
    public var count: Int
    /// Bytes of these packs in the repository.
    public var size: Int64
    /// Bytes in them that the backup refers to.
    public var live: Int64

    /// - Parameter numbers: ascending.
    init(label: String, numbers: [Int], size: Int64, live: Int64) {
        (self.label, self.size, self.live) = (label, size, live)
        (ranges, count) = ([], numbers.count)
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
    }

    func contains(_ number: Int) -> Bool { ranges.contains { $0.contains(number) } }

    /// Whether a backup can need such packs.
    var isPossible: Bool {
        let sizes = 0...BackupDescription.largest
        let numbers = ranges.allSatisfy {
            PackName.numbers.contains(Int64($0.lowerBound)) && PackName.numbers.contains(Int64($0.upperBound))
        }
        // Each has less than 2^33 numbers: no sum of so many ranges as a document has room for overflows.
        return RepositoryKey.isPart(label) && numbers
            && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
            && ranges.reduce(0) { $0 + $1.count } == count
            && sizes.contains(size) && sizes.contains(live) && live <= size
    }
}

/// The packs that some backups refer to: what must stay, whatever becomes of the backups that stored them.
struct KeptPacks {
    private var needed: [String: [NeededPacks]] = [:]
    /// Of a backup that can't be read nobody knows what it refers to.
    private let isAnything: Bool

    init(of backups: [BackupDescription], andUnreadableOnes: Bool = false) {
        isAnything = andUnreadableOnes
        for packs in backups.flatMap(\.packs) { needed[packs.label, default: []].append(packs) }
    }

    /// Whether any of a backup's packs stay.
    func concern(_ label: String) -> Bool { isAnything || needed[label] != nil }

    /// Whether an object in a backup's folder of packs stays. What is no pack does, as long as any pack does.
    func keep(_ name: String, of label: String) -> Bool {
        if isAnything { return true }
        guard let packs = needed[label] else { return false }
        guard let number = PackName(name)?.number else { return true }
        return packs.contains { $0.contains(number) }
    }
}

extension ManifestWriter {
    /// What the backup refers to, once packs and frames are in.
    /// - Parameter first: its own label.
    func neededPacks(first own: String) throws -> [NeededPacks] {
        let rows = try database.prepare(
            """
            SELECT label, number, size, live
            FROM pack LEFT JOIN (SELECT pack AS id, sum(length) AS live FROM frame GROUP BY pack) USING (id)
            ORDER BY label <> ?, label, number
            """)
        try rows.bind(1, own)
        var needed: [(label: String, numbers: [Int], size: Int64, live: Int64)] = []
        while try rows.step() {
            let label = rows.text(0)
            if needed.last?.label != label { needed.append((label, [], 0, 0)) }
            needed[needed.count - 1].numbers.append(Int(rows.integer(1)))
            needed[needed.count - 1].size += rows.integer(2)
            needed[needed.count - 1].live += rows.integer(3)
        }
        return needed.map { NeededPacks(label: $0.label, numbers: $0.numbers, size: $0.size, live: $0.live) }
    }
}
