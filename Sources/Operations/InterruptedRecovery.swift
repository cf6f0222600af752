import Archiving
public import Configuration
import DataDirectory
import Platform
public import Recovery

/// A recovery that was interrupted, as it was found: who looks at it, and asks a person, doesn't hold it.
public struct InterruptedRecovery: Sendable {
    public let state: RecoveryState
    private let cluster: ClusterConfiguration

    /// - Parameter mapped: directories that tablespaces are to go to.
    /// - Throws: `NestedPlaces`; `RecoveryInProgress`; `Problem` when no recovery into that directory was interrupted.
    public init(into directory: String, mapped: [String] = [], of cluster: ClusterConfiguration) throws {
        try cluster.places.check(recovery: directory, mapped: mapped)
        // Whoever works on it is known before anything is looked at; it is given back at once.
        _ = try RecoveryClaim(directory, in: cluster.state)
        guard let state = try RecoveryState(of: directory, in: cluster.state) else {
            throw Problem(
                "no recovery into \"\(directory)\" was interrupted",
                hint: "Name the directory with --data-directory, or start a recovery with a target.")
        }
        (self.state, self.cluster) = (state, cluster)
    }

    /// The right to continue it.
    /// - Throws: `RecoveryInProgress`; `Problem` when somebody else has continued or ended it meanwhile.
    func claim() throws -> RecoveryClaim {
        let claim = try RecoveryClaim(state.directory, in: cluster.state)
        guard try RecoveryState(of: state.directory, in: cluster.state) == state else {
            throw Problem(
                "the recovery into \"\(state.directory)\" has changed since it was examined",
                detail: "Somebody else has continued or ended it in the meantime.",
                hint: "Examine the directory, and run the command again if the recovery is still unfinished.")
        }
        return claim
    }
}
