extension TestCluster {
    /// ALTER SYSTEM and a reload. Returns once every process of the server uses the value: the postmaster reads its
    /// configuration, signals the others, and only then accepts a session that sees the new value. The archiver checks
    /// for the signal before each file.
    ///
    /// - Parameter value: as `SHOW` returns it.
    public func alterSystem(_ setting: String, _ value: String) throws {
        try psql("alter system set \(setting) = '\(value)'")
        try psql("select pg_reload_conf()")
        try wait(for: "the server to read its configuration") { try psql("show \(setting)") == value }
    }
}
