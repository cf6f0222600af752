import Glibc
import Notifications
import Platform

extension PermissionFinding {
    /// Files and directories that are open to other users.
    ///
    /// - Parameters:
    ///   - repository: nil for one that lies in no directory of this host.
    ///   - dataDirectory: its owner, who archives, may own the repository and the state directory.
    ///   - secrets: files that hold one, by the setting that names them.
    public static func find(
        repository: String?, stateDirectory: String, configuration: String, dataDirectory: String? = nil,
        secrets: [(setting: String, path: String)]
    ) -> [PermissionFinding] {
        var findings: [PermissionFinding] = []
        func add(_ isCritical: Bool, _ problem: String, _ remedy: String) {
            findings.append(PermissionFinding(isCritical, problem, remedy: remedy))
        }
        if let repository, let status = try? FileStatus(of: repository) {
            if status.mode & 0o002 != 0 {
                add(
                    true, "Everybody may write to repository \"\(repository)\".",
                    "chmod 0750 \(shellQuoted(repository))")
            } else if status.mode & 0o005 != 0 {
                add(
                    false, "Everybody may read repository \"\(repository)\", and with it the whole database.",
                    "chmod 0750 \(shellQuoted(repository))")
            }
        }
        if let status = try? FileStatus(of: stateDirectory), status.mode & 0o002 != 0 {
            add(
                true, "Everybody may write to state directory \"\(stateDirectory)\".",
                "chmod 0750 \(shellQuoted(stateDirectory))")
        }
        let trusted: Set<uid_t> = [0, geteuid()]
        let server = dataDirectory.flatMap { try? FileStatus(of: $0) }?.owner
        let users = trusted.union(server.map { [$0] } ?? [])
        for case (let name, let place?) in [("repository", repository), ("state directory", stateDirectory)] {
            let open = OpenPlaces(below: place, owners: users)
            if let first = open.firstForeign {
                let more = open.foreignCount > 1 ? ", and \(open.foreignCount - 1) more places in it" : ""
                let owner = dataDirectory.map { "--reference=\(shellQuoted($0))" } ?? "\(geteuid())"
                add(
                    true,
                    first == place
                        ? "The \(name) \"\(first)\"\(more.isEmpty ? " belongs" : "\(more), belong") to another user, who may change it."
                        : "\"\(first)\" in the \(name)\(more.isEmpty ? " belongs" : "\(more), belong") to another user, who may change it.",
                    "chown -R \(owner) \(shellQuoted(place))")
            }
            if let first = open.first {
                let more =
                    open.count > 1 ? ", and to \(open.count - 1) more place\(open.count == 2 ? "" : "s") in it" : ""
                add(
                    true, "Everybody may write to \"\(first)\" in the \(name)\(more).",
                    "chmod -R o-w \(shellQuoted(place))")
            }
        }
        if let status = try? FileStatus(of: configuration) {
            if !trusted.contains(status.owner) {
                let owner =
                    getpwuid(status.owner).map { "\"\(String(cString: $0.pointee.pw_name))\"" } ?? "\(status.owner)"
                add(
                    true, "\"\(configuration)\", which names programs that are run, belongs to user \(owner).",
                    "chown root \(shellQuoted(configuration))")
            }
            if status.mode & 0o002 != 0 {
                add(
                    true, "Everybody may change \"\(configuration)\", which names programs that are run.",
                    "chmod 0644 \(shellQuoted(configuration))")
            } else if status.mode & 0o020 != 0, status.group != 0 {
                add(false, "A group may change \"\(configuration)\".", "chmod 0644 \(shellQuoted(configuration))")
            }
        }
        for place in [repository, stateDirectory, configuration].compactMap(\.self) {
            let owners = place == configuration ? trusted : users
            guard let parent = PermissionFinding.openParent(of: place, owners: owners),
                !findings.contains(where: { $0.problem.contains("\"\(parent.path)\"") })
            else { continue }
            let remedy = parent.isForeign ? "chown root" : "chmod o-w"
            add(
                true,
                parent.isForeign
                    ? "Directory \"\(parent.path)\" belongs to another user, who can replace \"\(place)\" in it."
                    : "Everybody may write to directory \"\(parent.path)\", and replace \"\(place)\" in it.",
                "\(remedy) \(shellQuoted(parent.path))")
        }
        for secret in secrets {
            do throws(SystemError) {
                if let problem = try Secret.objection(to: secret.path) {
                    add(true, "\(secret.setting): \(problem.message).", "chmod 0600 \(shellQuoted(secret.path))")
                }
            } catch {
                add(true, "\(secret.setting): \(error.message).", "ls -l \(shellQuoted(secret.path))")
            }
        }
        return findings
    }
}
