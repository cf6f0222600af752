public import Configuration
import DataDirectory
import Platform
import Repository
import WAL

extension Configuration {
    /// The cluster that a call archives or restores for. When none is named and several are configured, it is that of
    /// the calling server: it calls in its data directory, or the file lies in its pg_wal. So adding a second cluster
    /// to the configuration doesn't stop the first one's archiving.
    ///
    /// - Parameter path: the file to archive; nil for a restore.
    public func servedCluster(
        named name: String?, calledBy caller: ArchiveCaller, file path: String?
    ) throws -> ClusterConfiguration {
        guard name == nil, clusters.count > 1 else { return try cluster(named: name) }
        let directories = [caller.directory] + (path.map { [Files.parent(Files.parent(caller.path($0)))] } ?? [])
        for directory in directories {
            if let found = only(clusters.filter { isSame(directory, $0.dataDirectory) }) { return found }
            let data = DataDirectory(directory)
            guard let major = try? data.majorVersion(), let control = try? data.controlFile() else { continue }
            let found = try clusters.filter { cluster in
                let incarnation = Incarnation(
                    cluster: cluster.name, major: major, systemIdentifier: control.systemIdentifier)
                return try cluster.openRepository().archive(incarnation).exists()
            }
            if let found = only(found) { return found }
        }
        return try cluster(named: nil)
    }

    private func only(_ found: [ClusterConfiguration]) -> ClusterConfiguration? { found.count == 1 ? found[0] : nil }

    private func isSame(_ directory: String, _ other: String) -> Bool {
        guard let one = try? FileStatus(of: directory), let two = try? FileStatus(of: other) else { return false }
        return one.device == two.device && one.inode == two.inode
    }
}
