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
        .library(name: "TidemarkPlanning", targets: ["Recovery"]),
    ],
    targets: [
        // C libraries, and the little C that Swift can't say.
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

        // The house, from the ground up; imports point downwards only (docs/architecture.md).
        module("Platform", ["CLinux"]),
        module("WAL", ["CChecksum", "Platform"]),
        module("Configuration", ["Platform", "WAL"]),
        module("DataDirectory", ["Platform", "WAL", "CChecksum"]),
        module("SQLite", ["CSQLite", "Platform"]),
        module("Repository", ["Platform", "WAL", "CZstd", "CXXHash"]),
        module("Documents", ["Repository"]),
        module("Postgres", ["Platform", "WAL", "DataDirectory", "CPQ"]),
        module(
            "Archiving", ["Platform", "WAL", "Configuration", "DataDirectory", "Repository", "CZlib", "CLZ4"]),
        module("Setup", ["Platform", "WAL", "DataDirectory", "Repository", "Documents", "Postgres"]),
        module("Catalog", ["Platform", "WAL", "Repository", "SQLite"]),
        module(
            "BaseBackup",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "SQLite", "Postgres",
                "CChecksum",
            ]),
        module(
            "Recovery",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Postgres", "Archiving",
                "Catalog", "BaseBackup",
            ]),
        module(
            "Monitoring",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Postgres", "Setup",
                "Archiving", "Catalog", "BaseBackup", "Recovery", "CCrypto", "CCurl", "CCurlDoors",
            ]),
        module(
            "TableRecovery",
            ["Platform", "WAL", "DataDirectory", "Repository", "Postgres", "BaseBackup", "Recovery"]),

        // PostgreSQL starts this one for every segment: static, so that it costs 0.6 ms before main() instead of 5.
        .executableTarget(
            name: "tidemark",
            dependencies: ["Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Archiving"],
            swiftSettings: strict + [.unsafeFlags(["-static-executable"], .when(configuration: .release))],
            linkerSettings: [.unsafeFlags(["-static-executable"], .when(configuration: .release))]),
        .executableTarget(
            name: "tidemark-main",
            dependencies: [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "Postgres", "Setup",
                "Archiving", "Catalog", "BaseBackup", "Recovery", "Monitoring", "TableRecovery",
            ],
            swiftSettings: strict),

        .target(
            name: "Support", dependencies: ["Platform", "WAL", "Repository", "CZstd", "CChecksum"],
            path: "Tests/Support",
            swiftSettings: strict),
        tests("PlatformTests", ["Platform"]),
        tests("WALTests", ["WAL", "CChecksum"], exclude: ["Fixtures"]),
        tests("WALServerTests", ["WAL", "Platform"]),
        tests("ConfigurationTests", ["Configuration", "Platform", "WAL"]),
        tests(
            "HostileInputTests",
            [
                "Platform", "WAL", "Configuration", "DataDirectory", "Repository", "Documents", "SQLite", "Postgres",
                "Archiving", "Setup", "BaseBackup", "Recovery", "TableRecovery", "Monitoring", "CChecksum", "CXXHash",
            ]),
        tests("RepositoryTests", ["Repository", "WAL", "Platform"]),
        tests("DataDirectoryTests", ["DataDirectory", "WAL", "Platform"], exclude: ["Fixtures"]),
        tests("ArchivingServerTests", ["Archiving", "Repository", "WAL", "Platform"]),
        tests(
            "BaseBackupServerTests",
            ["BaseBackup", "DataDirectory", "Repository", "WAL", "Platform", "SQLite"],
            exclude: ["shifted-clock.c"]),
        tests("CatalogServerTests", ["Platform", "WAL"], exclude: ["count-allocations.c"]),
        tests(
            "CatalogTests",
            [
                "Catalog", "Configuration", "Archiving", "Recovery", "Monitoring", "BaseBackup", "Repository", "WAL",
                "Platform", "SQLite",
            ]),
        tests("RetentionTests", ["BaseBackup", "Recovery", "Repository", "Platform", "WAL"]),
        tests(
            "RecoveryServerTests", ["Recovery", "BaseBackup", "Repository", "WAL", "Platform", "Postgres"],
            exclude: ["coarse-clock.c", "fast-clock.c"]),
        tests(
            "MonitoringTests",
            [
                "Monitoring", "Archiving", "BaseBackup", "Setup", "Configuration", "DataDirectory", "Repository", "WAL",
                "Platform",
            ],
            exclude: ["Servers"]),
        tests(
            "MonitoringServerTests", ["Configuration", "Platform"],
            exclude: ["Programs"]),
        tests("TableRecoveryTests", ["TableRecovery", "BaseBackup"]),
        tests(
            "TableRecoveryServerTests", ["TableRecovery", "Repository", "WAL", "Platform"]),
        tests("CommandServerTests", ["Platform"]),
        tests("HistoryServerTests", ["Platform", "Recovery", "WAL"]),
    ],
    swiftLanguageModes: [.v6]
)
