/// What a store can be asked for.
public enum StoreVerb: String, CaseIterable, Sendable {
    case begin, commit, open, read, size, list, mark, makeDurable, leftovers, removeLeftovers, move, remove, removeMany
    case removeAll, lock, isLocked, capacity
}

/// How things stand after a call that failed.
public enum Aftermath<Value> {
    /// Nothing of it happened, or it does no harm twice.
    case repeatable
    /// It took effect all the same.
    case done(Value)
    case unknown
}

/// What is done around every call of a store.
public protocol Interception: Sendable {
    /// - Parameter aftermath: looks what became of a call that failed.
    func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value
    /// Called before this many bytes are transferred.
    func willMove(_ bytes: Int, _ verb: StoreVerb)
    /// Whether objects may read ahead what was announced.
    var permitsReadingAhead: Bool { get }
}

extension Interception {
    public func around<Value>(
        _ verb: StoreVerb, after aftermath: () throws -> Aftermath<Value>, _ body: () throws -> Value
    ) throws -> Value { try body() }
    public func willMove(_ bytes: Int, _ verb: StoreVerb) {}
    public var permitsReadingAhead: Bool { true }
}

/// A store that hands every call to another one, with something done around it: `RateLimited`, `Retrying`, `Counting`.
/// Whatever wraps a store this way, the promises of `ObjectStore` hold.
public final class InterceptedStore: ObjectStore {
    private let base: any ObjectStore
    private let interception: any Interception
    public let tellsChanges: Bool

    /// - Parameter hidesChanges: has no change marks, whatever the base store has.
    public init(_ base: any ObjectStore, _ interception: any Interception, hidesChanges: Bool = false) {
        (self.base, self.interception) = (base, interception)
        tellsChanges = base.tellsChanges && !hidesChanges
    }

    public var absenceHint: String? { base.absenceHint }

    public var location: String { base.location }

    private func call<Value>(_ verb: StoreVerb, _ body: () throws -> Value) throws -> Value {
        try interception.around(verb, after: { .repeatable }, body)
    }

    public func begin(_ key: RepositoryKey) throws -> any ObjectWriter {
        Writer(key, try call(.begin) { try base.begin(key) }, base, interception)
    }
    public func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter {
        Writer(key, try call(.begin) { try base.begin(key, replacing: replacement) }, base, interception)
    }
    public func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        Object(try call(.open) { try base.open(key, bringing: count) }, interception)
    }
    public func size(of key: RepositoryKey) throws -> Int64? { try call(.size) { try base.size(of: key) } }
    public func list(_ folder: RepositoryKey, after name: String?) throws -> [RepositoryEntry] {
        try call(.list) { try base.list(folder, after: name) }
    }
    public func changeMark(of folder: RepositoryKey) throws -> Int64? {
        try call(.mark) { tellsChanges ? try base.changeMark(of: folder) : nil }
    }
    public func makeDurable(_ key: RepositoryKey) throws { try call(.makeDurable) { try base.makeDurable(key) } }
    public func removeLeftovers(in folder: RepositoryKey) throws -> [String] {
        try call(.removeLeftovers) { try base.removeLeftovers(in: folder) }
    }
    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] {
        try call(.leftovers) { try base.leftovers(in: folder) }.map { Object($0, interception) }
    }
    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        try interception.around(
            .move,
            after: {
                // An object under both keys is reported as a key that is taken.
                try !base.exists(key) && base.exists(other) ? .done(()) : .repeatable
            }, { try base.move(key, to: other) })
    }
    public func remove(_ key: RepositoryKey) throws { try call(.remove) { try base.remove(key) } }
    public func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt {
        try call(.lock) {
            try base.lock(name, in: folder, isShared: isShared, patience: milliseconds, makesFolder: makesFolder)
        }
    }
    public func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool {
        try call(.isLocked) { try base.isLocked(name, in: folder) }
    }
    public func capacity() throws -> StoreCapacity? { try call(.capacity) { try base.capacity() } }
    public var localDirectory: LocalDirectory? { base.localDirectory }
    public func removal() -> any ObjectRemoval { Removal(base.removal(), interception) }
    public func reopen() { base.reopen() }

    private final class Writer: ObjectWriter {
        private let key: RepositoryKey
        private let writer: any ObjectWriter
        private let base: any ObjectStore
        private let interception: any Interception
        private var digester = Digester()
        private var length: Int64 = 0

        init(
            _ key: RepositoryKey, _ writer: any ObjectWriter, _ base: any ObjectStore, _ interception: any Interception
        ) {
            (self.key, self.writer, self.base, self.interception) = (key, writer, base, interception)
        }

        func append(_ bytes: UnsafeRawBufferPointer) throws {
            interception.willMove(bytes.count, .commit)
            try writer.append(bytes)
            digester.update(bytes)
            length += Int64(bytes.count)
        }

        /// A commit that may have taken effect is not repeated: the bytes are gone, and another writer's object may be
        /// there. It is done if these bytes are there, and durable.
        func commit(turn: () throws -> Void) throws {
            let digest = digester.finish()
            try interception.around(
                .commit,
                after: { [base, key, length] in
                    guard try base.size(of: key) == length, try base.open(key).digest() == digest else {
                        return .unknown
                    }
                    try base.makeDurable(key)
                    return .done(())
                }, { try writer.commit(turn: turn) })
        }

        func abandon() { writer.abandon() }
    }

    private final class Object: StoredObject {
        private let object: any StoredObject
        private let interception: any Interception
        init(_ object: any StoredObject, _ interception: any Interception) {
            (self.object, self.interception) = (object, interception)
        }
        var key: RepositoryKey { object.key }
        var size: Int64 { object.size }
        var requestLength: Int? { object.requestLength }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
            interception.willMove(Int(max(0, min(Int64(buffer.count), size - offset))), .read)
            return try interception.around(.read, after: { .repeatable }, { try object.read(into: buffer, at: offset) })
        }
        func readAhead(at offset: Int64, count: Int64) {
            if interception.permitsReadingAhead { object.readAhead(at: offset, count: count) }
        }
        func release(at offset: Int64, count: Int64) { object.release(at: offset, count: count) }
    }

    private struct Removal: ObjectRemoval {
        private var base: any ObjectRemoval
        private let interception: any Interception
        init(_ base: any ObjectRemoval, _ interception: any Interception) {
            (self.base, self.interception) = (base, interception)
        }
        private func call(_ verb: StoreVerb, _ body: () throws -> Void) throws {
            try interception.around(verb, after: { .repeatable }, body)
        }
        mutating func hold(_ folder: RepositoryKey) throws {
            var base = base
            try call(.removeMany) { try base.hold(folder) }
            self.base = base
        }
        func remove(_ key: RepositoryKey) throws { try call(.remove) { try base.remove(key) } }
        func remove(_ keys: [RepositoryKey], failed: (_ index: Int, any Error) -> Void) {
            var left = Array(keys.indices)
            var failures: [Int: any Error] = [:]
            do {
                try call(.removeMany) {
                    failures = [:]
                    base.remove(left.map { keys[$0] }) { failures[left[$0]] = $1 }
                    left = failures.keys.sorted()
                    if let first = left.first, let error = failures[first] { throw error }
                }
            } catch {
                for index in left { failures[index] = failures[index] ?? error }
            }
            for (index, error) in failures.sorted(by: { $0.key < $1.key }) { failed(index, error) }
        }
        func removeAll(in folder: RepositoryKey) throws { try call(.removeAll) { try base.removeAll(in: folder) } }
        func removeIfEmpty(_ folder: RepositoryKey) { base.removeIfEmpty(folder) }
        func refuseLink(at folder: RepositoryKey) throws { try call(.list) { try base.refuseLink(at: folder) } }
    }
}
