import Glibc
import Platform

/// Runs a program in the background as the server's user; `end` ends it and nothing else.
final class BackgroundProcess {
    private let pidFile: String
    let log: String

    /// - Parameter command: one simple command of the shell, which execs it.
    init(_ command: String, name: String, in directory: String, environment: [String: String] = [:]) throws {
        pidFile = "\(directory)/\(name).pid"
        log = "\(directory)/\(name).out"
        try Files.removeIfPresent(pidFile)
        let variables = environment.map { "\($0)='\($1)' " }.sorted().joined()
        let script = "cd '\(directory)' && echo $$ > '\(pidFile)' && \(variables)exec \(command) >> '\(log)' 2>&1"
        // runuser would stay as a parent; setpriv doesn't.
        if geteuid() == 0 {
            try startDetached(
                "/usr/bin/setpriv",
                ["--reuid=postgres", "--regid=postgres", "--init-groups", "/bin/sh", "-c", script])
        } else {
            try startDetached("/bin/sh", ["-c", script])
        }
        for _ in 0..<4800 {
            if let text = try? Files.readText(pidFile), text.hasSuffix("\n") { return }
            Clock.sleep(milliseconds: 25)
        }
        throw Problem("could not start \(name)", detail: try? Files.readText(log))
    }

    var pid: pid_t? { (try? Files.readText(pidFile)).flatMap { pid_t($0.dropLast()) } }

    /// A child that has ended is a zombie until it is waited for; so its state is read.
    var isRunning: Bool {
        guard let pid, let stat = try? Files.readText("/proc/\(pid)/stat") else { return false }
        return stat.split(separator: ")").last?.split(separator: " ").first != "Z"
    }

    func signal(_ number: Int32) { if let pid, isRunning { Glibc.kill(pid, number) } }

    /// Ends it and all processes of its session.
    func endGroup() {
        if let pid { kill(-pid, SIGKILL) }
        end()
    }

    func end(_ number: Int32 = SIGKILL) {
        signal(SIGCONT)
        signal(number)
        for _ in 0..<4800 {
            guard isRunning else { break }
            Clock.sleep(milliseconds: 25)
        }
        signal(SIGKILL)
        if let pid { waitpid(pid, nil, WNOHANG) }
    }
}
