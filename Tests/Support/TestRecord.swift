import Glibc
public import Platform
import Synchronization

// A static build of the sources, which compiles this too, has no Testing.
#if canImport(Testing)
    import Testing
#endif

/// What a test ran, the results, and its servers' logs, in `.build/test-record/<test>.txt`: `Tests/run` prints it when
/// the test fails, so that one run is enough to understand it.
public struct TestRecord: Sendable {
    /// Nil outside of a test: on a thread of the test's own.
    private let path: String?

    /// The record of the test that runs on this thread.
    public static var current: TestRecord {
        #if canImport(Testing)
            return TestRecord(path: Test.current.map { path(of: $0.displayName ?? $0.name) })
        #else
            return TestRecord(path: nil)
        #endif
    }

    /// Adds a command's result. One write each, since a test's cases run at the same time.
    public func add(
        _ program: String, _ arguments: [String], environment: [String: String], _ finished: Finished, took: Duration
    ) {
        let variables = environment.map { "\($0)=\($1) " }.sorted().joined()
        var text = "$ \(variables)\(([program] + arguments).joined(separator: " "))\n"
        text += "took \(Int(took / .milliseconds(1))) ms\n"
        if !finished.output.isEmpty { text += TestRecord.end(of: finished.output) }
        if !finished.errors.isEmpty { text += "stderr: " + TestRecord.end(of: finished.errors) }
        if finished.ending != .exited(0) { text += "\(finished.ending)\n" }
        append(text)
    }

    /// Adds the end of a server's log, if there is one.
    public func add(logFile: String) {
        guard path != nil, let text = try? Files.readText(logFile), !text.isEmpty else { return }
        append("--- \(logFile)\n\(TestRecord.end(of: text))---\n")
    }

    private func append(_ text: String) {
        guard let path else { return }
        let isFirst = TestRecord.begun.withLock { $0.insert(path).inserted }
        let file = open(path, O_WRONLY | O_CREAT | O_APPEND | (isFirst ? O_TRUNC : 0), 0o644)
        guard file >= 0 else { return }
        var text = text
        _ = text.withUTF8 { write(file, $0.baseAddress, $0.count) }
        close(file)
    }

    private static let begun = Mutex<Set<String>>([])

    private static let directory: String = {
        let root = Files.parent(Files.parent(Files.parent(#filePath)))
        try? Files.makeDirectories(root + "/.build/test-record")
        return root + "/.build/test-record"
    }()

    /// The file name that Tests/run derives from the test's name in the output.
    private static func path(of test: String) -> String {
        let name = test.utf8.prefix(150).map { byte in
            switch UInt8(byte) {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"):
                byte
            default: UInt8(ascii: "-")
            }
        }
        return "\(directory)/\(String(decoding: name, as: UTF8.self)).txt"
    }

    private static func end(of text: String) -> String {
        let most = 30_000
        let end = text.utf8.count > most ? "…" + String(decoding: text.utf8.suffix(most), as: UTF8.self) : text
        return end.hasSuffix("\n") ? end : end + "\n"
    }
}

/// Where servers that were started with `pg_ctl -l` log, by data directory.
let serverLogs = Mutex<[String: String]>([:])
