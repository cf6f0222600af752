import Glibc
import Platform
import Support
import Testing
import WAL

/// `archive-get` and `archive-push` while each of their system calls fails in turn, including those of the language's
/// runtime and the C library: strace(1) makes them fail in the kernel's place.
@Suite struct EveryCallServerTests {
    /// The names of the calls, and how often each is made.
    private func calls(_ command: [String], _ archive: Archive) throws -> [(name: String, count: Int)] {
        let log = archive.scratch.file("calls")
        try traced(["-o", log], command)
        var counts: [String: Int] = [:]
        for line in try Files.readText(log).split(separator: "\n") {
            guard let end = line.firstIndex(of: "("), line.first?.isLetter == true else { continue }
            counts[String(line[..<end]), default: 0] += 1
        }
        // Calls that begin and end the process can't be made to fail in it; and the kernel never fails a futex this
        // way, for which the C library calls abort().
        for name in ["execve", "exit_group", "exit", "futex"] { counts[name] = nil }
        return counts.map { ($0.key, $0.value) }.sorted { $0.name < $1.name }
    }

    @discardableResult
    private func traced(_ options: [String], _ command: [String]) throws -> Finished {
        // A server's environment lacks this variable.
        try runAsServerUser(
            "/usr/bin/env",
            ["-u", "SWIFT_BACKTRACE", "/usr/bin/strace", "-qq"] + options + [Executables.tidemark()] + command,
            expectSuccess: false)
    }

    private func eachFailure(
        of command: [String], _ archive: Archive, errors: [String], _ judge: (Finished, String) throws -> Void
    ) throws {
        let calls = try calls(command, archive)
        #expect(calls.contains { $0.name == "openat" } && calls.map(\.count).reduce(0, +) > 30, "\(calls)")
        for error in errors {
            for (name, count) in calls {
                for number in 1...count {
                    let fault = "inject=\(name):error=\(error):when=\(number)"
                    try judge(traced(["-o", "/dev/null", "-e", fault], command), fault)
                }
            }
        }
    }

    private var errors: [String] {
        getenv("TIDEMARK_SOAK") == nil ? ["EIO"] : ["EIO", "ENFILE", "EINTR", "ENOENT", "ENOMEM"]
    }

    @Test func `archive-get delivers, or fails so that PostgreSQL stops, whichever call fails`() throws {
        let archive = try Archive()
        let name = archive.origin.segments[0].description
        try archive.push(archive.origin.wal(name), expectSuccess: true)
        let content = try Files.read(archive.origin.wal(name))
        let destination = archive.scratch.file("fetched")
        let command = ["archive-get", "--config", archive.configuration, name, destination]
        try eachFailure(of: command, archive, errors: errors) { finished, fault in
            switch finished.ending {
            case .exited(0): #expect(try Files.read(destination) == content, "\(fault) \(finished.errors)")
            // PostgreSQL takes a status above 125 as a reason to stop (wait_result_is_any_signal,
            // src/common/wait_error.c).
            case .exited(126...), .signalled: break
            case .exited: Issue.record("\(fault): \(finished.ending) \(finished.output) \(finished.errors)")
            }
            if try Files.exists(destination) { try Files.remove(destination) }
        }
    }

    @Test func `archive-push stores, or fails so that PostgreSQL tries again, whichever call fails`() throws {
        let archive = try Archive()
        let segment = archive.origin.segments[0]
        let command = ["archive-push", "--config", archive.configuration, archive.origin.wal(segment.description)]
        let object = archive.path(segment)
        try eachFailure(of: command, archive, errors: errors) { finished, fault in
            switch finished.ending {
            case .exited(0): #expect(try Files.exists(object), "\(fault) \(finished.errors)")
            case .exited(1...125): break
            // Before main() begins tidemark can't keep the process alive.
            case .exited, .signalled:
                let isEarly = ["mprotect", "brk", "mmap", "arch_prctl", "set_tid_address", "set_robust_list", "rseq"]
                    .contains { fault.hasPrefix("inject=\($0):") }
                #expect(isEarly, "\(fault): \(finished.ending) \(finished.errors)")
            }
            if try Files.exists(object) { try Files.remove(object) }
        }
        try archive.push(archive.origin.wal(segment.description), expectSuccess: true)
    }
}
