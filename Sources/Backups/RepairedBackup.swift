import Platform
public import Repository
import SQLite
import WAL

extension ClusterArchive {
    /// What its last verification found wrong with a backup, as far as a look at the objects that it named doesn't show
    /// that they were repaired; nil when it was never verified, or nothing is wrong any more. Reads whole objects, up
    /// to the first that is still damaged.
    ///
    /// - Throws: what says nothing about the objects, such as a repository that can't be reached.
    public func standingVerification(of label: String) throws -> RecordedVerification? {
        guard let last = try lastVerification(of: label, of: self) else { return nil }
        if last.fault != nil { return last }
        guard last.problems > 0 else { return nil }
        guard let objects = last.objects else { return last }
        do { return try areWhole(objects, of: label) ? nil : last } catch is DatabaseError {
            return last
        } catch let later as UnsupportedFormat {
            var found = last
            found.later = later
            return found
        } catch let error as any Explained where error.concernsOneObject { return last }
    }

    private func areWhole(_ objects: [RepositoryKey], of label: String) throws -> Bool {
        // What packs must be is in the manifest.
        var manifest: ManifestReader?
        for key in objects {
            if key.description.hasPrefix(incarnation.walFolder.description + "/") {
                guard key.name.hasSuffix(".zst"), let file = ArchiveFileName(String(key.name.dropLast(4))) else {
                    return false
                }
                try stored(file).prove()
                continue
            }
            let reader: ManifestReader
            if let manifest { reader = manifest } else { reader = try ManifestReader(label, of: self) }
            if manifest == nil, try !reader.database.problems().isEmpty { return false }
            manifest = reader
            if key == incarnation.backup(label, Manifest.objectName) { continue }
            guard let pack = reader.packs.values.first(where: { incarnation.pack($0.label, $0.name) == key }) else {
                return false
            }
            let stored = try self.pack(pack.label, pack.name)
            guard try stored.storedLength == pack.size && PackPass(of: stored).digest() == pack.digest else {
                return false
            }
        }
        return true
    }
}
