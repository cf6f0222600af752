public import Operations
import Platform
import WAL

/// The state of the catalog.
public func catalogText(_ report: CatalogReport) -> String {
    "catalog \(report.path): \(size(report.size))\n"
        + "\(counted(report.segments, "segment")) on \(counted(report.timelines.count, "timeline")), \(counted(report.backups, "backup")); "
        + "\(counted(report.read, "segment")) read now, \(report.gone) gone"
}

/// The same as JSON.
public struct CatalogDocument: Encodable {
    let path: String
    let size: Int64
    let segments: Int
    let backups: Int
    let timelines: [UInt32]
    let read, gone: Int
    let synchronized: String?
    let problems: [String]

    public init(_ report: CatalogReport) {
        (path, size, segments, backups) = (report.path, report.size, report.segments, report.backups)
        (timelines, read, gone) = (report.timelines.map(\.rawValue), report.read, report.gone)
        (synchronized, problems) = (report.synchronized?.iso8601, report.problems)
    }
}
