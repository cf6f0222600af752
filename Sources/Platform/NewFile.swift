public import Glibc

/// A file being created. After `commit` it is complete and durable; after `abandon`, or dropped without either, nothing
/// of it remains. `createDurably` describes the steps. For one thread at a time.
public final class NewFile {
    private let place: Place
    private let directory: Place
    private let temporary: Place
    /// Nil once it is committed or abandoned.
    private var file: Descriptor?

    /// Opens a temporary in the file's directory.
    public init(_ place: Place, mode: mode_t = 0o640) throws {
        guard let directory = place.parent else { throw SystemError(.open, place.path, code: EISDIR) }
        self.place = place
        self.directory = directory
        temporary = directory.appending(Files.name(temporaryName(for: place.path)))
        Temporaries.add(temporary.path)
        do { file = try openNew(temporary, in: directory, mode: mode) } catch {
            remove()
            throw error
        }
    }

    deinit { abandon() }

    /// - Parameter body: writes to the temporary, whose path is for messages.
    public func write(_ body: (borrowing Descriptor, _ temporary: String) throws -> Void) throws {
        guard file != nil else { throw SystemError(.write, place.path, code: EBADF) }
        try body(file!, temporary.path)
    }

    /// - Throws: `AlreadyPresent` when the name is taken, `PlaceLost`, `SystemError`. The temporary is removed then;
    ///   only if the last step fails, which makes the name durable, does the file exist.
    ///
    /// - Parameter turn: called when the content is durable and only the name is missing. When it throws, the temporary
    ///   is removed.
    public func commit(turn: () throws -> Void = {}) throws {
        try commit(turn: turn) { try renameWithoutReplacing($0, to: place) }
    }

    /// As above, but the file gets its name from the caller.
    ///
    /// - Parameter giveName: gets the complete, durable temporary, and renames it. When it throws, the temporary is
    ///   removed.
    public func commit(turn: () throws -> Void = {}, giveName: (_ temporary: Place) throws -> Void) throws {
        do {
            guard let file = file.take() else { throw SystemError(.write, place.path, code: EBADF) }
            try file.synchronize(path: temporary.path)
            try file.close(path: temporary.path)
            try turn()
            if let held = place.directory {
                try secureRoad(to: directory)
                guard try FileStatus(ofLinkItself: temporary.path) != nil else { throw PlaceLost(path: held.path) }
            }
            try giveName(temporary)
        } catch {
            remove()
            throw error
        }
        Temporaries.forget(temporary.path)
        try Files.synchronizeDirectory(directory)
    }

    public func abandon() {
        guard file != nil else { return }
        file = nil
        remove()
    }

    private func remove() {
        try? Files.remove(temporary)
        Temporaries.forget(temporary.path)
    }
}
