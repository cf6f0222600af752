import Platform
import Repository
import Synchronization
import Testing

/// How any store replaces damaged objects.
extension StoreConformance {
    func replacement() throws {
        struct Interrupted: Error {}
        let damaged = key.folder.appending("damaged")
        let old = RepositoryKey("main/15-1/aside/1/damaged")!
        let before = try store.list(key.folder).map(\.name)
        func replace(_ isDamaged: Bool?, fails: Bool = false) throws {
            let replacement = Replacement(keeping: old) { object in
                var first: [UInt8] = [0]
                #expect(try first.withUnsafeMutableBytes { try object.read(into: $0, at: 0) } == 1 && first == [1])
                guard let isDamaged else { throw Interrupted() }
                return isDamaged
            }
            let writer = try store.begin(damaged, replacing: replacement)
            try [UInt8]([2, 3]).withUnsafeBytes { try writer.append($0) }
            // It is abandoned with the writer.
            if fails { throw Interrupted() }
            try writer.commit()
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
        // A reader that has it open still reads the object it opened.
        let opened = try store.open(damaged)
        try replace(true)
        #expect(try store.read(damaged) == [2, 3] && store.read(old) == [1])
        #expect(opened.size == 1)
        #expect(try store.list(key.folder).map(\.name) == (before + ["damaged"]).sorted())
        try store.remove(damaged)
        try store.remove(old)
    }

    func onlyOneReplaces() throws {
        let contested = key.folder.appending("contested")
        let store = store
        try store.create(contested, bytes: [0])
        var winners: [UInt8] = []
        try mapInOrder(
            Array(1...16), workers: 8, ahead: 16,
            transform: { index -> UInt8? in
                do {
                    let old = RepositoryKey("main/15-1/aside/\(index)/contested")!
                    let writer = try store.begin(contested, replacing: Replacement(keeping: old) { $0.size == 1 })
                    try [UInt8](repeating: UInt8(index), count: 100_000).withUnsafeBytes { try writer.append($0) }
                    try writer.commit()
                    return UInt8(index)
                } catch is ObjectExists { return nil } catch is BeingReplaced { return nil }
            },
            consume: { if let winner = $0 { winners.append(winner) } })
        #expect(winners.count == 1)
        #expect(try store.read(contested) == [UInt8](repeating: winners.first ?? 0, count: 100_000))
        let kept = try (1...16).filter { try store.exists(RepositoryKey("main/15-1/aside/\($0)/contested")!) }
        #expect(kept == winners.map(Int.init))
        try store.remove(contested)
    }

    /// When one process moves an object and another replaces it, neither the old content nor the new one is lost.
    func movesAndReplacements() throws {
        let contested = key.folder.appending("contested")
        let store = store
        for round in 0..<20 {
            let folder = RepositoryKey("main/15-1/aside/\(round)")!
            let (moved, kept) = (folder.appending("moved"), folder.appending("kept"))
            try store.create(contested, bytes: [0])
            let replaced = Mutex(false)
            try mapInOrder(
                [true, false], workers: 2, ahead: 2,
                transform: { moves in
                    do {
                        if moves { return try store.move(contested, to: moved) }
                        let writer = try store.begin(contested, replacing: Replacement(keeping: kept) { $0.size == 1 })
                        try [UInt8]([1, 1]).withUnsafeBytes { try writer.append($0) }
                        try writer.commit()
                        replaced.withLock { $0 = true }
                    } catch is ObjectAbsent {} catch is BeingReplaced {}
                }, consume: { _ in })
            let contents = try [contested, moved, kept].compactMap { try store.readIfPresent($0) }
            #expect(contents.contains([0]), "round \(round)")
            #expect(contents.contains([1, 1]) == replaced.withLock { $0 }, "round \(round)")
            for key in [contested, moved, kept] { try store.remove(key) }
        }
    }
}
