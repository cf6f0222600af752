import Messages

/// The name of a pack's object below its backup's folder: its number, with six digits or more; in a store that doesn't
/// reliably refuse a name that is taken, a hyphen and a random word follow.
public struct PackName: Hashable, Sendable, CustomStringConvertible {
    /// Counts from 1.
    public let number: Int
    /// Lower-case letters and digits, 32 at most; usually empty.
    public let word: String

    /// The numbers that packs may have.
    public static let numbers: Range<Int64> = 0..<1 << 32

    /// Nil when no pack can have this name.
    public init?(number: Int64, word: String = "") {
        guard PackName.numbers.contains(number), PackName.isWord(word) else { return nil }
        (self.number, self.word) = (Int(number), word)
    }

    /// - Precondition: the number is one that packs may have.
    public init(_ number: Int) {
        precondition(PackName.numbers.contains(Int64(number)))
        (self.number, word) = (number, "")
    }

    /// Reads an object's name; nil for any other.
    public init?(_ name: String) {
        let digits = name.utf8.prefix { (0x30...0x39).contains($0) }
        let rest = name.utf8.dropFirst(digits.count)
        guard let number = Int64(String(digits) ?? "") else { return nil }
        self.init(number: number, word: String(rest.dropFirst()) ?? "")
        guard description == name else { return nil }
    }

    public var description: String {
        padded(number, to: 6) + (word.isEmpty ? "" : "-" + word)
    }

    private static func isWord(_ word: String) -> Bool {
        word.utf8.count <= 32
            && word.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) }
    }
}
