import Glibc
import Platform
import Synchronization

/// The commands that messages have offered to the tests of this process, and those of them that a test executed, by
/// their places in the sources. Each is added to `.build/test-offers/<process>.txt`, which Tests/offers reads after the
/// last test: a command counts as executed when it was printed, and then run word for word, perhaps with more options.
public enum Offers {
    private struct State {
        var count = 0
        /// Printed commands that were not executed yet, the newest last, by place.
        var printed: [String: [String]] = [:]
        var executed: Set<String> = []
    }
    private static let state = Mutex(State())

    /// For the offers of one run.
    static func newFile() throws -> String {
        let number = state.withLock { state in
            state.count += 1
            return state.count
        }
        return try "\(directory.get())/\(number)"
    }

    private static let directory: Result<String, any Error> = Result {
        let directory = try TestPlace.make("offers")
        atexit { if case .success(let path) = Offers.directory { try? Files.removeTree(path) } }
        return directory
    }

    /// Remembers what a run has offered.
    /// - Parameter said: all that it printed.
    static func note(_ path: String, said: String) {
        guard access(path, F_OK) == 0, let text = try? Files.readText(path) else { return }
        unlink(path)
        let said = said + said.replacing("\\\\", with: "\\").replacing("\\\"", with: "\"")
        for line in Set(text.split(separator: "\n")) {
            let parts = line.split(separator: "\t", maxSplits: 1).map(String.init)
            guard parts.count == 2, said.contains(parts[1]) else { continue }
            let isNew = state.withLock { state in
                let isFirst = state.printed[parts[0]] == nil
                // The last few of each place: a test executes what it has just read.
                state.printed[parts[0]] = (state.printed[parts[0]] ?? []).suffix(30) + [parts[1]]
                return isFirst
            }
            if isNew { add("printed", parts[0]) }
        }
    }

    /// Compares what is about to run with what was offered.
    static func execute(_ words: [String]) {
        let text = words.joined(separator: " ")
        let found = state.withLock { state in
            let found = state.printed.filter { place, commands in
                !state.executed.contains(place) && commands.contains { isExecuted($0, by: text) }
            }.keys
            state.executed.formUnion(found)
            return Array(found)
        }
        for place in found { add("executed", place) }
    }

    /// `PATH` stands for what the user knows.
    private static func isExecuted(_ command: String, by text: String) -> Bool {
        command.dropFirst("tidemark ".count).split(separator: "PATH").allSatisfy { text.contains($0) }
    }

    private static func add(_ what: String, _ place: String) {
        let folder = Files.parent(Files.parent(Files.parent(#filePath))) + "/.build/test-offers"
        try? Files.makeDirectories(folder)
        let file = open("\(folder)/\(getpid()).txt", O_WRONLY | O_CREAT | O_APPEND, 0o644)
        guard file >= 0 else { return }
        var line = "\(what) \(place)\n"
        _ = line.withUTF8 { write(file, $0.baseAddress, $0.count) }
        close(file)
    }
}
