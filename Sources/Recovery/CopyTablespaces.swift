public import Backups
import DataDirectory
import Glibc
public import Planning
import Platform
import Restoring
import WAL

/// The places of a recovered directory's tablespaces: those in the backup, and those that the WAL creates.
public struct CopyTablespaces: Sendable {
    public struct Place: Hashable, Sendable, Encodable {
        public let oid: UInt32
        /// The location in the original.
        public let location: String
        public let directory: String
        /// Created by the WAL, and not in the backup.
        public let isYounger: Bool
    }
    public let places: [Place]
    /// The `--tablespace-mapping` of the backup's tablespaces.
    public let mapping: [String: String]

    /// - Parameter mapping: what `--tablespace-mapping` says: location in the original → directory to use now.
    public init(_ plan: Plan, _ backup: BackupDescription, directory: String, mapping: [String: String], isCopy: Bool) {
        let old = backup.tablespaces.filter { !$0.location.isEmpty }.map { tablespace in
            Place(
                oid: tablespace.oid, location: tablespace.location,
                directory: mapping[tablespace.location] ?? tablespace.location, isYounger: false)
        }
        let known = Set(backup.tablespaces.map(\.oid))
        // In a recovery in place, the WAL creates them where they were.
        let young =
            !isCopy ? [] : plan.changes.tablespaces.filter { !known.contains($0.tablespace) && !$0.location.isEmpty }
        places =
            old
            + young.map { creation in
                Place(
                    oid: creation.tablespace, location: creation.location,
                    directory: mapping[creation.location] ?? "\(directory)/pg_tblspc/\(creation.tablespace)",
                    isYounger: true)
            }
        let onlyYoung = Set(young.map(\.location)).subtracting(backup.tablespaces.map(\.location))
        self.mapping = mapping.filter { !onlyYoung.contains($0.key) }
    }

    /// Those that the WAL creates and `--tablespace-mapping` moves.
    private func sent(from directory: String) -> [Place] {
        places.filter { $0.isYounger && $0.directory != "\(directory)/pg_tblspc/\($0.oid)" }
    }

    /// Refuses tablespaces that would lie in a directory that belongs to something else.
    ///
    /// - Parameters:
    ///   - directory: the recovered one.
    ///   - isCopy: whether it isn't the cluster's own.
    /// - Throws: `TargetInUse`, `Problem`.
    public func check(_ backup: BackupDescription, directory: String, isCopy: Bool, mapping: [String: String]) throws {
        guard isCopy else { return }
        let links = try Files.exists(directory + "/pg_tblspc") ? DataDirectory(directory).tablespaces() : []
        func isLinked(_ place: Place) -> Bool {
            links.contains { $0.oid == place.oid && $0.location == place.directory }
        }
        for place in places where !place.isYounger && mapping[place.location] == nil && !isLinked(place) {
            throw Problem(
                "cannot put a tablespace of a copy where the original has its own, in \"\(place.location)\"",
                hint: "Send it elsewhere with --tablespace-mapping \(TablespaceMapping.offered(place.location)).")
        }
        let folder = DataDirectory.tablespaceFolder(major: backup.major, catalogVersion: backup.catalogVersion)
        for place in sent(from: directory) where !isLinked(place) {
            guard try !Files.listIfPresent(place.directory + "/" + folder).isEmpty else { continue }
            throw TargetInUse(
                path: place.directory, reason: "It already holds a tablespace of this version, in \"\(folder)\".",
                advice:
                    "Send the tablespace elsewhere with --tablespace-mapping \(TablespaceMapping.offered(place.location))."
            )
        }
    }

    /// Creates the links by which replay finds the places of tablespaces that the WAL creates: the records name none.
    func prepareYounger(in directory: String) throws {
        for place in sent(from: directory) {
            try Files.makeDirectories(place.directory, mode: 0o700)
            let link = "\(directory)/pg_tblspc/\(place.oid)"
            try Files.removeIfPresent(link)
            _ = try retrying(.makeLink, link) { symlink(place.directory, link) }
        }
    }

    /// The tablespaces that the WAL creates and no mapping names, as sentences.
    public func remarks(directory: String) -> [String] {
        let chosen = Set(sent(from: directory))
        return places.filter { $0.isYounger && !chosen.contains($0) }.map { place in
            "Tablespace \(place.oid) in \"\(place.location)\" is younger than the backup: the copy has it in its own "
                + "directory, in \"pg_tblspc/\(place.oid)\". To put it elsewhere: --tablespace-mapping "
                + "\(TablespaceMapping.offered(place.location))."
        }
    }
}
