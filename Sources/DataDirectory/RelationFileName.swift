/// The name of a file of a relation: `16384`, `16384_fsm`, `16384.1`, `t3_16390` (src/common/relpath.c).
public struct RelationFileName: Hashable, Sendable, CustomStringConvertible {
    public enum Fork: String, Sendable, CaseIterable {
        case main = ""
        case freeSpaceMap = "_fsm"
        case visibilityMap = "_vm"
        /// The fork to which an unlogged relation is reset after a crash.
        case initialization = "_init"
    }

    /// The file node: `pg_relation_filenode()`, not the relation's OID.
    public let fileNode: UInt32
    public let fork: Fork
    /// Counts files of RELSEG_SIZE blocks (1 GB) from 0.
    public let segment: UInt32
    /// The backend of a temporary relation.
    public let temporaryBackend: UInt32?

    public init(fileNode: UInt32, fork: Fork = .main, segment: UInt32 = 0, temporaryBackend: UInt32? = nil) {
        self.fileNode = fileNode
        self.fork = fork
        self.segment = segment
        self.temporaryBackend = temporaryBackend
    }

    /// Nil for any other file.
    public init?(_ name: some StringProtocol) {
        var rest = Array(name.utf8)[...]
        func number() -> UInt32? {
            let digits = rest.prefix { UInt8(ascii: "0")...UInt8(ascii: "9") ~= $0 }
            guard let first = digits.first, first != UInt8(ascii: "0") || digits.count == 1, digits.count <= 10,
                let value = UInt32(String(decoding: digits, as: UTF8.self))
            else { return nil }
            rest = rest.dropFirst(digits.count)
            return value
        }
        var backend: UInt32?
        if rest.first == UInt8(ascii: "t") {
            rest = rest.dropFirst()
            guard let value = number(), rest.first == UInt8(ascii: "_") else { return nil }
            rest = rest.dropFirst()
            backend = value
        }
        guard let node = number(), node != 0 else { return nil }
        var fork = Fork.main
        if rest.first == UInt8(ascii: "_") {
            let tag = rest.prefix { $0 != UInt8(ascii: ".") }
            guard let known = Fork(rawValue: String(decoding: tag, as: UTF8.self)) else { return nil }
            fork = known
            rest = rest.dropFirst(tag.count)
        }
        var segment: UInt32 = 0
        if rest.first == UInt8(ascii: ".") {
            rest = rest.dropFirst()
            guard let value = number(), value > 0 else { return nil }
            segment = value
        }
        guard rest.isEmpty else { return nil }
        self.init(fileNode: node, fork: fork, segment: segment, temporaryBackend: backend)
    }

    public var description: String {
        (temporaryBackend.map { "t\($0)_" } ?? "") + "\(fileNode)\(fork.rawValue)" + (segment > 0 ? ".\(segment)" : "")
    }
}
