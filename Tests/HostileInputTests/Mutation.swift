import Support

/// Changes a valid document in the ways in which accidents and attackers do.
struct Mutation {
    var random: SeededGenerator

    init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    mutating func below(_ bound: Int) -> Int { bound <= 0 ? 0 : Int(random.next() % UInt64(bound)) }

    mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

    /// Numbers at the edges of every type.
    static let numbers: [String] = [
        "0", "-1", "1", "127", "255", "65535", "65536", "2147483647", "2147483648", "4294967295", "4294967296",
        "1099511627776", "4611686018427387904", "9223372036854775807", "9223372036854775808", "-9223372036854775808",
        "18446744073709551615", "18446744073709551616", "1e308", "1e999", "-0", "0.5", "99999999999999999999999999",
        "FFFFFFFF", "FFFFFFFF/FFFFFFFF", "null", "true", "\"\"", "[]", "{}",
    ]
    private static let pieces: [String] = [
        "\0", "\u{1B}[2J", "\u{202E}", "\\", "'", "\"", "\n", "\r\n", "\t", "..", "/", "../../x", "%s%n", "${HOME}",
        "[", "{",
        "é", "\u{FEFF}", "=", ",", ":", ";", "#", "-", "--", " ", String(repeating: "[", count: 2000),
        String(repeating: "9", count: 400), String(repeating: "x", count: 5000),
    ]

    mutating func text(_ text: [UInt8], others: [[UInt8]]) -> [UInt8] {
        var bytes = text
        for _ in 0...below(3) {
            switch below(8) {
            case 0, 1, 2: replaceNumber(in: &bytes)
            case 3: bytes.insert(contentsOf: Array(pick(Mutation.pieces).utf8), at: below(bytes.count + 1))
            case 4:
                // A line is removed, duplicated, or replaced by another.
                var lines = bytes.split(separator: 10, omittingEmptySubsequences: false)
                let at = below(lines.count)
                switch below(3) {
                case 0: lines.remove(at: at)
                case 1: lines.insert(lines[at], at: below(lines.count))
                default: lines.insert(pick(pick(others).split(separator: 10) + [[]]), at: at)
                }
                bytes = Array(lines.joined(separator: [10]))
            default: bytes = binary(bytes, others: others)
            }
        }
        return bytes
    }

    /// The places of numbers in a text.
    private static func places(of bytes: [UInt8]) -> [Range<Int>] {
        let isDigit = { (byte: UInt8) in (48...57).contains(byte) }
        let starts = bytes.indices.filter { isDigit(bytes[$0]) && ($0 == 0 || !isDigit(bytes[$0 - 1])) }
        return starts.map { $0..<(bytes[$0...].firstIndex { !isDigit($0) } ?? bytes.count) }
    }

    /// Replaces one number by another.
    private mutating func replaceNumber(in bytes: inout [UInt8]) {
        let places = Mutation.places(of: bytes)
        guard !places.isEmpty else { return }
        bytes.replaceSubrange(pick(places), with: Array(pick(Mutation.numbers).utf8))
    }

    /// The text with each of its numbers in turn replaced by each of `numbers`.
    static func everyNumber(of text: [UInt8]) -> [[UInt8]] {
        places(of: text).flatMap { place in
            numbers.map { number in
                var bytes = text
                bytes.replaceSubrange(place, with: Array(number.utf8))
                return bytes
            }
        }
    }

    mutating func binary(_ original: [UInt8], others: [[UInt8]]) -> [UInt8] {
        var bytes = original
        for _ in 0...below(3) {
            guard !bytes.isEmpty else { return bytes }
            let at = below(bytes.count)
            let stretch = at..<min(bytes.count, at + 1 + below(64))
            switch below(8) {
            case 0: bytes[at] ^= 1 << UInt8(below(8))
            case 1: bytes[at] = UInt8(truncatingIfNeeded: random.next())
            case 2, 3:
                let value: UInt64 = pick([0, 1, .max, 1 << 31, 1 << 32, 1 << 63, (1 << 63) - 1, 1 << 40, random.next()])
                let width = min(pick([1, 2, 4, 8]), bytes.count - at)
                for index in 0..<width { bytes[at + index] = UInt8(truncatingIfNeeded: value >> UInt64(8 * index)) }
            case 4: bytes.removeSubrange(stretch)
            case 5: bytes.insert(contentsOf: Array(bytes[stretch]), at: below(bytes.count))
            case 6: bytes.removeSubrange(at...)
            default:
                let other = pick(others)
                let from = below(other.count)
                bytes.replaceSubrange(stretch, with: other[from..<min(other.count, from + stretch.count)])
            }
        }
        return bytes
    }
}
