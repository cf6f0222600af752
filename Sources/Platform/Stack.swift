import CLinux

/// Calls `body`, whatever limit is set for the stack (`ulimit -s`).
public func withEnoughStack(_ body: @convention(c) () -> Void) { clinux_with_enough_stack(body) }
