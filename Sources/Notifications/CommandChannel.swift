import Glibc
import Platform

/// Runs a shell command with `input` on its standard input, and kills it and all its children after `timeout`
/// milliseconds. Its output is discarded, except the beginning of its standard error.
func runCommand(_ command: String, input: [UInt8], timeout: Int64, environment: [(String, String)]) throws
    -> (ending: Finished.TerminationStatus, errors: String)
{
    // Files, not pipes: a command that doesn't read, or leaves a child behind, doesn't block.
    let inputFile = try Descriptor(namelessIn: "/tmp")
    let errorFile = try Descriptor(namelessIn: "/tmp")
    try input.withUnsafeBytes { try inputFile.write($0, at: 0, path: "standard input") }

    var variables = environment
    var next = environ
    while let entry = next.pointee {
        let text = String(cString: entry)
        let name = text.prefix { $0 != "=" }
        // The command gets the message, not the secrets of other channels.
        if !name.hasPrefix("TIDEMARK_") { variables.append((String(name), String(text.dropFirst(name.count + 1)))) }
        next += 1
    }
    let child = try spawn(
        "/bin/sh", ["sh", "-c", command], environment: variables, input: inputFile.raw, errors: errorFile.raw,
        in: .sessionOfItsOwn)
    let start = Clock.monotonic
    var status: Int32 = 0
    var timedOut = false
    while try retrying(.wait, "sh", { waitpid(child, &status, WNOHANG) }) == 0 {
        if !timedOut && Clock.monotonic - start > UInt64(timeout) * 1_000_000 {
            timedOut = true
            kill(-child, SIGKILL)
        }
        Clock.sleep(milliseconds: 10)
    }
    if timedOut { throw Problem("the command did not end within \(timeout) ms") }
    var errors = [UInt8](repeating: 0, count: 1000)
    let count = try errors.withUnsafeMutableBytes { try errorFile.read(into: $0, at: 0, path: "standard error") }
    return (Finished.TerminationStatus(waitStatus: status), String(decoding: errors.prefix(count), as: UTF8.self))
}
