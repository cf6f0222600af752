public import Platform

/// Where a repository's objects are kept. Objects are immutable: created once, whole and durable, read, and at last
/// removed by `expire` or `clean`; there is no verb that changes one. What the storage has damaged is no longer the object:
/// `replace` puts a whole one in its place, and keeps the damaged one elsewhere.
///
/// What every store promises, and `StoreConformance` (Tests/RepositoryTests) checks:
///
/// - `create` either leaves the whole object, safe from a crash of the machine, or nothing under the key.
/// - Of several `create`s of one key exactly one succeeds; the others throw `ObjectExists` and change nothing.
/// - An object becomes visible whole, and perhaps a moment before it is durable; `makeDurable` waits for that.
/// - `ObjectAbsent` is thrown only when it is known that the object isn't there. Any doubt is another error.
/// - Any number of threads may use one store at once.
public protocol ObjectStore: Sendable {
    /// Where the objects are, for messages: a directory's path, a bucket's address.
    var location: String { get }

    /// Stores what `write` appends, in order, under `key`.
    /// - Throws: `ObjectExists` when the key is taken; the store's own errors; what `write` throws. After any of them
    ///   nothing of this call remains visible.
    func create(_ key: RepositoryKey, write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void) throws

    /// As `create`, in the place of a damaged object, which has the key `old` from then on.
    ///
    /// At no moment is nothing under `key`: whoever reads finds the damaged object or the new one, whole. The damaged one is
    /// under `old`, durably, before the new one takes its place; a crash in between leaves it under both. Of several calls at
    /// once, one replaces; what the others had judged is not there any more.
    ///
    /// - Parameter isDamaged: is shown what is under `key` when everything is written and nothing is changed yet; no other
    ///   `replace` comes between its answer and the replacement.
    /// - Throws: `ObjectAbsent` when nothing is under `key`; `ObjectExists` when what is there isn't damaged, or `old` is
    ///   taken; `BeingReplaced`; otherwise as `create`, and what `isDamaged` throws. After any of them what was under `key`
    ///   is still there, and nothing else of this call.
    func replace(
        _ key: RepositoryKey, keeping old: RepositoryKey, if isDamaged: (any StoredObject) throws -> Bool,
        write: (_ append: (UnsafeRawBufferPointer) throws -> Void) throws -> Void) throws

    /// An object to read from.
    /// - Throws: `ObjectAbsent` when it is known not to be there.
    func open(_ key: RepositoryKey) throws -> any StoredObject

    /// An object's length in bytes; nil when it is known not to be there.
    func size(of key: RepositoryKey) throws -> Int64?

    /// What lies directly in a folder, in order of the names; empty when there is no such folder.
    func list(_ folder: RepositoryKey) throws -> [RepositoryEntry]

    /// A number that changes whenever something is created in a folder or removed from it, so that a folder already
    /// listed need not be listed again. Nil when that can't be told cheaply, or not for certain at the moment.
    func changeMark(of folder: RepositoryKey) throws -> Int64?

    /// Makes certain that an object which is there survives a crash of the machine: another process may have created it
    /// and died, or still be busy, between making it visible and making that durable.
    func makeDurable(_ key: RepositoryKey) throws

    /// Removes what killed processes left in a folder on their way to an object, and says what that was.
    func removeLeftovers(in folder: RepositoryKey) throws -> [String]

    /// What killed processes left in a folder on their way to an object, open for reading: the object's bytes up to some
    /// point, which need not be durable. Their keys are the folder's.
    func leftovers(in folder: RepositoryKey) throws -> [any StoredObject]

    /// Gives an object another key, durably. At no moment is it under neither; a crash may leave it under both.
    /// - Throws: `ObjectAbsent`; `ObjectExists` when the other key is taken; the store's own errors.
    func move(_ key: RepositoryKey, to other: RepositoryKey) throws

    /// Removes an object durably; absent ones are fine.
    func remove(_ key: RepositoryKey) throws

    /// Forgets what it found where, after the storage was away for a while: whoever can wait for it begins anew.
    func reopen()
}

extension ObjectStore {
    public func leftovers(in folder: RepositoryKey) throws -> [any StoredObject] { [] }
    public func changeMark(of folder: RepositoryKey) throws -> Int64? { nil }
    public func reopen() {}

    public func move(_ key: RepositoryKey, to other: RepositoryKey) throws {
        try copy(key, to: other)
        try remove(key)
    }

    /// Stores the same bytes under another key.
    func copy(_ key: RepositoryKey, to other: RepositoryKey) throws {
        let object = try open(key)
        try create(other) { append in
            let window = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 20, alignment: 4096)
            defer { window.deallocate() }
            var offset: Int64 = 0
            while offset < object.size {
                let count = try object.read(into: window, at: offset)
                guard count > 0 else { throw ObjectDamaged(key: key, "It ended after \(offset) bytes.") }
                try append(UnsafeRawBufferPointer(rebasing: window[..<count]))
                offset += Int64(count)
            }
        }
    }
}

/// An object that is open for reading; several threads may read from it at once.
public protocol StoredObject: AnyObject, Sendable {
    var key: RepositoryKey { get }
    /// Bytes.
    var size: Int64 { get }
    /// Fills as much of `buffer` as the object has from `offset` (bytes) on, and says how much that was.
    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws -> Int
    /// Says that these bytes will be read soon. Does not wait.
    func readAhead(at offset: Int64, count: Int64)
    /// Says that these bytes need not be kept in memory: nobody will read them again soon.
    func release(at offset: Int64, count: Int64)
}

extension StoredObject {
    public func readAhead(at offset: Int64, count: Int64) {}
    public func release(at offset: Int64, count: Int64) {}
}

/// One line of a folder's listing.
public struct RepositoryEntry: Hashable, Sendable {
    public let name: String
    public let isFolder: Bool
    /// A number that is another one once another object has taken the name, which can be after the first was moved away;
    /// nil when listing doesn't tell. Two entries are equal whatever it is.
    public let mark: Int64?
    public init(name: String, isFolder: Bool, mark: Int64? = nil) {
        self.name = name
        self.isFolder = isFolder
        self.mark = mark
    }

    public static func == (a: RepositoryEntry, b: RepositoryEntry) -> Bool {
        a.name == b.name && a.isFolder == b.isFolder
    }
    public func hash(into hasher: inout Hasher) {
        hasher.combine(name)
        hasher.combine(isFolder)
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

/// Another process is putting a whole object in the place of a damaged one.
public struct BeingReplaced: Explained, Equatable {
    public let key: RepositoryKey
    public let location: String
    public var message: String {
        "object \"\(key)\" in repository \"\(location)\" is being replaced by another process"
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
    public var hint: String? { "Check the repository's storage; \"tidemark verify\" shows what else is affected." }
}
