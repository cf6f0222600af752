public import DataDirectory
import Glibc
public import Platform

extension ConnectionString {
    /// A cluster's connection string, completed with the socket directory and the port that the server on its data
    /// directory has noted in `postmaster.pid`. Without that, libpq's defaults would lead to whatever server has port
    /// 5432 on this host.
    ///
    /// What the string says is not changed; if it names another port, another host or a service, nothing is added. Nor
    /// is it when the server isn't seen from here: then the environment and libpq's defaults apply.
    ///
    /// - Throws: `Problem` for a string that libpq can't parse.
    public init(_ text: String, serverOn directory: DataDirectory) throws(Problem) {
        try self.init(text)
        guard self["service"] == nil, self["hostaddr"] == nil else { return }
        guard let running = try? directory.runningServer(), let port = running.port.map({ "\($0)" }),
            self["port"] ?? port == port
        else { return }
        if let named = self["host"] {
            // Several hosts have several ports, and on another host the same port may be another server's.
            if named.hasPrefix("/"), running.socket(in: named) != nil { self["port"] = port }
            return
        }
        guard let host = running.reachableHost(in: directory.path) else { return }
        (self["host"], self["port"]) = (host, port)
        // libpq would prefer an address of the environment.
        silence("hostaddr", by: "")
    }
}

extension ConnectionString {
    /// Whether the string or the environment says where the server is.
    fileprivate var namesServer: Bool {
        [("host", "PGHOST"), ("hostaddr", "PGHOSTADDR"), ("port", "PGPORT"), ("service", "PGSERVICE")].contains {
            self[$0.0] != nil || getenv($0.1) != nil
        }
    }
}

extension Connection {
    /// Connects to the server on a cluster's data directory, by its connection string as far as that says where the
    /// server is.
    ///
    /// - Throws: `ConnectionFailure`; also when no server runs on the directory and nothing names another place, where
    ///   libpq would try its default.
    public convenience init(
        _ conninfo: String, serverOn directory: DataDirectory, database: String? = nil,
        applicationName: String = "tidemark", patience: Int32? = nil
    ) throws(ConnectionFailure) {
        // A string that can't be parsed is for libpq to refuse.
        let completed = try? ConnectionString(conninfo, serverOn: directory)
        if let completed, !completed.namesServer, (try? directory.serverLife()) == ServerLife.none {
            throw ConnectionFailure(noServerOn: directory.path)
        }
        try self.init(
            completed?.description ?? conninfo, database: database, applicationName: applicationName,
            patience: patience)
    }
}

extension PostmasterFile {
    /// Its socket directory when the socket is there, its address when it has no socket; nil when it can't be reached
    /// from here, for example because it is in a container.
    fileprivate func reachableHost(in dataDirectory: String) -> String? {
        guard let socketDirectory else { return address }
        // An abstract socket has no file.
        guard let folder = socketFolder(dataDirectory) else { return socketDirectory }
        return socket(in: folder) == nil ? nil : folder
    }
}
