import Backups
import DataDirectory
import Glibc
import Platform
import SQLite

/// The names in one directory at a time, sorted, on disk when there are many; all files of a relation come together.
final class DirectoryListing {
    private let file: NamelessDatabase
    private let insert: Statement
    private let sorted: Statement
    /// Read, but not returned yet.
    private var ahead: (node: Int64, name: String)?

    init() throws {
        file = try NamelessDatabase(
            schema: "CREATE TABLE name (node INTEGER NOT NULL, name TEXT NOT NULL)", cacheSize: 4096)
        insert = try file.database.prepare("INSERT INTO name VALUES (?, ?)")
        sorted = try file.database.prepare("SELECT node, name FROM name ORDER BY node, name")
    }

    /// Reads a directory in place of the previous one. A missing one is empty: it may vanish at any moment.
    func read(_ directory: String) throws {
        sorted.reset()
        ahead = nil
        try file.database.execute("BEGIN; DELETE FROM name")
        do {
            try Files.forEachName(in: Place(directory)) { name in
                try insert.bind(1, RelationFileName(name).map { Int64($0.fileNode) } ?? 0)
                try insert.bind(2, name)
                _ = try insert.step()
            }
        } catch let error as SystemError where error.code == ENOENT {}
        try file.database.execute("COMMIT")
        ahead = try row()
    }

    /// A name, or those of all files of a relation; nil after the last.
    func next() throws -> [String]? {
        guard let (node, first) = ahead else { return nil }
        var names = [first]
        ahead = try row()
        while node != 0, let (other, name) = ahead, other == node {
            names.append(name)
            ahead = try row()
        }
        return names
    }

    private func row() throws -> (node: Int64, name: String)? {
        try sorted.step() ? (sorted.integer(0), sorted.text(1)) : nil
    }
}
