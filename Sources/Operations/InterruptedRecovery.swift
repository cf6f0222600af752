import Archiving
public import Configuration
import DataDirectory
import Platform
public import Recovery

/// An interrupted recovery, as it was found; not locked while the user is asked.
public struct InterruptedRecovery: Sendable {
    public let state: RecoveryState
    private let cluster: ClusterConfiguration

    /// - Parameter mapped: the directories for tablespaces.
    /// - Throws: `NestedPlaces`; `RecoveryInProgress`; `Problem` when no recovery into that directory was interrupted.
    public init(into directory: String, mapped: [String] = [], of cluster: ClusterConfiguration) throws {
        try cluster.places.check(recovery: directory, mapped: mapped)
        // Fails if another process is working on it; released at once.
        _ = try RecoveryClaim(directory, in: cluster.state)
        let found: RecoveryState?
        do { found = try RecoveryState(of: directory, in: cluster.state) } catch let error as SystemError {
            throw Problem(
                "it is not known whether a recovery into \"\(directory)\" was interrupted: \(error.message)",
                hint:
                    "If its state directory is another one, name that with --state-directory; or start a recovery with a target."
            )
        }
        guard let state = found else {
            throw Problem(
                "no recovery into \"\(directory)\" was interrupted",
                hint: "Name the directory with --data-directory, or start a recovery with a target.")
        }
        (self.state, self.cluster) = (state, cluster)
    }

    /// The right to continue it.
    /// - Throws: `RecoveryInProgress`; `Problem` when another process has continued or ended it meanwhile.
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
