import Postgres
import Support
import Testing

/// A session as a receiver of WAL needs it.
@Suite struct ReplicationConnectionTests {
    @Test(arguments: [nil, 60 as Int32]) func `a session for replication knows the commands of its protocol`(
        _ patience: Int32?
    ) throws {
        let cluster = try TestCluster(.v15, settings: [:])
        let receiver = try Connection(cluster.conninfo, patience: patience, isForReplication: true)
        let system = try receiver.query("IDENTIFY_SYSTEM")
        #expect(system.columns == ["systemid", "timeline", "xlogpos", "dbname"])
        #expect(try system.scalar == cluster.psql("select system_identifier from pg_control_system()"))
        // Nothing was set, and the server takes no SQL.
        #expect(try receiver.query("SHOW search_path").scalar == "\"$user\", public")
        #expect(throws: QueryFailure.self) { try receiver.query("SELECT 1 FROM pg_class") }
        #expect(receiver.isAlive)
        // Another session is as before.
        let ordinary = try Connection(cluster.conninfo, patience: patience)
        #expect(throws: QueryFailure.self) { try ordinary.query("IDENTIFY_SYSTEM") }
        #expect(try ordinary.query("SHOW search_path").scalar != "\"$user\", public")
    }
}
