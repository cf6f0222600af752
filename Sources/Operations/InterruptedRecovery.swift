import Archiving
public import Configuration
import DataDirectory
import Platform
public import Recovery

/// A recovery that was interrupted, and that nobody else continues as long as this object lives.
public final class InterruptedRecovery: Sendable {
    let claim: RecoveryClaim
    public let state: RecoveryState

    /// - Parameter mapped: directories that tablespaces are to go to.
    /// - Throws: `NestedPlaces`; `RecoveryInProgress`; `Problem` when no recovery into that directory was interrupted.
    public init(into directory: String, mapped: [String] = [], of cluster: ClusterConfiguration) throws {
        try cluster.places.check(recovery: directory, mapped: mapped)
        claim = try RecoveryClaim(directory, in: cluster.state)
        guard let state = try RecoveryState(of: directory, in: cluster.state) else {
            throw Problem(
                "no recovery into \"\(directory)\" was interrupted",
                hint: "Name the directory with --data-directory, or start a recovery with a target.")
        }
        self.state = state
    }
}
