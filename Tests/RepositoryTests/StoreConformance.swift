import Platform
import Repository
import Synchronization
import Testing

/// The contract of `ObjectStore`, for any store: each store's own suite calls it with an empty one.
struct StoreConformance {
    let store: any ObjectStore
    let key = RepositoryKey("main/15-1/wal/00000001/0000000100000000/object")!

    /// Leaves in a folder what a process leaves that is killed while it writes an object.
    let leave: ([UInt8], RepositoryKey) throws -> Void
    /// Makes all calls fail from now on, or none; nil for a store that doesn't support it.
    var fail: (((any Error)?) -> Void)?

    func check() throws {
        try absentObjects()
        try creation()
        try failedCreation()
        try abandonedWriters()
        try onlyOneCreates()
        try ranges()
        try listing()
        try changes()
        try leftovers()
        try moves()
        try locks()
        try removal()
        try replacement()
        try onlyOneReplaces()
        try movesAndReplacements()
        try removalOfMany()
        try faults()
        #expect(try store.capacity().map { $0.total == 0 || $0.free <= $0.total } ?? true)
        store.reopen()
        #expect(try store.read(key) == [7])
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
        // Dropped, and abandoned; neither is ever visible, nor leaves anything.
        try { _ = try writer([1]) }()
        let abandoned = try writer([2])
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        abandoned.abandon()
        abandoned.abandon()
        #expect(throws: (any Error).self) { try [2].withUnsafeBytes { try abandoned.append($0) } }
        #expect(throws: (any Error).self) { try abandoned.commit() }
        #expect(try store.size(of: other) == nil)
        // Nothing is visible when `turn` is called, and nothing is left when it throws.
        struct NotNow: Error {}
        let refused = try writer([5])
        #expect(throws: NotNow.self) {
            try refused.commit {
                let size = try store.size(of: other)
                #expect(size == nil)
                throw NotNow()
            }
        }
        #expect(try store.list(key.folder).map(\.name) == ["object"])
        // Of two writers at once, the first to commit wins; the other leaves nothing.
        let (first, second) = (try writer([3]), try writer([4]))
        try second.commit {
            let size = try store.size(of: other)
            #expect(size == nil)
        }
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

    private func changes() throws {
        let folder = key.folder
        func change(_ body: () throws -> Void) throws {
            let before = try store.changeMark(of: folder)
            try body()
            let after = try store.changeMark(of: folder)
            #expect(before == nil || after == nil || before != after)
        }
        try change { try store.create(folder.appending("new"), bytes: [1]) }
        try change { try store.remove(folder.appending("new")) }
        let before = try store.changeMark(of: folder)
        _ = try store.list(folder)
        _ = try store.read(key)
        let after = try store.changeMark(of: folder)
        #expect(before == nil || after == nil || before == after)
    }

    private func leftovers() throws {
        // An object being written is no leftover.
        let writer = try store.begin(key.folder.appending("slow"))
        try leave([1, 2, 3], key.folder)
        let names = try store.list(key.folder).map(\.name)
        let found = try store.leftovers(in: key.folder)
        #expect(found.map(\.key) == [key.folder] && found.map(\.size) == [3])
        var buffer: [UInt8] = [0, 0, 0]
        #expect(try buffer.withUnsafeMutableBytes { try found.first?.read(into: $0, at: 0) } == 3)
        #expect(buffer == [1, 2, 3])
        #expect(try store.removeLeftovers(in: key.folder).count == 1)
        #expect(try store.leftovers(in: key.folder).isEmpty)
        #expect(try store.removeLeftovers(in: key.folder).isEmpty)
        #expect(try store.list(key.folder).map(\.name) == names && names == ["a", "b", "object"])
        try writer.commit()
        try store.remove(key.folder.appending("slow"))
    }

    private func moves() throws {
        let other = key.folder.folder.appending("elsewhere").appending("moved")
        let bytes = try store.read(key)
        try store.move(key, to: other)
        #expect(throws: ObjectAbsent.self) { try store.open(key) }
        #expect(throws: ObjectAbsent.self) { try store.move(key, to: key.folder.appending("never")) }
        #expect(try store.read(other) == bytes)
        let taken = key.folder.appending("b")
        #expect(throws: ObjectExists(key: taken, location: store.location)) { try store.move(other, to: taken) }
        #expect(try store.read(other) == bytes && store.read(taken) == [])
        try store.move(other, to: key)
        #expect(try store.read(key) == bytes)
    }

    private func removal() throws {
        try store.remove(key)
        #expect(throws: ObjectAbsent.self) { try store.open(key) }
        try store.create(key, bytes: [7])
        #expect(try store.read(key) == [7])
    }

    private func removalOfMany() throws {
        let (one, two) = (RepositoryKey("main/15-1/pack/one")!, RepositoryKey("main/15-1/pack/two")!)
        for folder in [one, two] {
            for name in ["1", "2", "3"] { try store.create(folder.appending(name), bytes: [1]) }
            try store.create(folder.appending("deep").appending("4"), bytes: [1])
            try leave([1], folder)
        }
        var removal = store.removal()
        for folder in [one.folder, one.folder.appending("absent")] { try removal.hold(folder) }
        var failed: [Int] = []
        removal.remove(["1", "absent", "3"].map { one.appending($0) }) { index, _ in failed.append(index) }
        #expect(failed == [])
        #expect(try store.list(one).map(\.name) == ["2", "deep"])
        removal.removeIfEmpty(one)
        #expect(try store.exists(one.appending("2")))
        try removal.removeAll(in: one)
        try removal.removeAll(in: one)
        #expect(try store.list(one).isEmpty && store.leftovers(in: one).isEmpty)
        #expect(try store.list(one.folder) == [RepositoryEntry(folder: "two")])
        // A folder that isn't held.
        try store.removal().removeAll(in: two)
        #expect(try store.list(two).isEmpty && store.leftovers(in: two).isEmpty)
    }

    /// A store that can't answer throws: it never reports that something is absent, or done.
    private func faults() throws {
        guard let fail else { return }
        struct Away: Error, Equatable {}
        let writer = try store.begin(key.folder.appending("interrupted"))
        let removal = store.removal()
        fail(Away())
        let folder = key.folder
        let calls: [(String, () throws -> Void)] = [
            ("open", { _ = try store.open(key) }), ("size", { _ = try store.size(of: key) }),
            ("list", { _ = try store.list(folder) }), ("begin", { _ = try store.begin(folder.appending("x")) }),
            ("commit", { try writer.commit() }),
            // A store need not support it.
            ("mark", { if try store.changeMark(of: folder) == nil { throw Away() } }),
            ("makeDurable", { try store.makeDurable(key) }), ("leftovers", { _ = try store.leftovers(in: folder) }),
            ("removeLeftovers", { _ = try store.removeLeftovers(in: folder) }),
            ("move", { try store.move(key, to: folder.appending("x")) }), ("remove", { try store.remove(key) }),
            ("removeAll", { try removal.removeAll(in: folder) }),
            ("lock", { _ = try take(folder, isShared: true) }),
            ("isLocked", { _ = try store.isLocked("lock", in: folder) }),
        ]
        for (name, call) in calls {
            #expect(throws: Away(), "\(name)") { try call() }
        }
        var failed: [Int] = []
        removal.remove([key, key]) { index, error in failed.append(error is Away ? index : -1) }
        #expect(failed == [0, 1])
        fail(nil)
        #expect(try store.list(folder).map(\.name) == ["a", "b", "object"])
        #expect(try store.read(key) == [7])
    }
}
