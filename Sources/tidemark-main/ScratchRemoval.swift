import Glibc
import Platform
import Recovery

/// From here on an interrupted command takes its scratch cluster along before it ends.
func removeScratchOnSignals() throws {
    var signals = sigset_t()
    sigemptyset(&signals)
    for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, signal) }
    pthread_sigmask(SIG_BLOCK, &signals, nil)
    _ = try Worker { [signals] in
        var caught: Int32 = 0
        var waited = signals
        while sigwait(&waited, &caught) != 0 {}
        ScratchDirectory.removeOwn()
        _exit(ExitStatus.interrupted.rawValue)
    }
}
