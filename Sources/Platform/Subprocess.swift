import CLinux
import Glibc

/// The result of a finished program.
public struct Finished: Sendable {
    public enum TerminationStatus: Equatable, Sendable {
        case exited(Int32)
        case signalled(Int32)

        /// - Parameter status: as waitpid(2) returns it for a process that has ended.
        public init(waitStatus status: Int32) {
            let signal = status & 0x7F
            self = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
        }
    }
    public let ending: TerminationStatus
    public let output: String
    public let errors: String
}

/// Runs a program to its end without a shell; returns its output.
///
/// Both pipes are drained with poll(2): a program that fills one while the
/// caller waits on the other would never finish.  They are close-on-exec from
/// birth: a child started meanwhile by another thread must not hold them open.
///
/// - Parameter deadline: in nanoseconds of the monotonic clock; the program's process group is killed then.
public func run(
    _ program: String, _ arguments: [String], environment: [String: String]? = nil, until deadline: UInt64? = nil
) throws(SystemError) -> Finished {
    var (outEnds, errorEnds): ([Int32], [Int32]) = ([-1, -1], [-1, -1])
    _ = try retrying(.pipe, program) { clinux_pipe(&outEnds) }
    let out = Descriptor(adopting: outEnds[0])
    let outFar = Descriptor(adopting: outEnds[1])
    _ = try retrying(.pipe, program) { clinux_pipe(&errorEnds) }
    let err = Descriptor(adopting: errorEnds[0])
    let errFar = Descriptor(adopting: errorEnds[1])
    // In a process group of its own, so that Ctrl-C reaches only this process, which then ends the program.
    let child = try spawn(
        program, [program] + arguments, environment: environment.map { $0.map { ($0.key, $0.value) } },
        output: outFar.raw, errors: errFar.raw, in: .groupOfItsOwn)
    try outFar.close(path: "pipe")
    try errFar.close(path: "pipe")

    var outBytes: [UInt8] = []
    var errBytes: [UInt8] = []
    var watched = [
        pollfd(fd: out.raw, events: Int16(POLLIN), revents: 0), pollfd(fd: err.raw, events: Int16(POLLIN), revents: 0),
    ]
    while watched.contains(where: { $0.fd >= 0 }) {
        let left = deadline.map { $0 > Clock.monotonic ? Int32(clamping: ($0 - Clock.monotonic) / 1_000_000 + 1) : 0 }
        let ready = try retrying(.wait, program) { poll(&watched, 2, left ?? -1) }
        // A program that doesn't stop writing has exceeded its time, too.
        if ready == 0 || left == 0 {
            kill(-child, SIGKILL)
            break
        }
        for (index, watch) in watched.enumerated() where watch.fd >= 0 && watch.revents != 0 {
            let chunk = try readSome(watch.fd, program)
            if chunk.isEmpty { watched[index].fd = -1 }
            if index == 0 { outBytes += chunk } else { errBytes += chunk }
        }
    }
    var status: Int32 = 0
    _ = try retrying(.wait, program) { waitpid(child, &status, 0) }
    return Finished(
        ending: Finished.TerminationStatus(waitStatus: status),
        output: String(decoding: outBytes, as: UTF8.self), errors: String(decoding: errBytes, as: UTF8.self))
}

private func readSome(_ raw: Int32, _ subject: String) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let chunk = [UInt8](unsafeUninitializedCapacity: 16 << 10) { buffer, count in
        do throws(SystemError) {
            count = try retrying(.read, subject) { Glibc.read(raw, buffer.baseAddress!, buffer.count) }
        } catch { failure = error }
    }
    if let failure { throw failure }
    return chunk
}
