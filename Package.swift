// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .treatAllWarnings(as: .error),
]
let optimized: [CSetting] = [.unsafeFlags(["-O3", "-Wall", "-Werror"])]

func module(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .target(name: name, dependencies: dependencies, exclude: exclude, swiftSettings: strict)
}
func tests(_ name: String, _ dependencies: [Target.Dependency], exclude: [String] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies + ["Support"], exclude: exclude, swiftSettings: strict)
}

let package = Package(
    name: "tidemark",
    products: [
        .executable(name: "tidemark", targets: ["tidemark"]),
        .executable(name: "tidemark-main", targets: ["tidemark-main"]),
        // For the packages under Benchmarks/ and Fuzz/.
        .library(name: "TidemarkModules", targets: ["Catalog", "Repository", "WAL", "Platform"]),
        .library(name: "TidemarkPlanning", targets: ["Planning", "Recovery"]),
    ],
    targets: [
        // C libraries, and C code for what Swift can't express.
        .systemLibrary(name: "CPQ", pkgConfig: "libpq", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CXXHash", pkgConfig: "libxxhash", providers: [.apt(["libxxhash-dev"])]),
        .systemLibrary(name: "CZstd", pkgConfig: "libzstd", providers: [.apt(["libzstd-dev"])]),
        .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CLZ4", pkgConfig: "liblz4", providers: [.apt(["liblz4-dev"])]),
        .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CCurl", pkgConfig: "libcurl", providers: [.apt(["libcurl4-openssl-dev"])]),
        .target(name: "CCurlDoors", dependencies: ["CCurl"], cSettings: optimized),
        .target(name: "CChecksum", cSettings: optimized),
        .target(name: "CLinux", cSettings: optimized),

        // Modules from the lowest up; each imports only lower ones (docs/architecture.md).
        module("Messages", []),
        module("Platform", ["CLinux", "Messages"]),
        module("WAL", ["CChecksum", "Messages"]),
        module("Configuration", ["Platform", "WAL"]),
        module("DataDirectory", ["CChecksum", "Platform", "WAL"]),
        module("SQLite", ["CSQLite", "Platform"]),
        module("HTTP", ["CCurl", "CCurlDoors", "Platform"]),
        module("Repository", ["CXXHash", "CZstd", "Messages", "Platform", "WAL"]),
        module("Documents", ["Messages", "Repository"]),
        module("Planning", ["Messages", "WAL"]),
        module("Retention", ["Messages", "WAL"]),
        module("Postgres", ["CLinux", "CPQ", "Platform", "WAL", "DataDirectory"]),
        module(
            "Archiving", ["CZlib", "CLZ4", "Platform", "WAL", "Configuration", "DataDirectory", "Repository"]),
        module("Setup", ["Platform", "WAL", "DataDirectory", "Repository", "Documents", "Postgres"]),
        module("Catalog", ["Platform", "WAL", "SQLite", "Repository"]),
        module("Backups", ["Platform", "WAL", "DataDirectory", "SQLite", "Repository", "Documents"]),
        module("BackupTaking", ["Platform", "WAL", "DataDirectory", "SQLite", "Repository", "Postgres", "Backups"]),
        module("Restoring", ["CChecksum", "Platform", "WAL", "DataDirectory", "SQLite", "Repository", "Backups"]),
        module("BackupVerification", ["Platform", "WAL", "DataDirectory", "SQLite", "Repository", "Backups"]),
        module(
            "Expiring",
            ["Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Retention", "Backups"]),
        module(
            "Recovery",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Planning", "Postgres",
                "Archiving", "Catalog", "Backups", "Restoring",
            ]),
        module(
            "Notifications",
            [
                "CCrypto", "CCurl", "Platform", "WAL", "Configuration", "HTTP", "Repository", "Documents",
                "Archiving",
            ]),
        module(
            "Jobs", ["Platform", "WAL", "Configuration", "Repository", "Documents", "Archiving", "Notifications"]),
        module(
            "Monitoring",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Planning", "Retention",
                "Postgres", "Archiving", "Setup", "Catalog", "Backups", "Expiring", "Recovery", "Notifications", "Jobs",
            ]),
        module(
            "TableRecovery",
            [
                "Platform", "WAL", "DataDirectory", "Repository", "Planning", "Postgres", "Backups", "Restoring",
                "Recovery",
            ]),
        module(
            "Operations",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Planning", "Retention", "Postgres",
                "Archiving", "Setup", "Catalog", "Backups", "BackupTaking", "Restoring", "BackupVerification",
                "Expiring", "Recovery", "Notifications", "Jobs", "Monitoring", "TableRecovery",
            ]),
        module(
            "Presentation",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Planning", "Retention", "Postgres",
                "Archiving", "Setup", "Catalog", "Backups", "Restoring", "Expiring", "Recovery", "Notifications",
                "Jobs", "Monitoring", "TableRecovery", "Operations",
            ]),
        module("ArchiveCommandLine", ["Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Archiving"]),

        // PostgreSQL starts this one for every segment: static, so that it costs 0.6 ms before main() instead of 5.
        .executableTarget(
            name: "tidemark",
            dependencies: ["Platform", "ArchiveCommandLine"],
            swiftSettings: strict + [.unsafeFlags(["-static-executable"], .when(configuration: .release))],
            linkerSettings: [.unsafeFlags(["-static-executable"], .when(configuration: .release))]),
        .executableTarget(
            name: "tidemark-main",
            dependencies: [
                "Messages", "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Planning",
                "Retention", "Archiving", "Catalog", "Backups", "BackupTaking", "Restoring", "Expiring", "Recovery",
                "Notifications", "Jobs", "Monitoring", "TableRecovery", "Operations", "Presentation",
                "ArchiveCommandLine",
            ],
            swiftSettings: strict),

        .target(
            name: "Support", dependencies: ["Platform", "WAL", "Repository", "CXXHash", "CZstd", "CChecksum"],
            path: "Tests/Support",
            swiftSettings: strict),
        tests("PlatformTests", ["Platform"]),
        tests("WALTests", ["CChecksum", "WAL"], exclude: ["Fixtures"]),
        tests("WALServerTests", ["Platform", "WAL"]),
        tests("ConfigurationTests", ["Platform", "WAL", "Configuration"]),
        tests(
            "HostileInputTests",
            [
                "CXXHash", "CChecksum", "Platform", "WAL", "Configuration", "DataDirectory", "SQLite", "Repository",
                "Documents", "Retention", "Postgres", "Archiving", "Setup", "Backups", "Restoring",
                "BackupVerification", "Recovery", "Notifications", "Jobs", "Monitoring", "TableRecovery",
            ]),
        tests("RepositoryTests", ["Platform", "WAL", "Repository", "Archiving", "Backups"]),
        tests("DataDirectoryTests", ["Platform", "WAL", "DataDirectory"], exclude: ["Fixtures"]),
        tests("ArchivingServerTests", ["Platform", "WAL", "Repository", "Archiving"]),
        tests(
            "BaseBackupServerTests",
            [
                "Platform", "WAL", "DataDirectory", "SQLite", "Repository", "Retention", "Backups", "BackupTaking",
                "Restoring", "BackupVerification", "Expiring",
            ],
            exclude: ["shifted-clock.c"]),
        tests("CatalogServerTests", ["Platform", "WAL", "Planning"], exclude: ["count-allocations.c"]),
        tests(
            "CatalogTests",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "SQLite", "Repository", "Planning", "Retention",
                "Archiving", "Catalog", "Backups", "BackupVerification", "Expiring", "Recovery", "Monitoring",
            ]),
        tests(
            "RetentionTests",
            ["Platform", "WAL", "Repository", "Planning", "Retention", "Backups", "Expiring", "Recovery"]),
        tests("RecoveryTests", ["Platform", "WAL", "Planning", "Postgres", "Backups", "Recovery"]),
        tests(
            "RecoveryServerTests",
            ["Platform", "WAL", "DataDirectory", "Repository", "Planning", "Postgres", "Recovery"],
            exclude: ["coarse-clock.c", "fast-clock.c"]),
        tests(
            "MonitoringTests",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "HTTP", "Repository", "Archiving", "Setup",
                "Backups", "Notifications", "Jobs", "Monitoring", "Presentation",
            ],
            exclude: ["Servers"]),
        tests(
            "MonitoringServerTests", ["Platform", "Configuration"],
            exclude: ["Programs"]),
        tests("TableRecoveryTests", ["Backups", "Restoring", "TableRecovery"]),
        tests(
            "TableRecoveryServerTests", ["Platform", "WAL", "Repository", "Postgres", "TableRecovery"]),
        tests(
            "OperationsServerTests",
            [
                "Platform", "WAL", "Configuration", "Repository", "Documents", "Planning", "Retention", "Postgres",
                "Archiving", "Backups", "Restoring", "Recovery", "TableRecovery", "Operations",
            ]),
        tests("CommandServerTests", ["Platform"]),
        tests("HistoryServerTests", ["Platform", "WAL", "Recovery"]),
    ],
    swiftLanguageModes: [.v6]
)
