import DataDirectory
import Glibc
import Platform
import Postgres
import Support
import Testing

@testable import Recovery

/// A process at work in a directory, and how it reacts to signals.
struct EndedProcess: Sendable, CustomTestStringConvertible {
    let testDescription: String
    /// The process's name; a server gets a request to stop first.
    let name: String
    /// Its reaction to that request, as a value of Perl's `$SIG`. A shell can't trap a signal that was ignored when it
    /// began, and a suite in the background ignores SIGQUIT.
    let trap: String
    /// How long the request has to work, in milliseconds.
    var asking: Int64 = 1000
    /// Whether signals reach it; they don't reach a process that waits for a disk.
    var isReached = true
    let signals: Set<Int32>

    static let all = [
        EndedProcess(
            testDescription: "a server that ends when asked", name: "postgres", trap: "sub { exit 0 }",
            asking: 300_000, signals: [SIGQUIT]),
        EndedProcess(
            testDescription: "a server that does not", name: "postgres", trap: "'IGNORE'",
            signals: [SIGQUIT, SIGKILL]),
        EndedProcess(testDescription: "another program", name: "tool", trap: "'DEFAULT'", signals: [SIGKILL]),
        EndedProcess(
            testDescription: "one that hears nothing", name: "postgres", trap: "'DEFAULT'", isReached: false,
            signals: [SIGQUIT, SIGKILL]),
    ]
}

@Suite struct ScratchProcessesTests {
    @Test(arguments: EndedProcess.all)
    func `a server is asked, then killed, and at last given up with what it waits for`(
        _ sample: EndedProcess
    ) throws {
        let scratch = try Scratch()
        let data = scratch.file("data")
        try Files.makeDirectories(data)
        let program = scratch.file(sample.name)
        try createDurably(
            program,
            bytes: Array(
                """
                #!/usr/bin/perl
                chdir '\(data)'; $SIG{QUIT} = \(sample.trap);
                open(my $file, '>', 'began'); close($file);
                sleep 1 while 1;

                """.utf8),
            mode: 0o755)
        chmod(program, 0o755)
        try startDetached(program, [])
        try wait(for: "the process") { access(data + "/began", F_OK) == 0 }
        let all = try DirectoryProcesses(data).find()
        let found = try #require(all.first { one in !all.contains { $0.process == one.parent } })
        #expect(found.isServer == (sample.name == "postgres"))
        let sent = Monitor<Set<Int32>>([])
        func end() throws {
            try ScratchProcesses(data).end(asking: sample.asking, limit: sample.isReached ? 600_000 : 2000) {
                process, signal in
                if process == found.process { sent.update { _ = $0.insert(signal) } }
                if sample.isReached { kill(process, signal) }
            }
        }
        if sample.isReached {
            try end()
            #expect(try DirectoryProcesses(data).find().isEmpty)
        } else {
            let given = try #require(#expect(throws: Problem.self) { try end() })
            #expect(given.message.hasPrefix("could not end process "), "\(given)")
            #expect(given.detail?.wholeMatch(of: /It is in state [SRD].*\./) != nil, "\(given)")
            try ScratchProcesses(data).end()
        }
        #expect(sent.update { $0 } == sample.signals)
    }
}
