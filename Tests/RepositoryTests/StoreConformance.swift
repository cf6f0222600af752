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
        try onlyOneCreates()
        try ranges()
        try listing()
        try removal()
        try replacement()
        try onlyOneReplaces()
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
        #expect(
            try store.list(key.folder) == [
                RepositoryEntry(name: "a", isFolder: true), RepositoryEntry(name: "b", isFolder: false),
                RepositoryEntry(name: "object", isFolder: false),
            ])
        #expect(try store.list(.root) == [RepositoryEntry(name: "main", isFolder: true)])
    }

    private func replacement() throws {
        struct Interrupted: Error {}
        let damaged = key.folder.appending("damaged")
        let old = RepositoryKey("main/15-1/aside/1/damaged")!
        let before = try store.list(key.folder).map(\.name)
        func replace(_ isDamaged: Bool?, fails: Bool = false) throws {
            try store.replace(
                damaged, keeping: old,
                if: { object in
                    var first: [UInt8] = [0]
                    #expect(try first.withUnsafeMutableBytes { try object.read(into: $0, at: 0) } == 1 && first == [1])
                    guard let isDamaged else { throw Interrupted() }
                    return isDamaged
                },
                write: { append in
                    try [UInt8]([2, 3]).withUnsafeBytes { try append($0) }
                    if fails { throw Interrupted() }
                })
        }
        #expect(throws: ObjectAbsent.self) { try replace(true) }
        #expect(try store.list(key.folder).map(\.name) == before)
        try store.create(damaged, bytes: [1])
        #expect(throws: ObjectExists(key: damaged, location: store.location)) { try replace(false) }
        #expect(throws: Interrupted.self) { try replace(nil) }
        #expect(throws: Interrupted.self) { try replace(true, fails: true) }
        #expect(try !store.exists(old))
        try store.create(old, bytes: [9])
        #expect(throws: ObjectExists(key: old, location: store.location)) { try replace(true) }
        #expect(try store.read(damaged) == [1] && store.read(old) == [9])
        try store.remove(old)
        // Who has it open goes on reading what he opened.
        let opened = try store.open(damaged)
        try replace(true)
        #expect(try store.read(damaged) == [2, 3] && store.read(old) == [1])
        #expect(opened.size == 1)
        #expect(try store.list(key.folder).map(\.name) == (before + ["damaged"]).sorted())
        try store.remove(damaged)
        try store.remove(old)
    }

    private func onlyOneReplaces() throws {
        let contested = key.folder.appending("contested")
        let store = store
        try store.create(contested, bytes: [0])
        var winners: [UInt8] = []
        try mapInOrder(
            Array(1...16), workers: 8, ahead: 16,
            transform: { index -> UInt8? in
                do {
                    let old = RepositoryKey("main/15-1/aside/\(index)/contested")!
                    try store.replace(
                        contested, keeping: old, if: { $0.size == 1 },
                        write: { append in
                            try [UInt8](repeating: UInt8(index), count: 100_000).withUnsafeBytes { try append($0) }
                        })
                    return UInt8(index)
                } catch is ObjectExists { return nil } catch is BeingReplaced { return nil }
            },
            consume: { if let winner = $0 { winners.append(winner) } })
        #expect(winners.count == 1)
        #expect(try store.read(contested) == [UInt8](repeating: winners.first ?? 0, count: 100_000))
        let kept = try (1...16).filter { try store.exists(RepositoryKey("main/15-1/aside/\($0)/contested")!) }
        #expect(kept == winners.map(Int.init))
    }

    private func removal() throws {
        try store.remove(key)
        #expect(throws: ObjectAbsent.self) { try store.open(key) }
        try store.create(key, bytes: [7])
        #expect(try store.read(key) == [7])
    }
}
