import Configuration

/// Bytes in PostgreSQL's units: `912 kB`, `15 MB`.
func size(_ bytes: Int64) -> String { Quantity.pretty(bytes: bytes) }

/// By which factor something has become smaller: `4.1`.
func ratio(_ bytes: Int64, to stored: Int64) -> String? {
    guard stored > 0 else { return nil }
    let tenths = Int((Double(bytes) / Double(stored) * 10).rounded())
    return "\(tenths / 10).\(tenths % 10)"
}
