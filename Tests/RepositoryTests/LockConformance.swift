import Platform
import Repository
import Synchronization
import Testing

/// The locks of any store.
extension StoreConformance {
    func take(_ folder: RepositoryKey, isShared: Bool, patience: Int = 0) throws -> (any StoreLock)? {
        let attempt = try store.lock(
            "lock", in: folder, isShared: isShared, patience: patience, makesFolder: false)
        if case .taken(let lock) = attempt { return lock }
        return nil
    }

    func locks() throws {
        let folder = key.folder
        let names = try store.list(folder).map(\.name)
        #expect(try !store.isLocked("lock", in: folder))
        // Exclusive.
        var alone = try take(folder, isShared: false)
        #expect(try alone != nil && store.isLocked("lock", in: folder))
        #expect(try take(folder, isShared: false) == nil && take(folder, isShared: true, patience: 20) == nil)
        // Another name, or another folder, is another lock.
        #expect(try !store.isLocked("lease", in: folder))
        #expect(try take(folder.appending("a"), isShared: false) != nil)
        // A process that waits gets it as soon as it is free.
        let store = store
        let seen = Mutex(false)
        let waiting = try Worker {
            let attempt = try? store.lock("lock", in: folder, isShared: true, patience: 600_000, makesFolder: false)
            if case .taken? = attempt { seen.withLock { $0 = true } }
        }
        alone = nil
        waiting.join()
        #expect(seen.withLock { $0 })
        // Shared by any number, and exclusive for nobody until the last is released.
        #expect(try !store.isLocked("lock", in: folder))
        var together = [try take(folder, isShared: true), try take(folder, isShared: true)]
        #expect(together.allSatisfy { $0 != nil })
        #expect(try take(folder, isShared: false) == nil)
        together.removeLast()
        #expect(try take(folder, isShared: false) == nil && store.isLocked("lock", in: folder))
        together = []
        alone = try take(folder, isShared: false)
        #expect(alone != nil)
        #expect(try store.list(folder).map(\.name) == names)
        // A missing folder is created on request only.
        let absent = folder.folder.appending("absent")
        #expect(throws: ObjectAbsent.self) { try take(absent, isShared: true) }
        #expect(try !store.isLocked("lock", in: absent))
        let attempt = try store.lock("lock", in: absent, isShared: false, patience: 0, makesFolder: true)
        guard case .taken = attempt else {
            Issue.record("\(attempt)")
            return
        }
        #expect(try store.isLocked("lock", in: absent))
        withExtendedLifetime((alone, attempt)) {}
    }
}
