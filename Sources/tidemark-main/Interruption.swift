import Glibc
import Platform
import Recovery

/// From here on SIGINT, SIGTERM and SIGHUP run `body` once, on a thread of its own, and then end the command; except those
/// that whoever started the command wants ignored, as nohup(1) does.
func onInterruption(_ body: @escaping @Sendable () -> Void) throws {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] where !isIgnored(signal) { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    _ = try Worker { [signals] in
        var caught: Int32 = 0
        var waited = signals
        while sigwait(&waited, &caught) != 0 {}
        body()
        _exit(ExitStatus.interrupted.rawValue)
    }
}

private func isIgnored(_ signal: Int32) -> Bool {
    var action = sigaction()
    guard sigaction(signal, nil, &action) == 0 else { return false }
    // SIG_IGN is the address 1.
    return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == 1
}

/// From here on an interrupted command takes its scratch cluster along before it ends.
func removeScratchOnSignals() throws {
    try onInterruption { ScratchDirectory.removeOwn() }
}
