public import Glibc
public import Platform

/// The processes of a server on a data directory: those whose working directory it is, which is true for every server
/// process and its children; and those that are about to start a server on it. Found in /proc, even without a
/// postmaster.pid.
public struct DirectoryProcesses {
    private let data: String
    private let place: FileStatus?

    /// - Parameter data: as passed to pg_ctl.
    public init(_ data: String) throws(SystemError) {
        self.data = data
        place = try FileStatus(ifPresent: data)
    }

    public struct Member: Sendable {
        public let process: pid_t
        public let parent: pid_t
        /// A letter, as in proc(5): R runs, S sleeps, D can't be interrupted, T was stopped.
        public let state: String
        public let isServer: Bool

        /// What the process is doing, as far as the kernel shows it: a sentence.
        public var sentence: String {
            func read(_ file: String) -> String? {
                let text = try? Files.readText("/proc/\(process)/\(file)", limit: 1 << 12)
                // Without permission the file is empty, or has a zero.
                return text.flatMap { $0.split(whereSeparator: \.isWhitespace).first }.map(String.init)
                    .flatMap { $0 == "0" ? nil : $0 }
            }
            return "It is in state \(state)" + (state == "D" ? ", which no signal ends" : "")
                + (read("wchan").map { ", in the kernel's \($0)" } ?? "")
                + (read("syscall").map { ", in system call \($0)" } ?? "") + "."
        }
    }

    /// This user's processes; for root all of them. Without zombies and this process itself.
    public func find() throws -> [Member] {
        let user = geteuid()
        return try Files.list("/proc").compactMap { name in
            guard let process = pid_t(name), process != getpid(), let status = try? FileStatus(of: "/proc/" + name),
                status.owner == user || user == 0
            else { return nil }
            guard isPlace("/proc/\(name)/cwd") || isAbout("/proc/\(name)/cmdline") else { return nil }
            return DirectoryProcesses.member(process)
        }
    }

    /// The working directories of the servers that can be seen here, by real path: their data directories.
    public static func servedDirectories() throws(SystemError) -> Set<String> {
        var found: Set<String> = []
        for name in try Files.list("/proc") {
            guard let process = pid_t(name), member(process)?.isServer == true,
                let directory = try? Files.readLink("/proc/\(name)/cwd")
            else { continue }
            found.insert(directory)
        }
        return found
    }

    private static func member(_ process: pid_t) -> Member? {
        // The name in parentheses may contain anything.
        guard let text = try? Files.readText("/proc/\(process)/stat", limit: 1 << 12),
            let end = text.lastIndex(of: ")")
        else { return nil }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 1, fields[0] != "Z" else { return nil }
        return Member(
            process: process, parent: pid_t(fields[1]) ?? 0, state: String(fields[0]),
            isServer: text[..<end].hasSuffix("(postgres"))
    }

    private func isPlace(_ link: String) -> Bool {
        guard let place, let its = try? FileStatus(of: link) else { return false }
        return its.isSame(as: place)
    }

    /// `pg_ctl -D …`, `postgres -D …`, and the shell in between, which is given `exec "…/postgres" -D "…"`.
    private func isAbout(_ commandLine: String) -> Bool {
        guard let text = try? Files.readText(commandLine, limit: 1 << 20), text.contains(data) else { return false }
        let words = text.split(separator: "\0")
        return zip(words, words.dropFirst()).contains { $0 == "-D" && $1 == data }
            || words.contains { $0.contains("-D \"\(data)\"") }
    }
}
