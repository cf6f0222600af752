import Glibc
import Platform

/// Whether a server runs on a data directory, as far as that can be told from here.
///
/// The process that `postmaster.pid` names may be in another PID namespace, for example in another container: then it
/// has another number here, or can't be seen. Only what is `none` may be replaced or overwritten.
public enum ServerLife: Sendable, Equatable {
    /// There was none, or it has ended.
    case none
    /// - Parameter isVisible: whether its process can be seen here.
    case running(PostmasterFile, isVisible: Bool)
    /// Processes of a server are at work, perhaps without their postmaster.
    /// - Parameter sign: how that is known, as a clause.
    case atWork(PostmasterFile, sign: String)
    /// Its `postmaster.pid` names a process that is something else, and nothing else tells of a server: most likely its
    /// server has crashed, and the number was given away.
    /// - Parameter what: the process, as a noun.
    case replaced(PostmasterFile, by: String)
    /// The process can't be seen from here, and nothing else tells whether it lives.
    case unknown(PostmasterFile)

    /// What is known of the server, as a sentence; nil for `none`.
    public var sentence: String? {
        switch self {
        case .none: nil
        case .running(let file, true): "A server is running on it (process \(file.process))."
        case .running(let file, false):
            "A server is running on it: process \(file.process) of its postmaster.pid cannot be seen from here, but "
                + "accepts connections at its socket."
        case .atWork(_, let sign): "A server is running on it, or has left processes: \(sign)."
        case .replaced(let file, let what):
            "Process \(file.process), which its postmaster.pid names, is \(what), and no server on this directory."
        case .unknown(let file):
            "A server may be running on it: tidemark runs in a PID namespace of its own, as in a container, and process "
                + "\(file.process) of postmaster.pid may be outside of it."
        }
    }
}

extension DataDirectory {
    /// `postmaster.pid` outlives a crash, so the process it names must exist and must not be this process or its parent
    /// (a container restarted with the same numbers), as PostgreSQL's own lock file check does (`CreateLockFile`,
    /// src/backend/utils/init/miscinit.c). A process that isn't seen is believed to have ended if its socket refuses
    /// connections, or if every process of this machine could be seen.
    public func serverLife() throws -> ServerLife {
        guard let file = try PostmasterFile(dataDirectory: path) else { return .none }
        let isThere = file.process != getpid() && file.process != getppid() && processExists(file.process)
        let stranger = isThere ? stranger(file.process) : nil
        if isThere, stranger == nil { return .running(file, isVisible: true) }
        let isListening = file.isListening(in: path)
        if isListening == true { return .running(file, isVisible: false) }
        if file.hasSharedMemoryInUse { return .atWork(file, sign: "its shared memory is in use") }
        if let process = try DirectoryProcesses(path).find().first(where: \.isServer)?.process {
            return .atWork(file, sign: "process \(process) works in it")
        }
        // PostgreSQL doesn't start over a process of the same user either (`CreateLockFile`).
        if let stranger { return .replaced(file, by: stranger) }
        return isListening == false || ProcessIdentity.seesWholeMachine ? .none : .unknown(file)
    }

    /// What a process is that can't be the server on this directory, as a noun; nil when it may be: every process of a
    /// server works in its data directory (`ChangeToDataDir`, src/backend/utils/init/miscinit.c).
    private func stranger(_ process: pid_t) -> String? {
        guard
            let name = (try? Files.readText("/proc/\(process)/comm", limit: 64))?.split(separator: "\n").first,
            !name.isEmpty
        else { return nil }
        guard name.contains("postgres") || name.contains("postmaster") else { return "\"\(name)\"" }
        let link = "/proc/\(process)/cwd"
        guard let place = try? FileStatus(of: link), let own = try? FileStatus(of: path), !place.isSame(as: own),
            let other = try? Files.readLink(link)
        else { return nil }
        return "the server on \"\(other)\""
    }

    /// The server that runs on this directory; nil when none does, or when that isn't certain.
    public func runningServer() throws -> PostmasterFile? {
        guard case .running(let file, _) = try serverLife() else { return nil }
        return file
    }
}

extension PostmasterFile {
    /// Whether this server listens at its socket; nil when that can't be told. The socket's lock file says whose it is.
    fileprivate func isListening(in dataDirectory: String) -> Bool? {
        guard let folder = socketFolder(dataDirectory), let socket = socket(in: folder) else { return nil }
        return UnixSocket.isListenedTo(socket)
    }

    /// The path of its socket directory; nil when it has none, or an abstract socket.
    public func socketFolder(_ dataDirectory: String) -> String? {
        guard let socketDirectory, !socketDirectory.hasPrefix("@") else { return nil }
        return socketDirectory.hasPrefix("/") ? socketDirectory : dataDirectory + "/" + socketDirectory
    }

    /// The path of its socket in a directory, of which it may have several; nil when there is none, or another
    /// server's.
    public func socket(in folder: String) -> String? {
        guard let port else { return nil }
        let socket = "\(folder)/.s.PGSQL.\(port)"
        guard let text = try? Files.readText(socket + ".lock", limit: 1 << 16),
            let owner = PostmasterFile(parsing: text),
            owner.process == process, owner.dataDirectory == dataDirectory, owner.started == started
        else { return nil }
        return socket
    }

    /// Whether processes are attached to the server's System V shared memory, which every server has, if only to be
    /// noticed (`PGSharedMemoryIsInUse`, src/backend/port/sysv_shmem.c). False also when it belongs to another IPC
    /// namespace.
    fileprivate var hasSharedMemoryInUse: Bool {
        guard let sharedMemory, let table = try? Files.readText("/proc/sysvipc/shm") else { return false }
        return table.split(separator: "\n").dropFirst().contains { line in
            let fields = line.split(separator: " ")
            return fields.count > 6 && Int32(fields[0]) == sharedMemory.key && Int32(fields[1]) == sharedMemory.id
                && fields[6] != "0"
        }
    }
}
