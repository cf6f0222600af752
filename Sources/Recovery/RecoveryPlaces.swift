public import Backups
import Configuration
import Glibc
public import Planning
import Platform
import Restoring

/// The directories that a recovery fills, checked before anything is touched.
public struct RecoveryPlaces: Sendable {
    private let backup: BackupDescription
    private let request: RestoreRequest
    private let mapping: [String: String]
    private let isCopy: Bool
    public let tablespaces: CopyTablespaces
    /// Bytes of the WAL to replay, which passes through pg_wal.
    private let wal: Int64

    /// - Parameters:
    ///   - mapping: where tablespaces go: location in the original → directory to use now.
    ///   - isCopy: whether the directory isn't the cluster's own.
    ///   - living: the cluster's own data directory, if it is another one.
    public init(
        _ plan: Plan, _ backup: BackupDescription, directory: String, mapping: [String: String], isCopy: Bool,
        living: String? = nil
    ) {
        self.backup = backup
        (self.mapping, self.isCopy) = (mapping, isCopy)
        tablespaces = CopyTablespaces(plan, backup, directory: directory, mapping: mapping, isCopy: isCopy)
        var request = RestoreRequest(target: directory, tablespaceMapping: tablespaces.mapping)
        request.living = living
        self.request = request
        wal = 4 * Int64(plan.segmentSize)
    }

    /// - Parameter keeping: whether existing files in the directories stay and are used.
    /// - Throws: `TargetInUse`, and `Problem` when a tablespace is unknown or a file system too small.
    public func check(keeping: Bool) throws {
        let tablespaces = try tablespacePlaces(of: backup, for: request)
        try self.tablespaces.check(backup, directory: request.target, isCopy: isCopy, mapping: mapping)
        var needs: [(path: String, bytes: Int64)] = []
        var main = backup.size + wal
        for tablespace in backup.tablespaces {
            guard let place = tablespaces[tablespace.oid] else { continue }
            needs.append((place, tablespace.size))
            main -= tablespace.size
        }
        needs.append((request.target, main))
        for need in needs { try RecoveryPlaces.checkOwner(need.path) }
        var devices: [UInt64: (paths: [String], place: String, bytes: Int64)] = [:]
        for need in needs {
            let place = try RecoveryPlaces.existing(need.path)
            let bytes = try need.bytes - (keeping ? RecoveryPlaces.used(need.path) : 0)
            var device = devices[try FileStatus(of: place).device] ?? ([], place, 0)
            device.paths.append(need.path)
            device.bytes += max(0, bytes)
            devices[try FileStatus(of: place).device] = device
        }
        for device in devices.values.sorted(by: { $0.place < $1.place }) {
            let free = try Files.space(at: device.place).free
            guard free < device.bytes else { continue }
            throw Problem(
                "not enough space to recover into \"\(device.paths[device.paths.count - 1])\"",
                detail: "The backup needs \(Quantity.pretty(bytes: device.bytes)); the file system of "
                    + "\"\(device.place)\" has \(Quantity.pretty(bytes: free)) free.",
                hint: device.paths.contains(request.target)
                    ? "Free space, or name a directory elsewhere with --data-directory."
                    : "Free space, or put the tablespace elsewhere with --tablespace-mapping.")
        }
    }

    /// Warnings about tablespace directories that don't exist: they will be created, perhaps where a file system isn't
    /// mounted.
    public var warnings: [String] {
        backup.tablespaces.compactMap { tablespace in
            let place = request.tablespaceMapping[tablespace.location] ?? tablespace.location
            guard !tablespace.location.isEmpty, (try? Files.exists(place)) == false else { return nil }
            return
                "Directory \"\(place)\" of tablespace \"\(tablespace.name)\" does not exist here and will be created. "
                + "Mount what belongs there first, or use --tablespace-mapping "
                + "\(TablespaceMapping.offered(tablespace.location))."
        }
    }

    /// A server must own its directories, including mount points; a missing one must be creatable. A command that root
    /// ran has changed to the server's user already.
    private static func checkOwner(_ path: String) throws {
        guard geteuid() != 0 else { return }
        func name(_ user: uid_t) -> String { getpwuid(user).map { String(cString: $0.pointee.pw_name) } ?? "\(user)" }
        guard let status = try FileStatus(ifPresent: path) else {
            let place = try existing(path)
            guard Files.deniesNewFiles(place) else { return }
            throw Problem(
                "cannot create directory \"\(path)\"",
                detail: "User \"\(name(geteuid()))\", as whom this runs, may not write in \"\(place)\".",
                hint: "Create it as root: install -d -o \(shellQuoted(name(geteuid()))) -m 700 \(shellQuoted(path))")
        }
        guard status.owner != geteuid() else { return }
        throw Problem(
            "cannot recover into directory \"\(path)\"",
            detail: "It belongs to user \"\(name(status.owner))\", not to \"\(name(geteuid()))\", who runs this.",
            hint: "Change its owner as root: chown \(shellQuoted(name(geteuid()))): \(shellQuoted(path))")
    }

    private static func existing(_ path: String) throws -> String {
        var place = path
        while try !Files.exists(place), place != "/" { place = Files.parent(place) }
        return place
    }

    /// Bytes of all files below `path`, without other file systems reached through links, and without what the server's
    /// user can't enter: a `lost+found`, or what `exclude` names.
    private static func used(_ path: String) throws -> Int64 {
        guard let status = try FileStatus(ofLinkItself: path) else { return 0 }
        guard status.kind == .directory else { return status.size }
        let names: [String]
        do { names = try Files.list(path) } catch {
            guard error.code == EACCES else { throw error }
            return 0
        }
        return try names.reduce(0) { try $0 + used(path + "/" + $1) }
    }
}
