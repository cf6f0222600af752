import Glibc
public import Platform
public import SQLite

/// An SQLite file that is unlinked at once and vanishes with its last descriptor, so that a killed process leaves
/// nothing behind.
public final class NamelessDatabase {
    public let database: Database
    public let descriptor: Descriptor
    /// The name it had, for messages.
    public let path: String

    /// A new database with `schema`. It needs no durability.
    ///
    /// - Parameter cacheSize: of its page cache, in KiB; also how much is sorted at a time.
    public init(schema: String, cacheSize: Int = 16384) throws {
        let path = try NamelessDatabase.temporary()
        defer { NamelessDatabase.forget(path) }
        let database = try Database(path, .readWrite)
        try database.execute(
            """
            PRAGMA page_size = 16384; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;
            PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -\(cacheSize); PRAGMA temp_store = FILE;
            """)
        try database.execute(schema)
        self.path = path
        self.database = database
        descriptor = try Descriptor(open: path, O_RDONLY)
    }

    /// Opens a file that `fill` writes.
    init(fill: (borrowing Descriptor, _ path: String) throws -> Void) throws {
        let path = try NamelessDatabase.temporary()
        defer { NamelessDatabase.forget(path) }
        let descriptor = try Descriptor(open: path, O_RDWR)
        try fill(descriptor, path)
        let database = try Database(path, .immutable)
        // SQLite opens the file with the first statement, which must precede the unlinking.
        _ = try database.integer("SELECT count(*) FROM sqlite_master")
        self.path = path
        self.database = database
        self.descriptor = descriptor
    }

    private static func temporary() throws -> String {
        let path = temporaryName(for: temporaryDirectory() + "/" + NamelessDatabase.name)
        Temporaries.add(path)
        try inTemporaryDirectory { () throws(SystemError) in
            _ = try Descriptor(open: path, O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        }
        return path
    }

    private static func forget(_ path: String) {
        try? Files.remove(path)
        Temporaries.forget(path)
    }

    fileprivate static let name = "tidemark-manifest"
}

/// Removes the temporary manifests of processes that were killed before they could unlink them, also where these had
/// another `$TMPDIR`, or none.
///
/// - Parameter dryRun: removes nothing.
/// - Returns: their paths.
public func removeStaleManifests(dryRun: Bool = false) throws -> [String] {
    var places: [String] = []
    for place in [temporaryDirectory(), "/var/tmp", "/tmp"].map(Files.resolved) where !places.contains(place) {
        places.append(place)
    }
    return try places.flatMap { try removeStaleTemporaries(in: $0, of: NamelessDatabase.name, dryRun: dryRun) }
}

/// For large temporary files: `$TMPDIR`, else `/var/tmp`, which unlike `/tmp` is rarely in memory.
public func temporaryDirectory() -> String { getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp" }

/// Creates a file there.
/// - Throws: `UnusableTemporaryDirectory`.
public func inTemporaryDirectory(_ body: () throws(SystemError) -> Void) throws {
    do throws(SystemError) { try body() } catch {
        guard [ENOENT, ENOTDIR, EACCES, EROFS].contains(error.code) else { throw error }
        throw UnusableTemporaryDirectory(reason: String(cString: strerror(error.code)))
    }
}

/// The directory for temporary files doesn't exist, or isn't writable.
struct UnusableTemporaryDirectory: Explained {
    let reason: String
    var message: String { "cannot write into the temporary directory \"\(temporaryDirectory())\": \(reason)" }
    var hint: String? {
        getenv("TMPDIR") == nil
            ? "Create it, or name another one in the environment variable TMPDIR."
            : "The environment variable TMPDIR names it: name another one, or unset it for /var/tmp."
    }
    var preventsWriting: Bool { true }
}
