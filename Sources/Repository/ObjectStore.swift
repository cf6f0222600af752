public import Platform

/// Where a repository's objects are kept. Objects are immutable: created once, whole and durable, read, and at last
/// removed by `expire` or `clean`; no method changes one. Only an object that the storage has damaged is replaced by a
/// whole one (`Replacement`); the damaged one is kept under another key.
///
/// What every store promises, and `StoreConformance` (Tests/RepositoryTests) checks:
///
/// - A writer's `commit` either leaves the whole object, safe from a crash of the machine, or nothing under the key; a
///   writer that is dropped without it leaves nothing.
/// - Of several writers of one key exactly one succeeds; the others throw `ObjectExists` and change nothing.
/// - An object becomes visible whole, and perhaps a moment before it is durable; `makeDurable` waits for that.
/// - `ObjectAbsent` is thrown only when it is known that the object isn't there. Any doubt is another error.
/// - Errors tell whether they may pass by themselves (`isTransient`).
/// - Any number of threads may use one store at once.
public protocol ObjectStore: Sendable {
    /// Where the objects are, for messages: a directory's path, a bucket's address.
    var location: String { get }

    /// Begins a new object.
    /// - Throws: `ObjectExists` when it is known already that the key is taken; the store's own errors.
    func begin(_ key: RepositoryKey) throws -> any ObjectWriter

    /// Begins a new object that replaces a damaged one, which gets another key.
    ///
    /// A reader always finds an object under `key`: the damaged one or the new one, whole. The damaged one is durable
    /// under its other key before the new one takes its place; a crash in between leaves it under both. Of several
    /// writers at once one replaces it; for the others the object they judged is no longer there.
    ///
    /// `commit` throws `ObjectAbsent` when nothing is under `key`; `ObjectExists` when the object there isn't damaged,
    /// or the other key is taken; `BeingReplaced`; and what `Replacement.isDamaged` throws. In each case the object
    /// under `key` stays, and nothing of this writer does.
    func begin(_ key: RepositoryKey, replacing replacement: Replacement) throws -> any ObjectWriter

    /// An object to read from.
    /// - Parameter count: of the bytes at its start that will be read first: a remote store brings that many with its
    ///   first answer and doesn't request them again.
    /// - Throws: `ObjectAbsent` when it is known not to be there.
    func open(_ key: RepositoryKey, bringing count: Int) throws -> any StoredObject

    /// An object's length in bytes; nil when it is known not to be there.
    func size(of key: RepositoryKey) throws -> Int64?

    /// What lies directly in a folder, in order of the names; empty when there is no such folder.
    /// - Parameter name: only what comes after this name, which need not be one of the folder's.
    func list(_ folder: RepositoryKey, after name: String?) throws -> [RepositoryEntry]

    /// Whether `changeMark` answers at all. From a store that has no such number, a folder must be listed to find out
    /// whether it has changed.
    var tellsChanges: Bool { get }

    /// A number that changes whenever something is created in a folder or removed from it, so that an unchanged folder
    /// need not be listed again. Nil when it isn't cheap to tell, or not certain at the moment.
    func changeMark(of folder: RepositoryKey) throws -> Int64?

    /// Makes certain that an existing object survives a crash of the machine: another process may have created it and
    /// died, or still be busy, before it was durable.
    func makeDurable(_ key: RepositoryKey) throws

    /// Removes the leftovers of killed processes in a folder, and returns their names. What can't be removed, or isn't
    /// known to be left over, stays for the next time.
    func removeLeftovers(in folder: RepositoryKey) throws -> [String]

    /// The leftovers of killed processes in a folder, open for reading: objects without their ends, which need not be
    /// durable. Their keys are the folder's.
    func leftovers(in folder: RepositoryKey) throws -> [any StoredObject]

    /// Gives an object another key, durably. It is always under one of the two; a crash may leave it under both. An
    /// object that takes its place meanwhile stays there.
    /// - Throws: `ObjectAbsent`; `ObjectExists` when the other key is taken; `BeingReplaced`; the store's own errors.
    func move(_ key: RepositoryKey, to other: RepositoryKey) throws

    /// Removes an object durably; absent ones are fine.
    func remove(_ key: RepositoryKey) throws

    /// Takes a lock that lies in a folder and is removed with it: alone, or shared with any number of others. A store
    /// without locks of its own makes them of leases (`LeaseLocks`).
    ///
    /// - Parameters:
    ///   - name: may stand between two slashes of a key; no object has it.
    ///   - isShared: others may have it shared, too, but nobody alone.
    ///   - milliseconds: for how long to wait while others hold it.
    ///   - makesFolder: if it isn't there.
    /// - Throws: `ObjectAbsent` when there is no such folder; the store's own errors.
    func lock(
        _ name: String, in folder: RepositoryKey, isShared: Bool, patience milliseconds: Int, makesFolder: Bool
    ) throws -> LockAttempt

    /// Whether somebody holds a lock, alone or shared. Takes and writes nothing, and needs no permission to write.
    /// - Throws: the store's own errors, when it can't be told.
    func isLocked(_ name: String, in folder: RepositoryKey) throws -> Bool

    /// How much can be stored; nil where a store has no limit, or can't tell.
    func capacity() throws -> StoreCapacity?

    /// What to check where something is missing that should be in the repository, as a question; nil where a store that
    /// answers has everything.
    var absenceHint: String? { get }

    /// Where the objects are files of this host; nil where they are something else.
    var localDirectory: LocalDirectory? { get }

    /// For whoever decides what goes by looking what is there, or removes many.
    func removal() -> any ObjectRemoval

    /// Forgets what it has found, after the storage was away: the next call looks everything up again.
    func reopen()
}

extension ObjectStore {
    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] { [] }
    public var tellsChanges: Bool { false }
    public func changeMark(of folder: RepositoryKey) throws -> Int64? { nil }
    public var absenceHint: String? { nil }
    public func reopen() {}
    public func removal() -> any ObjectRemoval { RemovalByName(from: self) }
    public func capacity() throws -> StoreCapacity? { nil }
    public var localDirectory: LocalDirectory? { nil }
    public func list(_ folder: RepositoryKey) throws -> [RepositoryEntry] { try list(folder, after: nil) }
    public func open(_ key: RepositoryKey) throws -> any StoredObject { try open(key, bringing: 0) }

    func begin(_ key: RepositoryKey, replacing replacement: Replacement?) throws -> any ObjectWriter {
        guard let replacement else { return try begin(key) }
        return try begin(key, replacing: replacement)
    }

    /// Stores what `write` appends, in order, under `key`.
    /// - Throws: `ObjectExists` when the key is taken; the store's own errors; what `write` throws. After any of them
    ///   nothing of this call remains visible.
    public func create(
        _ key: RepositoryKey, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void
    ) throws {
        let object = try begin(key)
        do { try write { try object.append($0) } } catch {
            object.abandon()
            throw error
        }
        try object.commit()
    }

    /// Stores the same bytes under another key.
    func copy(_ key: RepositoryKey, to other: RepositoryKey) throws {
        let object = try open(key)
        try create(other) { append in try object.forEachPiece(append) }
    }
}

/// An object that is being written, by one thread at a time. Dropped without `commit`, it leaves nothing.
public protocol ObjectWriter: AnyObject {
    /// Adds bytes at the end.
    func append(_ bytes: UnsafeRawBufferPointer) throws
    /// Makes the object visible, whole and durable.
    /// - Parameter turn: is called right before the object becomes visible, when all other work is done; what it throws
    ///   prevents that.
    /// - Throws: `ObjectExists` when the key is taken; the store's own errors; what `turn` throws. The object is not
    ///   visible then, unless only the last step failed, which makes a visible object durable.
    func commit(turn: () throws -> Void) throws
    /// Leaves nothing. Does nothing after `commit`, whether that succeeded or not.
    func abandon()
}

extension ObjectWriter {
    public func commit() throws { try commit {} }
}

/// An object that is open for reading; several threads may read from it at once.
public protocol StoredObject: AnyObject, Sendable {
    var key: RepositoryKey { get }
    /// Bytes.
    var size: Int64 { get }
    /// Fills as much of `buffer` as the object has from `offset` (bytes) on, and says how much that was.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int
    /// How many bytes to request at once from a store that answers each request late, to whoever needs all of them; nil
    /// where small reads cost no more (a file).
    var requestLength: Int? { get }
    /// Announces that these bytes will be read soon. Does not wait.
    func readAhead(at offset: Int64, count: Int64)
    /// Announces that these bytes need not be kept in memory: they won't be read again soon.
    func release(at offset: Int64, count: Int64)
}

extension StoredObject {
    public var requestLength: Int? { nil }
    public func readAhead(at offset: Int64, count: Int64) {}
    public func release(at offset: Int64, count: Int64) {}

    /// Calls `body` with the object's bytes, from the first to the last.
    /// - Throws: `ObjectDamaged` when it is shorter than its size says; what reading and `body` throw.
    func forEachPiece(_ body: (UnsafeRawBufferPointer) throws -> Void) throws {
        let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
        defer { window.deallocate() }
        var offset: Int64 = 0
        while offset < size {
            let count = try read(into: window, at: offset)
            guard count > 0 else { throw ObjectDamaged(key: key, "It ended after \(offset) bytes.") }
            try body(UnsafeRawBufferPointer(rebasing: window[..<count]))
            offset += Int64(count)
        }
    }

    /// The digest of all its bytes.
    func digest() throws -> Digest {
        var digester = Digester()
        try forEachPiece { digester.update($0) }
        return digester.finish()
    }
}

/// The space that a store has. One that doesn't count has a total of 0 and any number free.
public struct StoreCapacity: Hashable, Sendable {
    /// Bytes.
    public let free: Int64
    public let total: Int64
    public init(free: Int64, total: Int64) { (self.free, self.total) = (free, total) }
}

/// One line of a folder's listing.
public struct RepositoryEntry: Hashable, Sendable {
    public let name: String
    public let isFolder: Bool
    /// An object's length in bytes; nil for a folder, and for an object that is listed but can't be examined.
    public let size: Int64?
    /// When an object's content was written, in microseconds since 1970-01-01; nil where `size` is.
    public let modified: Int64?

    public init(folder name: String) { (self.name, isFolder, size, modified) = (name, true, nil, nil) }

    public init(object name: String, size: Int64?, modified: Int64?) {
        (self.name, isFolder, self.size, self.modified) = (name, false, size, modified)
    }

    /// A number that changes when another object takes the name, which can happen after the first was moved away; nil
    /// where a listing doesn't tell.
    public var mark: Int64? {
        guard let size, let modified else { return nil }
        return modified &* 1_000_003 &+ size
    }
}

/// The object is known not to be in the repository.
public struct ObjectAbsent: Explained, Equatable {
    public let key: RepositoryKey
    public let location: String
    public init(key: RepositoryKey, location: String) {
        self.key = key
        self.location = location
    }
    public var message: String { "object \"\(key)\" is not in repository \"\(location)\"" }
}

/// Something is already stored under the key.
public struct ObjectExists: Explained, Equatable {
    public let key: RepositoryKey
    public let location: String
    public init(key: RepositoryKey, location: String) {
        self.key = key
        self.location = location
    }
    public var message: String { "object \"\(key)\" already exists in repository \"\(location)\"" }
}

/// Another process is replacing a damaged object, or moving it to another key.
public struct BeingReplaced: Explained, Equatable {
    public let key: RepositoryKey
    public let location: String
    public init(key: RepositoryKey, location: String) {
        self.key = key
        self.location = location
    }
    public var message: String {
        "object \"\(key)\" in repository \"\(location)\" is being replaced or moved by another process"
    }
    public var hint: String? { "Try again in a moment." }
}

/// An object's bytes are not what tidemark wrote.
public struct ObjectDamaged: Explained, Equatable {
    public let key: RepositoryKey
    /// What is wrong, in full sentences.
    public let reason: String
    public init(key: RepositoryKey, _ reason: String) {
        self.key = key
        self.reason = reason
    }
    public var message: String { "object \"\(key)\" of the repository is damaged" }
    public var detail: String? { reason }
    public var hint: String? {
        "Check the repository's storage; "
            + "\"\(runnable("tidemark verify"))\" shows what else is affected."
    }
}
