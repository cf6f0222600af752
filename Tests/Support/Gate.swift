import Glibc
public import Platform

/// Holds a process at a chosen call until the test opens the gate (`Fault`), so that the test can act at that point.
public final class Gate: Sendable {
    private let scratch: Scratch
    private let call: String

    /// - Parameter call: the call that waits, for example `write:60` or `open:postmaster.pid`.
    public init(at call: String) throws {
        scratch = try Scratch()
        self.call = call
    }

    /// For the process that is to be held.
    public var environment: [String: String] {
        // Of a server's own, in which there is no such call.
        call == "restore_command" ? [:] : ["TIDEMARK_FAULT": "\(call)=gate:\(scratch.file("gate"))"]
    }

    public var isReached: Bool { access(scratch.file("gate.reached"), F_OK) == 0 }

    /// Waits until a process has reached the gate.
    public func waitUntilReached() throws {
        try wait(for: "a process at the gate \(call)") { isReached }
    }

    /// Ends the `restore_command` that waits there, after its server has died.
    public func killWaitingCommand() throws {
        let text = try Files.readText(scratch.file("gate.reached"))
        if let process = pid_t(text.filter(\.isNumber)) { kill(process, SIGKILL) }
    }

    /// Opens the gate for this process and all later ones.
    public func open() throws { try createDurably(scratch.file("gate"), bytes: [], mode: 0o644) }

    /// Runs a program as the server's user and, once it has reached the gate, a shell script in which `$process` is its
    /// ID; then opens the gate. Returns how the program ended, and the output of both.
    public func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], meanwhile script: String
    ) throws -> Finished {
        let whole = """
            "$@" & process=$!
            until [ -e "$GATE.reached" ]; do
                kill -0 $process 2>/dev/null || { echo "It ended before it came to the gate." >&2; wait $process; exit; }
                sleep 0.05
            done
            \(script)
            touch "$GATE"
            wait $process
            """
        return try runAsServerUser(
            "/bin/bash", ["-c", whole, "bash", program] + arguments,
            environment: environment.merging(self.environment) { $1 }.merging(["GATE": scratch.file("gate")]) { $1 },
            expectSuccess: false)
    }

    /// A command for `restore_command` that runs `command` (`%f` and `%p` in it), but holds the calls after the first
    /// `free` ones at the gate.
    public func restoreCommand(_ command: String, after free: Int) throws -> String {
        let script = scratch.file("restore")
        try createDurably(
            script,
            bytes: Array(
                """
                #!/bin/sh
                echo >>\(scratch.file("calls"))
                if [ $(wc -l <\(scratch.file("calls"))) -gt \(free) ]; then
                    echo $$ >\(scratch.file("gate.reached"))
                    until [ -e \(scratch.file("gate")) ]; do sleep 0.05; done
                fi
                exec \(command.replacing("%f", with: "\"$1\"").replacing("%p", with: "\"$2\""))

                """.utf8), mode: 0o755)
        chmod(script, 0o755)
        return "\(script) %f %p"
    }
}
