import Platform
import Repository
import Testing

/// What `ObjectStore` promises, for any store: each store's own suite calls it with an empty one.
struct StoreConformance {
    let store: any ObjectStore
    private let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/object")!

    func check() throws {
        try absentObjects()
        try creation()
        try failedCreation()
        try abandonedWriters()
        try onlyOneCreates()
        try ranges()
        try listing()
        try removal()
    }

    private func absentObjects() throws {
        #expect(throws: ObjectAbsent(key: key, location: store.location)) { try store.open(key) }
        #expect(try store.size(of: key) == nil)
        #expect(try store.list(key.folder) == [])
        #expect(try store.readIfPresent(key) == nil)
        try store.remove(key)
    }

    private func creation() throws {
        try store.create(key) { append in
            try [UInt8]("first ".utf8).withUnsafeBytes { try append($0) }
            try [UInt8]("second".utf8).withUnsafeBytes { try append($0) }
        }
        #expect(try store.read(key) == Array("first second".utf8))
        #expect(throws: ObjectExists(key: key, location: store.location)) { try store.create(key, bytes: [1]) }
        #expect(try store.read(key) == Array("first second".utf8))
        #expect(try store.size(of: key) == 12)
        try store.makeDurable(key)
    }

    private func failedCreation() throws {
        struct Interrupted: Error {}
        let other = key.folder.appending("interrupted")
        #expect(throws: Interrupted.self) {
            try store.create(other) { append in
                try [1, 2, 3].withUnsafeBytes { try append($0) }
                throw Interrupted()
            }
        }
        #expect(try store.size(of: other) == nil)
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        try store.create(other, bytes: [])
        #expect(try store.read(other) == [])
        try store.remove(other)
    }

    private func abandonedWriters() throws {
        let other = key.folder.appending("abandoned")
        func writer(_ bytes: [UInt8]) throws -> any ObjectWriter {
            let writer = try store.begin(other)
            try bytes.withUnsafeBytes { try writer.append($0) }
            return writer
        }
        // Dropped, and abandoned; neither is visible before, nor anything of it left.
        try { _ = try writer([1]) }()
        let abandoned = try writer([2])
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        abandoned.abandon()
        abandoned.abandon()
        #expect(throws: (any Error).self) { try [2].withUnsafeBytes { try abandoned.append($0) } }
        #expect(throws: (any Error).self) { try abandoned.commit() }
        #expect(try store.size(of: other) == nil)
        // Of two that are open at once, the first to commit wins; the other leaves nothing but that.
        let (first, second) = (try writer([3]), try writer([4]))
        try second.commit()
        #expect(throws: ObjectExists(key: other, location: store.location)) { try first.commit() }
        first.abandon()
        second.abandon()
        #expect(try store.read(other) == [4])
        #expect(try store.leftovers(in: key.folder).isEmpty)
        try store.remove(other)
    }

    private func onlyOneCreates() throws {
        let contested = key.folder.appending("contested")
        let store = store
        var winners: [UInt8] = []
        try mapInOrder(
            Array(0..<16), workers: 8, ahead: 16,
            transform: { index -> UInt8? in
                do {
                    try store.create(contested, bytes: [UInt8](repeating: UInt8(index), count: 100_000))
                    return UInt8(index)
                } catch is ObjectExists { return nil }
            },
            consume: { if let winner = $0 { winners.append(winner) } })
        #expect(winners.count == 1)
        #expect(try store.read(contested) == [UInt8](repeating: winners.first ?? 0, count: 100_000))
        try store.remove(contested)
    }

    private func ranges() throws {
        let object = try store.open(key)
        var buffer = [UInt8](repeating: 0, count: 6)
        #expect(object.size == 12)
        #expect(try buffer.withUnsafeMutableBytes { try object.read(into: $0, at: 6) } == 6)
        #expect(buffer == Array("second".utf8))
        #expect(try buffer.withUnsafeMutableBytes { try object.read(into: $0, at: 9) } == 3)
        #expect(try buffer.withUnsafeMutableBytes { try object.read(into: $0, at: 12) } == 0)
        #expect(throws: ObjectDamaged.self) { try store.read(key, limit: 11) }
    }

    private func listing() throws {
        try store.create(key.folder.appending("b"), bytes: [])
        try store.create(key.folder.appending("a").appending("deep"), bytes: [])
        let entries = try store.list(key.folder)
        #expect(entries.map(\.name) == ["a", "b", "object"])
        #expect(entries.map(\.isFolder) == [true, false, false])
        #expect(entries.map(\.size) == [nil, 0, 12])
        #expect(entries.map { $0.mark == nil } == [true, false, false])
        for entry in entries.dropFirst() {
            #expect(abs((entry.modified ?? 0) - Clock.now) < 3_600_000_000, "\(entry)")
        }
        #expect(try store.list(.root) == [RepositoryEntry(folder: "main")])
        for (name, count) in [("", 3), ("A", 3), ("a", 2), ("ab", 2), ("b", 1), ("obj", 1), ("object", 0), ("z", 0)] {
            #expect(try store.list(key.folder, after: name) == entries.suffix(count), "after \(name)")
        }
    }

    private func removal() throws {
        try store.remove(key)
        #expect(throws: ObjectAbsent.self) { try store.open(key) }
        try store.create(key, bytes: [7])
        #expect(try store.read(key) == [7])
    }
}
