public import DataDirectory
import Glibc
public import Platform

/// A server on one of tidemark's data directories, started, watched and stopped with `pg_ctl`, which detaches it.
public struct ServerProcess: Sendable {
    public let binDirectory: String
    public let dataDirectory: DataDirectory
    /// The server's log until its own logging settings take effect.
    public let logFile: String
    /// For the server's command line, each `name=value`.
    public let options: [String]
    /// The directories in which it may write, when that is to be limited.
    public let confinement: Confinement?

    public init(
        binDirectory: String, dataDirectory: String, logFile: String, options: [String] = [],
        confinement: Confinement? = nil
    ) {
        self.binDirectory = binDirectory
        self.dataDirectory = DataDirectory(dataDirectory)
        self.logFile = logFile
        self.options = options
        self.confinement = confinement
    }

    /// The path of a program, for people; its name alone where it isn't with the server's own. Client programs may be
    /// packaged, and installed, apart from the server's.
    public func program(_ name: String) -> String {
        let path = binDirectory + "/" + name
        return (try? Files.exists(path)) == true ? path : name
    }

    /// Checks that the programs exist and are of the data directory's major version, then starts the server and returns
    /// once it is seen, usually after a second: it may still be starting, be ready, or have exited, for the reason in
    /// its log.
    ///
    /// - Throws: `WrongPrograms`, `Problem` when there is no log.
    public func launch() throws {
        try ServerProcess.checkPrograms(in: binDirectory, of: dataDirectory.majorVersion())
        for name in [dataDirectory.path, logFile] { try ServerProcess.checkName(name) }
        // With -w pg_ctl knows whether the process it started lives, before that process has written its
        // postmaster.pid.
        var arguments = ["-D", dataDirectory.path, "-l", logFile, "-w", "-t", "1", "-s"]
        // A configuration may name another data_directory, the original's: the server would open that one.
        let all = options + (options.contains { $0.hasPrefix("data_directory=") } ? [] : [ownDirectory])
        // pg_ctl passes it to a shell.
        arguments += ["-o", all.map { "-c \(inShellQuotes($0))" }.joined(separator: " ")]
        let logged = words().count
        let began = Clock.monotonic
        let (program, environment) = (binDirectory + "/pg_ctl", ServerEnvironment.own)
        arguments.append("start")
        let finished =
            try confinement?.run(program, arguments, environment: environment)
            ?? run(program, arguments, environment: environment)
        // pg_ctl sees at once when the server dies, and gives up after its second when it doesn't answer yet. A busy
        // machine may need longer to write postmaster.pid; until then only its process distinguishes a server that is
        // starting from one that has stopped.
        let gaveUp =
            finished.ending != .exited(0) && Clock.monotonic - began > 800_000_000
            && !finished.errors.contains("could not start server")
        while try gaveUp && !isRunning() && !words().dropFirst(logged).contains("FATAL") && isAlive() {
            guard Clock.monotonic - began < ServerProcess.longestStart else {
                throw Problem(
                    "the server on \"\(dataDirectory.path)\" has been starting for "
                        + "\(ServerProcess.longestStart / 1_000_000_000) seconds, and wrote no postmaster.pid",
                    detail: try DirectoryProcesses(dataDirectory.path).find().first?.sentence)
            }
            Clock.sleep(milliseconds: 50)
        }
        guard try finished.ending == .exited(0) || isRunning() || words().count > logged else {
            throw Problem("could not start the server on \"\(dataDirectory.path)\"", detail: sentence(finished.errors))
        }
    }

    /// Whether `pg_ctl` starts a server on a directory of this name: it hands the name to a shell in quotation marks
    /// that let a shell run what is in it (`start_postmaster`, src/bin/pg_ctl/pg_ctl.c).
    public static func isSafeName(_ path: String) -> Bool {
        !path.unicodeScalars.contains { "\"$`\\".unicodeScalars.contains($0) }
    }

    /// - Throws: `Problem` for a name that must not be handed to `pg_ctl`.
    public static func checkName(_ path: String) throws {
        guard !isSafeName(path) else { return }
        throw Problem(
            "cannot start a server on \"\(path)\"",
            detail: "pg_ctl passes the name to a shell, which would interpret \", $, ` or \\ in it.",
            hint: "Name a directory without these characters, or start the server without pg_ctl.")
    }

    /// Nothing but a machine that hangs takes that long, in nanoseconds.
    private static let longestStart: UInt64 = 600_000_000_000

    private var ownDirectory: String { "data_directory=\(dataDirectory.path)" }

    /// The content of the log file, in which a server that fails at its start explains why.
    private func words() -> String { (try? Files.readText(logFile)) ?? "" }

    /// Stops the server if it runs, with mode `fast`, `smart` or `immediate`.
    public func stop(mode: String = "fast") throws {
        guard try dataDirectory.runningServer() != nil else { return }
        let finished = try run(
            binDirectory + "/pg_ctl", ["-D", dataDirectory.path, "-m", mode, "-w", "-t", "600", "-s", "stop"],
            environment: ServerEnvironment.own)
        guard finished.ending == .exited(0) else {
            throw Problem("could not stop the server on \"\(dataDirectory.path)\"", detail: sentence(finished.errors))
        }
    }

    public func isRunning() throws -> Bool { try dataDirectory.runningServer() != nil }

    /// Whether there is any process of a server on this directory, or one that is about to start it.
    public func isAlive() throws -> Bool { try !DirectoryProcesses(dataDirectory.path).find().isEmpty }

    /// The segment that the startup process is replaying, from its title (`startup recovering
    /// 0000000100000000000000A5`); nil when there is no startup process, or no title.
    public func replayedSegment() throws -> String? {
        try startupProcess()?.title.split { $0 == " " || $0 == "\0" }.first {
            $0.utf8.count == 24 && UInt64($0.suffix(16), radix: 16) != nil
        }
        .map(String.init)
    }

    /// The startup process: its title, and the command lines of the programs that it waits for.
    public func startupProcess() throws -> (title: String, commands: [String])? {
        guard let postmaster = try dataDirectory.runningServer()?.process else { return nil }
        for child in ServerProcess.children(of: "\(postmaster)") {
            guard let title = try? Files.readText("/proc/\(child)/cmdline"), title.contains("startup") else {
                continue
            }
            let commands = ServerProcess.children(of: child).compactMap { try? Files.readText("/proc/\($0)/cmdline") }
            return (title, commands.map { $0.split(separator: "\0").joined(separator: " ") })
        }
        return nil
    }

    private static func children(of process: String) -> [String] {
        let text = try? Files.readText("/proc/\(process)/task/\(process)/children")
        return (text ?? "").split(separator: " ").map(String.init)
    }

    /// The server's log so far: the log file, and the logging collector's current one.
    public func log() -> String {
        var text = words()
        if let current = try? Files.readText(dataDirectory.path + "/current_logfiles") {
            for line in current.split(separator: "\n") where line.hasPrefix("stderr ") {
                let name = String(line.dropFirst(7))
                text += (try? Files.readText(name.hasPrefix("/") ? name : dataDirectory.path + "/" + name)) ?? ""
            }
        }
        return text
    }

    /// Checks that the server programs exist and are of a major version.
    ///
    /// - Throws: `WrongPrograms`, `Problem` when they can't be run.
    public static func checkPrograms(in binDirectory: String, of wanted: Int) throws {
        let program = binDirectory + "/postgres"
        let found = try? run(program, ["--version"], environment: ServerEnvironment.own)
        guard let found, found.ending == .exited(0) else {
            throw Problem(
                "could not run \"\(program)\"", detail: found.map { sentence($0.errors) },
                hint: "\"bin_directory\" must name the directory of PostgreSQL's server programs.")
        }
        // `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`, `18beta1` before a release.
        let number = found.output.split(separator: " ").first { $0.first?.isNumber == true } ?? ""
        let major = Int(number.prefix { $0.isNumber })
        guard major == wanted else {
            throw WrongPrograms(binDirectory: binDirectory, found: String(number), wanted: wanted)
        }
    }
}

/// The server programs are of another major version than the data directory.
public struct WrongPrograms: Explained, Equatable {
    public let binDirectory: String
    public let found: String
    public let wanted: Int
    public var message: String { "the server programs in \"\(binDirectory)\" cannot run this data directory" }
    public var detail: String? { "They are of PostgreSQL \(found); the data directory is of PostgreSQL \(wanted)." }
    public var hint: String? { "Name the right directory with --bin-directory or \"bin_directory\"." }
}

private func sentence(_ text: String) -> String {
    text.split(separator: "\n").joined(separator: " ")
}
