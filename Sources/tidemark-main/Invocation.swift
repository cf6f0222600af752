import Archiving
import Configuration
import DataDirectory
import Documents
import Glibc
import Operations
import Platform
import Synchronization

/// One call of one command: what was typed, what is configured, and where to print.
struct Invocation {
    let arguments: Arguments
    let log: Log
    let terminal = Terminal()
    /// What the job's record is to remember.
    var notes = JobNotes()

    /// The configuration with the flags' settings in it.
    func configuration() throws -> Configuration {
        try Configuration(reading: Configuration.path(flag: arguments.value("config")), flags: arguments.settings)
    }

    /// The cluster the command is about. Root becomes the cluster's owner first, so that nothing tidemark makes ends up
    /// belonging to root.
    func cluster(becomeOwner: Bool = true) throws -> ClusterConfiguration {
        let cluster = try configuration().cluster(named: arguments.value("cluster"))
        if becomeOwner { try Ownership.become(ownerFor: cluster) }
        return cluster
    }

    /// As `cluster`, for a command that writes into one of its places: they must lie apart.
    func clusterWithPlacesApart(becomeOwner: Bool = true) throws -> ClusterConfiguration {
        let cluster = try cluster(becomeOwner: becomeOwner)
        try cluster.places.check()
        return cluster
    }

    /// The path of the configuration in use, absolute, for settings that name it.
    func configurationPath() throws -> String { try absolutePath(Configuration.path(flag: arguments.value("config"))) }

    var json: Bool { arguments.has("json") }

    /// Results go to standard output, in one write each, after the line of progress has ended.
    ///
    /// - Parameter hasColours: the text has control sequences of ours, and none of anybody else's.
    func print(_ text: String, hasColours: Bool = false) {
        terminal.finishProgress()
        let text = withoutSecrets(text)
        writeToStandardOutput((hasColours ? text : printable(text, keepingLines: true)) + "\n")
    }

    func print(json value: some Encodable) throws {
        terminal.finishProgress()
        writeToStandardOutput(withoutSecrets(String(decoding: try encodeJSON(value), as: UTF8.self)) + "\n")
    }

    /// Asks a yes-or-no question; `--yes` answers it, and so does nobody when there is no terminal: then it is refused.
    func confirm(_ question: String) throws -> Bool {
        try confirm(question + " [y/N] ") { ["y", "yes"].contains($0.lowercased()) }
    }

    /// As `confirm`, for what shouldn't happen by a hasty key: the answer must be `word`, and `question` says so.
    func confirm(_ question: String, byTyping word: String) throws -> Bool { try confirm(question) { $0 == word } }

    private func confirm(_ prompt: String, isYes: (String) -> Bool) throws -> Bool {
        if arguments.has("yes") { return true }
        guard isatty(0) == 1 else {
            throw Problem("cannot ask for confirmation without a terminal", hint: "Add --yes.")
        }
        terminal.finishProgress()
        writeToStandardOutput(printable(prompt, keepingLines: true))
        return readLine(strippingNewline: true).map(isYes) ?? false
    }
}

/// `path` with the current directory in front when it is relative.
func absolutePath(_ path: String) throws -> String {
    if path.hasPrefix("/") { return path }
    guard let here = getcwd(nil, 0) else { throw SystemError(.openDirectory, ".") }
    defer { free(here) }
    return String(cString: here) + "/" + path
}

extension Invocation {
    /// Puts a result into a file, for whoever looks there, in the place of an older one.
    func write(_ text: String, to file: String, of cluster: ClusterConfiguration) throws {
        let path = try cluster.places.resultFile(absolutePath(file), configuration: configurationPath())
        _ = try? removeStaleTemporaries(in: Files.parent(path))
        try replaceDurably(path, bytes: Array(text.utf8), mode: 0o644)
    }
}

/// Why results didn't arrive where standard output leads.
let outputFailure = Mutex<SystemError?>(nil)

/// Writes all of it, or remembers why that wasn't possible.
func writeToStandardOutput(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        var written = 0
        while written < bytes.count {
            let count = write(1, bytes.baseAddress! + written, bytes.count - written)
            if count < 0 && errno == EINTR { continue }
            if count < 0 {
                // Nobody reads any more (`tidemark list | head`): that is no failure of ours. A full disk is.
                if errno != EPIPE { outputFailure.withLock { $0 = $0 ?? SystemError(.write, "standard output") } }
                return
            }
            written += count
        }
    }
}
