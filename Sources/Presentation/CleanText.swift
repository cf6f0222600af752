public import Operations

/// The leftovers that were removed.
public func cleanText(_ report: CleanJob.Report, dryRun: Bool) -> String {
    let gone = dryRun ? "Would remove" : "Removed"
    let lines =
        report.scratchClusters.map { "\(gone) the temporary cluster \"\($0)\"" }
        + report.temporaries.map { "\(gone) the temporary file \"\($0)\"" }
        + report.socketDirectories.map { "\(gone) the socket directory \"\($0)\"" }
    return lines.isEmpty ? "There is nothing to clean." : joined(lines)
}

/// The same as JSON.
public struct CleanDocument: Encodable {
    let dryRun: Bool
    let scratchClusters: [String]
    let temporaries: [String]

    public init(_ report: CleanJob.Report, dryRun: Bool) {
        self.dryRun = dryRun
        (scratchClusters, temporaries) = (
            report.scratchClusters, report.temporaries + report.socketDirectories
        )
    }
}
