import Repository

/// The packs of one backup, its own or another's, to which a backup refers; an element of `packs` in `backup.json`.
public struct NeededPacks: Sendable, Equatable, Codable {
    /// The backup that stored them.
    public var label: String
    /// Ranges of their numbers, ascending, without overlap.
    public var ranges: [ClosedRange<Int>]
    /// The number of these packs.
    public var count: Int
    /// Bytes of these packs in the repository.
    public var size: Int64
    /// Bytes of each of them, in the order of their numbers; nil in the description of an earlier version.
    public var sizes: [Int64]?
    /// Bytes in them that the backup refers to.
    public var live: Int64

    /// - Parameters:
    ///   - numbers: ascending.
    ///   - sizes: of each.
    public init(label: String, numbers: [Int], sizes: [Int64], live: Int64) {
        (self.label, self.sizes, self.live) = (label, sizes, live)
        size = sizes.reduce(0, +)
        (ranges, count) = ([], numbers.count)
        for number in numbers {
            if let last = ranges.last, last.upperBound + 1 == number {
                ranges[ranges.count - 1] = last.lowerBound...number
            } else {
                ranges.append(number...number)
            }
        }
    }

    /// How many of the packs aren't there as they were stored.
    ///
    /// - Parameter present: the sizes in bytes of the packs in the repository, by number. Several may have the same.
    func faults(among present: [Int: [Int64]]) -> Int {
        if let sizes {
            return zip(ranges.lazy.flatMap { $0 }, sizes).count { number, size in
                present[number]?.contains(size) != true
            }
        }
        let missing = max(0, count - present.keys.count(where: contains))
        return missing > 0 ? missing : bytes(among: present) < size ? 1 : 0
    }

    /// The total size of those that are there.
    func bytes(among present: [Int: [Int64]]) -> Int64 {
        present.reduce(0) { $0 + (contains($1.key) ? $1.value.reduce(0, +) : 0) }
    }

    public func contains(_ number: Int) -> Bool { ranges.contains { $0.contains(number) } }

    /// Whether a backup can need such packs.
    var isPossible: Bool {
        let sizes = 0...BackupDescription.largest
        let numbers = ranges.allSatisfy {
            PackName.numbers.contains(Int64($0.lowerBound)) && PackName.numbers.contains(Int64($0.upperBound))
        }
        // Each has less than 2^33 numbers: the sum over all ranges that fit into a document can't overflow.
        return RepositoryKey.isPart(label) && numbers
            && zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound < $1.lowerBound }
            && ranges.reduce(0) { $0 + $1.count } == count
            && sizes.contains(size) && sizes.contains(live) && live <= size
            && self.sizes.map { $0.count == count && $0.allSatisfy(sizes.contains) } ?? true
    }
}
