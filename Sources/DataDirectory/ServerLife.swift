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
        if file.process != getpid(), file.process != getppid(), processExists(file.process) {
            return .running(file, isVisible: true)
        }
        let isListening = file.isListening(in: path)
        if isListening == true { return .running(file, isVisible: false) }
        if file.hasSharedMemoryInUse { return .atWork(file, sign: "its shared memory is in use") }
        if let process = try DirectoryProcesses(path).find().first(where: \.isServer)?.process {
            return .atWork(file, sign: "process \(process) works in it")
        }
        return isListening == false || ProcessIdentity.seesWholeMachine ? .none : .unknown(file)
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
        guard let port, let socketDirectory, !socketDirectory.hasPrefix("@") else { return nil }
        let folder = socketDirectory.hasPrefix("/") ? socketDirectory : dataDirectory + "/" + socketDirectory
        let socket = "\(folder)/.s.PGSQL.\(port)"
        guard let text = try? Files.readText(socket + ".lock", limit: 1 << 16),
            let owner = PostmasterFile(parsing: text),
            owner.process == process, owner.dataDirectory == self.dataDirectory, owner.started == started
        else { return nil }
        return UnixSocket.isListenedTo(socket)
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
