import Repository
import SQLite

/// The catalog keeps each backup's `backup.json` as it is: it is written once and never changes, so that it need be read
/// only once. What it says is not this module's business.
extension Catalog {
    /// The complete backups in the repository now, by label; those that the catalog didn't know are read.
    public func backups() throws -> [(label: String, json: [UInt8])] {
        var known: [String: [UInt8]] = [:]
        let statement = try database.prepare("SELECT label, json FROM backup")
        while try statement.step() { known[statement.text(0)] = statement.blob(1) }
        var found: [(label: String, json: [UInt8])] = []
        var fresh: [(label: String, json: [UInt8])] = []
        for label in try archive.backups().sorted() {
            let key = archive.incarnation.backup(label, "backup.json")
            // Expiring removes this file first: its presence is the backup's. One that can't be read is the listing's to tell.
            guard try archive.store.exists(key) else { continue }
            if let json = known.removeValue(forKey: label) {
                found.append((label, json))
            } else if let json = try? archive.store.readIfPresent(key) {
                found.append((label, json))
                fresh.append((label, json))
            }
        }
        guard !fresh.isEmpty || !known.isEmpty else { return found }
        try file.locked {
            try database.transaction {
                for (label, json) in fresh {
                    try database.run("INSERT OR REPLACE INTO backup (label, json) VALUES (?, ?)", label, json)
                }
                for label in known.keys { try database.run("DELETE FROM backup WHERE label = ?", label) }
            }
        }
        return found
    }
}
