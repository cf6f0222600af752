import Platform
import Synchronization

@testable import Repository

/// A store in memory: the promises of `ObjectStore` without a file system, for tests of what works with any store.
final class MemoryStore: ObjectStore {
    private struct Content {
        private static let numbers = Atomic(0)
        let bytes: [UInt8]
        let modified: Int64
        /// Every content has its own number.
        let number = numbers.wrappingAdd(1, ordering: .relaxed).newValue

        init(_ bytes: [UInt8], at modified: Int64 = Clock.now) { (self.bytes, self.modified) = (bytes, modified) }
    }
    private struct State {
        var objects: [RepositoryKey: Content] = [:]
        var left: [RepositoryKey: [[UInt8]]] = [:]
        /// By folder: grows with every change in it.
        var marks: [RepositoryKey: Int64] = [:]
        /// The source of objects' times.
        var clock: @Sendable () -> Int64 = { Clock.now }
        var terms = LeaseLocks.Terms()
        var failure: (any Error)?
        /// The requests to a remote store: to open an object, and to read bytes that opening didn't bring along.
        var requests = 0
        var requestLength: Int?
        /// Bytes that were announced to be read.
        var announced: Int64 = 0
    }
    private let state = Mutex(State())
    let location = "memory"

    /// All calls fail from now on; nil ends that.
    func fail(with failure: (any Error)?) { state.withLock { $0.failure = failure } }

    /// Takes objects' times from another clock than this machine's.
    func set(clock: @escaping @Sendable () -> Int64) { state.withLock { $0.clock = clock } }

    /// Leases hold by these from now on.
    func set(terms: LeaseLocks.Terms) { state.withLock { $0.terms = terms } }

    /// Answers from now on like a store that prefers requests of this many bytes.
    func set(requestLength: Int?) { state.withLock { $0.requestLength = requestLength } }

    /// How often it was asked for bytes so far.
    var requests: Int { state.withLock { $0.requests } }

    /// How many bytes were announced to be read so far.
    var announced: Int64 { state.withLock { $0.announced } }

    /// Leaves what a process leaves that is killed while it writes an object.
    func leave(_ bytes: [UInt8], in folder: RepositoryKey) {
        state.withLock { $0.left[folder, default: []].append(bytes) }
    }

    private func use<Value: Sendable>(_ body: (inout State) throws -> Value) throws -> Value {
        try state.withLock { state in
            if let failure = state.failure { throw failure }
            return try body(&state)
        }
    }

    private static func change(_ key: RepositoryKey, _ state: inout State, to content: Content?) {
        state.objects[key] = content
        var folder = key.folder
        while true {
            state.marks[folder, default: 0] += 1
            if folder == .root { return }
            folder = folder.folder
        }
    }

    func begin(_ key: RepositoryKey) throws -> any ObjectWriter {
        try use { _ in }
        return Writer { bytes in
            try self.use { state in
                guard state.objects[key] == nil else { throw ObjectExists(key: key, location: self.location) }
                MemoryStore.change(key, &state, to: Content(bytes, at: state.clock()))
            }
        }
    }

    func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter {
        try use { _ in }
        return Writer { bytes in
            let damaged = try self.open(key)
            guard try replacement.isDamaged(damaged) else { throw ObjectExists(key: key, location: self.location) }
            try self.use { state in
                guard let content = state.objects[key] else { throw ObjectAbsent(key: key, location: self.location) }
                guard content.number == (damaged as? Object)?.content.number else {
                    throw BeingReplaced(key: key, location: self.location)
                }
                guard state.objects[replacement.old] == nil else {
                    throw ObjectExists(key: replacement.old, location: self.location)
                }
                MemoryStore.change(replacement.old, &state, to: content)
                MemoryStore.change(key, &state, to: Content(bytes, at: state.clock()))
            }
        }
    }

    private final class Writer: ObjectWriter {
        private var bytes: [UInt8]? = []
        private let store: ([UInt8]) throws -> Void
        init(_ store: @escaping ([UInt8]) throws -> Void) { self.store = store }

        func append(_ more: UnsafeRawBufferPointer) throws {
            guard bytes != nil else { throw Problem("the object is not being written any more") }
            bytes?.append(contentsOf: more)
        }
        func commit(turn: () throws -> Void) throws {
            guard let bytes else { throw Problem("the object is not being written any more") }
            self.bytes = nil
            try turn()
            try store(bytes)
        }
        func abandon() { bytes = nil }
    }

    private final class Object: StoredObject {
        let key: RepositoryKey
        let content: Content
        let requestLength: Int?
        private let announce: @Sendable (Int64) -> Void
        private let ask: @Sendable (Range<Int64>) throws -> Void
        init(
            _ key: RepositoryKey, _ content: Content, requestLength: Int? = nil,
            announce: @escaping @Sendable (Int64) -> Void = { _ in },
            ask: @escaping @Sendable (Range<Int64>) throws -> Void = { _ in }
        ) {
            (self.key, self.content, self.requestLength) = (key, content, requestLength)
            (self.announce, self.ask) = (announce, ask)
        }
        func readAhead(at offset: Int64, count: Int64) { announce(count) }
        var size: Int64 { Int64(content.bytes.count) }
        func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int {
            let part = content.bytes.dropFirst(Int(offset)).prefix(buffer.count)
            try ask(offset..<(offset + Int64(part.count)))
            buffer.copyBytes(from: part)
            return part.count
        }
    }

    func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject {
        try use { state in
            guard let content = state.objects[key] else { throw ObjectAbsent(key: key, location: location) }
            state.requests += 1
            return Object(
                key, content, requestLength: state.requestLength,
                announce: { [self] count in self.state.withLock { $0.announced += count } },
                ask: { [self] range in
                    guard range.upperBound > count, !range.isEmpty else { return }
                    try use { $0.requests += 1 }
                })
        }
    }

    func size(of key: RepositoryKey) throws -> Int64? {
        try use { $0.objects[key].map { Int64($0.bytes.count) } }
    }

    func list(_ folder: RepositoryKey, after name: String?) throws -> [RepositoryEntry] {
        let prefix = folder == .root ? "" : folder.description + "/"
        let entries = try use { state in
            state.objects.reduce(into: [String: RepositoryEntry]()) { entries, object in
                guard object.key.description.hasPrefix(prefix) else { return }
                let rest = object.key.description.dropFirst(prefix.utf8.count)
                if let slash = rest.firstIndex(of: "/") {
                    entries[String(rest[..<slash])] = RepositoryEntry(folder: String(rest[..<slash]))
                } else {
                    entries[String(rest)] = RepositoryEntry(
                        object: String(rest), size: Int64(object.value.bytes.count), modified: object.value.modified)
                }
            }
        }
        return entries.values.filter { entry in name.map { $0 < entry.name } ?? true }.sorted { $0.name < $1.name }
    }

    var tellsChanges: Bool { true }
    func changeMark(of folder: RepositoryKey) throws -> Int64? { try use { $0.marks[folder] } }
    func makeDurable(_ key: RepositoryKey) throws { try use { _ in } }

    func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] {
        try use { $0.left[folder] ?? [] }.map { Object(folder, Content($0)) }
    }
    func removeLeftovers(in folder: RepositoryKey) throws -> [String] {
        try use { ($0.left.removeValue(forKey: folder) ?? []).map { "\($0.count) bytes" } }
    }

    func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        try use { state in
            guard let content = state.objects[key] else { throw ObjectAbsent(key: key, location: location) }
            guard state.objects[other] == nil else { throw ObjectExists(key: other, location: location) }
            MemoryStore.change(other, &state, to: content)
            MemoryStore.change(key, &state, to: nil)
        }
    }

    func remove(_ key: RepositoryKey) throws { try use { MemoryStore.change(key, &$0, to: nil) } }

    func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt {
        try LeaseLocks(in: self, state.withLock { $0.terms }).lock(
            name, in: folder, isShared: isShared, patience: milliseconds, makesFolder: makesFolder)
    }

    func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool {
        try LeaseLocks(in: self, state.withLock { $0.terms }).isLocked(name, in: folder)
    }
}
