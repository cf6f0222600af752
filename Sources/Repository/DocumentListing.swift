extension ClusterArchive {
    /// Reads and proves the documents of an incarnation on which nothing else depends: all but `incarnation.json` and
    /// `backup.json`. Costs one read each.
    ///
    /// - Parameter refused: gets the error of each document that can't be read; the others are read all the same.
    public func proveRecords(refused: (any Error) -> Void) {
        func entries(_ folder: RepositoryKey) -> [RepositoryEntry] {
            do { return try store.list(folder) } catch {
                refused(error)
                return []
            }
        }
        func prove(_ kind: SealedDocument.Kind, _ key: RepositoryKey) {
            do { _ = try store.document(kind, at: key) } catch { refused(error) }
        }
        func each(in folder: RepositoryKey, _ body: (RepositoryKey) -> Void) {
            for entry in entries(folder) where entry.isFolder { body(folder.appending(entry.name)) }
        }
        each(in: incarnation.backupFolder) { folder in
            for entry in entries(folder) where entry.name.hasPrefix("verified-") && !entry.isFolder {
                prove(.verification, folder.appending(entry.name))
            }
        }
        each(in: incarnation.jobFolder) { folder in
            for entry in entries(folder) where !entry.isFolder { prove(.job, folder.appending(entry.name)) }
        }
        each(in: incarnation.recoveryFolder) { folder in
            prove(.recoveryBegin, folder.appending("begin.json"))
            prove(.recoveryEnd, folder.appending("end.json"))
        }
        each(in: incarnation.asideFolder) { prove(.aside, $0.appending("record.json")) }
    }
}
