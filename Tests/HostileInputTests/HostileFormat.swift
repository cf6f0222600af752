import Glibc
import Platform
import Repository
import Support
import Testing

/// A format that tidemark reads and others can write.
struct HostileFormat: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// Valid documents.
    let seeds: @Sendable () throws -> [[UInt8]]
    var isText = true
    /// Whether it has a checksum that `mend` doesn't correct: hardly any change passes.
    var isSealed = false
    /// Corrects the checksums, so that the checks after them are reached.
    var mend: @Sendable (inout [UInt8]) -> Void = { _ in }
    /// Reads it, and uses all that was read. May throw; must not trap.
    var read: @Sendable ([UInt8]) throws -> Void = { _ in }

    init(
        _ name: String, isText: Bool = true, seeds: @escaping @Sendable () throws -> [[UInt8]],
        mend: @escaping @Sendable (inout [UInt8]) -> Void = { _ in }
    ) {
        testDescription = name
        (self.seeds, self.isText, self.mend) = (seeds, isText, mend)
    }

    init(_ name: String, text seeds: [String]) { self.init(name, seeds: { seeds.map { Array($0.utf8) } }) }

    func reading(_ read: @escaping @Sendable ([UInt8]) throws -> Void) -> HostileFormat {
        var format = self
        format.read = read
        return format
    }

    func readingText(_ read: @escaping @Sendable (String) throws -> Void) -> HostileFormat {
        reading { try read(String(decoding: $0, as: UTF8.self)) }
    }

    /// `TIDEMARK_TEST_FORMATS` names some of them, separated by commas.
    static let all: [HostileFormat] = {
        let formats = [binary, [serverSegment], json, state, text].flatMap { $0 }
        guard let wanted = getenv("TIDEMARK_TEST_FORMATS").map({ String(cString: $0).split(separator: ",") }) else {
            return formats
        }
        return formats.filter { format in wanted.contains { $0 == format.testDescription } }
    }()

    static let isSoak = getenv("TIDEMARK_SOAK") != nil
    static var cases: Int { isSoak ? 100_000 : 1000 }

    /// Reads `cases` variants. The current one is kept in a file, in case it ends the process.
    func attack(_ cases: Int = HostileFormat.cases) throws -> (read: Int, refused: Int) {
        let seeds = try seeds()
        var counts = (read: 0, refused: 0)
        let name = testDescription.replacing(" ", with: "-").replacing("/", with: "-")
        let path = "/var/tmp/tidemark-hostile-\(getpid())-\(name)"
        let witness = try Descriptor(open: path, O_RDWR | O_CREAT | O_TRUNC, mode: 0o600)
        func attempt(_ bytes: [UInt8]) {
            ftruncate(witness.raw, 0)
            _ = bytes.withUnsafeBytes { pwrite(witness.raw, $0.baseAddress, $0.count, 0) }
            do {
                try read(bytes)
                counts.read += 1
            } catch { counts.refused += 1 }
        }
        for seed in seeds {
            try read(seed)
            if isText { Mutation.everyNumber(of: seed).forEach(attempt) }
        }
        for number in 0..<cases {
            var mutation = Mutation(seed: UInt64(number))
            let seed = mutation.pick(seeds)
            var bytes = isText ? mutation.text(seed, others: seeds) : mutation.binary(seed, others: seeds)
            if number % 4 != 0 { mend(&bytes) }
            attempt(bytes)
        }
        try Files.remove(path)
        return counts
    }
}

/// An object of a repository, in memory.
final class ObjectInMemory: StoredObject {
    let key: RepositoryKey
    private let bytes: [UInt8]
    var size: Int64 { Int64(bytes.count) }

    init(_ bytes: [UInt8], key: String = "main/15-1/x") {
        self.bytes = bytes
        self.key = RepositoryKey(key)!
    }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
        guard offset >= 0 else { throw Problem("a negative offset") }
        guard offset < size else { return 0 }
        let count = min(buffer.count, bytes.count - Int(offset))
        bytes.withUnsafeBytes {
            buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[Int(offset)..<Int(offset) + count]))
        }
        return count
    }
}
