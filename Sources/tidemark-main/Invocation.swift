import Archiving
import Configuration
import DataDirectory
import Documents
import Glibc
import Operations
import Platform
import Synchronization

/// One call of a command: its arguments, the configuration, and its output.
struct Invocation {
    let arguments: Arguments
    let log: Log
    let terminal = Terminal()
    /// Facts for the job's record.
    var notes = JobNotes()

    /// The configuration with the flags' settings in it.
    func configuration() throws -> Configuration {
        try Configuration(reading: Configuration.path(flag: arguments.value("config")), flags: arguments.settings)
    }

    /// The command's cluster.
    func cluster() throws -> ClusterConfiguration {
        try configuration().cluster(named: arguments.value("cluster"))
    }

    /// Makes root the owner of the command's cluster, so that nothing tidemark creates belongs to root.
    /// - Returns: the cluster.
    func becomeOwner() throws -> ClusterConfiguration {
        let cluster = try cluster()
        try Ownership.become(ownerFor: cluster)
        return cluster
    }

    /// As `becomeOwner`, for a command that writes into one of the cluster's directories: they must not be nested.
    func becomeOwnerWithPlacesApart() throws -> ClusterConfiguration {
        let cluster = try becomeOwner()
        try cluster.places.check()
        return cluster
    }

    /// The path of the configuration in use, absolute, for settings that name it.
    func configurationPath() throws -> String { try absolutePath(Configuration.path(flag: arguments.value("config"))) }

    var json: Bool { arguments.has("json") }

    /// Prints a result to standard output, in one write, after the progress line has ended.
    ///
    /// - Parameter hasColours: whether the text has tidemark's own control sequences, and no others.
    func print(_ text: String, hasColours: Bool = false) {
        terminal.finishProgress()
        let text = withoutSecrets(text)
        writeToStandardOutput((hasColours ? text : printable(text, keepingLines: true)) + "\n")
    }

    func print(json value: some Encodable) throws {
        terminal.finishProgress()
        writeToStandardOutput(withoutSecrets(String(decoding: try encodeJSON(value), as: UTF8.self)) + "\n")
    }

    /// Asks a yes-or-no question; `--yes` answers it.
    /// - Throws: `Problem` when there is no terminal.
    func confirm(_ question: String) throws -> Bool {
        try confirm(question + " [y/N] ") { ["y", "yes"].contains($0.lowercased()) }
    }

    /// As `confirm`, for destructive steps: the answer must be `word`, as `question` says.
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
    var here: UnsafeMutablePointer<CChar>?
    defer { free(here) }
    _ = try retrying(.openDirectory, ".") {
        here = getcwd(nil, 0)
        return here == nil ? -1 : 0
    }
    return here.map { String(cString: $0) + "/" + path } ?? path
}

extension Invocation {
    /// Puts a result into a file, for whoever looks there, in the place of an older one.
    func write(_ text: String, to file: String, of cluster: ClusterConfiguration) throws {
        let path = try cluster.places.resultFile(absolutePath(file), configuration: configurationPath())
        _ = try? removeStaleTemporaries(in: Files.parent(path))
        try replaceDurably(path, bytes: Array(text.utf8), mode: 0o644)
    }
}

/// Why results could not be written to standard output.
let outputFailure = Mutex<SystemError?>(nil)

/// Writes all of it, or records the error.
func writeToStandardOutput(_ text: String) {
    var text = text
    text.withUTF8 { bytes in
        var written = 0
        while written < bytes.count {
            do throws(SystemError) {
                written += try retrying(.write, "standard output") {
                    Glibc.write(1, bytes.baseAddress! + written, bytes.count - written)
                }
            } catch {
                // A closed pipe (`tidemark list | head`) is no failure. A full disk is.
                if error.code != EPIPE { outputFailure.withLock { $0 = $0 ?? error } }
                return
            }
        }
    }
}
