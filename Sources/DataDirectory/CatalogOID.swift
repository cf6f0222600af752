/// OIDs that PostgreSQL's headers name.
public enum CatalogOID {
    /// LargeObjectRelationId (src/include/catalog/pg_largeobject.h): pg_largeobject.
    public static let largeObject: UInt32 = 2613
    /// LargeObjectLOidPNIndexId (there): its index.
    public static let largeObjectIndex: UInt32 = 2683
    /// FirstNormalObjectId (src/include/access/transam.h): lower ones are the system's own.
    public static let firstNormal: UInt32 = 16384
}
