import Glibc
import Platform

extension PermissionFinding {
    /// What of these is open to people who have no business there.
    ///
    /// - Parameter secrets: files that hold one, by the setting that names them.
    public static func find(
        repository: String, stateDirectory: String, configuration: String, secrets: [(setting: String, path: String)]
    ) -> [PermissionFinding] {
        var findings: [PermissionFinding] = []
        func add(_ isCritical: Bool, _ problem: String, _ remedy: String) {
            findings.append(PermissionFinding(isCritical, problem, remedy: remedy))
        }
        if let status = try? FileStatus(of: repository) {
            if status.mode & 0o002 != 0 {
                add(true, "Everybody may write to repository \"\(repository)\".", "chmod 0750 \(repository)")
            } else if status.mode & 0o005 != 0 {
                add(
                    false, "Everybody may read repository \"\(repository)\", and with it the whole database.",
                    "chmod 0750 \(repository)")
            }
        }
        if let status = try? FileStatus(of: stateDirectory), status.mode & 0o002 != 0 {
            add(true, "Everybody may write to state directory \"\(stateDirectory)\".", "chmod 0750 \(stateDirectory)")
        }
        if let status = try? FileStatus(of: configuration) {
            if status.mode & 0o002 != 0 {
                add(
                    true, "Everybody may change \"\(configuration)\", which names programs that are run.",
                    "chmod 0644 \(configuration)")
            } else if status.mode & 0o020 != 0, status.group != 0 {
                add(false, "A group may change \"\(configuration)\".", "chmod 0644 \(configuration)")
            }
        }
        for secret in secrets {
            do throws(SystemError) {
                if let problem = try Secret.objection(to: secret.path) {
                    add(true, "\(secret.setting): \(problem.message).", "chmod 0600 \(secret.path)")
                }
            } catch {
                add(true, "\(secret.setting): \(error.message).", "ls -l \(secret.path)")
            }
        }
        return findings
    }
}
